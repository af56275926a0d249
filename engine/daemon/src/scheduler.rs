//! Starts what schedules say, each start once.
//!
//! There is no list of what is to be started: at every look, what is due follows from the documents, from the marks and from
//! the time ([`piton_core::schedule::Schedule::due`]). A start has the same run id in every process and after every crash, and
//! the journal takes an id only once: so a start that was made before its mark was set is found to be there. Marks are set
//! after the runs are durable, never before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use piton_core::fault::Fault;
use piton_core::ids::{RunId, ScheduleName};
use piton_core::schedule::{LeftOut, Schedule, Start, Timetable, Window};
use piton_core::time::Timestamp;
use piton_runner::clock::Clock;
use piton_runner::journal::{Journal, JournalError};
use piton_runner::marks::{Mark, Marks};
use tokio::sync::watch;

/// How often the documents are looked at for changes.
const LOOK: Duration = Duration::from_secs(2);

/// How long after a start that could not be made it is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// Where windows and schedules come from.
#[async_trait]
pub trait Documents: Send + Sync {
    /// Whether they may have changed since they were last read; true at first.
    async fn changed(&self) -> bool;

    /// Reads them: the timetable, or everything that is wrong with them.
    async fn read(&self) -> Result<Timetable, Vec<Fault>>;
}

/// Makes runs.
#[async_trait]
pub trait Starter: Send + Sync {
    /// Makes the run of a start, durably, for somebody to drive it. One that is there already is left alone.
    ///
    /// # Errors
    /// Says in words why it cannot be made now; it is tried again.
    async fn start(&self, schedule: &Schedule, start: Start, id: RunId) -> Result<Made, String>;
}

/// What became of a start that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// The run was made.
    New,
    /// It was there already.
    There,
}

