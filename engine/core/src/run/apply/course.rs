//! The run changes its course: cancelled, undone, finishing, over.

use imbl::OrdSet;

use crate::ids::TaskId;
use crate::time::Timestamp;

use super::super::cause::Outcome;
use super::super::effect::Change;
use super::super::hold::Hold;
use super::super::state::{Phase, Run};
use super::super::task::{Stopping, TaskState, Undo};
use super::attempt::over;
use super::only;

impl Run {
    pub(super) fn cancel_started(&mut self, at: Timestamp) -> Result<(), String> {
        self.cancelled = true;
        self.abandoned = self.phase == Phase::Finally || !self.has_its_locks();
        self.undo_asked = None;
        self.set_paused(None);
        self.leave_queues();
        self.stop_all(at);
        Ok(())
    }

    pub(super) fn undo_started(&mut self, because: Option<&TaskId>, at: Timestamp) -> Result<(), String> {
        if let Some(task) = because {
            self.named(task)?;
        }
        if self.phase != Phase::Main {
            return Err("there is nothing to undo now".to_owned());
        }
        self.phase = Phase::Undoing;
        self.undone = true;
        self.undo_asked = None;
        self.set_paused(None);
        self.leave_queues();
        self.stop_all(at);
        // What waits for a person in the main part need not be decided any more, and asks anew for what its undo must have:
        // whoever held one thing while they wait for another could do so for ever.
        self.give_up();
        self.holding = OrdSet::new();
        self.parked = OrdSet::new();
        Ok(())
    }

    pub(super) fn undo_attempt_started(
        &mut self,
        task: &TaskId,
        attempt: u32,
        deadline: Option<Timestamp>,
        at: Timestamp,
    ) -> Result<(), String> {
        let index = self.named(task)?;
        self.change(index, |t| {
            let legal = match &t.undo {
                Undo::Not => attempt == 1,
                Undo::Parked(number, _) => attempt == number + 1,
                Undo::Active { .. } | Undo::Over(_) | Undo::Done | Undo::Left => false,
            };
            only(legal)?;
            t.undo = Undo::Active { number: attempt, since: at, boot: None, deadline, stopping: None };
            Ok(())
        })?;
        Ok(())
    }

    pub(super) fn undo_timed_out(&mut self, task: &TaskId, attempt: u32) -> Result<(), String> {
        let index = self.named(task)?;
        self.change(index, |t| match &mut t.undo {
            Undo::Active { number, deadline, stopping, .. } if *number == attempt => {
                stopping.get_or_insert(Stopping::TimedOut);
                *deadline = None;
                Ok(())
            }
            Undo::Not | Undo::Active { .. } | Undo::Over(_) | Undo::Parked(..) | Undo::Done | Undo::Left => {
                Err("it is not being taken back".to_owned())
            }
        })
    }

    pub(super) fn task_undone(&mut self, task: &TaskId) -> Result<(), String> {
        let index = self.named(task)?;
        self.change(index, |t| {
            only(matches!(t.undo, Undo::Over(_) | Undo::Parked(..)))?;
            t.undo = Undo::Done;
            t.hold = Hold::No;
            Ok(())
        })?;
        Ok(())
    }

    pub(super) fn undo_skipped(&mut self, task: &TaskId) -> Result<(), String> {
        let index = self.named(task)?;
        self.change(index, |t| {
            only(matches!(t.undo, Undo::Over(_) | Undo::Parked(..)))?;
            t.undo = Undo::Left;
            t.hold = Hold::No;
            Ok(())
        })?;
        Ok(())
    }

    pub(super) fn finally_started(&mut self) -> Result<(), String> {
        // What holds a lock and is never decided would keep `finally` from having it.
        self.give_up();
        self.phase = Phase::Finally;
        self.parked = OrdSet::new();
        self.holding = OrdSet::new();
        Ok(())
    }

    pub(super) fn run_ended(&mut self, outcome: Outcome) -> Result<(), String> {
        self.phase = Phase::Ended(outcome);
        let gone = std::mem::take(&mut self.wanted);
        self.changes.extend(gone.into_iter().map(Change::Drop));
        Ok(())
    }

    /// The parked tasks give their locks back.
    fn give_up(&mut self) {
        for index in self.parked.iter().copied().collect::<Vec<_>>() {
            // The closure refuses nothing, so neither does the change.
            let _infallible = self.change(index, |t| {
                t.hold = Hold::No;
                Ok(())
            });
        }
    }

    /// Everything in flight is to be stopped.
    fn stop_all(&mut self, at: Timestamp) {
        for index in self.active.iter().copied().collect::<Vec<_>>() {
            // The closure refuses nothing, so neither does the change.
            let _infallible = self.change(index, |t| {
                match &mut t.state {
                    TaskState::Active(attempt) => {
                        attempt.stopping.get_or_insert(Stopping::Cancelled);
                        attempt.deadline = None;
                    }
                    TaskState::Pausing(_) => {
                        t.state = over(at);
                        if let TaskState::Active(attempt) = &mut t.state {
                            attempt.stopping = Some(Stopping::Cancelled);
                        }
                    }
                    TaskState::Waiting
                    | TaskState::Parked(_)
                    | TaskState::Succeeded(_)
                    | TaskState::Skipped(_)
                    | TaskState::Failed(_) => {}
                }
                if let Undo::Active { deadline, stopping, .. } = &mut t.undo {
                    stopping.get_or_insert(Stopping::Cancelled);
                    *deadline = None;
                }
                Ok(())
            });
        }
    }
}
