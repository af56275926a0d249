//! Owns one run: waits for news, decides, makes durable, applies, and lets the executor catch up.
//!
//! There is no second path for recovery: a driver that begins a run and one that takes it over differ only in how
//! many events the journal holds, and in that what the run wants may be in flight already.

use std::sync::Arc;
use std::time::Duration;

use piton_core::ids::RunId;
use piton_core::plan::Plan;
use piton_core::run::{Change, Event, IllegalEvent, Input, Outcome, Recorded, Run, WordId};
use tokio::sync::{mpsc, watch};

use crate::executor::{Executor, lock_change};
use crate::journal::{Batch, Journal, JournalError, Lease, NewRun, RunStatus};
use crate::mail::{deliver, unread};
use crate::observer::Notice;
use crate::ports::Ports;
use crate::room::Room;
use crate::secrets::news::{Discreet, mask_input};
use crate::secrets::vault::Vault;

/// How long a lease lasts without being renewed. Another engine can take a run over this long after its engine stopped.
pub const LEASE: Duration = Duration::from_secs(10);

/// How long to wait before writing is tried again after the disk was full.
const FULL_PAUSE: Duration = Duration::from_millis(500);

/// How many events are read from the journal at a time.
const PAGE: usize = 10_000;

/// How much news is taken into one append.
const MAX_BATCH: usize = 256;

/// How driving came to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The run is over.
    Ended(Outcome),
    /// Nothing can go on without a person; the lease is given back.
    Parked,
    /// Somebody else is to go on; the lease is given back, jobs go on meanwhile.
    HandedOver,
}

/// How long a driver stays with a run that people must move on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stay {
    /// While something can happen without them: also while the time for their answer runs.
    #[default]
    Needed,
    /// Likewise, and while an approval is waited for.
    Asked,
    /// Not at all. Where the time for an answer runs, somebody else must drive the run then.
    Briefly,
}

/// Why a run cannot be driven on.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The journal did not do as asked.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal and the plan do not fit together.
    #[error("the journal of run {run} cannot be replayed: {error}")]
    Illegal {
        /// Which run.
        run: RunId,
        /// What does not fit.
        error: IllegalEvent,
    },
    /// The stored plan cannot be read.
    #[error("the plan of run {run} cannot be read: {detail}")]
    Plan {
        /// Which run.
        run: RunId,
        /// What is wrong.
        detail: String,
    },
}

/// Drives one run.
pub struct Driver {
    ports: Ports,
    lease: Lease,
    run: Run,
    /// What changed in what the run wants, and the executor was not told yet.
    changes: Vec<Change>,
    vault: Arc<Vault>,
    executor: Executor,
    news: mpsc::UnboundedReceiver<Input>,
    sender: mpsc::UnboundedSender<Input>,
    /// Counts what rings for the run: words, and locks that were given.
    rings: watch::Sender<u64>,
    stay: Stay,
    room: Option<Arc<Room>>,
}

/// Reads a run's plan and events and rebuilds its state.
pub async fn load(journal: &dyn Journal, id: RunId) -> Result<Run, DriveError> {
    load_up_to(journal, id, u64::MAX).await
}

/// Rebuilds a run's state as it was after the event numbered `last`.
pub async fn load_up_to(journal: &dyn Journal, id: RunId, last: u64) -> Result<Run, DriveError> {
    let json = journal.plan(id).await?;
    let plan = Plan::from_json(&json).map_err(|detail| DriveError::Plan { run: id, detail })?;
    let mut run = Run::new(id, Arc::new(plan));
    loop {
        let page = journal.read(id, run.seq() + 1, PAGE).await?;
        for event in page.iter().take_while(|e| e.seq <= last) {
            run.apply(event).map_err(|error| DriveError::Illegal { run: id, error })?;
        }
        run.take_changes();
        if page.len() < PAGE {
            return Ok(run);
        }
    }
}

impl Driver {
    /// Stores a new run and holds the lease on it.
    pub async fn create(ports: Ports, id: RunId, plan: Plan, by: &str, owner: &str) -> Result<Self, DriveError> {
        Self::create_with(ports, id, plan, by, owner, Vec::new()).await
    }

    /// Stores a new run that begins with these facts, and holds the lease on it.
    pub async fn create_with(
        ports: Ports,
        id: RunId,
        plan: Plan,
        by: &str,
        owner: &str,
        further: Vec<Event>,
    ) -> Result<Self, DriveError> {
        let at = ports.clock.now();
        let json = plan.to_json();
        let digest = piton_core::digest::Digest::of(json.as_bytes());
        let created = Event::RunCreated { by: by.to_owned(), runbook: plan.runbook.clone(), plan: digest };
        let new = NewRun {
            id,
            runbook: plan.runbook.clone(),
            title: plan.title.clone(),
            by: by.to_owned(),
            at,
            plan: json,
            events: (1..)
                .zip(std::iter::once(created).chain(further))
                .map(|(seq, event)| Recorded { seq, at, event })
                .collect(),
        };
        let mut run = Run::new(id, Arc::new(plan));
        for event in &new.events {
            run.apply(event).map_err(|error| DriveError::Illegal { run: id, error })?;
        }
        let first = new.events.clone();
        let lease = ports.journal.create(new, owner, LEASE).await?;
        for event in &first {
            ports.observer.event(&run, event);
        }
        Ok(Self::with(ports, lease, run))
    }

