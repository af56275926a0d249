//! How long a lease lasts: counted on a clock that no one sets, valid for one boot of one machine.

use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The point on this machine's clock since boot at which a lease ends.
///
/// `CLOCK_BOOTTIME` (clock_gettime(2)) runs on while the machine sleeps and does not jump when the wall clock is set,
/// so leases neither end early nor last longer than they should. It begins anew with each boot: a term that was set in
/// another boot is over, whatever its number says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Term {
    /// `/proc/sys/kernel/random/boot_id` (random(4)) when it was set.
    pub(crate) boot: String,
    /// Milliseconds since that boot.
    pub(crate) until: i64,
}

/// Sets terms and says whether they are over.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    boot: Arc<str>,
}

impl Terms {
    /// Learns which boot of which machine this is.
    pub(crate) fn of_this_boot() -> std::io::Result<Self> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        Ok(Self { boot: boot.trim().into() })
    }

    /// This boot's id.
    pub(crate) fn boot(&self) -> &str {
        &self.boot
    }

    /// Milliseconds since boot, sleep included.
    pub(crate) fn now(&self) -> i64 {
        let now = clock_gettime(ClockId::Boottime);
        now.tv_sec.saturating_mul(1000).saturating_add(now.tv_nsec / 1_000_000)
    }

    /// A term that ends `ttl` from now.
    pub(crate) fn ending_in(&self, ttl: Duration) -> Term {
        let ttl = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
        Term { boot: self.boot.as_ref().to_owned(), until: self.now().saturating_add(ttl) }
    }

    /// Whether a term is not over yet.
    pub(crate) fn holds(&self, term: &Term) -> bool {
        term.boot == *self.boot && term.until > self.now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_ends_with_its_time_and_with_its_boot() {
        let terms = Terms::of_this_boot().unwrap();
        let long = terms.ending_in(Duration::from_secs(3600));
        assert!(terms.holds(&long));
        assert!(!terms.holds(&terms.ending_in(Duration::ZERO)));
        assert!(terms.holds(&terms.ending_in(Duration::MAX)), "no overflow");
        assert!(!terms.holds(&Term { boot: "another".into(), ..long }));
    }
}
