//! Bytes on their way to the thread that writes them: the next ones come while the last ones are written.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use piton_core::time::Timestamp;
use tokio::sync::Notify;

use super::kept::Kept;

/// So many bytes may wait while others are written; then whoever brings more waits too.
const AHEAD: usize = 256 * 1024;
/// Bytes wait together if they came within so many milliseconds: the index tells when bytes came.
const SAME_TIME: u64 = 100;

/// A stream, what is written of it, and what waits to be.
///
/// What waits is lost if the process ends: then it is not in the files, and comes again.
pub(super) struct Flow {
    /// Locked by the thread that writes, for as long as that takes.
    kept: Mutex<Kept>,
    queue: Mutex<Queue>,
    /// The thread has taken what waited, or has come to its end.
    moved: Notify,
}

struct Queue {
    bytes: Vec<u8>,
    /// When the first of them came.
    came: Timestamp,
    /// The offset behind the last byte that was taken.
    position: u64,
    /// A thread writes, and will look here again.
    writing: bool,
    /// Why nothing more could be written, and the offset behind the last byte that was.
    failed: Option<(io::Error, u64)>,
}

impl Queue {
    /// Whether bytes that come now may wait; all that wait are noted with the time of the first.
    fn has_room(&mut self, now: Timestamp) -> bool {
        if self.bytes.is_empty() {
            self.came = now;
        }
        self.bytes.len() < AHEAD && now.0.abs_diff(self.came.0) < SAME_TIME
    }

    /// What went wrong, once: from here on the position is what is written.
    fn check(&mut self) -> io::Result<()> {
        let Some((error, written)) = self.failed.take() else { return Ok(()) };
        self.position = written;
        Err(error)
    }
}

impl Flow {
    pub(super) fn new(kept: Kept) -> Arc<Self> {
        let position = kept.position;
        let queue = Queue { bytes: Vec::new(), came: Timestamp::default(), position, writing: false, failed: None };
        Arc::new(Self { kept: Mutex::new(kept), queue: Mutex::new(queue), moved: Notify::new() })
    }

    /// The offset behind the last byte that was taken; after an error behind the last that was written.
    pub(super) fn position(&self) -> u64 {
        lock(&self.queue).position
    }

    /// Takes bytes, and has a thread write them. An error may be about bytes that were taken before. If the future is
    /// dropped before it is done, nothing was taken.
    pub(super) async fn take(self: &Arc<Self>, bytes: &[u8], now: Timestamp) -> io::Result<()> {
        loop {
            let moved = self.moved.notified();
            {
                let mut queue = lock(&self.queue);
                queue.check()?;
                if queue.has_room(now) {
                    queue.bytes.extend_from_slice(bytes);
                    queue.position += bytes.len() as u64;
                    if !std::mem::replace(&mut queue.writing, true) {
                        let flow = Arc::clone(self);
                        tokio::task::spawn_blocking(move || flow.write());
                    }
                    return Ok(());
                }
            }
            moved.await;
        }
    }

    /// Waits until everything that was taken is written.
    pub(super) async fn settle(&self) -> io::Result<()> {
        loop {
            let moved = self.moved.notified();
            {
                let mut queue = lock(&self.queue);
                queue.check()?;
                if !queue.writing {
                    return Ok(());
                }
            }
            moved.await;
        }
    }

    /// What is written. Blocks while something is being written.
    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }

    /// Writes until nothing waits any more.
    fn write(&self) {
        let mut bytes = Vec::new();
        let mut kept = self.kept();
        loop {
            bytes.clear();
            let came = {
                let mut queue = lock(&self.queue);
                if queue.bytes.is_empty() {
                    queue.writing = false;
                    break;
                }
                std::mem::swap(&mut queue.bytes, &mut bytes);
                queue.came
            };
            self.moved.notify_waiters();
            if let Err(error) = kept.take(&bytes, came) {
                let mut queue = lock(&self.queue);
                queue.bytes.clear();
                queue.writing = false;
                queue.failed = Some((error, kept.position));
                break;
            }
        }
        drop(kept);
        self.moved.notify_waiters();
    }
}

/// A thread that panicked in the middle of a write left nothing half done that counts: the position moves last.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