    /// Takes over a run that nobody drives.
    pub async fn adopt(ports: Ports, id: RunId, owner: &str) -> Result<Self, DriveError> {
        Self::adopt_with(ports.journal.clone(), id, owner, |_| ports).await
    }

    /// Takes over a run that nobody drives, with what its plan, as it is now, calls for.
    pub async fn adopt_with(
        journal: Arc<dyn Journal>,
        id: RunId,
        owner: &str,
        ports: impl FnOnce(&Plan) -> Ports,
    ) -> Result<Self, DriveError> {
        let lease = journal.claim(id, owner, LEASE).await?;
        match load(journal.as_ref(), id).await {
            Ok(run) => Ok(Self::with(ports(run.plan()), lease, run)),
            Err(error) => {
                // The lease would expire by itself; giving it back only spares the next one the wait.
                let _given_back = journal.release(&lease).await;
                Err(error)
            }
        }
    }

    /// Has the run go on with another plan, before it is driven. `false`: it cannot, see [`Run::onto`].
    ///
    /// The ports must be those that the new plan calls for.
    pub async fn replan(&mut self, by: &str, why: &str, plan: &Plan) -> Result<bool, DriveError> {
        let (by, why, text) = (by.to_owned(), why.to_owned(), plan.to_json());
        let taken = self.settle(&[Input::Replanned { by, why, text }]).await?;
        // Whatever is wanted now is taken up when the run is driven.
        self.run.take_changes();
        Ok(taken)
    }

    /// Gives the run back without having begun anything, for another engine to take up.
    pub async fn leave(self) -> Result<(), DriveError> {
        Ok(self.ports.journal.release(&self.lease).await?)
    }

    fn with(mut ports: Ports, lease: Lease, run: Run) -> Self {
        let (sender, news) = mpsc::unbounded_channel();
        let vault = Vault::new(run.plan());
        ports.observer = Arc::new(Discreet { observer: ports.observer, vault: vault.clone() });
        let (rings, rang) = watch::channel(0);
        let executor = Executor::new(ports.clone(), vault.clone(), sender.clone(), rang);
        let (changes, stay, room) = (Vec::new(), Stay::default(), None);
        Self { ports, lease, run, changes, vault, executor, news, sender, rings, stay, room }
    }

    /// Has the driver stay with a run that waits for people as long as this.
    #[must_use]
    pub fn staying(mut self, stay: Stay) -> Self {
        self.stay = stay;
        self
    }

    /// Has the run share this room with others that are driven in this process.
    #[must_use]
    pub fn sharing(mut self, room: Option<Arc<Room>>) -> Self {
        self.room = room;
        self
    }

    /// The run as it stands.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Drives the run until it is over, parked, or `handover` becomes true.
    pub async fn drive(mut self, mut handover: watch::Receiver<bool>) -> Result<End, DriveError> {
        let letters =
            tokio::spawn(deliver(self.ports.journal.clone(), self.lease.run, self.sender.clone(), self.rings.clone()));
        let bell = self.room.as_ref().map(|room| tokio::spawn(room.ring(self.sender.clone())));
        let end = self.attend(&mut handover).await;
        letters.abort();
        if let (Some(room), Some(bell)) = (&self.room, bell) {
            bell.abort();
            room.leave(self.lease.run);
        }
        match &end {
            // Somebody else drives it now: whatever is in flight is theirs to follow.
            Err(DriveError::Journal(JournalError::Stale { .. })) => self.executor.drop_all(),
            Err(_) | Ok(End::HandedOver | End::Parked) => {
                self.executor.flush().await;
                let _given_back = self.ports.journal.release(&self.lease).await;
            }
            Ok(End::Ended(_)) => {
                self.executor.clear().await;
                let _given_back = self.ports.journal.release(&self.lease).await;
            }
        }
        end
    }

