//! The clock port.

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
