//! Decides which facts follow from news. Changes nothing: what follows from what is tried out on a copy.

mod grow;
mod hooks;
mod jobs;
mod progress;

use crate::ids::{AttemptId, JobId, Part, TaskId};
use crate::plan::TaskIndex;
use crate::time::Timestamp;

use super::cause::{FailureCause, SuccessCause};
use super::effect::Effect;
use super::event::{Event, Recorded};
use super::input::{Input, Refusal};
use super::secrets::Held;
use super::state::Run;
use super::task::{At, Stopping, TaskState};

impl Run {
    /// Decides which facts follow from `input`; changes nothing. News that no longer matters gives no facts.
    pub fn decide(&self, input: &Input, now: Timestamp) -> Vec<Event> {
        let mut draft = Draft { run: self.clone(), now, events: Vec::new() };
        draft.react(input);
        draft.go_on();
        draft.events
    }
}

/// A copy of the run on which facts are tried out.
pub(super) struct Draft {
    pub(super) run: Run,
    pub(super) now: Timestamp,
    pub(super) events: Vec<Event>,
}

impl Draft {
    pub(super) fn push(&mut self, event: Event) {
        let recorded = Recorded { seq: self.run.seq + 1, at: self.now, event };
        let taken = self.run.apply(&recorded);
        debug_assert_eq!(taken, Ok(()), "decided {:?}", recorded.event);
        if taken.is_ok() {
            self.events.push(recorded.event);
        }
    }

    pub(super) fn name(&self, task: TaskIndex) -> TaskId {
        self.run.graph.id(task).clone()
    }

    fn react(&mut self, input: &Input) {
        match input {
            Input::Took { engine, fence } => {
                self.push(Event::EngineTook { engine: engine.clone(), fence: *fence });
            }
            // What may begin now begins in any case.
            Input::Room => {}
            Input::SecretsFetched { marks } => {
                if let Some(event) = self.run.secrets_fetched_now(marks) {
                    self.push(event);
                }
            }
            Input::SecretsMissing { missing } => {
                if self.run.secrets().held == Held::Awaited {
                    self.push(Event::SecretsMissing { missing: missing.clone() });
                }
            }
            Input::JobStarted { job, boot } => {
                if self.current(job).is_some() {
                    self.push(Event::JobStarted { job: job.clone(), boot: boot.clone() });
                }
            }
            Input::JobExited { job, exit, printed, outputs } => {
                if let Some(task) = self.current(job) {
                    let before = self.at(task);
                    let (outputs, unreadable) = match outputs {
                        Ok(values) => (values.clone(), None),
                        // A hook is told, and goes on or not.
                        Err(why) if job.part == Part::Call => {
                            let said = [("error".to_owned(), why.as_str().into())];
                            (said.into_iter().collect(), None)
                        }
                        Err(why) => (crate::value::Map::new(), Some(why.clone())),
                    };
                    self.push(Event::JobExited { job: job.clone(), exit: *exit, printed: printed.clone(), outputs });
                    self.exited(task, job.part, before, *exit, unreadable);
                }
            }
            Input::JobStopped { job, exit, printed } => {
                if let Some(task) = self.current(job) {
                    let undo = self.run.task(task).undo.clone();
                    self.push(Event::JobStopped { job: job.clone(), exit: *exit, printed: printed.clone() });
                    if job.part == Part::Undo {
                        self.undo_stopped(task, &undo);
                    } else {
                        self.stopped(task, job.part);
                    }
                }
            }
            Input::JobLost { job, why } => {
                if let Some(task) = self.current(job) {
                    let before = self.at(task);
                    self.push(Event::JobLost { job: job.clone(), why: why.clone() });
                    self.lost(task, job.part, before, why);
                }
            }
            Input::JobRefused { job, why } => {
                if let Some(task) = self.current(job) {
                    self.refused(task, job.part, why);
                }
            }
            Input::HookCalled { hook, call } => self.hook_called(hook, call),
            Input::HookDiffered { hook, number, recorded, made } => {
                self.hook_differed(hook, *number, recorded, made);
            }
            Input::HookEnded { hook, end, printed } => self.hook_ended(hook, end, printed),
            Input::Transferred { attempt, bytes, digest } => {
                let effect = Effect::Transfer(attempt.clone());
                if let Some(task) = self.run.graph.find(&attempt.task).filter(|_| self.run.wanted.contains(&effect)) {
                    let (bytes, digest, number) = (*bytes, *digest, attempt.number);
                    self.push(Event::Transferred { task: attempt.task.clone(), attempt: number, bytes, digest });
                    if self.at(task) == Some(At::Over) {
                        self.succeed(task, SuccessCause::Ran);
                    }
                }
            }
            Input::TransferProgressed { attempt, moved, total, left } => {
                if self.run.wanted.contains(&Effect::Transfer(attempt.clone())) {
                    let (task, attempt) = (attempt.task.clone(), attempt.number);
                    let (moved, total, left) = (*moved, *total, *left);
                    self.push(Event::TransferProgressed { task, attempt, moved, total, left });
                }
            }
            Input::TransferFailed { attempt, why } => {
                let effect = Effect::Transfer(attempt.clone());
                if let Some(task) = self.run.graph.find(&attempt.task).filter(|_| self.run.wanted.contains(&effect)) {
                    let cause = match why {
                        Refusal::Unreachable(why) => FailureCause::Unreachable(why.clone()),
                        Refusal::Refused(why) => FailureCause::Transfer(why.clone()),
                    };
                    self.fail(task, cause);
                }
            }
            Input::Replanned { by, why, text } => self.replanned(by, why, text),
            Input::TimerFired(timer) => self.fired(timer),
            Input::LocksTaken(task) => self.granted(task.as_ref(), None),
            Input::LocksRefused { task, why } => self.granted(task.as_ref(), Some(why)),
            Input::Said { id, by, word } => self.said(*id, by, word),
        }
    }

    /// The task whose job this is, if it is what is going on there now.
    pub(super) fn current(&self, job: &JobId) -> Option<TaskIndex> {
        let task = self.run.graph.find(&job.attempt.task)?;
        (self.run.job_of(task, self.run.task(task)).as_ref() == Some(job)).then_some(task)
    }

    pub(super) fn at(&self, task: TaskIndex) -> Option<At> {
        match &self.run.task(task).state {
            TaskState::Active(attempt) => Some(attempt.at.clone()),
            TaskState::Waiting
            | TaskState::Pausing(_)
            | TaskState::Parked(_)
            | TaskState::Succeeded(_)
            | TaskState::Skipped(_)
            | TaskState::Failed(_) => None,
        }
    }

    pub(super) fn stopping(&self, task: TaskIndex) -> Option<Stopping> {
        match &self.run.task(task).state {
            TaskState::Active(attempt) => attempt.stopping,
            TaskState::Waiting
            | TaskState::Pausing(_)
            | TaskState::Parked(_)
            | TaskState::Succeeded(_)
            | TaskState::Skipped(_)
            | TaskState::Failed(_) => None,
        }
    }

    pub(super) fn succeed(&mut self, task: TaskIndex, how: SuccessCause) {
        let worked = matches!(how, SuccessCause::Ran | SuccessCause::FoundDone);
        if worked && self.run.step_of(task).after.is_some() && self.stopping(task).is_none() {
            let attempt = AttemptId { task: self.name(task), number: self.run.task(task).attempts };
            return self.push(Event::HookStarted { hook: JobId { attempt, part: Part::After, round: 1 } });
        }
        self.push(Event::TaskSucceeded { task: self.name(task), how });
    }
}
