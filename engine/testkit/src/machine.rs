//! A run on a bench: news goes in by hand, and after each piece of it everything that must always hold is checked.

use std::collections::BTreeSet;
use std::sync::Arc;

use piton_core::digest::Digest;
use piton_core::ids::{JobId, Part, RunId, TaskId};
use piton_core::plan::Plan;
use piton_core::run::{
    BootId, Change, Effect, Event, Exit, Hold, Input, LossCause, Printed, Recorded, Refusal, Run, TakenTask, TimerKind,
    Word, WordId,
};
use piton_core::time::Timestamp;

pub use crate::laws::check_order;

/// A run on a bench.
pub struct Machine {
    /// The run.
    pub run: Run,
    /// Everything that happened so far.
    pub log: Vec<Recorded<Event>>,
    /// The time on the bench.
    pub now: Timestamp,
    plan: Arc<Plan>,
    seen: BTreeSet<Effect>,
    tickets: BTreeSet<Option<TaskId>>,
    words: u64,
}

impl Machine {
    /// Creates the run and lets it begin.
    pub fn start(plan: Plan) -> Self {
        let plan = Arc::new(plan);
        let run = Run::new(RunId::from_parts(0, 7), plan.clone());
        let (seen, tickets, words) = (BTreeSet::new(), BTreeSet::new(), 0);
        let (log, now) = (Vec::new(), Timestamp(1_000));
        let mut machine = Self { run, log, now, plan: plan.clone(), seen, tickets, words };
        let created = Event::RunCreated {
            by: "tester@bench".into(),
            runbook: plan.runbook.clone(),
            plan: Digest::of(plan.to_json().as_bytes()),
        };
        machine.take(created);
        machine.tell(Input::Took { engine: "bench".into(), fence: 1 });
        machine
    }

    /// Creates a run that takes results of another one over, and lets it begin.
    pub fn rerun(plan: Plan, from: &Run, tasks: Vec<TakenTask>) -> Self {
        let plan = Arc::new(plan);
        let run = Run::new(RunId::from_parts(0, 7), plan.clone());
        let (seen, words) = (BTreeSet::new(), 0);
        let mut machine = Self {
            run,
            log: Vec::new(),
            now: Timestamp(1_000),
            plan: plan.clone(),
            seen,
            tickets: BTreeSet::new(),
            words,
        };
        let digest = Digest::of(plan.to_json().as_bytes());
        let by = "tester@bench".into();
        machine.take(Event::RunCreated { by, runbook: plan.runbook.clone(), plan: digest });
        let (seq, head) = (from.seq(), Digest::of(b"head"));
        machine.take(Event::TakenOver { from: from.id(), plan: digest, seq, head, tasks });
        machine.tell(Input::Took { engine: "bench".into(), fence: 1 });
        machine
    }

    /// The run is to go on with another plan.
    pub fn replan(&mut self, plan: &Plan) -> Vec<Event> {
        let (by, why) = ("tester@bench".into(), "corrected".into());
        self.tell(Input::Replanned { by, why, text: plan.to_json() })
    }

    /// Goes on from a log, as an engine does that finds it.
    ///
    /// # Panics
    /// If the log cannot be replayed.
    pub fn from_log(plan: Plan, log: Vec<Recorded<Event>>) -> Self {
        let plan = Arc::new(plan);
        let run = Run::replay(RunId::from_parts(0, 7), plan.clone(), &log).expect("the log can be replayed");
        let seen = run.wanted().cloned().collect();
        let word = |e: &Recorded<Event>| if let Event::WordTaken { id, .. } = &e.event { Some(id.0) } else { None };
        let words = log.iter().filter_map(word).max().unwrap_or(0);
        let now = log.last().map_or(Timestamp(1_000), |e| e.at);
        let mut machine = Self { run, log, now, plan, seen, tickets: BTreeSet::new(), words };
        machine.tickets = machine.tickets_wanted();
        machine.tell(Input::Took { engine: "bench".into(), fence: 2 });
        machine
    }

