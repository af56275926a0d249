//! A journal in memory that can be made to fail at any append.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use piton_core::digest::Digest;
use piton_core::ids::RunId;
use piton_core::lock::{Ticket, TicketState, settle};
use piton_core::run::{Event, Recorded, Waits, Word, WordId};
use piton_core::time::Timestamp;
use piton_runner::journal::{
    Batch, Filter, Journal, JournalError, Lease, Letter, LockChange, NewRun, RunStatus, RunSummary, Verified,
};
use tokio::sync::Notify;

/// What goes wrong at an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The engine dies before anything is written.
    DieBefore,
    /// The engine dies when everything is written, before it can act on it.
    DieAfter,
    /// The disk is full.
    Full,
}

/// A journal in memory.
#[derive(Default)]
pub struct MemoryJournal {
    inner: Mutex<Inner>,
    letters: Notify,
}

#[derive(Default)]
struct Inner {
    runs: BTreeMap<RunId, Stored>,
    words: u64,
    tickets: Vec<Ticket>,
    appends: u32,
    trouble: BTreeMap<u32, Trouble>,
}

struct Stored {
    new: NewRun,
    events: Vec<Recorded<Event>>,
    status: RunStatus,
    waits: Option<Waits>,
    owner: Option<String>,
    fence: u64,
    inbox: Vec<Letter>,
}

impl MemoryJournal {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the append with this number (from 0, counted over all runs) go wrong.
    pub fn trouble(&self, append: u32, trouble: Trouble) {
        self.inner().trouble.insert(append, trouble);
    }

    /// How many appends were tried so far.
    pub fn appends(&self) -> u32 {
        self.inner().appends
    }

    /// Lets the lease expire, as if the engine that holds it had stood still for too long.
    pub fn expire(&self, run: RunId) {
        if let Some(stored) = self.inner().runs.get_mut(&run) {
            stored.owner = None;
        }
    }

    /// All events of a run.
    pub fn events(&self, run: RunId) -> Vec<Recorded<Event>> {
        self.inner().runs.get(&run).map(|s| s.events.clone()).unwrap_or_default()
    }

    fn died() -> JournalError {
        JournalError::Unusable { place: "memory".into(), detail: "the engine died".into() }
    }
}

impl Inner {
    fn get(&mut self, run: RunId) -> Result<&mut Stored, JournalError> {
        self.runs.get_mut(&run).ok_or(JournalError::NoSuchRun(run))
    }

    /// Says whether somebody was given, or refused, something.
    fn change_locks(&mut self, run: RunId, changes: Vec<LockChange>, status: RunStatus, at: Timestamp) -> bool {
        for change in changes {
            match change {
                LockChange::Ask { task, locks } => {
                    let id = self.tickets.last().map_or(1, |last| last.id + 1);
                    self.tickets.push(Ticket { id, run, task, locks, asked: at, state: TicketState::Waiting });
                }
                LockChange::Free { task } => self.tickets.retain(|t| t.run != run || t.task != task),
            }
        }
        if matches!(status, RunStatus::Ended(_)) {
            self.tickets.retain(|ticket| ticket.run != run);
        }
        settle(&mut self.tickets, at)
    }

