//! The readers' side.

use std::path::PathBuf;
use std::sync::{Arc, RwLock};

use piton_core::digest::Digest;
use piton_core::ids::RunId;
use piton_core::lock::Ticket;
use piton_core::run::{Event, Recorded, WordId};
use piton_runner::journal::{Filter, JournalError, Letter, RunStatus, RunSummary, Verified};
use serde::de::DeserializeOwned;

use super::explain;
use super::rows::{self, LeaseRow, RunRow, WordRow, numbered, of_run};
use crate::chain::{Link, Stored, corrupt, walk};
use crate::place::unusable;
use crate::record::decode;
use crate::terms::{Term, Terms};

/// Reads. The caller holds `around`, so that no commit is half done meanwhile.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) place: PathBuf,
    pub(super) terms: Terms,
    pub(super) database: sled::Db,
    pub(super) around: Arc<RwLock<()>>,
}

impl Reader {
    pub(super) fn events(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<Recorded<Event>>, JournalError> {
        let row = self.run(run)?;
        let from = from.max(1);
        if from > row.seq || limit == 0 {
            return Ok(Vec::new());
        }
        let last = row.seq.min(from.saturating_add(u64::try_from(limit - 1).unwrap_or(u64::MAX)));
        let link = if from == 1 {
            Link::origin(run, row.plan)
        } else {
            let missing = || corrupt(run, from - 1, "it is missing");
            let before = self.stored(run, from - 1, from - 1).next().ok_or_else(missing)??;
            Link::from_slice(&before.link).ok_or_else(missing)?
        };
        let mut events = Vec::new();
        walk(run, (from, last), link, self.stored(run, from, last), |Stored { seq, at, body, .. }| {
            let event = decode(&body).map_err(|why| why.of_event(&self.place.display().to_string(), run, seq))?;
            events.push(Recorded { seq, at, event });
            Ok(())
        })?;
        Ok(events)
    }

    pub(super) fn verify(&self, run: RunId) -> Result<Verified, JournalError> {
        let row = self.run(run)?;
        if Digest::of(self.plan(run)?.as_bytes()) != row.plan {
            return Err(corrupt(run, 1, "the plan is not the one that the run was created with"));
        }
        let stored = self.stored(run, 1, row.seq);
        let head = walk(run, (1, row.seq), Link::origin(run, row.plan), stored, |_| Ok(()))?;
        if head.0 != row.head.0 {
            return Err(corrupt(run, row.seq, "the chain does not end where the run says"));
        }
        let beyond = row.seq.saturating_add(1);
        if self.stored(run, beyond, u64::MAX).next().is_some() {
            return Err(corrupt(run, beyond, "there are more events than the run has"));
        }
        Ok(Verified { events: row.seq, head: row.head })
    }

    pub(super) fn plan(&self, run: RunId) -> Result<String, JournalError> {
        self.run(run)?;
        let plan = self.database.get(of_run(b'p', run)).map_err(|error| explain(&self.place, &error))?;
        let plan = plan.ok_or_else(|| corrupt(run, 1, "its plan is missing"))?;
        String::from_utf8(plan.to_vec()).map_err(|error| corrupt(run, 1, &error.to_string()))
    }

    pub(super) fn summary(&self, run: RunId) -> Result<RunSummary, JournalError> {
        self.told(run, self.run(run)?)
    }

    /// Goes over all runs from the newest on: sled has no further indexes.
    pub(super) fn list(&self, filter: &Filter) -> Result<Vec<RunSummary>, JournalError> {
        let prefix = filter.id_prefix.as_deref().unwrap_or("").to_ascii_uppercase();
        let mut key = vec![b'r'];
        key.extend_from_slice(prefix.as_bytes());
        let mut found = Vec::new();
        for pair in self.database.scan_prefix(key).rev() {
            if found.len() >= filter.limit {
                break;
            }
            let (key, value) = pair.map_err(|error| explain(&self.place, &error))?;
            let id = std::str::from_utf8(&key[1..]).ok().and_then(|id| id.parse::<RunId>().ok());
            let id = id.ok_or_else(|| self.nonsense("a run's key"))?;
            if filter.before.is_some_and(|before| id >= before) {
                continue;
            }
            let row: RunRow = serde_json::from_slice(&value).map_err(|error| self.nonsense(&error.to_string()))?;
            if filter.runbook.as_ref().is_some_and(|runbook| *runbook != row.runbook) {
                continue;
            }
            let summary = self.told(id, row)?;
            let (open, running) = match summary.status {
                RunStatus::Running => (true, true),
                RunStatus::Parked => (true, false),
                RunStatus::Ended(_) => (false, false),
            };
            let adrift = open && summary.owner.is_none() && (running || self.has_words(id)?);
            if (filter.open && !open) || (filter.adrift && !adrift) {
                continue;
            }
            found.push(summary);
        }
        Ok(found)
    }

    pub(super) fn inbox(&self, run: RunId) -> Result<Vec<Letter>, JournalError> {
        self.run(run)?;
        let mut letters = Vec::new();
        for pair in self.database.scan_prefix(of_run(b'i', run)) {
            let (key, value) = pair.map_err(|error| explain(&self.place, &error))?;
            let id = rows::number_of(&key).unwrap_or(0);
            let row: WordRow = serde_json::from_slice(&value).map_err(|error| self.nonsense(&error.to_string()))?;
            let word = decode(row.word.as_bytes());
            let word = word.map_err(|why| why.of_word(&self.place.display().to_string(), run, id))?;
            letters.push(Letter { id: WordId(id), by: row.by, at: row.at, word });
        }
        Ok(letters)
    }

    pub(super) fn tickets(&self, run: Option<RunId>) -> Result<Vec<Ticket>, JournalError> {
        if let Some(run) = run {
            self.run(run)?;
        }
        let mut tickets = Vec::new();
        for pair in self.database.scan_prefix(rows::TICKETS) {
            let (_, value) = pair.map_err(|error| explain(&self.place, &error))?;
            let ticket: Ticket = serde_json::from_slice(&value).map_err(|error| self.nonsense(&error.to_string()))?;
            if run.is_none_or(|run| ticket.run == run) {
                tickets.push(ticket);
            }
        }
        Ok(tickets)
    }

    fn has_words(&self, run: RunId) -> Result<bool, JournalError> {
        let first = self.database.scan_prefix(of_run(b'i', run)).next().transpose();
        Ok(first.map_err(|error| explain(&self.place, &error))?.is_some())
    }

    fn stored(&self, run: RunId, from: u64, last: u64) -> impl Iterator<Item = Result<Stored, JournalError>> {
        let keys = numbered(b'e', run, from)..=numbered(b'e', run, last);
        self.database.range(keys).map(move |pair| {
            let (key, value) = pair.map_err(|error| explain(&self.place, &error))?;
            rows::stored(&key, &value).ok_or_else(|| corrupt(run, from, "it is too short"))
        })
    }

    fn told(&self, id: RunId, row: RunRow) -> Result<RunSummary, JournalError> {
        let lease: Option<LeaseRow> = self.row(&of_run(b'l', id))?;
        let held = |LeaseRow { owner, boot, until, .. }| owner.filter(|_| self.terms.holds(&Term { boot, until }));
        let owner = lease.and_then(held);
        let RunRow { runbook, title, by, created, changed, status, seq, plan, waits, head: _ } = row;
        Ok(RunSummary { id, runbook, title, by, created, changed, status, waits, seq, owner, plan })
    }

    fn run(&self, run: RunId) -> Result<RunRow, JournalError> {
        self.row(&of_run(b'r', run))?.ok_or(JournalError::NoSuchRun(run))
    }

    fn row<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, JournalError> {
        let value = self.database.get(key).map_err(|error| explain(&self.place, &error))?;
        value.map(|value| serde_json::from_slice(&value)).transpose().map_err(|error| self.nonsense(&error.to_string()))
    }

    fn nonsense(&self, detail: &str) -> JournalError {
        unusable(&self.place, format!("a row makes no sense: {detail}"))
    }
}