    fn take(&mut self, event: Event) {
        let recorded = Recorded { seq: self.run.seq() + 1, at: self.now, event };
        self.run.apply(&recorded).expect("what was decided is legal");
        self.log.push(recorded);
    }

    /// Tells the run something; returns what followed.
    ///
    /// # Panics
    /// If something that must always hold does not.
    pub fn tell(&mut self, input: Input) -> Vec<Event> {
        let events = self.run.decide(&input, self.now);
        for event in &events {
            self.take(event.clone());
        }
        for change in self.run.take_changes() {
            match change {
                Change::Begin(effect) => assert!(self.seen.insert(effect.clone()), "{effect:?} was in flight already"),
                Change::Drop(effect) => assert!(self.seen.remove(&effect), "{effect:?} was not in flight"),
                Change::Ask { task, .. } => assert!(self.tickets.insert(task.clone()), "{task:?} has a ticket already"),
                Change::Free { task } => assert!(self.tickets.remove(&task), "{task:?} has no ticket"),
            }
        }
        let wanted: BTreeSet<Effect> = self.run.wanted().cloned().collect();
        assert_eq!(self.seen, wanted, "the changes do not add up to what is wanted");
        if self.run.outcome().is_none() {
            assert_eq!(self.tickets, self.tickets_wanted(), "the tickets do not add up");
        }
        assert!(
            self.run.outcome().is_some() || self.run.is_parked() || !wanted.is_empty(),
            "the run is not over, not parked, and waits for nothing: {:?}",
            self.run
        );
        events
    }

    /// Who should have a ticket for locks.
    fn tickets_wanted(&self) -> BTreeSet<Option<TaskId>> {
        let tasks = self.run.tasks().filter(|(_, task)| task.hold != Hold::No).map(|(id, _)| Some(id.clone()));
        tasks.chain((*self.run.hold() != Hold::No).then_some(None)).collect()
    }

    /// The run (`None`) or task has the locks that it asked for.
    pub fn grant(&mut self, task: Option<TaskId>) -> Vec<Event> {
        self.tell(Input::LocksTaken(task))
    }

    /// The jobs that should be in flight.
    pub fn jobs(&self) -> Vec<JobId> {
        let job = |effect: &Effect| match effect {
            Effect::Carry(job) => Some(job.clone()),
            Effect::Fetch
            | Effect::Stop(_)
            | Effect::Transfer(_)
            | Effect::Hook(_)
            | Effect::Answer { .. }
            | Effect::Hold(_)
            | Effect::Wake { .. } => None,
        };
        self.run.wanted().filter_map(job).collect()
    }

    /// What should be in flight, as text.
    pub fn wanted(&self) -> Vec<String> {
        self.run.wanted().map(show).collect()
    }

    /// Where every task stands, as text.
    pub fn states(&self) -> Vec<String> {
        self.run.tasks().map(|(id, task)| format!("{id} {}", task.state.word())).collect()
    }

    /// The only job in flight for a task.
    ///
    /// # Panics
    /// If there is none.
    pub fn job(&self, task: &str) -> JobId {
        let found = self.run.wanted().find_map(|effect| match effect {
            Effect::Carry(job) | Effect::Stop(job) if job.attempt.task.to_string() == task => Some(job.clone()),
            Effect::Fetch
            | Effect::Carry(_)
            | Effect::Stop(_)
            | Effect::Transfer(_)
            | Effect::Hook(_)
            | Effect::Answer { .. }
            | Effect::Hold(_)
            | Effect::Wake { .. } => None,
        });
        found.unwrap_or_else(|| panic!("no job of {task} is wanted, but {:?}", self.wanted()))
    }

    /// The task's job exits with this status.
    pub fn exit(&mut self, task: &str, status: u8) -> Vec<Event> {
        let job = self.job(task);
        self.tell(Input::JobExited {
            job,
            exit: Exit(status),
            printed: Printed::default(),
            outputs: Ok(Default::default()),
        })
    }

    /// The task's job exits with status 0 and these outputs.
    pub fn exit_with(&mut self, task: &str, outputs: serde_json::Value) -> Vec<Event> {
        let job = self.job(task);
        let outputs = outputs.as_object().cloned().unwrap_or_default();
        self.tell(Input::JobExited { job, exit: Exit(0), printed: Printed::default(), outputs: Ok(outputs) })
    }

