//! The journal port: runs, their events, leases and inboxes, durable before anything is acted on.

use std::time::Duration;

use async_trait::async_trait;
use piton_core::digest::Digest;
use piton_core::ids::{RunId, RunbookName, TaskId};
use piton_core::lock::{Lock, Ticket};
use piton_core::run::{Event, Outcome, Recorded, Waits, Word, WordId};
use piton_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Keeps runs. Every method returns only when what it did is durable.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Stores a new run with its plan and first events, and gives the caller the lease on it.
    async fn create(&self, run: NewRun, owner: &str, ttl: Duration) -> Result<Lease, JournalError>;

    /// Takes the lease on a run that nobody holds, or whose holder has let it expire; also one that `owner` itself holds.
    /// The fencing number grows each time, and all leases given before are stale. Time is counted so that setting the wall
    /// clock neither ends a lease early nor prolongs it; a reboot of the machine ends it.
    async fn claim(&self, run: RunId, owner: &str, ttl: Duration) -> Result<Lease, JournalError>;

    /// Holds the lease for another `ttl` from now. A lease whose time is up can be renewed, and appended with, as long as
    /// nobody else took the run.
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<(), JournalError>;

    /// Gives the lease back, so that another engine need not wait for it to expire. It is stale from then on.
    async fn release(&self, lease: &Lease) -> Result<(), JournalError>;

    /// Appends events, sets the run's status, marks words as taken, and asks for and gives back locks, all or nothing.
    /// Words that are not in the run's inbox (any more) are passed over. A run that is over holds no locks and asks for
    /// none. Locks go to those whose turn it is ([`piton_core::lock::settle`]) in the same step, and whoever waits in
    /// [`Journal::letters`] is woken then. Dropping the future does not take the append back.
    async fn append(&self, lease: &Lease, batch: Batch) -> Result<(), JournalError>;

    /// Events from `from` (a sequence number, the first is 1) on, at most `limit`, in order; none beyond the last. Their
    /// links in the hash chain are checked: a damaged event is [`JournalError::Corrupt`], those before it can still be read
    /// with a smaller `limit`.
    async fn read(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<Recorded<Event>>, JournalError>;

    /// The stored plan, as [`piton_core::plan::Plan::to_json`] gave it.
    async fn plan(&self, run: RunId) -> Result<String, JournalError>;

    /// Runs, newest first.
    async fn list(&self, filter: &Filter) -> Result<Vec<RunSummary>, JournalError>;

    /// One run.
    async fn summary(&self, run: RunId) -> Result<RunSummary, JournalError>;

    /// Puts a word into the run's inbox and wakes whoever drives the run.
    async fn say(&self, run: RunId, by: &str, word: Word, at: Timestamp) -> Result<WordId, JournalError>;

    /// The words that no append has marked as taken, oldest first.
    async fn inbox(&self, run: RunId) -> Result<Vec<Letter>, JournalError>;

    /// The tickets for locks, of one run or of all, in the order of the queue.
    async fn tickets(&self, run: Option<RunId>) -> Result<Vec<Ticket>, JournalError>;

    /// Returns when a word may have come, or a lock been given, for any run since the last call (at the latest after a few seconds). The first call
    /// returns at once. Dropping the future loses nothing. Of several callers one may be woken later than the others, by a
    /// few seconds at most: have one caller for all runs of a process where 200 ms matter.
    async fn letters(&self);

    /// Checks the hash chain of a run from its plan and first event to its last.
    async fn verify(&self, run: RunId) -> Result<Verified, JournalError>;
}

/// A run to be stored.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Its id.
    pub id: RunId,
    /// The runbook's name.
    pub runbook: RunbookName,
    /// One line for lists.
    pub title: String,
    /// Who asked for it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// The plan as JSON.
    pub plan: String,
    /// Its first events, with the sequence numbers 1, 2, …
    pub events: Vec<Recorded<Event>>,
}

/// The right to append to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Which run.
    pub run: RunId,
    /// `machine:pid:nonce` of the engine.
    pub owner: String,
    /// Grows with every claim; an append with an older number is refused.
    pub fence: u64,
}

