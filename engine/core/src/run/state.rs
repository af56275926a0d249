//! A run's state: what the facts so far amount to.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet, Vector};

use crate::digest::Digest;
use crate::ids::{JobId, ParamName, Part, RunId, TaskId};
use crate::plan::{GATE, Plan, TaskGraph, TaskIndex};
use crate::runbook::{Action, Step};
use crate::time::Timestamp;
use crate::value::Value;

use super::cause::Outcome;
use super::effect::{Change, Effect};
use super::hold::Hold;
use super::hook::Hooking;
use super::input::WordId;
use super::pause::Pause;
use super::secrets::Secrets;
use super::task::{At, Probing, Task, TaskState, Undo};
use super::turns::Turns;

/// A run's state.
///
/// It is a persistent data structure: a clone costs next to nothing, whatever the number of tasks. That is how
/// [`Run::decide`] can try out what follows from what without changing anything.
#[derive(Debug, Clone)]
pub struct Run {
    pub(super) id: RunId,
    pub(super) plan: Arc<Plan>,
    /// The digest of the plan as it is stored; `None` before the run was created.
    pub(super) digest: Option<Digest>,
    pub(super) graph: Arc<TaskGraph>,
    pub(super) seq: u64,
    pub(super) phase: Phase,
    pub(super) by: Arc<str>,
    pub(super) created: Timestamp,
    pub(super) changed: Timestamp,
    pub(super) tasks: Vector<Task>,
    /// For each task, how many nodes it still waits for.
    pub(super) unmet: Vector<u32>,
    /// For each gate, likewise.
    pub(super) unmet_gates: Vector<u32>,
    /// Nodes that wait for something that failed, and the task that did.
    pub(super) blame: OrdMap<u32, TaskIndex>,
    /// Whose turn it is.
    pub(super) turns: Turns,
    /// The parameters of the runbooks that were called, by the task that called them.
    pub(super) calls: OrdMap<TaskIndex, Arc<BTreeMap<ParamName, Value>>>,
    /// Tasks with an attempt going on, or a pause between two.
    pub(super) active: OrdSet<TaskIndex>,
    /// Those of them that wait for an approval.
    pub(super) asking: OrdSet<TaskIndex>,
    /// Tasks that wait for nothing but locks.
    pub(super) queueing: OrdSet<TaskIndex>,
    /// The locks of the run as a whole.
    pub(super) hold: Hold,
    pub(super) paused: Option<Pause>,
    /// Tasks that wait for a person.
    pub(super) parked: OrdSet<TaskIndex>,
    /// Those of them that keep the rest from going on.
    pub(super) holding: OrdSet<TaskIndex>,
    /// Tasks whose action began, in that order; undone from the end.
    pub(super) begun: Vector<TaskIndex>,
    /// Settled tasks under `steps` and under `finally`.
    pub(super) settled: [u32; 2],
    pub(super) failed: u32,
    pub(super) cancelled: bool,
    /// Cancelled while in `finally`, or before the run had its locks: that is left undone too.
    pub(super) abandoned: bool,
    pub(super) undone: bool,
    /// The failed task that asks for undo, until undo starts.
    pub(super) undo_asked: Option<TaskIndex>,
    /// How many tasks behind which nothing is undone automatically have begun.
    pub(super) no_return: u32,
    /// The last word that was taken up; words are taken in order.
    pub(super) last_word: Option<WordId>,
    /// How many tasks the engine lets it have under way. No fact: who takes the run over may have more room, or less.
    pub(super) room: u32,
    pub(super) secrets: Secrets,
    pub(super) wanted: OrdSet<Effect>,
    pub(super) changes: Vec<Change>,
}

/// Which part of the runbook the run is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing is known yet, not even who asked for it.
    New,
    /// The steps under `steps`.
    Main,
    /// What they did is being taken back.
    Undoing,
    /// The steps under `finally`.
    Finally,
    /// Over.
    Ended(Outcome),
}

impl Run {
    /// A run of which nothing is known but its plan.
    pub fn new(id: RunId, plan: Arc<Plan>) -> Self {
        let graph = Arc::new(TaskGraph::of(&plan));
        let gates = 0..u32::try_from(graph.gates()).unwrap_or(u32::MAX);
        let mut run = Self {
            id,
            tasks: std::iter::repeat_n(Task::default(), graph.len() as usize).collect(),
            unmet: (0..graph.len()).map(|task| graph.indegree(task)).collect(),
            unmet_gates: gates.map(|gate| graph.indegree(gate | GATE)).collect(),
            turns: Turns::default(),
            calls: OrdMap::new(),
            plan,
            digest: None,
            graph,
            seq: 0,
            phase: Phase::New,
            by: "".into(),
            created: Timestamp::default(),
            changed: Timestamp::default(),
            blame: OrdMap::new(),
            active: OrdSet::new(),
            asking: OrdSet::new(),
            queueing: OrdSet::new(),
            hold: Hold::No,
            paused: None,
            parked: OrdSet::new(),
            holding: OrdSet::new(),
            begun: Vector::new(),
            settled: [0, 0],
            failed: 0,
            cancelled: false,
            abandoned: false,
            undone: false,
            undo_asked: None,
            no_return: 0,
            last_word: None,
            room: u32::MAX,
            secrets: Secrets::default(),
            wanted: OrdSet::new(),
            changes: Vec::new(),
        };
        for task in (0..run.graph.len()).filter(|&task| run.unmet[task as usize] == 0).collect::<Vec<_>>() {
            run.set_ready(task, true);
        }
        run
    }