/// Hears what the scheduler does.
pub trait Teller: Send + Sync {
    /// Something happened.
    fn tell(&self, told: &Told<'_>);
}

/// What the scheduler tells.
#[derive(Debug)]
pub enum Told<'t> {
    /// Documents are in force from now on.
    InForce(&'t Timetable),
    /// Documents are faulty; those before stay in force, if there were any.
    Faulty {
        /// What is wrong.
        faults: &'t [Fault],
        /// Whether older ones are in force.
        old: bool,
    },
    /// A run was made.
    Started {
        /// Of which schedule.
        schedule: &'t Schedule,
        /// For which start.
        start: Start,
        /// The run.
        run: RunId,
    },
    /// There is no run for these starts, the oldest first.
    LeftOut {
        /// Of which schedule.
        schedule: &'t Schedule,
        /// When they should have been, and why they are not.
        starts: &'t [(Timestamp, LeftOut)],
    },
    /// A run cannot be made; it is tried again for as long as the schedule allows.
    Cannot {
        /// Of which schedule.
        schedule: &'t Schedule,
        /// For which start.
        start: Start,
        /// Why.
        why: &'t str,
    },
    /// What is decided cannot be read or written down; it is tried again.
    Trouble(&'t JournalError),
}

/// What the scheduler works with.
#[derive(Clone)]
pub struct Parts {
    /// The project's directory: it stands in the ids of runs.
    pub project: String,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Knows which runs there are.
    pub journal: Arc<dyn Journal>,
    /// Keeps how far schedules have come.
    pub marks: Arc<dyn Marks>,
    /// Where windows and schedules come from.
    pub documents: Arc<dyn Documents>,
    /// Makes runs.
    pub starter: Arc<dyn Starter>,
    /// Hears what happens.
    pub teller: Arc<dyn Teller>,
}

/// Starts what is due.
pub struct Scheduler {
    parts: Parts,
    table: Option<Timetable>,
    /// When something is due next, of all schedules.
    next: Option<Timestamp>,
    /// What was told of starts that cannot be made, so that it is told once.
    told: BTreeMap<ScheduleName, String>,
}

impl Scheduler {
    /// A scheduler that has read nothing yet.
    pub fn new(parts: Parts) -> Self {
        Self { parts, table: None, next: None, told: BTreeMap::new() }
    }

    /// Starts what is due until `leave` becomes true. What was begun when it does is finished: no start is half made.
    pub async fn run(mut self, mut leave: watch::Receiver<bool>) {
        while !*leave.borrow() {
            let wake = self.look().await;
            tokio::select! {
                () = self.parts.clock.until(wake) => {}
                gone = leave.wait_for(|leave| *leave) => {
                    if gone.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Looks once, and says when to look again.
    pub async fn look(&mut self) -> Timestamp {
        if self.parts.documents.changed().await {
            self.reread().await;
        }
        let now = self.parts.clock.now();
        if self.next.is_some_and(|next| next <= now) {
            self.next = self.start_due(now).await;
        }
        let poll = now.plus(LOOK);
        self.next.map_or(poll, |next| next.min(poll))
    }

    /// Takes changed documents, or tells what is wrong with them.
    async fn reread(&mut self) {
        // What was due by the old ones is decided first.
        let now = self.parts.clock.now();
        self.start_due(now).await;
        match self.parts.documents.read().await {
            Ok(table) => {
                self.parts.teller.tell(&Told::InForce(&table));
                self.table = Some(table);
                self.told.clear();
            }
            Err(faults) => self.parts.teller.tell(&Told::Faulty { faults: &faults, old: self.table.is_some() }),
        }
        self.next = self.table.as_ref().map(|_| now);
    }

    /// Makes what is due, and says when to look again.
    async fn start_due(&mut self, now: Timestamp) -> Option<Timestamp> {
        let table = self.table.take()?;
        let mut next: Option<Timestamp> = None;
        for schedule in table.schedules.values() {
            let Some(window) = table.window_of(schedule) else { continue };
            let own = match self.start_one(schedule, window, now).await {
                Ok(own) => own,
                Err(error) => {
                    self.parts.teller.tell(&Told::Trouble(&error));
                    Some(now.plus(AGAIN))
                }
            };
            next = [next, own].into_iter().flatten().min();
        }
        self.table = Some(table);
        next
    }

    async fn start_one(
        &mut self,
        schedule: &Schedule,
        window: &Window,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, JournalError> {
        let Parts { project, marks, .. } = &self.parts;
        let rule = window.rule();
        let mark = marks.mark(project, &schedule.name).await?.filter(|mark| mark.rule == rule);
        // A schedule that was not there, or whose window opened by another rule, has missed nothing.
        let Some(mark) = mark else {
            let mark = Mark { decided: now, rule };
            marks.set(project, &schedule.name, mark).await?;
            return Ok(window.next(now).map(|next| next.opens));
        };
        let due = schedule.due(window, mark.decided, now);
        let mut decided = due.decided;
        let mut again = due.next;
        for start in due.starts.iter().copied() {
            let id = start.run_id(project, &schedule.name);
            match self.parts.starter.start(schedule, start, id).await {
                Ok(Made::New) => self.parts.teller.tell(&Told::Started { schedule, start, run: id }),
                Ok(Made::There) => {}
                Err(why) => {
                    if self.told.get(&schedule.name) != Some(&why) {
                        self.parts.teller.tell(&Told::Cannot { schedule, start, why: &why });
                        self.told.insert(schedule.name.clone(), why);
                    }
                    decided = decided.min(Timestamp(start.at.0.saturating_sub(1)));
                    again = [again, Some(now.plus(AGAIN))].into_iter().flatten().min();
                    break;
                }
            }
        }
        let anything = !due.starts.is_empty() || !due.left_out.is_empty();
        let mut left_out = due.left_out;
        left_out.retain(|(at, _)| *at <= decided);
        let left_out = self.without_runs(schedule, left_out).await?;
        if !left_out.is_empty() {
            self.parts.teller.tell(&Told::LeftOut { schedule, starts: &left_out });
        }
        if decided > mark.decided && anything {
            let Parts { project, marks, .. } = &self.parts;
            marks.set(project, &schedule.name, Mark { decided, rule }).await?;
        }
        Ok(again)
    }

    /// Those that have no run: one that crashed between making a run and setting the mark has made it.
    async fn without_runs(
        &self,
        schedule: &Schedule,
        left_out: Vec<(Timestamp, LeftOut)>,
    ) -> Result<Vec<(Timestamp, LeftOut)>, JournalError> {
        let mut without = Vec::new();
        for (at, why) in left_out {
            let id = Start { at }.run_id(&self.parts.project, &schedule.name);
            match self.parts.journal.summary(id).await {
                Ok(_) => {}
                Err(JournalError::NoSuchRun(_)) => without.push((at, why)),
                Err(error) => return Err(error),
            }
        }
        Ok(without)
    }
}
