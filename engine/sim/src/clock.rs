//! Clocks that no time passes on by itself: one that stands still until it is set, and one that can jump to the next moment
//! for which somebody waits.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use piton_core::time::Timestamp;
use piton_runner::clock::Clock;
use tokio::sync::{oneshot, watch};

/// A clock that stands still until it is set.
pub struct ManualClock(watch::Sender<Timestamp>);

impl ManualClock {
    /// A clock that shows `at`.
    pub fn at(at: Timestamp) -> Self {
        Self(watch::Sender::new(at))
    }

    /// Sets the clock, forward or back.
    pub fn set(&self, at: Timestamp) {
        self.0.send_replace(at);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    async fn until(&self, at: Timestamp) {
        // The sender lives as long as `self`.
        let mut shown = self.0.subscribe();
        let _reached = shown.wait_for(|now| *now >= at).await;
    }
}

/// A clock that knows who waits for what, and can go there at once.
pub struct JumpingClock(Mutex<Waiting>);

struct Waiting {
    now: Timestamp,
    /// Who waits, by time, and among those for the same time by who came first.
    by_time: BTreeMap<(Timestamp, u64), oneshot::Sender<()>>,
    count: u64,
}

impl JumpingClock {
    /// A clock that shows `now`.
    pub fn at(now: Timestamp) -> Self {
        Self(Mutex::new(Waiting { now, by_time: BTreeMap::new(), count: 0 }))
    }

    fn inner(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next moment for which somebody waits.
    pub fn next(&self) -> Option<Timestamp> {
        let mut inner = self.inner();
        // Whoever has stopped waiting keeps nobody from going on.
        inner.by_time.retain(|_, waits| !waits.is_closed());
        inner.by_time.keys().next().map(|(at, _)| *at)
    }

    /// Goes to `at`, never back, and wakes whoever waited for it, in order; tells whether anybody did.
    pub fn go_to(&self, at: Timestamp) -> bool {
        let mut inner = self.inner();
        let now = inner.now.max(at);
        inner.now = now;
        let later = inner.by_time.split_off(&(Timestamp(now.0.saturating_add(1)), 0));
        let due = std::mem::replace(&mut inner.by_time, later);
        drop(inner);
        let mut woken = false;
        for (_, waits) in due {
            // Whoever has stopped waiting is not woken.
            woken |= waits.send(()).is_ok();
        }
        woken
    }
}

#[async_trait]
impl Clock for JumpingClock {
    fn now(&self) -> Timestamp {
        self.inner().now
    }

    async fn until(&self, at: Timestamp) {
        let (wake, woken) = oneshot::channel();
        {
            let mut inner = self.inner();
            if inner.now >= at {
                return;
            }
            inner.count += 1;
            let key = (at, inner.count);
            inner.by_time.insert(key, wake);
        }
        let _reached = woken.await;
    }
}