    /// Its id.
    pub fn id(&self) -> RunId {
        self.id
    }

    /// Its plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The digest of its plan as it is stored; `None` before the run was created.
    pub fn plan_digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Its tasks as a graph.
    pub fn graph(&self) -> &TaskGraph {
        &self.graph
    }

    /// The sequence number of the last event that it has taken in.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Who asked for it.
    pub fn by(&self) -> &str {
        &self.by
    }

    /// When it was created, and when it last changed.
    pub fn times(&self) -> (Timestamp, Timestamp) {
        (self.created, self.changed)
    }

    /// Which part of the runbook it is in.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether somebody cancelled it.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// How it ended, if it has.
    pub fn outcome(&self) -> Option<Outcome> {
        match self.phase {
            Phase::Ended(outcome) => Some(outcome),
            Phase::New | Phase::Main | Phase::Undoing | Phase::Finally => None,
        }
    }

    /// Whether nothing can go on without a person, except that the time for their answer may come to its end.
    pub fn waits_for_people(&self) -> bool {
        let timers = self.asking.iter().filter(|&&t| self.step_of(t).time_limit().is_some()).count();
        self.is_parked() || (self.outcome().is_none() && !self.asking.is_empty() && self.wanted.len() == timers)
    }

    /// A task's state.
    pub fn task(&self, task: TaskIndex) -> &Task {
        &self.tasks[task as usize]
    }

    /// All tasks in the order of the plan, as far as they are known.
    pub fn tasks(&self) -> impl Iterator<Item = (&TaskId, &Task)> {
        self.graph.in_order().into_iter().map(|index| (self.graph.id(index), self.task(index)))
    }

    /// The tasks that wait for a person.
    pub fn parked(&self) -> impl Iterator<Item = TaskIndex> + '_ {
        self.parked.iter().copied()
    }

    /// The tasks with something going on.
    pub fn active(&self) -> impl Iterator<Item = TaskIndex> + '_ {
        self.active.iter().copied()
    }

    /// The failed task on whose account this one cannot start.
    pub fn blamed(&self, task: TaskIndex) -> Option<TaskIndex> {
        self.blame.get(&task).copied()
    }

    /// How many tasks have come to an end, and how many there are.
    pub fn progress(&self) -> (u32, u32) {
        (self.settled[0] + self.settled[1], self.graph.len())
    }

    /// The step of a task.
    pub fn step_of(&self, task: TaskIndex) -> &Step {
        &self.plan.steps[self.graph.step(task)].step
    }

    /// Everything that should be in flight right now: a function of state alone.
    pub fn wanted(&self) -> impl Iterator<Item = &Effect> {
        self.wanted.iter()
    }

    /// What changed in [`Run::wanted`] since this was last asked.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    pub(super) fn is_finally(&self, task: TaskIndex) -> bool {
        self.graph.is_finally(task)
    }

    /// The job that a task's state calls for, if any.
    pub(super) fn job_of(&self, index: TaskIndex, task: &Task) -> Option<JobId> {
        let job = |number, part, round| {
            Some(JobId { attempt: crate::ids::AttemptId { task: self.graph.id(index).clone(), number }, part, round })
        };
        if let Undo::Active { number, .. } = task.undo {
            return job(number, Part::Undo, 1);
        }
        let TaskState::Active(attempt) = &task.state else { return None };
        match &attempt.at {
            At::Unless => job(task.attempts, Part::Unless, task.probes),
            At::Main => job(task.attempts, Part::Main, 1),
            At::Hook(hooking) => {
                let call = hooking.open().filter(|call| call.round > 0)?;
                job(task.attempts, Part::Call, call.round)
            }
            At::Probe(Probing { next: None, .. }) => job(task.attempts, Part::Verify, task.probes),
            At::Settle { .. } => job(task.attempts, settling_part(self.step_of(index)), task.probes),
            At::Probe(Probing { next: Some(_), .. })
            | At::Transfer
            | At::Wait(_)
            | At::Assert
            | At::Approval(_)
            | At::Lost(_)
            | At::Over => None,
        }
    }
}

/// Which script tells whether a lost job happened: `verify` says more than `unless`.
pub(super) fn settling_part(step: &Step) -> Part {
    if step.verify.is_some() { Part::Verify } else { Part::Unless }
}

/// What an attempt begins with after `unless`.
pub(super) fn action_at(step: &Step, now: Timestamp) -> At {
    match &step.action {
        Action::Run(_) | Action::Exec(_) | Action::Reboot(_) => At::Main,
        Action::Put(_) | Action::Get(_) | Action::Transfer(_) => At::Transfer,
        Action::Hook(_) => At::Hook(Hooking::new(Part::Main)),
        Action::Assert(_) => At::Assert,
        Action::Approve(_) => At::Approval(None),
        // These are over as soon as they are begun.
        Action::Block | Action::Call(_) => At::Over,
        Action::WaitFor(_) => At::Wait(None),
        Action::WaitUntil(_) => At::Probe(Probing { since: now, next: None, by_hand: false }),
    }
}