/// What one append does.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Sequence numbers follow the last one stored without a gap.
    pub events: Vec<Recorded<Event>>,
    /// The run's status after them.
    pub status: RunStatus,
    /// Words that these events answer.
    pub taken: Vec<WordId>,
    /// What these events ask for and give back, in that order.
    pub locks: Vec<LockChange>,
    /// What the run as a whole waits for after them.
    pub waits: Option<Waits>,
}

/// Locks asked for, or given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockChange {
    /// Into the queue for these.
    Ask {
        /// For which task; `None`: for the run as a whole.
        task: Option<TaskId>,
        /// Which.
        locks: Vec<Lock>,
    },
    /// The ticket is given back, whether it waited, held or was refused. One that is not there is passed over.
    Free {
        /// That of which task; `None`: that of the run as a whole.
        task: Option<TaskId>,
    },
}

/// Where a run stands, for lists and for finding what to take up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Something is in flight or could be.
    Running,
    /// Nothing can go on without a person.
    Parked,
    /// Over.
    Ended(Outcome),
}

/// A word in an inbox.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// Its number.
    pub id: WordId,
    /// Who said it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What.
    pub word: Word,
}

/// Which runs to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only ids that begin with this.
    pub id_prefix: Option<String>,
    /// Only runs that are not over.
    pub open: bool,
    /// Only runs that are not over, whose lease nobody holds, and that either are running or have a word waiting.
    pub adrift: bool,
    /// Only this runbook.
    pub runbook: Option<RunbookName>,
    /// Only runs older than this one (for paging).
    pub before: Option<RunId>,
    /// At most this many.
    pub limit: usize,
}

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunSummary {
    /// Its id.
    pub id: RunId,
    /// The runbook's name.
    pub runbook: RunbookName,
    /// One line.
    pub title: String,
    /// Who asked for it.
    pub by: String,
    /// When.
    pub created: Timestamp,
    /// The time of the last event.
    pub changed: Timestamp,
    /// Where it stands.
    pub status: RunStatus,
    /// What it waits for as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waits>,
    /// The sequence number of its last event.
    pub seq: u64,
    /// The engine that holds an unexpired lease.
    pub owner: Option<String>,
    /// The digest of its plan.
    pub plan: Digest,
}

/// The result of checking a hash chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// How many events.
    pub events: u64,
    /// The chain's last link.
    pub head: Digest,
}

/// Why the journal did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// No such run.
    #[error("there is no run {0}")]
    NoSuchRun(RunId),
    /// A run with this id is there already.
    #[error("run {0} is there already")]
    Exists(RunId),
    /// Another engine holds the lease.
    #[error("run {run} is driven by {owner}")]
    Held {
        /// Which run.
        run: RunId,
        /// By whom.
        owner: String,
    },
    /// The lease was taken by somebody else in the meantime; whoever gets this must stop at once.
    #[error("another engine has taken run {run} over (our fencing number {fence} is stale)")]
    Stale {
        /// Which run.
        run: RunId,
        /// Our number.
        fence: u64,
    },
    /// The first event's number is not the one after the last stored.
    #[error("run {run} has {stored} events, the append began at {given}")]
    Gap {
        /// Which run.
        run: RunId,
        /// The last stored.
        stored: u64,
        /// The first given.
        given: u64,
    },
    /// No room; nothing was written, and writing goes on when there is room again.
    #[error("no space left for the journal in {place}: {detail}")]
    Full {
        /// Which directory.
        place: String,
        /// What the store said.
        detail: String,
    },
    /// What is stored is not what was written.
    #[error("the journal of run {run} is damaged at event {seq}: {detail}")]
    Corrupt {
        /// Which run.
        run: RunId,
        /// The first event that is not right.
        seq: u64,
        /// What is wrong.
        detail: String,
    },
    /// The store was made by a newer Piton.
    #[error(
        "{place} was written by a newer Piton (format {found}, this one knows up to {known}); use that version, or another --state"
    )]
    Newer {
        /// Which store.
        place: String,
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// Anything else that the store says.
    #[error("the journal in {place} cannot be used: {detail}")]
    Unusable {
        /// Which store.
        place: String,
        /// What it said.
        detail: String,
    },
}
