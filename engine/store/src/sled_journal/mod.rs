//! The journal in sled, for those who ask for it. See `docs/decisions/0001-sqlite-not-sled.md` before you do.

mod durable;
mod read;
mod rows;
mod tickets;
mod write;

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use piton_core::digest::Digest;
use piton_core::ids::RunId;
use piton_core::lock::Ticket;
use piton_core::run::{Event, Recorded, Word, WordId};
use piton_core::time::Timestamp;
use piton_runner::journal::{Batch, Filter, Journal, JournalError, Lease, Letter, NewRun, RunSummary, Verified};

use crate::place::{io_error, is_full, make_dir, unusable};
use crate::record;
use crate::request::{Append, Reply, Request};
use crate::terms::Terms;
use crate::wake::Ear;
use crate::writer::Writer;

/// A [`Journal`] in sled 0.34.
///
/// One process at a time: sled locks its files. All writes go through one thread, which after each batch syncs sled's
/// files itself, since sled's `flush` does not. After a full disk the store must be opened anew.
#[derive(Debug)]
pub struct SledJournal {
    place: PathBuf,
    writer: Writer,
    reader: Arc<read::Reader>,
    ear: Ear,
}

impl SledJournal {
    /// Opens the journal in the directory `path`, or makes it (mode 0700); words ring at `state_dir`/wake.
    ///
    /// # Errors
    ///
    /// [`JournalError::Newer`], [`JournalError::Full`], and [`JournalError::Unusable`] for all else: another process has
    /// it open, sled cannot recover it, it is no journal.
    pub fn open(path: &Path, state_dir: &Path) -> Result<Self, JournalError> {
        let absolute = |path| std::path::absolute(path).map_err(|error| io_error(path, "no absolute path", &error));
        let (path, state_dir) = (&absolute(path)?, &absolute(state_dir)?);
        make_dir(path).map_err(|error| io_error(path, "cannot make the directory", &error))?;
        let terms = Terms::of_this_boot().map_err(|error| unusable(path, format!("no boot id: {error}")))?;
        let config = sled::Config::new().path(path).flush_every_ms(None);
        // sled panics on some of what it finds after a crash; that must not take the engine down.
        let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| config.open()));
        let database = match opened {
            Ok(opened) => opened.map_err(|error| explain(path, &error))?,
            Err(_) => return Err(unusable(path, "sled panicked over what it found")),
        };
        rows::check_version(path, &database)?;
        let around = Arc::new(RwLock::new(()));
        let reader = read::Reader {
            place: path.to_owned(),
            terms: terms.clone(),
            database: database.clone(),
            around: Arc::clone(&around),
        };
        let ledger = write::Ledger::new(path, database, terms, around)?;
        Ok(Self {
            place: path.to_owned(),
            writer: Writer::start(path, state_dir, ledger)?,
            reader: Arc::new(reader),
            ear: Ear::of(state_dir),
        })
    }

    fn name(&self) -> String {
        self.place.display().to_string()
    }

    async fn read_with<T: Send + 'static>(
        &self,
        look: impl FnOnce(&read::Reader) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let reader = Arc::clone(&self.reader);
        let looked = tokio::task::spawn_blocking(move || {
            // What a commit has put in but not yet synced is not read.
            let _around = reader.around.read().map_err(|_| unusable(&reader.place, "the writer thread has ended"))?;
            look(&reader)
        });
        looked.await.map_err(|error| unusable(&self.place, format!("reading ended early: {error}")))?
    }

    async fn lease(&self, request: Request, run: RunId, owner: String) -> Result<Lease, JournalError> {
        match self.writer.ask(request).await? {
            Reply::Leased(fence) => Ok(Lease { run, owner, fence }),
            Reply::Done | Reply::Given | Reply::Said(_) => Err(unusable(&self.place, "the writer gave another answer")),
        }
    }
}

#[async_trait]
impl Journal for SledJournal {
    async fn create(&self, run: NewRun, owner: &str, ttl: Duration) -> Result<Lease, JournalError> {
        let (id, owner) = (run.id, owner.to_owned());
        let entries = record::entries(&self.name(), &run.events)?;
        let plan = Digest::of(run.plan.as_bytes());
        let request = Request::Create { run: Box::new(run), plan, entries, owner: owner.clone(), ttl };
        self.lease(request, id, owner).await
    }

    async fn claim(&self, run: RunId, owner: &str, ttl: Duration) -> Result<Lease, JournalError> {
        let owner = owner.to_owned();
        self.lease(Request::Claim { run, owner: owner.clone(), ttl }, run, owner).await
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

/// What an error of sled means.
fn explain(place: &Path, error: &sled::Error) -> JournalError {
    match error {
        sled::Error::Io(io) if is_full(io) => {
            JournalError::Full { place: place.display().to_string(), detail: format!("{error}; open it anew") }
        }
        // sled passes on only the text of an error that a thread of its own met.
        sled::Error::Io(io) if io.to_string().contains("StorageFull") => {
            JournalError::Full { place: place.display().to_string(), detail: format!("{error}; open it anew") }
        }
        sled::Error::Io(_)
        | sled::Error::Corruption { .. }
        | sled::Error::CollectionNotFound(_)
        | sled::Error::Unsupported(_)
        | sled::Error::ReportableBug(_) => unusable(place, format!("sled: {error}")),
    }
}
