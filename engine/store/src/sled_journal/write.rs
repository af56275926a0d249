//! The writer's side: requests that wait together become one batch of sled, then one sync.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use piton_core::digest::Digest;
use piton_core::ids::RunId;
use piton_core::run::WordId;
use piton_runner::journal::{JournalError, Lease, NewRun, RunStatus};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::durable::Syncer;
use super::explain;
use super::rows::{self, LAST_WORD, LeaseRow, RunRow, WordRow, numbered, of_run};
use crate::chain::Link;
use crate::place::{io_error, unusable};
use crate::presence::Presence;
use crate::record::Entry;
use crate::request::{Append, Reply, Request, follow};
use crate::terms::{Term, Terms};
use crate::writer::Books;

/// What is to be written: a value, or that there is none any more.
type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// The database as the writer thread holds it.
pub(super) struct Ledger {
    pub(super) place: PathBuf,
    pub(super) database: sled::Db,
    terms: Terms,
    presence: Presence,
    around: Arc<RwLock<()>>,
    syncer: Syncer,
    /// After a failed write nobody knows what sled holds: it takes nothing more.
    broken: Option<JournalError>,
}

impl Books for Ledger {
    fn commit(&mut self, requests: &[Request]) -> Vec<Result<Reply, JournalError>> {
        let failed = |error: &JournalError| requests.iter().map(|_| Err(error.clone())).collect();
        if let Some(error) = &self.broken {
            return failed(error);
        }
        self.presence.announce_all(requests);
        let around = Arc::clone(&self.around);
        let Ok(_around) = around.write() else { return failed(&unusable(&self.place, "a reader ended badly")) };
        let mut changes = Changes::new();
        let mut replies = Vec::new();
        for request in requests {
            let mut page = Page { ledger: self, before: &changes, new: Changes::new() };
            let reply = page.carry_out(request);
            let new = page.new;
            if reply.is_ok() {
                changes.extend(new);
            }
            replies.push(reply);
        }
        if changes.is_empty() {
            return replies;
        }
        match self.write(changes) {
            Ok(()) => replies,
            Err(error) => {
                self.broken = Some(error.clone());
                failed(&error)
            }
        }
    }
}

impl Ledger {
    pub(super) fn new(
        place: &Path,
        database: sled::Db,
        terms: Terms,
        around: Arc<RwLock<()>>,
    ) -> Result<Self, JournalError> {
        database.flush().map_err(|error| explain(place, &error))?;
        let syncer = Syncer::new(place).and_then(|mut syncer| syncer.sync().map(|()| syncer));
        let syncer = syncer.map_err(|error| io_error(place, "cannot sync", &error))?;
        let presence = Presence::in_state_dir(place.parent().unwrap_or(place));
        Ok(Self { place: place.to_owned(), database, terms, presence, around, syncer, broken: None })
    }

    fn write(&mut self, changes: Changes) -> Result<(), JournalError> {
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        self.database.apply_batch(batch).map_err(|error| explain(&self.place, &error))?;
        self.database.flush().map_err(|error| explain(&self.place, &error))?;
        self.syncer.sync().map_err(|error| io_error(&self.place, "cannot sync", &error))
    }
}

/// One request's view: the database, the requests before it in the same commit, its own changes.
pub(super) struct Page<'l> {
    pub(super) ledger: &'l Ledger,
    pub(super) before: &'l Changes,
    pub(super) new: Changes,
}

