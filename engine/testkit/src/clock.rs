//! A clock that stands still until it is set.

use async_trait::async_trait;
use piton_core::time::Timestamp;
use piton_runner::clock::Clock;
use tokio::sync::watch;

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
