//! A task comes to its end, or waits for a person.

use std::sync::Arc;

use crate::ids::TaskId;
use crate::plan::{GATE, TaskIndex};
use crate::runbook::OnFailure;
use crate::time::Timestamp;
use crate::value::{Map, Value};

use super::super::cause::{FailureCause, ParkCause, SkipCause, SuccessCause};
use super::super::hold::Hold;
use super::super::state::{Phase, Run};
use super::super::task::{At, Attempt, Probing, Task, TaskState, Undo};
use super::attempt::first_probe;
use super::only;

impl Run {
    pub(super) fn task_skipped(&mut self, task: &TaskId, why: &SkipCause, at: Timestamp) -> Result<(), String> {
        let index = self.named(task)?;
        self.change(index, |t| {
            let legal = match (&t.state, why) {
                (TaskState::Waiting, _) => true,
                (TaskState::Parked(_), SkipCause::ByHand) => true,
                (_, _) => false,
            };
            settle(t, legal, TaskState::Skipped(why.clone()), at)
        })?;
        let blame = match why {
            SkipCause::NeedFailed(root) | SkipCause::TooManyFailed(root) => Some(self.named(root)?),
            SkipCause::When | SkipCause::ByHand | SkipCause::RunStopped => None,
        };
        self.settled(index, blame);
        Ok(())
    }

    pub(super) fn task_succeeded(&mut self, task: &TaskId, how: SuccessCause, at: Timestamp) -> Result<(), String> {
        let index = self.named(task)?;
        self.change(index, |t| {
            let legal = match how {
                SuccessCause::ByHand => matches!(t.state, TaskState::Active(_) | TaskState::Parked(_)),
                SuccessCause::Ran
                | SuccessCause::AlreadyDone
                | SuccessCause::FoundDone
                | SuccessCause::Approved
                | SuccessCause::Unopposed => {
                    matches!(t.state, TaskState::Active(_))
                }
            };
            settle(t, legal, TaskState::Succeeded(how), at)
        })?;
        self.settled(index, None);
        Ok(())
    }

    pub(super) fn task_failed(&mut self, task: &TaskId, cause: &FailureCause, at: Timestamp) -> Result<(), String> {
        let index = self.named(task)?;
        self.change(index, |t| {
            let legal = matches!(t.state, TaskState::Active(_) | TaskState::Pausing(_));
            settle(t, legal, TaskState::Failed(cause.clone()), at)
        })?;
        self.failed += 1;
        let policy = self.policy(index);
        if self.phase == Phase::Main && !self.cancelled {
            self.count_failure(index);
        }
        if policy == OnFailure::Undo && self.phase == Phase::Main && !self.cancelled {
            self.undo_asked.get_or_insert(index);
        }
        self.settled(index, Some(index));
        Ok(())
    }

    pub(super) fn task_parked(&mut self, task: &TaskId, why: &ParkCause) -> Result<(), String> {
        let index = self.named(task)?;
        self.change(index, |t| {
            match (&mut t.undo, why) {
                (
                    Undo::Over(number) | Undo::Parked(number, _) | Undo::Active { number, .. },
                    ParkCause::UndoFailed(cause),
                ) => {
                    t.undo = Undo::Parked(*number, cause.clone());
                }
                (undo @ Undo::Not, ParkCause::UndoFailed(cause)) => *undo = Undo::Parked(0, cause.clone()),
                (_, _) => {
                    only(matches!(t.state, TaskState::Active(_)))?;
                    t.state = TaskState::Parked(why.clone());
                }
            }
            Ok(())
        })?;
        Ok(())
    }

    pub(super) fn resolve_started(
        &mut self,
        task: &TaskId,
        outputs: &Map<String, Value>,
        at: Timestamp,
    ) -> Result<(), String> {
        let index = self.named(task)?;
        let ask = self.step_of(index).verify.is_some();
        self.change(index, |t| {
            only(matches!(t.state, TaskState::Parked(_)))?;
            t.outputs = Arc::new(outputs.clone());
            t.probes += 1;
            let probing = Probing { by_hand: true, ..first_probe(at) };
            let phase = if ask { At::Probe(probing) } else { At::Over };
            t.state = TaskState::Active(Attempt { at: phase, deadline: None, stopping: None, since: at, boot: None });
            Ok(())
        })?;
        Ok(())
    }

    pub(super) fn task_released(&mut self, task: &TaskId) -> Result<(), String> {
        let index = self.named(task)?;
        self.change(index, |t| {
            match (&t.state, &t.undo) {
                // It could not begin: its turn comes anew.
                (_, Undo::Parked(0, _)) => t.undo = Undo::Not,
                (_, Undo::Parked(..)) => {}
                (TaskState::Parked(_), _) => t.state = TaskState::Waiting,
                (_, _) => return Err("it is not parked".to_owned()),
            }
            t.released = t.attempts;
            t.repeated = 0;
            Ok(())
        })?;
        Ok(())
    }

    /// A task has come to its end: whoever waits for it alone may go on, or knows that it never will.
    pub(in crate::run) fn settled(&mut self, index: TaskIndex, blame: Option<TaskIndex>) {
        self.settled[usize::from(self.is_finally(index))] += 1;
        self.unit_settles(index);
        let graph = self.graph.clone();
        let mut open = vec![index];
        while let Some(node) = open.pop() {
            // What came through to a gate stands with the gate: a tolerated failure does not.
            let blame = if node == index { blame } else { self.blame.get(&node).copied() };
            for &after in graph.after(node) {
                let gate = after & GATE != 0;
                // What a step tolerates keeps its own host or item from going on, and nobody else.
                let passes = |root: &TaskIndex| !gate || graph.is_within(after) || !self.is_tolerated(*root);
                if let Some(blame) = blame.filter(passes) {
                    self.blame.entry(after).or_insert(blame);
                }
                let count = if gate { &mut self.unmet_gates } else { &mut self.unmet };
                let at = (after & !GATE) as usize;
                let unmet = count[at].saturating_sub(1);
                count.set(at, unmet);
                match (unmet, gate) {
                    (0, true) => open.push(after),
                    (0, false) if self.stands_when_met(after) => {
                        self.settled[usize::from(self.is_finally(after))] += 1;
                        self.unit_settles(after);
                        open.push(after);
                    }
                    (0, false) if self.task(after).state == TaskState::Waiting => self.set_ready(after, true),
                    (_, _) => {}
                }
            }
        }
    }
}

fn settle(task: &mut Task, legal: bool, state: TaskState, at: Timestamp) -> Result<(), String> {
    only(legal)?;
    task.state = state;
    task.hold = Hold::No;
    task.ended = Some(at);
    Ok(())
}
