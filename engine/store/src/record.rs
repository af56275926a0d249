//! How an event is stored: as a versioned JSON body.

use piton_core::ids::RunId;
use piton_core::run::{Event, Recorded, Word};
use piton_core::time::Timestamp;
use piton_runner::journal::JournalError;
use serde::{Deserialize, Serialize};

/// The version of event bodies and words that this engine writes. It grows when an event changes its form or a new
/// one is added, so that an older engine can say what it met.
pub(crate) const FORMAT: u32 = 2;

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

/// The stored form of events.
pub(crate) fn entries(place: &str, events: &[Recorded<Event>]) -> Result<Vec<Entry>, JournalError> {
    let entry =
        |event: &Recorded<Event>| Ok(Entry { seq: event.seq, at: event.at, body: encode(place, &event.event)? });
    events.iter().map(entry).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use piton_core::run::Outcome;

    #[test]
    fn an_event_reads_back_and_a_newer_one_is_told_from_nonsense() {
        let event = Event::RunEnded { outcome: Outcome::Undone };
        let body = encode("x", &event).unwrap();
        assert_eq!(std::str::from_utf8(&body).unwrap(), r#"{"v":2,"e":{"type":"run_ended","outcome":"undone"}}"#);
        assert_eq!(decode::<Event>(&body), Ok(event));
        assert_eq!(decode::<Event>(br#"{"v":3,"e":{"type":"sung"}}"#), Err(Unreadable::Newer(3)));
        assert_eq!(decode::<Event>(br#"{"v":3,"e":{"type":"cancel_started"}}"#), Err(Unreadable::Newer(3)));
        assert!(matches!(decode::<Event>(br#"{"v":1,"e":{"type":"sung"}}"#), Err(Unreadable::Nonsense(_))));
        assert!(matches!(decode::<Event>(b"\xff"), Err(Unreadable::Nonsense(_))));
    }
}
