//! The shells and connections to one host: reused while they are warm, closed when nobody needs them.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use openssh::Session;
use piton_core::ids::HostName;
use piton_core::run::BootId;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::connect::{ConnectError, Destination, Hope};
use crate::options::Options;
use crate::script;
use crate::shell::{Ends, Shell, nonce};

/// What all hosts share.
pub(crate) struct Common {
    pub(crate) options: Options,
    connections: Arc<Semaphore>,
    pools: Mutex<Vec<Weak<Pool>>>,
}

impl Common {
    pub(crate) fn new(options: Options) -> Arc<Self> {
        let connections = Arc::new(Semaphore::new(options.max_connections.max(1)));
        Arc::new(Self { options, connections, pools: Mutex::default() })
    }

    /// A place for a further connection; connections to other hosts that only idle make room for it.
    async fn place(&self) -> Result<OwnedSemaphorePermit, ConnectError> {
        loop {
            if let Ok(permit) = Arc::clone(&self.connections).try_acquire_owned() {
                return Ok(permit);
            }
            let pools: Vec<_> = lock(&self.pools).iter().filter_map(Weak::upgrade).collect();
            for pool in pools {
                pool.close_idle(Instant::now());
            }
            // What is busy now may idle in a moment, and would then be kept for long.
            let permit = Arc::clone(&self.connections).acquire_owned();
            if let Ok(Ok(permit)) = tokio::time::timeout(self.options.patience, permit).await {
                return Ok(permit);
            }
        }
    }
}

/// The way to one host.
pub(crate) struct Pool {
    pub(crate) host: HostName,
    pub(crate) common: Arc<Common>,
    way: Way,
    idle: Mutex<Vec<(Box<Shell>, Instant)>>,
    links: Mutex<Vec<Arc<Link>>>,
    /// Channels that a connection to this host takes, as far as we know.
    channels: AtomicUsize,
    /// What was left behind on the host has been looked for since we connected.
    swept: AtomicBool,
    /// A shell or a channel has become free.
    freed: Arc<Notify>,
    /// One connects at a time; the others find its connection.
    connecting: tokio::sync::Mutex<()>,
    /// Shells on this machine that are made without waiting for one to become free.
    local: Arc<Semaphore>,
}

enum Way {
    Local,
    Ssh(Destination),
    Nowhere(ConnectError),
}

/// One connection.
struct Link {
    session: Arc<Session>,
    used: AtomicUsize,
    /// It takes no further channel: it is dead, or the host refuses.
    spent: AtomicBool,
    _place: OwnedSemaphorePermit,
}

/// A channel of a connection, given back when it is dropped.
struct Slot {
    link: Arc<Link>,
    freed: Arc<Notify>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.link.used.fetch_sub(1, Ordering::SeqCst);
        self.freed.notify_one();
    }
}

/// Why a channel was not opened.
enum OpenError {
    /// The host allows no further one on this connection.
    Refused,
    /// The connection is dead.
    Dead,
    /// There was a channel, and no shell of ours in it.
    NoShell(String),
}

impl Pool {
    pub(crate) fn local(host: HostName, common: Arc<Common>) -> Arc<Self> {
        Self::new(host, common, Way::Local)
    }

    pub(crate) fn ssh(
        host: HostName,
        common: Arc<Common>,
        destination: Result<Destination, ConnectError>,
    ) -> Arc<Self> {
        Self::new(host, common, destination.map_or_else(Way::Nowhere, Way::Ssh))
    }

    fn new(host: HostName, common: Arc<Common>, way: Way) -> Arc<Self> {
        let pool = Arc::new(Self {
            host,
            way,
            idle: Mutex::default(),
            links: Mutex::default(),
            channels: AtomicUsize::new(common.options.channels.max(1)),
            swept: AtomicBool::new(false),
            freed: Arc::default(),
            connecting: tokio::sync::Mutex::default(),
            local: Arc::new(Semaphore::new(at_once())),
            common,
        });
        lock(&pool.common.pools).push(Arc::downgrade(&pool));
        pool.sweep_idle();
        pool
    }

