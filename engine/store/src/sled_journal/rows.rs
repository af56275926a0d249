//! Keys and values. All in one tree, because a batch of sled is atomic within one.
//!
//! ```text
//! v                     the version of this form
//! w                     the last word's number
//! r RUN                 a run (JSON)
//! p RUN                 its plan
//! l RUN                 its lease (JSON)
//! e RUN seq(8, BE)      an event: at (8, LE), link (32), body
//! i RUN number(8, BE)   a word in its inbox (JSON)
//! k number(8, BE)       a ticket for locks (JSON)
//! n                     the last ticket's number
//! ```

use std::path::Path;

use piton_core::digest::Digest;
use piton_core::ids::{RunId, RunbookName};
use piton_core::run::Waits;
use piton_core::time::Timestamp;
use piton_runner::journal::{JournalError, RunStatus};
use serde::{Deserialize, Serialize};

use super::explain;
use crate::chain::Stored;
use crate::place::unusable;

/// The version that this engine writes.
const VERSION: u32 = 2;

pub(super) const LAST_WORD: &[u8] = b"w";
pub(super) const LAST_TICKET: &[u8] = b"n";
pub(super) const TICKETS: &[u8] = b"k";

pub(super) fn of_ticket(id: u64) -> Vec<u8> {
    let mut key = TICKETS.to_vec();
    key.extend_from_slice(&id.to_be_bytes());
    key
}

pub(super) fn of_run(kind: u8, run: RunId) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend_from_slice(run.to_string().as_bytes());
    key
}

pub(super) fn numbered(kind: u8, run: RunId, number: u64) -> Vec<u8> {
    let mut key = of_run(kind, run);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// The number at the end of a key.
pub(super) fn number_of(key: &[u8]) -> Option<u64> {
    key.last_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RunRow {
    pub(super) runbook: RunbookName,
    pub(super) title: String,
    pub(super) by: String,
    pub(super) created: Timestamp,
    pub(super) changed: Timestamp,
    pub(super) status: RunStatus,
    pub(super) seq: u64,
    pub(super) head: Digest,
    pub(super) plan: Digest,
    #[serde(default)]
    pub(super) waits: Option<Waits>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LeaseRow {
    /// `None`: given back.
    pub(super) owner: Option<String>,
    pub(super) fence: u64,
    pub(super) boot: String,
    pub(super) until: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct WordRow {
    pub(super) by: String,
    pub(super) at: Timestamp,
    /// As [`crate::record::word`] gave it.
    pub(super) word: String,
}

pub(super) fn event(at: Timestamp, link: &[u8; 32], body: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(40 + body.len());
    value.extend_from_slice(&at.0.to_le_bytes());
    value.extend_from_slice(link);
    value.extend_from_slice(body);
    value
}

pub(super) fn stored(key: &[u8], value: &[u8]) -> Option<Stored> {
    let (at, rest) = value.split_first_chunk()?;
    let (link, body) = rest.split_first_chunk::<32>()?;
    let at = Timestamp(i64::from_le_bytes(*at));
    Some(Stored { seq: number_of(key)?, at, body: body.to_vec(), link: link.to_vec() })
}

/// Marks a fresh store as ours; refuses what is not, or is newer.
pub(super) fn check_version(place: &Path, database: &sled::Db) -> Result<(), JournalError> {
    let found = database.get("v").map_err(|error| explain(place, &error))?;
    let Some(found) = found else {
        if !database.is_empty() {
            return Err(unusable(place, "it is the database of another program"));
        }
        return database.insert("v", &VERSION.to_be_bytes()).map(drop).map_err(|error| explain(place, &error));
    };
    let found = found.as_ref().try_into().map(u32::from_be_bytes);
    match found {
        Ok(found) if found > VERSION => {
            Err(JournalError::Newer { place: place.display().to_string(), found, known: VERSION })
        }
        Ok(VERSION) => Ok(()),
        // Version 1 had no tickets; an older Piton must not miss them from now on.
        Ok(1) => database.insert("v", &VERSION.to_be_bytes()).map(drop).map_err(|error| explain(place, &error)),
        Ok(_) | Err(_) => Err(unusable(place, "its version makes no sense")),
    }
}
