//! How a word wakes the engine that drives its run, also in another process: an empty datagram to every socket in
//! `STATE/wake/`. The word itself is in the inbox; a lost datagram costs at most five seconds.

use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram as Sender;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::UnixDatagram;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use crate::place::make_dir;

/// However quiet it is, the inbox is looked at this often.
const AT_LATEST: Duration = Duration::from_secs(5);
/// Who begins to wait within this time of a datagram that somebody else took is woken once more at its end.
const ECHO: Duration = Duration::from_millis(150);

/// Rings at every process that waits.
#[derive(Debug, Clone)]
pub(crate) struct Bell {
    dir: PathBuf,
}

impl Bell {
    /// The bell of a state directory.
    pub(crate) fn of(state: &Path) -> Self {
        Self { dir: state.join("wake") }
    }

    /// Sends a datagram to each socket. Sockets whose process is gone are removed.
    pub(crate) fn ring(&self) {
        let (Ok(dir), Ok(sender)) = (std::fs::File::open(&self.dir), Sender::unbound()) else { return };
        // A receiver that does not drain its socket has a wake-up waiting already.
        let Ok(()) = sender.set_nonblocking(true) else { return };
        for entry in std::fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if let Err(error) = sender.send_to(&[], short(&dir, name.as_ref()))
                && error.kind() == ErrorKind::ConnectionRefused
            {
                let _ = std::fs::remove_file(self.dir.join(name));
            }
        }
    }
}

/// The path of a socket however deep the state directory lies: `sun_path` holds 108 bytes (unix(7)), and the way
/// through the directory's descriptor is short (proc(5)).
fn short(dir: &std::fs::File, name: &Path) -> PathBuf {
    Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(name)
}

/// Hears the bell. Its socket is made when somebody first waits: a process that only reads leaves no trace.
#[derive(Debug)]
pub(crate) struct Ear {
    dir: PathBuf,
    /// `None` where no socket can be made; then only the clock wakes.
    socket: OnceCell<Option<Socket>>,
    heard: AtomicU64,
    told: AtomicU64,
    last: std::sync::Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Socket {
    datagrams: UnixDatagram,
    path: PathBuf,
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Ear {
    /// An ear in a state directory.
    pub(crate) fn of(state: &Path) -> Self {
        Self {
            dir: state.join("wake"),
            socket: OnceCell::new(),
            heard: AtomicU64::new(0),
            told: AtomicU64::new(0),
            last: std::sync::Mutex::new(None),
        }
    }

    /// Returns when the bell rang since the last call, after five seconds at the latest. The first call returns at once:
    /// nobody knows what was said before.
    pub(crate) async fn listen(&self) {
        let until = Instant::now() + AT_LATEST;
        let Some(socket) = self.socket.get() else {
            self.socket.get_or_init(|| async { Socket::bind(&self.dir).ok() }).await;
            return;
        };
        let Some(socket) = socket else { return tokio::time::sleep_until(until).await };

        self.drain(socket);
        let heard = self.heard.load(Ordering::Acquire);
        if self.told.swap(heard, Ordering::AcqRel) < heard {
            return;
        }
        let echo = self.last.lock().ok().and_then(|last| *last).map(|last| last + ECHO);
        let until = echo.filter(|echo| *echo > Instant::now()).unwrap_or(until);
        while let Ok(Ok(())) = timeout_at(until, socket.datagrams.readable()).await {
            self.drain(socket);
            let now = self.heard.load(Ordering::Acquire);
            if now > heard {
                self.told.fetch_max(now, Ordering::AcqRel);
                return;
            }
        }
        // Either time is up, or the socket is of no use (its runtime has ended): then the clock alone wakes.
        tokio::time::sleep_until(until).await;
    }

    fn drain(&self, socket: &Socket) {
        let mut heard = false;
        while socket.datagrams.try_recv(&mut [0; 8]).is_ok() {
            heard = true;
        }
        if heard {
            self.heard.fetch_add(1, Ordering::AcqRel);
            if let Ok(mut last) = self.last.lock() {
                *last = Some(Instant::now());
            }
        }
    }
}

impl Socket {
    fn bind(dir: &Path) -> std::io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        make_dir(dir)?;
        let opened = std::fs::File::open(dir)?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // Process ids come round again, and containers have their own: the time since boot keeps names apart.
        let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let name = format!("{}-{count}-{}{:09}", std::process::id(), boot.tv_sec, boot.tv_nsec);
        let datagrams = UnixDatagram::bind(short(&opened, name.as_ref()))?;
        Ok(Self { datagrams, path: dir.join(name) })
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn whoever_waits_is_woken_and_dead_sockets_are_swept() {
        let state = tempfile::tempdir().unwrap();
        let deep = state.path().join("x".repeat(200));
        let (bell, ear) = (Bell::of(&deep), Ear::of(&deep));
        bell.ring();
        assert!(!deep.exists(), "ringing makes nothing");
        ear.listen().await;

        let wake = deep.join("wake");
        let opened = std::fs::File::open(&wake).unwrap();
        drop(Sender::bind(short(&opened, "dead".as_ref())).unwrap());
        assert_eq!(std::fs::read_dir(&wake).unwrap().count(), 2);

        bell.ring();
        // Whoever waits may give up and wait again: the ringing is not lost, and need not be waited for.
        let mut woken = false;
        for _ in 0..1000 {
            tokio::task::yield_now().await;
            let mut listening = Box::pin(ear.listen());
            woken = std::future::poll_fn(|context| Poll::Ready(listening.as_mut().poll(context).is_ready())).await;
            if woken {
                break;
            }
        }
        assert!(woken, "the datagram was not heard");
        assert_eq!(ear.heard.load(Ordering::SeqCst), 1, "the datagram was not heard");
        assert_eq!(std::fs::read_dir(&wake).unwrap().count(), 1, "the dead socket is swept");

        let both = tokio::time::timeout(Duration::from_secs(30), async {
            tokio::join!(ear.listen(), ear.listen(), async { bell.ring() })
        });
        both.await.unwrap();
        assert_eq!(ear.heard.load(Ordering::SeqCst), 2);
        drop(ear);
        assert_eq!(std::fs::read_dir(&wake).unwrap().count(), 0);
    }
}
