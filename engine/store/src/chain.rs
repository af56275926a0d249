//! The hash chain that binds each event to all before it.

use piton_core::digest::Digest;
use piton_core::ids::RunId;
use piton_core::time::Timestamp;
use piton_runner::journal::JournalError;

/// The end of a hash chain so far.
///
/// The first link is bound to the run's id and its plan's digest, each further one to the link before it and to all
/// that is stored of its event. The chain finds damage and edits; it is no signature: who can write the store can also
/// write a whole new chain. Keep the head that `verify` tells elsewhere to rule that out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link(pub(crate) [u8; 32]);

impl Link {
    /// What stands before the first event.
    pub(crate) fn origin(run: RunId, plan: Digest) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"piton journal 1\0");
        hasher.update(run.to_string().as_bytes());
        hasher.update(&plan.0);
        Self(*hasher.finalize().as_bytes())
    }

    /// The link of the event after this one.
    pub(crate) fn next(self, seq: u64, at: Timestamp, body: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        hasher.update(&seq.to_le_bytes());
        hasher.update(&at.0.to_le_bytes());
        hasher.update(body);
        Self(*hasher.finalize().as_bytes())
    }

    /// Reads a stored link.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) body: Vec<u8>,
    pub(crate) link: Vec<u8>,
}

/// Goes over the events `from..=last` that `stored` gives in order, checks that none is missing and that every link is
/// right, and gives the last link. `before` is the link of the event before `from`.
pub(crate) fn walk(
    run: RunId,
    (from, last): (u64, u64),
    before: Link,
    mut stored: impl Iterator<Item = Result<Stored, JournalError>>,
    mut each: impl FnMut(Stored) -> Result<(), JournalError>,
) -> Result<Link, JournalError> {
    let mut link = before;
    for seq in from..=last {
        let found = match stored.next() {
            // Whatever the store says of a record that it cannot give is said of the one that should come now.
            Some(Err(JournalError::Corrupt { detail, .. })) => return Err(corrupt(run, seq, &detail)),
            Some(found) => Some(found?).filter(|found| found.seq == seq),
            None => None,
        };
        let Some(found) = found else { return Err(corrupt(run, seq, "it is missing")) };
        link = link.next(seq, found.at, &found.body);
        if link.0 != *found.link {
            return Err(corrupt(run, seq, "it is not what was written (its link in the hash chain does not fit)"));
        }
        each(found)?;
    }
    Ok(link)
}

/// `JournalError::Corrupt` for an event.
pub(crate) fn corrupt(run: RunId, seq: u64, detail: &str) -> JournalError {
    JournalError::Corrupt { run, seq, detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_an_event_moves_its_link() {
        let plan = Digest::of(b"plan");
        let origin = Link::origin(RunId::from_parts(1, 1), plan);
        let link = origin.next(1, Timestamp(5), b"body");
        assert_ne!(origin, Link::origin(RunId::from_parts(1, 2), plan));
        assert_ne!(origin, Link::origin(RunId::from_parts(1, 1), Digest::of(b"other")));
        assert_ne!(link, origin.next(2, Timestamp(5), b"body"));
        assert_ne!(link, origin.next(1, Timestamp(6), b"body"));
        assert_ne!(link, origin.next(1, Timestamp(5), b"bodY"));
    }
}