    fn held(&mut self, lease: &Lease) -> Result<&mut Stored, JournalError> {
        let stored = self.get(lease.run)?;
        if stored.fence == lease.fence {
            Ok(stored)
        } else {
            Err(JournalError::Stale { run: lease.run, fence: lease.fence })
        }
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn create(&self, run: NewRun, owner: &str, _ttl: Duration) -> Result<Lease, JournalError> {
        let mut inner = self.inner();
        if inner.runs.contains_key(&run.id) {
            return Err(JournalError::Exists(run.id));
        }
        let lease = Lease { run: run.id, owner: owner.to_owned(), fence: 1 };
        let stored = Stored {
            events: run.events.clone(),
            status: RunStatus::Running,
            waits: None,
            owner: Some(owner.to_owned()),
            fence: 1,
            inbox: Vec::new(),
            new: run,
        };
        inner.runs.insert(lease.run, stored);
        Ok(lease)
    }

    async fn claim(&self, run: RunId, owner: &str, _ttl: Duration) -> Result<Lease, JournalError> {
        let mut inner = self.inner();
        let stored = inner.get(run)?;
        if let Some(holder) = stored.owner.as_ref().filter(|o| *o != owner) {
            return Err(JournalError::Held { run, owner: holder.clone() });
        }
        stored.fence += 1;
        stored.owner = Some(owner.to_owned());
        Ok(Lease { run, owner: owner.to_owned(), fence: stored.fence })
    }

    async fn renew(&self, lease: &Lease, _ttl: Duration) -> Result<(), JournalError> {
        self.inner().held(lease).map(drop)
    }

    async fn release(&self, lease: &Lease) -> Result<(), JournalError> {
        self.inner().held(lease)?.owner = None;
        Ok(())
    }

    async fn append(&self, lease: &Lease, batch: Batch) -> Result<(), JournalError> {
        // A real journal is never durable at once: whoever did not wait for it would be found out meanwhile.
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        let mut inner = self.inner();
        let number = inner.appends;
        inner.appends += 1;
        let trouble = inner.trouble.get(&number).copied();
        let stored = inner.held(lease)?;
        match trouble {
            Some(Trouble::Full) => {
                return Err(JournalError::Full { place: "memory".into(), detail: "as the test wants it".into() });
            }
            Some(Trouble::DieBefore) => return Err(Self::died()),
            Some(Trouble::DieAfter) | None => {}
        }
        let last = stored.events.last().map_or(0, |e| e.seq);
        match batch.events.first() {
            Some(first) if first.seq != last + 1 => {
                return Err(JournalError::Gap { run: lease.run, stored: last, given: first.seq });
            }
            Some(_) | None => {}
        }
        let at = batch.events.last().map_or(Timestamp(0), |event| event.at);
        stored.events.extend(batch.events);
        stored.status = batch.status;
        stored.waits = batch.waits;
        stored.inbox.retain(|letter| !batch.taken.contains(&letter.id));
        if inner.change_locks(lease.run, batch.locks, batch.status, at) {
            self.letters.notify_waiters();
            self.letters.notify_one();
        }
        if trouble == Some(Trouble::DieAfter) { Err(Self::died()) } else { Ok(()) }
    }

    async fn read(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<Recorded<Event>>, JournalError> {
        let mut inner = self.inner();
        Ok(inner.get(run)?.events.iter().filter(|e| e.seq >= from).take(limit).cloned().collect())
    }

    async fn plan(&self, run: RunId) -> Result<String, JournalError> {
        Ok(self.inner().get(run)?.new.plan.clone())
    }

    async fn list(&self, filter: &Filter) -> Result<Vec<RunSummary>, JournalError> {
        let runs: Vec<RunId> = self.inner().runs.keys().rev().copied().collect();
        let mut found = Vec::new();
        for run in runs {
            let summary = self.summary(run).await?;
            let over = matches!(summary.status, RunStatus::Ended(_));
            if !(filter.open && over) && found.len() < filter.limit {
                found.push(summary);
            }
        }
        Ok(found)
    }

    async fn summary(&self, run: RunId) -> Result<RunSummary, JournalError> {
        let mut inner = self.inner();
        let stored = inner.get(run)?;
        Ok(RunSummary {
            id: run,
            runbook: stored.new.runbook.clone(),
            title: stored.new.title.clone(),
            by: stored.new.by.clone(),
            created: stored.new.at,
            changed: stored.events.last().map_or(stored.new.at, |e| e.at),
            status: stored.status,
            waits: stored.waits.clone(),
            seq: stored.events.last().map_or(0, |e| e.seq),
            owner: stored.owner.clone(),
            plan: Digest::of(stored.new.plan.as_bytes()),
        })
    }

    async fn say(&self, run: RunId, by: &str, word: Word, at: Timestamp) -> Result<WordId, JournalError> {
        let mut inner = self.inner();
        inner.words += 1;
        let id = WordId(inner.words);
        inner.get(run)?.inbox.push(Letter { id, by: by.to_owned(), at, word });
        self.letters.notify_waiters();
        self.letters.notify_one();
        Ok(id)
    }

    async fn inbox(&self, run: RunId) -> Result<Vec<Letter>, JournalError> {
        Ok(self.inner().get(run)?.inbox.clone())
    }

    async fn tickets(&self, run: Option<RunId>) -> Result<Vec<Ticket>, JournalError> {
        let all = self.inner().tickets.clone();
        Ok(all.into_iter().filter(|ticket| run.is_none_or(|run| ticket.run == run)).collect())
    }

    async fn letters(&self) {
        self.letters.notified().await;
    }

    async fn verify(&self, run: RunId) -> Result<Verified, JournalError> {
        let events = self.events(run);
        let all = serde_json::to_vec(&events).unwrap_or_default();
        Ok(Verified { events: events.len() as u64, head: Digest::of(&all) })
    }
}