    async fn attend(&mut self, handover: &mut watch::Receiver<bool>) -> Result<End, DriveError> {
        let took = Input::Took { engine: self.lease.owner.clone(), fence: self.lease.fence };
        // What the run wanted before this engine came may be in flight already.
        self.executor.take_up(&self.run);
        let mut inputs = vec![took];
        inputs.extend(unread(self.ports.journal.as_ref(), self.lease.run, WordId(0)).await?);
        let mut heartbeat = tokio::time::interval(LEASE / 3);
        heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        heartbeat.reset();
        loop {
            self.turn(inputs).await?;
            if let Some(outcome) = self.run.outcome() {
                return Ok(End::Ended(outcome));
            }
            if self.may_leave() && !self.run.wants_room() {
                // A word that came in just now would wait for the next engine otherwise.
                let letters = unread(self.ports.journal.as_ref(), self.lease.run, WordId(0)).await?;
                if letters.is_empty() {
                    return Ok(End::Parked);
                }
                inputs = letters;
                continue;
            }
            inputs = Vec::new();
            tokio::select! {
                biased;
                () = asked(handover) => return Ok(End::HandedOver),
                _ = heartbeat.tick() => self.renew().await?,
                input = self.news.recv() => inputs.extend(input),
            }
            while inputs.len() < MAX_BATCH
                && let Ok(more) = self.news.try_recv()
            {
                inputs.push(more);
            }
        }
    }

    /// Whether nobody need drive the run until a person says something.
    fn may_leave(&self) -> bool {
        match self.stay {
            Stay::Needed => self.run.is_parked(),
            Stay::Asked => self.run.is_parked() && self.run.asked().next().is_none(),
            Stay::Briefly => self.run.waits_for_people(),
        }
    }

    async fn renew(&self) -> Result<(), DriveError> {
        match self.ports.journal.renew(&self.lease, LEASE).await {
            Ok(()) => Ok(()),
            // Whoever takes the run over meanwhile is found out at the next append.
            Err(JournalError::Full { detail, .. }) => {
                self.ports.observer.notice(&Notice::Full { why: detail });
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Decides what follows from the news, makes it durable, and only then lets anything begin.
    async fn turn(&mut self, inputs: Vec<Input>) -> Result<(), DriveError> {
        if self.settle(&inputs).await? {
            let changes = std::mem::take(&mut self.changes);
            self.executor.reconcile(&self.run, changes);
        }
        Ok(())
    }

    /// Decides what follows from the news and makes it durable. Says whether anything followed.
    async fn settle(&mut self, inputs: &[Input]) -> Result<bool, DriveError> {
        let now = self.ports.clock.now();
        let mut next = self.run.clone();
        let mut events = Vec::new();
        let mut taken = Vec::new();
        let open = self.vault.now().filter(|open| open.masker().is_some());
        let before = next.under_way();
        if let Some(room) = &self.room {
            next.set_room(room.offer(self.lease.run));
        }
        for input in inputs {
            let masked = open.as_ref().map(|open| mask_input(open, input.clone()));
            for event in next.decide(masked.as_ref().unwrap_or(input), now) {
                if let Event::WordTaken { id, .. } = &event {
                    taken.push(*id);
                }
                let recorded = Recorded { seq: next.seq() + 1, at: now, event };
                let run = self.lease.run;
                next.apply(&recorded).map_err(|error| DriveError::Illegal { run, error })?;
                events.push(recorded);
            }
        }
        if let Some(room) = &self.room {
            room.settle(self.lease.run, before, next.under_way(), next.wants_room());
        }
        if events.is_empty() {
            self.run.set_room(next.room());
            return Ok(false);
        }
        let changes = next.take_changes();
        let locks = changes.iter().filter_map(lock_change).collect();
        let batch = Batch { events, status: status(&next), taken, locks, waits: next.waits() };
        self.append(&batch).await?;
        self.run = next;
        self.changes.extend(changes);
        for event in &batch.events {
            self.ports.observer.event(&self.run, event);
        }
        Ok(true)
    }

    /// Appends, and goes on trying while the disk is full: nothing begins before it is written down.
    async fn append(&self, batch: &Batch) -> Result<(), JournalError> {
        let mut told = false;
        loop {
            match self.ports.journal.append(&self.lease, batch.clone()).await {
                Err(JournalError::Full { place, detail }) => {
                    if !std::mem::replace(&mut told, true) {
                        self.ports.observer.notice(&Notice::Full { why: format!("{place}: {detail}") });
                    }
                    tokio::time::sleep(FULL_PAUSE).await;
                }
                other => return other,
            }
        }
    }
}

/// Returns when the run is to be handed over; never, if whoever could ask for it is gone.
async fn asked(handover: &mut watch::Receiver<bool>) {
    let gone = handover.wait_for(|&wanted| wanted).await.is_err();
    if gone {
        std::future::pending::<()>().await;
    }
}

/// Where a run stands, as lists show it.
fn status(run: &Run) -> RunStatus {
    match run.outcome() {
        Some(outcome) => RunStatus::Ended(outcome),
        None if run.is_parked() => RunStatus::Parked,
        None => RunStatus::Running,
    }
}
