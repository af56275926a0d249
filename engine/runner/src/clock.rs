//! The clock port, and the clock of the system.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use piton_core::time::Timestamp;

/// Tells the time and waits for it.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now, by the wall clock. It may jump.
    fn now(&self) -> Timestamp;

    /// Returns when `at` has come by the wall clock, also after the clock was set.
    async fn until(&self, at: Timestamp);
}

/// The longest time that [`SystemClock::until`] sleeps without looking at the wall clock: so much later than it should
/// it returns, at most, when the clock is set forward meanwhile.
const SLICE: Duration = Duration::from_secs(30);

/// The wall clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = |earlier: SystemTime, later: SystemTime| {
            later.duration_since(earlier).map(|span| i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
        };
        let now = SystemTime::now();
        Timestamp(since(UNIX_EPOCH, now).unwrap_or_else(|_| since(now, UNIX_EPOCH).map_or(0, |ms| -ms)))
    }

    async fn until(&self, at: Timestamp) {
        loop {
            let left = at.since(self.now());
            if left.is_zero() {
                return;
            }
            // tokio's timers follow a clock that no one sets, and that may stand still while the machine is suspended.
            tokio::time::sleep(left.min(SLICE)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_time_that_has_passed_is_not_waited_for_and_one_to_come_is_reached() {
        let clock = SystemClock;
        clock.until(Timestamp(0)).await;
        let soon = clock.now().plus(Duration::from_millis(20));
        clock.until(soon).await;
        assert!(clock.now() >= soon);
    }
}
