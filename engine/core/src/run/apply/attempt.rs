//! An attempt begins, fails, is put off, asks.

use crate::ids::{Part, TaskId};
use crate::plan::TaskIndex;
use crate::time::Timestamp;

use super::super::cause::FailureCause;
use super::super::hook::Hooking;
use super::super::state::{Run, action_at};
use super::super::task::{At, Attempt, Probing, Stopping, Task, TaskState};
use super::only;

impl Run {
    pub(super) fn attempt_started(
        &mut self,
        task: &TaskId,
        attempt: u32,
        deadline: Option<Timestamp>,
        at: Timestamp,
    ) -> Result<(), String> {
        let index = self.named(task)?;
        let step = self.step_of(index);
        let has_unless = step.unless.is_some();
        let has_before = step.before.is_some();
        let first = match (has_before, has_unless) {
            (true, _) => At::Hook(Hooking::new(Part::Before)),
            (false, true) => At::Unless,
            (false, false) => action_at(step, at),
        };
        self.change(index, |t| {
            only(matches!(t.state, TaskState::Waiting | TaskState::Pausing(_)) && attempt == t.attempts + 1)?;
            t.attempts = attempt;
            t.probes = u32::from(matches!(first, At::Unless | At::Probe(_)));
            t.calls = 0;
            t.started.get_or_insert(at);
            t.ended = None;
            t.state = TaskState::Active(Attempt { at: first, deadline, stopping: None, since: at, boot: None });
            Ok(())
        })?;
        self.unit_starts(index);
        if !has_unless && !has_before {
            self.begins(index);
        }
        Ok(())
    }

    pub(super) fn task_unstartable(&mut self, task: &TaskId, at: Timestamp) -> Result<(), String> {
        let index = self.named(task)?;
        self.change(index, |t| {
            only(matches!(t.state, TaskState::Waiting | TaskState::Pausing(_)))?;
            t.attempts += 1;
            t.probes = 0;
            t.state = over(at);
            t.started.get_or_insert(at);
            Ok(())
        })?;
        Ok(())
    }

    pub(super) fn transferred(&mut self, task: &TaskId, attempt: u32, at: Timestamp) -> Result<(), String> {
        let index = self.named(task)?;
        let step = self.step_of(index);
        let verify = step.verify.is_some();
        self.change_attempt(index, attempt, |t, a| {
            only(a.at == At::Transfer)?;
            a.at = if verify { At::Probe(first_probe(at)) } else { At::Over };
            t.probes += 1;
            Ok(())
        })?;
        Ok(())
    }

    pub(super) fn transfer_progressed(&mut self, task: &TaskId, attempt: u32) -> Result<(), String> {
        let index = self.named(task)?;
        self.change_attempt(index, attempt, |_, a| only(a.at == At::Transfer))
    }

    pub(super) fn attempt_timed_out(&mut self, task: &TaskId, attempt: u32) -> Result<(), String> {
        let index = self.named(task)?;
        self.change_attempt(index, attempt, |_, a| {
            a.stopping = Some(Stopping::TimedOut);
            a.deadline = None;
            Ok(())
        })?;
        Ok(())
    }

    pub(super) fn attempt_failed(&mut self, task: &TaskId, attempt: u32, cause: &FailureCause) -> Result<(), String> {
        let index = self.named(task)?;
        let never_began = matches!(cause, FailureCause::Unreachable(_) | FailureCause::Refused(_))
            && self.task(index).began == Some(attempt);
        self.change_attempt(index, attempt, |t, a| {
            // What a hook asked for before has happened, and so has the action that its `after` follows.
            let hooked = matches!(&a.at, At::Hook(h) if h.answered() > 0 || h.part == Part::After);
            a.at = At::Over;
            a.deadline = None;
            if never_began && !hooked {
                t.began = None;
            }
            Ok(())
        })?;
        if never_began && self.step_of(index).point_of_no_return {
            self.no_return = self.no_return.saturating_sub(1);
        }
        Ok(())
    }

    pub(super) fn retry_scheduled(&mut self, task: &TaskId, due: Timestamp, repeat: bool) -> Result<(), String> {
        let index = self.named(task)?;
        self.change(index, |t| {
            only(matches!(t.state, TaskState::Active(_)))?;
            t.repeated += u32::from(repeat);
            t.state = TaskState::Pausing(due);
            Ok(())
        })?;
        Ok(())
    }

    pub(super) fn probe_scheduled(&mut self, task: &TaskId, due: Timestamp) -> Result<(), String> {
        let index = self.named(task)?;
        self.change(index, |t| {
            let TaskState::Active(Attempt { at: At::Probe(probing), .. }) = &mut t.state else {
                return Err("nothing is being asked".to_owned());
            };
            probing.next = Some(due);
            Ok(())
        })?;
        Ok(())
    }

    pub(super) fn probe_started(&mut self, task: &TaskId, at: Timestamp) -> Result<(), String> {
        let index = self.named(task)?;
        self.change(index, |t| {
            let TaskState::Active(attempt) = &mut t.state else {
                return Err("it is not being tried".to_owned());
            };
            attempt.boot = None;
            attempt.since = at;
            if let At::Probe(probing) = &mut attempt.at {
                probing.next = None;
            }
            t.probes += 1;
            Ok(())
        })?;
        Ok(())
    }

    pub(super) fn wait_started(&mut self, task: &TaskId, until: Timestamp) -> Result<(), String> {
        let index = self.named(task)?;
        self.change(index, |t| {
            let TaskState::Active(Attempt { at: At::Wait(end @ None), .. }) = &mut t.state else {
                return Err("it is not about to wait".to_owned());
            };
            *end = Some(until);
            Ok(())
        })?;
        Ok(())
    }

    pub(super) fn begins(&mut self, index: TaskIndex) {
        let point = self.step_of(index).point_of_no_return;
        if let Some(task) = self.tasks.get_mut(index as usize)
            && task.began.is_none()
        {
            task.began = Some(task.attempts);
            self.begun.push_back(index);
            self.no_return += u32::from(point);
        }
    }

    fn change_attempt(
        &mut self,
        index: TaskIndex,
        number: u32,
        change: impl FnOnce(&mut Task, &mut Attempt) -> Result<(), String>,
    ) -> Result<(), String> {
        self.change(index, |task| {
            only(task.attempts == number)?;
            let TaskState::Active(mut attempt) = std::mem::take(&mut task.state) else {
                return Err("it is not being tried".to_owned());
            };
            change(task, &mut attempt)?;
            task.state = TaskState::Active(attempt);
            Ok(())
        })
    }
}

pub(super) fn first_probe(at: Timestamp) -> Probing {
    Probing { since: at, next: None, by_hand: false }
}

/// An attempt of which only the decision is left.
pub(super) fn over(at: Timestamp) -> TaskState {
    TaskState::Active(Attempt { at: At::Over, deadline: None, stopping: None, since: at, boot: None })
}
