//! How an event is stored: a versioned JSON body, and a link of the hash chain that binds it to all before it.

use piton_core::digest::Digest;
use piton_core::ids::RunId;
use piton_core::run::{Event, Recorded, Word};
use piton_core::time::Timestamp;
use piton_runner::journal::JournalError;
use serde::{Deserialize, Serialize};

/// The version of event bodies and words that this engine writes. It grows when an event changes its form or a new
/// one is added, so that an older engine can say what it met.
pub(crate) const FORMAT: u32 = 1;

/// An event ready to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) body: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    v: u32,
    e: T,
}

/// Why a stored text is not an event or word of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It has a version that this engine does not know.
    Newer(u32),
    /// It has our version, and yet makes no sense.
    Nonsense(String),
}

/// The stored form of an event.
pub(crate) fn entry(place: &str, event: &Recorded<Event>) -> Result<Entry, JournalError> {
    Ok(Entry { seq: event.seq, at: event.at, body: encode(place, &event.event)? })
}

/// The stored form of a word.
pub(crate) fn word(place: &str, word: &Word) -> Result<Vec<u8>, JournalError> {
    encode(place, word)
}

fn encode<T: Serialize>(place: &str, what: &T) -> Result<Vec<u8>, JournalError> {
    serde_json::to_vec(&Envelope { v: FORMAT, e: what })
        .map_err(|error| JournalError::Unusable { place: place.to_owned(), detail: format!("cannot write: {error}") })
}

/// Reads an event or word back.
pub(crate) fn decode<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Unreadable> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    match serde_json::from_slice::<Envelope<T>>(body) {
        Ok(envelope) if envelope.v <= FORMAT => Ok(envelope.e),
        Ok(envelope) => Err(Unreadable::Newer(envelope.v)),
        Err(error) => match serde_json::from_slice::<Version>(body) {
            Ok(Version { v }) if v > FORMAT => Err(Unreadable::Newer(v)),
            Ok(_) | Err(_) => Err(Unreadable::Nonsense(error.to_string())),
        },
    }
}

impl Unreadable {
    /// What to tell whoever asked for event `seq` of `run`, whose link in the chain is right: nothing was damaged.
    pub(crate) fn of_event(self, place: &str, run: RunId, seq: u64) -> JournalError {
        match self {
            Self::Newer(found) => JournalError::Newer { place: place.to_owned(), found, known: FORMAT },
            Self::Nonsense(detail) => JournalError::Unusable {
                place: place.to_owned(),
                detail: format!(
                    "event {seq} of run {run} is unchanged, but this Piton cannot read it ({detail}); \
                     was it written by another version?"
                ),
            },
        }
    }

    /// What to tell whoever asked for the inbox of `run`.
    pub(crate) fn of_word(self, place: &str, run: RunId, id: u64) -> JournalError {
        match self {
            Self::Newer(found) => JournalError::Newer { place: place.to_owned(), found, known: FORMAT },
            Self::Nonsense(detail) => JournalError::Unusable {
                place: place.to_owned(),
                detail: format!("word {id} to run {run} cannot be read ({detail})"),
            },
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use piton_core::run::Outcome;

    #[test]
    fn an_event_reads_back_and_a_newer_one_is_told_from_nonsense() {
        let event = Event::RunEnded { outcome: Outcome::Undone };
        let body = encode("x", &event).unwrap();
        assert_eq!(std::str::from_utf8(&body).unwrap(), r#"{"v":1,"e":{"type":"run_ended","outcome":"undone"}}"#);
        assert_eq!(decode::<Event>(&body), Ok(event));
        assert_eq!(decode::<Event>(br#"{"v":2,"e":{"type":"sung"}}"#), Err(Unreadable::Newer(2)));
        assert_eq!(decode::<Event>(br#"{"v":2,"e":{"type":"cancel_started"}}"#), Err(Unreadable::Newer(2)));
        assert!(matches!(decode::<Event>(br#"{"v":1,"e":{"type":"sung"}}"#), Err(Unreadable::Nonsense(_))));
        assert!(matches!(decode::<Event>(b"\xff"), Err(Unreadable::Nonsense(_))));
    }

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