impl Page<'_> {
    fn carry_out(&mut self, request: &Request) -> Result<Reply, JournalError> {
        let terms = &self.ledger.terms;
        match request {
            Request::Create { run, plan, entries, owner, ttl } => {
                self.create(run, *plan, entries, owner, terms.ending_in(*ttl))
            }
            Request::Claim { run, owner, ttl } => self.claim(*run, owner, terms.ending_in(*ttl)),
            Request::Renew { lease, ttl } => {
                self.held(lease)?;
                self.lease(lease.run, Some(&lease.owner), lease.fence, terms.ending_in(*ttl))?;
                Ok(Reply::Done)
            }
            Request::Release { lease } => {
                self.held(lease)?;
                self.lease(lease.run, None, lease.fence, terms.ending_in(std::time::Duration::ZERO))?;
                Ok(Reply::Done)
            }
            Request::Append { lease, append } => self.append(lease, append),
            Request::Say { run, by, word, at } => {
                self.run(*run)?;
                let last = self.get(LAST_WORD)?.and_then(|last| rows::number_of(&last)).unwrap_or(0);
                let number = last.saturating_add(1);
                let word = String::from_utf8(word.clone()).map_err(|error| self.nonsense(&error.to_string()))?;
                self.put(numbered(b'i', *run, number), &WordRow { by: by.clone(), at: *at, word })?;
                self.new.insert(LAST_WORD.to_vec(), Some(number.to_be_bytes().to_vec()));
                Ok(Reply::Said(WordId(number)))
            }
        }
    }

    fn create(
        &mut self,
        run: &NewRun,
        plan: Digest,
        entries: &[Entry],
        owner: &str,
        term: Term,
    ) -> Result<Reply, JournalError> {
        if self.get(&of_run(b'r', run.id))?.is_some() {
            return Err(JournalError::Exists(run.id));
        }
        follow(run.id, 0, entries)?;
        let head = self.insert(run.id, Link::origin(run.id, plan), entries);
        let row = RunRow {
            runbook: run.runbook.clone(),
            title: run.title.clone(),
            by: run.by.clone(),
            created: run.at,
            changed: entries.last().map_or(run.at, |entry| entry.at),
            status: RunStatus::Running,
            seq: entries.last().map_or(0, |entry| entry.seq),
            head: Digest(head.0),
            plan,
            waits: None,
        };
        self.put(of_run(b'r', run.id), &row)?;
        self.new.insert(of_run(b'p', run.id), Some(run.plan.clone().into_bytes()));
        self.lease(run.id, Some(owner), 1, term)?;
        Ok(Reply::Leased(1))
    }

    fn claim(&mut self, run: RunId, owner: &str, term: Term) -> Result<Reply, JournalError> {
        self.run(run)?;
        let fence = match self.row::<LeaseRow>(&of_run(b'l', run))? {
            None => 1,
            Some(LeaseRow { owner: holder, fence, boot, until }) => {
                if let Some(holder) = holder
                    && holder != owner
                    && self.ledger.terms.holds(&Term { boot, until })
                    && !self.ledger.presence.is_gone(&holder)
                {
                    return Err(JournalError::Held { run, owner: holder });
                }
                fence.saturating_add(1)
            }
        };
        self.lease(run, Some(owner), fence, term)?;
        Ok(Reply::Leased(fence))
    }

    fn append(&mut self, lease: &Lease, append: &Append) -> Result<Reply, JournalError> {
        let Append { entries, status, taken, locks, waits } = append;
        let mut row = self.held(lease)?;
        follow(lease.run, row.seq, entries)?;
        let over = matches!(status, RunStatus::Ended(_)) && row.status != *status;
        (row.status, row.waits) = (*status, waits.clone());
        row.head = Digest(self.insert(lease.run, Link(row.head.0), entries).0);
        if let Some(last) = entries.last() {
            (row.seq, row.changed) = (last.seq, last.at);
        }
        self.put(of_run(b'r', lease.run), &row)?;
        for word in taken {
            self.new.insert(numbered(b'i', lease.run, word.0), None);
        }
        let at = entries.last().map_or(row.changed, |last| last.at);
        let given = self.change_locks(lease.run, locks, over, at)?;
        Ok(if given { Reply::Given } else { Reply::Done })
    }

    fn insert(&mut self, run: RunId, head: Link, entries: &[Entry]) -> Link {
        entries.iter().fold(head, |link, entry| {
            let link = link.next(entry.seq, entry.at, &entry.body);
            self.new.insert(numbered(b'e', run, entry.seq), Some(rows::event(entry.at, &link.0, &entry.body)));
            link
        })
    }

    /// The run of a lease that is still the last one given.
    fn held(&self, lease: &Lease) -> Result<RunRow, JournalError> {
        let row = self.run(lease.run)?;
        let last = self.row::<LeaseRow>(&of_run(b'l', lease.run))?;
        match last {
            Some(last) if last.owner.as_ref() == Some(&lease.owner) && last.fence == lease.fence => Ok(row),
            Some(_) | None => Err(JournalError::Stale { run: lease.run, fence: lease.fence }),
        }
    }

    fn lease(&mut self, run: RunId, owner: Option<&str>, fence: u64, term: Term) -> Result<(), JournalError> {
        let Term { boot, until } = term;
        self.put(of_run(b'l', run), &LeaseRow { owner: owner.map(str::to_owned), fence, boot, until })
    }

    fn run(&self, run: RunId) -> Result<RunRow, JournalError> {
        self.row(&of_run(b'r', run))?.ok_or(JournalError::NoSuchRun(run))
    }

    fn row<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, JournalError> {
        let value = self.get(key)?;
        value.map(|value| serde_json::from_slice(&value)).transpose().map_err(|error| self.nonsense(&error.to_string()))
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, JournalError> {
        if let Some(change) = self.new.get(key).or_else(|| self.before.get(key)) {
            return Ok(change.clone());
        }
        let found = self.ledger.database.get(key).map_err(|error| explain(&self.ledger.place, &error))?;
        Ok(found.map(|found| found.to_vec()))
    }

    pub(super) fn put(&mut self, key: Vec<u8>, row: &impl Serialize) -> Result<(), JournalError> {
        let value = serde_json::to_vec(row).map_err(|error| self.nonsense(&error.to_string()))?;
        self.new.insert(key, Some(value));
        Ok(())
    }

    pub(super) fn nonsense(&self, detail: &str) -> JournalError {
        unusable(&self.ledger.place, format!("a row makes no sense: {detail}"))
    }
}
