//! Whose turn it is: which tasks wait for nothing, and which of them their step's limits let begin.
//!
//! Tasks that wait for nothing are kept in queues, so that a step which has as much under way as it may does not have
//! to be searched through: one queue for what may begin at any time, and one for each step that limits how many of its
//! hosts or items are under way, with the tasks whose host or item has not begun.

use imbl::{OrdMap, OrdSet};

use crate::plan::{TaskIndex, Unit};
use crate::runbook::OnFailure;

use super::state::{Phase, Run};
use super::task::TaskState;

/// The queue of what may begin at any time. The queue of a step is its number plus one.
const OPEN: u32 = 0;

/// What is kept about turns and limits.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns {
    queues: OrdMap<u32, OrdSet<(u64, TaskIndex)>>,
    /// Hosts and items that have their place, with how many of their tasks are not settled.
    begun: OrdMap<Unit, u32>,
    /// Those of them of which something was started: the others only stand in the queue for locks.
    started: OrdSet<Unit>,
    /// Tasks that were settled before their host or item began.
    settled: OrdMap<Unit, u32>,
    /// How many hosts and items of a step are under way.
    busy: OrdMap<u32, u32>,
    /// Hosts and items that failed.
    failed: OrdSet<Unit>,
    /// How many of a step's hosts or items that is.
    failures: OrdMap<u32, u32>,
    /// Steps of which more failed than they tolerate, and the task that was too much.
    exceeded: OrdMap<u32, TaskIndex>,
    /// Failed tasks that their step tolerates.
    tolerated: OrdSet<TaskIndex>,
}

impl Run {
    /// A task waits for nothing, or does so no longer.
    pub(super) fn set_ready(&mut self, task: TaskIndex, ready: bool) {
        let (queue, key) = self.queue_of(task);
        let mut tasks = self.turns.queues.get(&queue).cloned().unwrap_or_default();
        let changed = if ready { tasks.insert(key).is_none() } else { tasks.remove(&key).is_some() };
        if changed && tasks.is_empty() {
            self.turns.queues.remove(&queue);
        } else if changed {
            self.turns.queues.insert(queue, tasks);
        }
    }

    /// Whether a task waits for nothing but its turn.
    pub fn is_ready(&self, task: TaskIndex) -> bool {
        let waits = self.task(task).state == TaskState::Waiting && !self.queueing.contains(&task);
        waits && self.unmet.get(task as usize) == Some(&0)
    }

    fn queue_of(&self, task: TaskIndex) -> (u32, (u64, TaskIndex)) {
        let units = self.graph.units(task);
        let fresh = units.iter().find(|unit| self.limit(unit.0).is_some() && !self.turns.begun.contains_key(*unit));
        match fresh {
            Some(unit) => (unit.0 + 1, (unit.1, task)),
            None => {
                let (top, item) = self.graph.rank(task);
                (OPEN, (u64::from(top) << 32 | u64::from(item), task))
            }
        }
    }

    fn limit(&self, step: u32) -> Option<u32> {
        self.plan.steps.get(step as usize)?.step.max_parallel
    }

    /// The step whose limit keeps a task from beginning now.
    pub fn kept_by(&self, task: TaskIndex) -> Option<usize> {
        let full = |unit: &&Unit| match self.limit(unit.0) {
            Some(limit) => {
                !self.turns.begun.contains_key(*unit) && self.turns.busy.get(&unit.0).copied().unwrap_or(0) >= limit
            }
            None => false,
        };
        self.graph.units(task).iter().find(full).map(|unit| unit.0 as usize)
    }

    /// Has the run begin no more tasks than that many are under way at once, whatever its plan says. It is no fact, and
    /// has no part in what the run wants; only in what it decides to begin.
    pub fn set_room(&mut self, room: u32) {
        self.room = room;
    }

    /// How many tasks the engine lets it have under way.
    pub fn room(&self) -> u32 {
        self.room
    }

    /// How many tasks are under way. Whoever waits for people keeps nobody else from running.
    pub fn under_way(&self) -> u32 {
        u32::try_from(self.active.len() - self.asking.len()).unwrap_or(u32::MAX)
    }

    /// How many tasks may be under way.
    pub(super) fn most(&self) -> u32 {
        self.plan.max_parallel.min(self.room)
    }

    /// Whether more would begin if the engine had room.
    pub fn wants_room(&self) -> bool {
        let finally = match self.phase {
            Phase::Main if self.cancelled || self.undo_asked.is_some() => return false,
            Phase::Main => false,
            Phase::Finally if self.abandoned => return false,
            Phase::Finally => true,
            Phase::New | Phase::Undoing | Phase::Ended(_) => return false,
        };
        let full = self.under_way() >= self.room && self.under_way() < self.plan.max_parallel;
        full && self.paused.is_none() && self.holding.is_empty() && self.next_ready(finally).is_some()
    }

    /// The task whose turn it is, under `steps` or under `finally`.
    pub(super) fn next_ready(&self, finally: bool) -> Option<TaskIndex> {
        let border = u64::from(self.graph.first_finally()) << 32;
        let mut best: Option<((u32, u32), TaskIndex)> = None;
        for (&queue, tasks) in &self.turns.queues {
            let first = match (queue, finally) {
                (OPEN, false) => tasks.range(..(border, 0)).next(),
                (OPEN, true) => tasks.range((border, 0)..).next(),
                (step, _) => {
                    let side = step > self.graph.first_finally();
                    tasks.get_min().filter(|_| side == finally)
                }
            };
            let Some(&(_, task)) = first else { continue };
            // A task that will only be left out needs no place.
            if self.kept_by(task).is_some() && self.blamed(task).is_none() {
                continue;
            }
            let key = (self.graph.rank(task), task);
            if best.is_none_or(|best| key < best) {
                best = Some(key);
            }
        }
        best.map(|(_, task)| task)
    }