    /// A warm shell: one that waits, or a new one on a connection that has a channel free, or on a new connection.
    pub(crate) async fn shell(&self) -> Result<Box<Shell>, ConnectError> {
        match &self.way {
            Way::Nowhere(error) => Err(error.clone()),
            Way::Local => loop {
                let freed = self.freed.notified();
                if let Some(shell) = self.waiting() {
                    return Ok(shell);
                }
                if let Ok(permit) = Arc::clone(&self.local).try_acquire_owned() {
                    return self.spawn(Some(permit)).await;
                }
                // Short jobs end soon; for long ones a further shell helps, and they come one after the other.
                if tokio::time::timeout(self.common.options.patience, freed).await.is_err() {
                    let _turn = self.connecting.lock().await;
                    return match self.waiting() {
                        Some(shell) => Ok(shell),
                        None => self.spawn(None).await,
                    };
                }
            },
            Way::Ssh(destination) => loop {
                let freed = self.freed.notified();
                if let Some(shell) = self.waiting() {
                    return Ok(shell);
                }
                let Some(slot) = self.slot() else {
                    // Short jobs end soon; for long ones a further connection helps.
                    let open = !lock(&self.links).is_empty();
                    if !open || tokio::time::timeout(self.common.options.patience, freed).await.is_err() {
                        self.connect(destination).await?;
                    }
                    continue;
                };
                let link = Arc::clone(&slot.link);
                match self.open(slot).await {
                    Ok(shell) => return Ok(shell),
                    Err(OpenError::Refused) => self.learn(&link),
                    Err(OpenError::Dead) => self.forsake(&link),
                    Err(OpenError::NoShell(said)) => {
                        let message = format!("{} lets us in, but there is no shell: {said}", self.host);
                        return Err(ConnectError::soon(message));
                    }
                }
            },
        }
    }

    /// Takes a shell back that waits for requests.
    pub(crate) fn give(self: &Arc<Self>, shell: Box<Shell>) {
        if !self.swept.swap(true, Ordering::SeqCst) {
            let (pool, mut shell) = (Arc::clone(self), shell);
            tokio::spawn(async move {
                let swept = async {
                    shell.ask(&script::run(script::SWEEP, &[])).await?;
                    shell.answer().await
                };
                match swept.await {
                    Ok(_) => pool.give(shell),
                    Err(error) => tracing::debug!(host = %pool.host, %error, "nothing was swept"),
                }
            });
            return;
        }
        lock(&self.idle).push((shell, Instant::now()));
        self.freed.notify_one();
    }

    /// The host has been started anew: shells from before are of no use.
    pub(crate) fn renew(&self, boot: &BootId) {
        let old: Vec<_> = lock(&self.idle).extract_if(.., |(shell, _)| shell.boot != *boot).collect();
        drop(old);
    }

    fn waiting(&self) -> Option<Box<Shell>> {
        loop {
            let (mut shell, _) = lock(&self.idle).pop()?;
            if shell.is_waiting() {
                return Some(shell);
            }
        }
    }

