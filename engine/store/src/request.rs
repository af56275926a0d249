//! What the writer thread is asked to do, and what it answers.

use std::time::Duration;

use piton_core::digest::Digest;
use piton_core::ids::RunId;
use piton_core::run::{Waits, WordId};
use piton_core::time::Timestamp;
use piton_runner::journal::{JournalError, Lease, LockChange, NewRun, RunStatus};

use crate::record::Entry;

/// A change to the store. It is carried out wholly or not at all.
#[derive(Debug)]
pub(crate) enum Request {
    Create { run: Box<NewRun>, plan: Digest, entries: Vec<Entry>, owner: String, ttl: Duration },
    Claim { run: RunId, owner: String, ttl: Duration },
    Renew { lease: Lease, ttl: Duration },
    Release { lease: Lease },
    Append { lease: Lease, append: Append },
    Say { run: RunId, by: String, word: Vec<u8>, at: Timestamp },
}

/// What one append does; see [`piton_runner::journal::Batch`].
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) entries: Vec<Entry>,
    pub(crate) status: RunStatus,
    pub(crate) taken: Vec<WordId>,
    pub(crate) locks: Vec<LockChange>,
    pub(crate) waits: Option<Waits>,
}

/// What a change came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    Done,
    /// Done, and somebody was given locks by it, or refused.
    Given,
    /// The lease's fencing number.
    Leased(u64),
    /// The word's number.
    Said(WordId),
}

/// Checks that entries follow `stored` without a gap.
pub(crate) fn follow(run: RunId, stored: u64, entries: &[Entry]) -> Result<(), JournalError> {
    let mut last = stored;
    for entry in entries {
        if last.checked_add(1) != Some(entry.seq) {
            return Err(JournalError::Gap { run, stored: last, given: entry.seq });
        }
        last = entry.seq;
    }
    Ok(())
}