    /// The task's job began on a host with this boot id.
    pub fn began(&mut self, task: &str, boot: &str) -> Vec<Event> {
        let job = self.job(task);
        self.tell(Input::JobStarted { job, boot: BootId(boot.into()) })
    }

    /// The task's job is lost.
    pub fn lose(&mut self, task: &str) -> Vec<Event> {
        let job = self.job(task);
        self.tell(Input::JobLost { job, why: LossCause::ProcessGone })
    }

    /// The task's job certainly did not begin.
    pub fn refuse(&mut self, task: &str) -> Vec<Event> {
        let job = self.job(task);
        self.tell(Input::JobRefused { job, why: Refusal::Unreachable("no route".into()) })
    }

    /// The task's job was stopped.
    pub fn stopped(&mut self, task: &str) -> Vec<Event> {
        let job = self.job(task);
        self.tell(Input::JobStopped { job, exit: Some(Exit(143)), printed: Printed::default() })
    }

    /// The next timer fires, and the bench's time goes there. Deadlines fire only when nothing else would.
    pub fn tick(&mut self) -> Vec<Event> {
        let mut timers: Vec<_> = self
            .run
            .wanted()
            .filter_map(|effect| match effect {
                Effect::Wake { timer, at } => {
                    let deadline = matches!(timer.what, TimerKind::Deadline | TimerKind::Undo);
                    Some((deadline, *at, timer.clone()))
                }
                Effect::Fetch
                | Effect::Carry(_)
                | Effect::Stop(_)
                | Effect::Transfer(_)
                | Effect::Hook(_)
                | Effect::Hold(_)
                | Effect::Answer { .. } => None,
            })
            .collect();
        timers.sort();
        let (_, at, timer) = timers.into_iter().next().expect("a timer is wanted");
        self.now = self.now.max(at);
        self.tell(Input::TimerFired(timer))
    }

    /// Somebody says something.
    pub fn say(&mut self, word: Word) -> Vec<Event> {
        self.say_as("operator@desk", word)
    }

    /// This one says something.
    pub fn say_as(&mut self, by: &str, word: Word) -> Vec<Event> {
        self.words += 1;
        let id = WordId(self.words);
        self.tell(Input::Said { id, by: by.into(), word })
    }

    /// Rebuilds the run from its log, as an engine does after a crash, and goes on with that.
    ///
    /// # Panics
    /// If the rebuilt run differs from the one that lived.
    pub fn crash(&mut self) {
        let rebuilt = Run::replay(self.run.id(), self.plan.clone(), &self.log).expect("the log can be replayed");
        assert_eq!(format!("{rebuilt:?}"), format!("{:?}", self.run), "replay gives another state");
        self.run = rebuilt;
        self.tell(Input::Took { engine: "bench".into(), fence: 2 });
    }
}

fn show(effect: &Effect) -> String {
    match effect {
        Effect::Fetch => "fetch".to_owned(),
        Effect::Carry(job) => format!("carry {job}"),
        Effect::Stop(job) => format!("stop {job}"),
        Effect::Transfer(attempt) => format!("transfer {attempt}"),
        Effect::Hook(hook) => format!("hook {hook}"),
        Effect::Answer { hook, answered } => format!("answer {answered} of {hook}"),
        Effect::Hold(None) => "hold".to_owned(),
        Effect::Hold(Some(task)) => format!("hold {task}"),
        Effect::Wake { timer, at } => format!("wake {} {:?} at {}", timer.task, timer.what, at.0),
    }
}

/// A task's id from its text.
///
/// # Panics
/// If it is none: the test is wrong.
pub fn task(text: &str) -> TaskId {
    text.parse().expect("the test names a task")
}

/// Whether a job only looks.
pub fn only_looks(job: &JobId) -> bool {
    match job.part {
        Part::Unless | Part::Verify => true,
        Part::Main | Part::Undo | Part::Before | Part::After | Part::Call => false,
    }
}