    fn slot(&self) -> Option<Slot> {
        let most = self.channels.load(Ordering::SeqCst);
        let links = lock(&self.links);
        let link = links.iter().find(|link| {
            !link.spent.load(Ordering::SeqCst)
                && link.used.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| (n < most).then_some(n + 1)).is_ok()
        })?;
        Some(Slot { link: Arc::clone(link), freed: Arc::clone(&self.freed) })
    }

    /// The host refused a channel: that is how many it allows, or it has not noticed yet that others are closed.
    fn learn(&self, link: &Arc<Link>) {
        let used = link.used.load(Ordering::SeqCst);
        if used == 0 {
            self.forsake(link);
        } else {
            self.channels.fetch_min(used, Ordering::SeqCst);
        }
    }

    fn forsake(&self, link: &Arc<Link>) {
        link.spent.store(true, Ordering::SeqCst);
        lock(&self.links).retain(|other| !Arc::ptr_eq(link, other));
    }

    async fn connect(&self, destination: &Destination) -> Result<(), ConnectError> {
        let before = lock(&self.links).len();
        let _turn = self.connecting.lock().await;
        if lock(&self.links).len() > before {
            return Ok(());
        }
        let place = self.common.place().await?;
        let session = destination.connect(&self.common.options).await?;
        let link = Link {
            session: Arc::new(session),
            used: AtomicUsize::new(0),
            spent: AtomicBool::new(false),
            _place: place,
        };
        lock(&self.links).push(Arc::new(link));
        self.swept.store(false, Ordering::SeqCst);
        self.freed.notify_waiters();
        Ok(())
    }

    async fn open(&self, slot: Slot) -> Result<Box<Shell>, OpenError> {
        let nonce = nonce();
        let command = script::command(&self.common.options, &nonce);
        let link = Arc::clone(&slot.link);
        // A slot is given free late by the host: what it refuses now it may allow in a moment.
        let mut tries = 0;
        let mut child = loop {
            let mut command = Arc::clone(&link.session).arc_raw_command(&command);
            command.stdin(openssh::Stdio::piped()).stdout(openssh::Stdio::piped()).stderr(openssh::Stdio::piped());
            match command.spawn().await {
                Ok(child) => break child,
                Err(openssh::Error::SshMux(error)) if tries < 3 && is_refusal(&error.to_string()) => {
                    tries += 1;
                    tokio::time::sleep(std::time::Duration::from_millis(40 * tries)).await;
                }
                Err(openssh::Error::SshMux(error)) if is_refusal(&error.to_string()) => return Err(OpenError::Refused),
                Err(error) => {
                    tracing::debug!(host = %self.host, %error, "the connection takes no channel");
                    return Err(OpenError::Dead);
                }
            }
        };
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin().take(), child.stdout().take(), child.stderr().take())
        else {
            return Err(OpenError::NoShell("ssh gave no pipes".to_owned()));
        };
        // Where the system gives no more (pipe(7), pipe-user-pages-soft), it stays as it is.
        let _as_it_is = rustix::pipe::fcntl_setpipe_size(&stdout, PIPE);
        let ends = Ends {
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
            stderr: Box::new(stderr),
            // The channel is closed when the child is dropped, and only then is its slot free.
            held: Box::new((child, slot)),
        };
        let greeted = Shell::greet(ends, &nonce, self.common.options.greeting).await;
        match greeted {
            Ok(shell) => Ok(shell),
            Err(error) if link.session.check().await.is_err() => {
                tracing::debug!(host = %self.host, %error, "the connection was lost while a shell was opened");
                Err(OpenError::Dead)
            }
            Err(error) => Err(OpenError::NoShell(error.to_string())),
        }
    }

    /// A shell on the engine's own machine, in a session of its own: Ctrl-C does not reach it, and it stays if the
    /// engine is killed.
    async fn spawn(&self, permit: Option<OwnedSemaphorePermit>) -> Result<Box<Shell>, ConnectError> {
        let nonce = nonce();
        let command = script::command(&self.common.options, &nonce);
        let failed = |error: std::io::Error| ConnectError {
            message: format!("no shell on this machine (`setsid sh`): {error}"),
            hope: Hope::None,
        };
        let mut program = tokio::process::Command::new("setsid");
        for variable in &self.common.options.hidden {
            program.env_remove(variable);
        }
        let mut child = program
            .args(["sh", "-c", &command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(failed(std::io::Error::other("no pipes")));
        };
        let held = Box::new((child, permit));
        let ends = Ends { stdin: Box::new(stdin), stdout: Box::new(stdout), stderr: Box::new(stderr), held };
        Shell::greet(ends, &nonce, self.common.options.greeting).await.map_err(failed)
    }

    /// Closes shells that have waited since before `since`, and connections without shells.
    fn close_idle(&self, since: Instant) {
        let old: Vec<_> = {
            let mut idle = lock(&self.idle);
            let (old, new) = std::mem::take(&mut *idle).into_iter().partition(|(_, at)| *at <= since);
            *idle = new;
            old
        };
        if old.is_empty() && lock(&self.links).is_empty() {
            return;
        }
        drop(old);
        let unused: Vec<_> = {
            let mut links = lock(&self.links);
            let (unused, used) =
                std::mem::take(&mut *links).into_iter().partition(|link| link.used.load(Ordering::SeqCst) == 0);
            *links = used;
            unused
        };
        drop(unused);
    }

    fn sweep_idle(self: &Arc<Self>) {
        let pool = Arc::downgrade(self);
        let every = self.common.options.idle;
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(every / 2).await;
                let Some(pool) = pool.upgrade() else { return };
                if let Some(since) = Instant::now().checked_sub(every) {
                    pool.close_idle(since);
                }
            }
        });
    }
}

/// How many jobs this machine begins at once: more would only get in each other's way, as long as they are short.
fn at_once() -> usize {
    std::thread::available_parallelism().map_or(4, |cores| (cores.get() * 2).max(4))
}

fn is_refusal(error: &str) -> bool {
    error.contains("efused")
}

/// So much may wait between ssh and the engine: then both work at once, instead of one after the other.
const PIPE: usize = 1 << 20;

/// A poisoned lock is as good as any: what it guards is a list, changed in one step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
