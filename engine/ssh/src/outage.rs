//! How long to go on trying when a host is not reached.

use std::time::Duration;

use piton_core::ids::HostName;
use piton_runner::observer::Notice;
use piton_runner::transport::News;
use tokio::time::Instant;

/// A time in which a host is not reached: when it began, and how often we tried.
pub(crate) struct Outage {
    host: HostName,
    since: Option<Instant>,
    pub(crate) tries: u32,
}

impl Outage {
    pub(crate) fn new(host: HostName) -> Self {
        Self { host, since: None, tries: 0 }
    }

    /// Notes a failure and waits before the next try; false: it has lasted longer than `limit`.
    pub(crate) async fn goes_on(&mut self, why: &str, limit: Duration, news: &dyn News) -> bool {
        let since = *self.since.get_or_insert_with(|| {
            news.notice(Notice::Disconnected { host: self.host.clone(), why: why.to_owned() });
            Instant::now()
        });
        let left = limit.saturating_sub(since.elapsed());
        let pause = FIRST_PAUSE.saturating_mul(1 << self.tries.min(10)).min(LONGEST_PAUSE);
        self.tries = self.tries.saturating_add(1);
        if left.is_zero() {
            return false;
        }
        tokio::time::sleep(pause.min(left)).await;
        true
    }

    /// The host has answered.
    pub(crate) fn over(&mut self, news: &dyn News) {
        self.tries = 0;
        if self.since.take().is_some() {
            news.notice(Notice::Connected { host: self.host.clone() });
        }
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