    /// A task is started, and with it its hosts and items in the steps around it.
    pub(super) fn unit_starts(&mut self, task: TaskIndex) {
        self.unit_begins(task);
        for &unit in self.graph.units(task).clone().iter() {
            self.turns.started.insert(unit);
        }
    }

    /// The hosts and items of a task take their places in the steps around it. Whoever stands in the queue for locks
    /// has one: else it could come to hold a lock while it waits for a place, and who has the place for that lock.
    pub(super) fn unit_begins(&mut self, task: TaskIndex) {
        for &unit in self.graph.units(task).clone().iter() {
            if self.turns.begun.contains_key(&unit) {
                continue;
            }
            // What waits in the queue of this step for the same host or item need not wait any more.
            let waiting: Vec<TaskIndex> = match self.turns.queues.get(&(unit.0 + 1)) {
                Some(tasks) => tasks.range((unit.1, 0)..=(unit.1, TaskIndex::MAX)).map(|(_, task)| *task).collect(),
                None => Vec::new(),
            };
            for &task in &waiting {
                self.set_ready(task, false);
            }
            let before = self.turns.settled.get(&unit).copied().unwrap_or(0);
            self.turns.begun.insert(unit, self.graph.unit_size(unit).saturating_sub(before));
            let busy = self.turns.busy.get(&unit.0).copied().unwrap_or(0);
            self.turns.busy.insert(unit.0, busy + 1);
            for &task in &waiting {
                self.set_ready(task, true);
            }
        }
    }

    /// A task is settled; with the last one of a host or item, its place is free.
    pub(super) fn unit_settles(&mut self, task: TaskIndex) {
        for &unit in self.graph.units(task).clone().iter() {
            match self.turns.begun.get(&unit).copied() {
                Some(open) => {
                    self.turns.begun.insert(unit, open.saturating_sub(1));
                    if open == 1 {
                        let busy = self.turns.busy.get(&unit.0).copied().unwrap_or(0);
                        self.turns.busy.insert(unit.0, busy.saturating_sub(1));
                    }
                }
                None => {
                    let settled = self.turns.settled.get(&unit).copied().unwrap_or(0);
                    self.turns.settled.insert(unit, settled + 1);
                }
            }
        }
    }

    /// The innermost step around a task that says how many may fail, and which of its hosts or items the task is.
    fn tolerant(&self, task: TaskIndex) -> Option<Unit> {
        let says = |unit: &&Unit| self.plan.steps[unit.0 as usize].step.tolerates().is_some();
        self.graph.units(task).iter().rev().find(says).copied()
    }

    /// Whether a failure of this task is one that its step tolerates.
    pub(super) fn is_tolerable(&self, task: TaskIndex) -> bool {
        let Some(unit) = self.tolerant(task) else { return false };
        let Some(share) = self.plan.steps[unit.0 as usize].step.tolerates() else { return false };
        let most = share.of(self.graph.total(unit.0 as usize) as usize);
        let known = self.turns.failed.contains(&unit) && !self.turns.exceeded.contains_key(&unit.0);
        known || (self.turns.failures.get(&unit.0).copied().unwrap_or(0) as usize) < most
    }

    /// A task failed: it is tolerated, or was too much for its step.
    pub(super) fn count_failure(&mut self, task: TaskIndex) {
        let Some(unit) = self.tolerant(task) else { return };
        if self.is_tolerable(task) {
            self.turns.tolerated.insert(task);
        } else {
            self.turns.exceeded.entry(unit.0).or_insert(task);
        }
        if self.turns.failed.insert(unit).is_none() {
            let failures = self.turns.failures.get(&unit.0).copied().unwrap_or(0);
            self.turns.failures.insert(unit.0, failures + 1);
        }
    }

    /// Whether a task failed and its step tolerates that.
    pub fn is_tolerated(&self, task: TaskIndex) -> bool {
        self.turns.tolerated.contains(&task)
    }

    /// How many hosts or items of a step have failed for good.
    pub fn failures_of(&self, step: usize) -> u32 {
        u32::try_from(step).ok().and_then(|step| self.turns.failures.get(&step).copied()).unwrap_or(0)
    }

    /// The failure that was too much for a step around this task, where its host or item has not begun.
    pub(super) fn too_many(&self, task: TaskIndex) -> Option<TaskIndex> {
        let fresh = |unit: &&Unit| !self.turns.started.contains(*unit);
        self.graph.units(task).iter().filter(fresh).find_map(|unit| self.turns.exceeded.get(&unit.0).copied())
    }

    /// What happens if a task fails: the step's word, else that of what it stands in, else the runbook's.
    pub(super) fn policy(&self, task: TaskIndex) -> OnFailure {
        if self.is_tolerable(task) {
            return OnFailure::Continue;
        }
        let own = self.step_of(task).on_failure.unwrap_or(self.plan.on_failure);
        // There is nothing left to take back once `finally` has begun.
        if own == OnFailure::Undo && self.is_finally(task) { OnFailure::Stop } else { own }
    }
}
