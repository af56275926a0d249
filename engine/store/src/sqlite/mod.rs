//! The journal in SQLite: `STATE/journal.db`, write-ahead log, every commit synced, shared by any number of processes.

mod open;
mod read;
mod schema;
mod tickets;
mod write;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use piton_core::digest::Digest;
use piton_core::ids::RunId;
use piton_core::lock::Ticket;
use piton_core::run::{Event, Recorded, Word, WordId};
use piton_core::time::Timestamp;
use piton_runner::journal::{Batch, Filter, Journal, JournalError, Lease, Letter, NewRun, RunSummary, Verified};
use rusqlite::Connection;

use crate::place::unusable;
use crate::record;
use crate::request::{Append, Reply, Request};
use crate::terms::Terms;
use crate::wake::Ear;
use crate::writer::Writer;

/// Read connections that are kept open between reads.
const IDLE_READERS: usize = 4;

/// A [`Journal`] in an SQLite database (sqlite.org/wal.html) with `synchronous=FULL`.
///
/// Writes of a process go through one thread, which commits together what waits together. Reads use connections of
/// their own and never wait for writes.
#[derive(Debug)]
pub struct SqliteJournal {
    place: PathBuf,
    writer: Writer,
    readers: Arc<Readers>,
    ear: Ear,
}

impl SqliteJournal {
    /// Opens the journal of a state directory; makes both if they are not there (directory 0700, files 0600).
    /// A store of an older version is brought up to date.
    ///
    /// # Errors
    ///
    /// [`JournalError::Newer`] for a store of a newer version, [`JournalError::Full`] where there is no room to make
    /// one, [`JournalError::Unusable`] for all else: what is there is no journal, or may not be written.
    pub fn open(state_dir: &Path) -> Result<Self, JournalError> {
        // Connections are opened later too, and the working directory may be another one by then.
        let state_dir = &std::path::absolute(state_dir)
            .map_err(|error| unusable(state_dir, format!("no absolute path: {error}")))?;
        let terms = Terms::of_this_boot().map_err(|error| unusable(state_dir, format!("no boot id: {error}")))?;
        let database = open::for_writing(state_dir)?;
        let readers = Readers { place: state_dir.to_owned(), terms: terms.clone(), idle: Mutex::default() };
        Ok(Self {
            place: state_dir.to_owned(),
            writer: Writer::start(state_dir, state_dir, write::Ledger::new(state_dir, database, terms))?,
            readers: Arc::new(readers),
            ear: Ear::of(state_dir),
        })
    }

    fn name(&self) -> String {
        self.place.display().to_string()
    }

    async fn read_with<T: Send + 'static>(
        &self,
        look: impl FnOnce(&read::Reader<'_>) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let readers = Arc::clone(&self.readers);
        let looked = tokio::task::spawn_blocking(move || readers.look(look)).await;
        looked.map_err(|error| unusable(&self.place, format!("reading ended early: {error}")))?
    }
}

/// Connections for reading.
#[derive(Debug)]
struct Readers {
    place: PathBuf,
    terms: Terms,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    fn look<T>(&self, look: impl FnOnce(&read::Reader<'_>) -> Result<T, JournalError>) -> Result<T, JournalError> {
        let kept = self.idle.lock().ok().and_then(|mut idle| idle.pop());
        let database = match kept {
            Some(database) => database,
            None => open::for_reading(&self.place)?,
        };
        let found = look(&read::Reader { place: &self.place, terms: &self.terms, database: &database });
        if let Ok(mut idle) = self.idle.lock()
            && idle.len() < IDLE_READERS
        {
            idle.push(database);
        }
        found
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn create(&self, run: NewRun, owner: &str, ttl: Duration) -> Result<Lease, JournalError> {
        let (id, owner) = (run.id, owner.to_owned());
        let entries = record::entries(&self.name(), &run.events)?;
        let plan = Digest::of(run.plan.as_bytes());
        let request = Request::Create { run: Box::new(run), plan, entries, owner: owner.clone(), ttl };
        leased(&self.place, self.writer.ask(request).await?, id, owner)
    }

    async fn claim(&self, run: RunId, owner: &str, ttl: Duration) -> Result<Lease, JournalError> {
        let owner = owner.to_owned();
        let request = Request::Claim { run, owner: owner.clone(), ttl };
        leased(&self.place, self.writer.ask(request).await?, run, owner)
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<(), JournalError> {
        self.writer.ask(Request::Renew { lease: lease.clone(), ttl }).await.map(drop)
    }

    async fn release(&self, lease: &Lease) -> Result<(), JournalError> {
        self.writer.ask(Request::Release { lease: lease.clone() }).await.map(drop)
    }

    async fn append(&self, lease: &Lease, batch: Batch) -> Result<(), JournalError> {
        let entries = record::entries(&self.name(), &batch.events)?;
        let Batch { status, taken, locks, waits, events: _ } = batch;
        let append = Append { entries, status, taken, locks, waits };
        self.writer.ask(Request::Append { lease: lease.clone(), append }).await.map(drop)
    }

    async fn read(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<Recorded<Event>>, JournalError> {
        self.read_with(move |reader| reader.events(run, from, limit)).await
    }

    async fn plan(&self, run: RunId) -> Result<String, JournalError> {
        self.read_with(move |reader| reader.plan(run)).await
    }

    async fn list(&self, filter: &Filter) -> Result<Vec<RunSummary>, JournalError> {
        let filter = filter.clone();
        self.read_with(move |reader| reader.list(&filter)).await
    }

    async fn summary(&self, run: RunId) -> Result<RunSummary, JournalError> {
        self.read_with(move |reader| reader.summary(run)).await
    }

    async fn say(&self, run: RunId, by: &str, word: Word, at: Timestamp) -> Result<WordId, JournalError> {
        let word = record::word(&self.name(), &word)?;
        match self.writer.ask(Request::Say { run, by: by.to_owned(), word, at }).await? {
            Reply::Said(id) => Ok(id),
            Reply::Done | Reply::Given | Reply::Leased(_) => {
                Err(unusable(&self.place, "the writer gave another answer"))
            }
        }
    }

    async fn inbox(&self, run: RunId) -> Result<Vec<Letter>, JournalError> {
        self.read_with(move |reader| reader.inbox(run)).await
    }

    async fn tickets(&self, run: Option<RunId>) -> Result<Vec<Ticket>, JournalError> {
        self.read_with(move |reader| reader.tickets(run)).await
    }

    async fn letters(&self) {
        self.ear.listen().await;
    }

    async fn verify(&self, run: RunId) -> Result<Verified, JournalError> {
        self.read_with(move |reader| reader.verify(run)).await
    }
}

fn leased(place: &Path, reply: Reply, run: RunId, owner: String) -> Result<Lease, JournalError> {
    match reply {
        Reply::Leased(fence) => Ok(Lease { run, owner, fence }),
        Reply::Done | Reply::Given | Reply::Said(_) => Err(unusable(place, "the writer gave another answer")),
    }
}
