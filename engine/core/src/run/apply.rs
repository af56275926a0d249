//! Takes facts into the state. Decides nothing: every fact means one thing in one state, or is illegal there.

mod attempt;
mod course;
mod grow;
mod hook;
mod job;
mod task;

use crate::ids::{JobId, TaskId};
use crate::plan::TaskIndex;
use crate::time::Timestamp;

use super::event::{Event, Recorded};
use super::state::{Phase, Run};

/// A fact that cannot be true in the state it meets: the journal belongs to another plan, or is not in order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {seq} cannot follow what was before it: {why}")]
pub struct IllegalEvent {
    /// The event's sequence number.
    pub seq: u64,
    /// What does not fit.
    pub why: String,
}

impl Run {
    /// Takes one fact into the state; decides nothing. After an error the state is not to be used any more.
    pub fn apply(&mut self, recorded: &Recorded<Event>) -> Result<(), IllegalEvent> {
        let illegal = |why: String| IllegalEvent { seq: recorded.seq, why };
        if recorded.seq != self.seq + 1 {
            return Err(illegal(format!("it should be number {}", self.seq + 1)));
        }
        match self.phase {
            Phase::Ended(_) if !matches!(recorded.event, Event::EngineTook { .. } | Event::WordTaken { .. }) => {
                return Err(illegal("the run is over".to_owned()));
            }
            Phase::New if !matches!(recorded.event, Event::RunCreated { .. }) => {
                return Err(illegal("the run has not been created".to_owned()));
            }
            Phase::New | Phase::Main | Phase::Undoing | Phase::Finally | Phase::Ended(_) => {}
        }
        self.take(&recorded.event, recorded.at).map_err(illegal)?;
        self.seq = recorded.seq;
        self.changed = recorded.at;
        Ok(())
    }

    fn take(&mut self, event: &Event, at: Timestamp) -> Result<(), String> {
        match event {
            Event::RunCreated { by, plan, .. } => {
                if self.phase != Phase::New {
                    return Err("the run was created before".to_owned());
                }
                self.phase = Phase::Main;
                self.by = by.as_str().into();
                self.created = at;
                self.digest = Some(*plan);
                Ok(())
            }
            Event::EngineTook { .. } => {
                self.await_secrets();
                Ok(())
            }
            Event::SecretsFetched { marks, changed } => self.secrets_fetched(marks, changed, at),
            Event::SecretsMissing { missing } => self.secrets_missing(missing),
            Event::TakenOver { from, tasks, .. } => self.taken_over(*from, tasks),
            Event::PlanReplaced { plan, text, .. } => self.plan_replaced(*plan, text),
            Event::WordTaken { id, .. } => {
                if self.last_word >= Some(*id) {
                    return Err(format!("word {} was taken before", id.0));
                }
                self.last_word = Some(*id);
                Ok(())
            }
            Event::AttemptStarted { task, attempt, deadline } => self.attempt_started(task, *attempt, *deadline, at),
            Event::StepExpanded { task, items } => self.step_expanded(task, items, at),
            Event::CallEntered { task, params } => self.call_entered(task, params, at),
            Event::TaskUnstartable { task } => self.task_unstartable(task, at),
            Event::Transferred { task, attempt, .. } => self.transferred(task, *attempt, at),
            Event::TransferProgressed { task, attempt, .. } => self.transfer_progressed(task, *attempt),
            Event::AttemptTimedOut { task, attempt } => self.attempt_timed_out(task, *attempt),
            Event::AttemptFailed { task, attempt, cause } => self.attempt_failed(task, *attempt, cause),
            Event::RetryScheduled { task, at: due, repeat } => self.retry_scheduled(task, *due, *repeat),
            Event::ProbeScheduled { task, at: due } => self.probe_scheduled(task, *due),
            Event::ProbeStarted { task } => self.probe_started(task, at),
            Event::WaitStarted { task, until } => self.wait_started(task, *until),
            Event::JobStarted { job, boot } => self.job_started(job, boot),
            Event::JobExited { job, exit, printed, outputs } => self.job_exited(job, *exit, printed, outputs, at),
            Event::JobStopped { job, exit, printed } => self.job_stopped(job, *exit, printed),
            Event::JobLost { job, why } => self.job_lost(job, why, at),
            Event::HookStarted { hook } => self.hook_started(hook, at),
            Event::HookCalled { hook, call } => self.hook_called(hook, call, at),
            Event::HookEnded { hook, outputs, printed, failure } => {
                self.hook_ended(hook, outputs, printed, failure.is_none(), at)
            }
            Event::TaskSkipped { task, why } => self.task_skipped(task, why, at),
            Event::TaskSucceeded { task, how } => self.task_succeeded(task, *how, at),
            Event::TaskFailed { task, cause } => self.task_failed(task, cause, at),
            Event::TaskParked { task, why } => self.task_parked(task, why),
            Event::ResolveStarted { task, outputs } => self.resolve_started(task, outputs, at),
            Event::TaskReleased { task } => self.task_released(task),
            Event::ApprovalAsked { task, attempt, text, facts, .. } => {
                self.approval_asked(task, *attempt, text, *facts)
            }
            Event::Voted { task, attempt, by, yes, .. } => self.voted(task, *attempt, by, *yes),
            Event::LocksAsked { task, locks } => self.locks_asked(task.as_ref(), locks),
            Event::LocksTaken { task } => self.locks_taken(task.as_ref()),
            Event::LocksRefused { task, .. } => self.locks_refused(task),
            Event::RunPaused { by, why } => self.run_paused(by, why),
            Event::RunResumed => self.run_resumed(),
            Event::CancelStarted => self.cancel_started(at),
            Event::UndoStarted { because } => self.undo_started(because.as_ref(), at),
            Event::UndoAttemptStarted { task, attempt, deadline } => {
                self.undo_attempt_started(task, *attempt, *deadline, at)
            }
            Event::UndoTimedOut { task, attempt } => self.undo_timed_out(task, *attempt),
            Event::TaskUndone { task } => self.task_undone(task),
            Event::UndoSkipped { task } => self.undo_skipped(task),
            Event::FinallyStarted => self.finally_started(),
            Event::RunEnded { outcome } => self.run_ended(*outcome),
        }
    }

    pub(super) fn named(&self, task: &TaskId) -> Result<TaskIndex, String> {
        self.graph.find(task).ok_or_else(|| format!("the plan has no task {task}"))
    }

    fn indexed(&self, job: &JobId) -> Result<TaskIndex, String> {
        let index = self.named(&job.attempt.task)?;
        if self.job_of(index, self.task(index)).as_ref() != Some(job) {
            return Err(format!("{job} is not the job that is going on"));
        }
        Ok(index)
    }
}

fn only(legal: bool) -> Result<(), String> {
    if legal { Ok(()) } else { Err("the task is not in the state for it".to_owned()) }
}
