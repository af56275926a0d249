//! A job is seen to begin, ends, is stopped, is lost.

use std::sync::Arc;

use crate::ids::{JobId, Part};
use crate::plan::TaskIndex;
use crate::runbook::Action;
use crate::time::Timestamp;
use crate::value::{Map, Value};

use super::super::cause::LossCause;
use super::super::hook::Hooking;
use super::super::process::{BootId, Exit, Printed};
use super::super::state::{Run, action_at};
use super::super::task::{At, Probing, Task, TaskState, Undo};
use super::attempt::first_probe;
use super::hook::answer;

impl Run {
    pub(super) fn job_started(&mut self, job: &JobId, boot: &BootId) -> Result<(), String> {
        self.change_job(job, |t| {
            match (&mut t.state, &mut t.undo) {
                (_, Undo::Active { boot: seen, .. }) => *seen = Some(boot.clone()),
                (TaskState::Active(attempt), _) => attempt.boot = Some(boot.clone()),
                (_, _) => return Err("no job is going on".to_owned()),
            }
            Ok(())
        })?;
        Ok(())
    }

    pub(super) fn job_exited(
        &mut self,
        job: &JobId,
        exit: Exit,
        printed: &Printed,
        outputs: &Map<String, Value>,
        at: Timestamp,
    ) -> Result<(), String> {
        let index = self.change_job(job, |t| {
            if job.part == Part::Main {
                t.exit = Some(exit);
                t.printed = printed.clone();
                t.outputs = Arc::new(outputs.clone());
            }
            if let (Part::Call, TaskState::Active(attempt)) = (job.part, &mut t.state)
                && let At::Hook(hooking) = &mut attempt.at
            {
                let mut value = outputs.clone();
                value.insert("exit".to_owned(), exit.0.into());
                answer(hooking, Value::Object(value));
            }
            Ok(())
        })?;
        self.job_over(index, job, at, exit.is_success())?;
        Ok(())
    }

    pub(super) fn job_stopped(&mut self, job: &JobId, exit: Option<Exit>, printed: &Printed) -> Result<(), String> {
        self.change_job(job, |t| {
            if job.part == Part::Main {
                t.exit = exit;
                t.printed = printed.clone();
            }
            match (&mut t.state, &t.undo) {
                (_, Undo::Active { number, .. }) => t.undo = Undo::Over(*number),
                (TaskState::Active(attempt), _) => attempt.at = At::Over,
                (_, _) => return Err("no job is going on".to_owned()),
            }
            Ok(())
        })?;
        Ok(())
    }

    pub(super) fn job_lost(&mut self, job: &JobId, why: &LossCause, at: Timestamp) -> Result<(), String> {
        let index = self.indexed(job)?;
        let step = self.step_of(index);
        let can_look = step.unless.is_some() || step.verify.is_some();
        let verify = step.verify.is_some();
        // That its host was started anew is what a `reboot` is for.
        let rebooted = matches!(step.action, Action::Reboot(_)) && *why == LossCause::HostRebooted;
        self.change_job(job, |t| {
            if let Undo::Active { number, .. } = t.undo {
                t.undo = Undo::Over(number);
                return Ok(());
            }
            let TaskState::Active(attempt) = &mut t.state else { return Err("no job is going on".to_owned()) };
            attempt.boot = None;
            attempt.since = at;
            attempt.at = match &attempt.at {
                At::Main if rebooted && verify && attempt.stopping.is_none() => {
                    t.probes += 1;
                    At::Probe(first_probe(at))
                }
                At::Main if rebooted => At::Over,
                At::Main if can_look && attempt.stopping.is_none() => {
                    t.probes += 1;
                    At::Settle { loss: why.clone() }
                }
                At::Hook(hooking) => lost_call(hooking, why, can_look && attempt.stopping.is_none(), &mut t.probes),
                At::Settle { loss } => At::Lost(loss.clone()),
                // Whether it is asked again is a decision.
                At::Probe(probing) if attempt.stopping.is_none() => {
                    At::Probe(Probing { next: Some(at), ..probing.clone() })
                }
                At::Main | At::Unless | At::Probe(_) => At::Lost(why.clone()),
                At::Transfer | At::Wait(_) | At::Assert | At::Approval(_) | At::Lost(_) | At::Over => {
                    return Err("no job is going on".to_owned());
                }
            };
            Ok(())
        })?;
        Ok(())
    }

    /// What follows from a job's exit status in the attempt itself.
    fn job_over(&mut self, index: TaskIndex, job: &JobId, at: Timestamp, passed: bool) -> Result<(), String> {
        let step = self.step_of(index);
        let verify = step.verify.is_some();
        let reboot = matches!(step.action, Action::Reboot(_));
        let action = action_at(step, at);
        let mut begins = false;
        self.change(index, |t| {
            if let Undo::Active { number, .. } = t.undo {
                t.undo = Undo::Over(number);
                return Ok(());
            }
            let TaskState::Active(attempt) = &mut t.state else { return Err("no job is going on".to_owned()) };
            attempt.boot = None;
            if attempt.stopping.is_some() {
                attempt.at = At::Over;
                return Ok(());
            }
            attempt.since = at;
            attempt.at = match (&attempt.at, job.part) {
                (At::Unless, Part::Unless) if !passed => {
                    begins = true;
                    t.probes += u32::from(matches!(action, At::Probe(_)));
                    action
                }
                (At::Main, Part::Main) if passed && verify && !reboot => {
                    t.probes += 1;
                    At::Probe(first_probe(at))
                }
                (At::Hook(hooking), Part::Call) => At::Hook(hooking.clone()),
                // Whether it is asked again is a decision.
                (At::Probe(probing), Part::Verify) if !passed => {
                    At::Probe(Probing { next: Some(at), ..probing.clone() })
                }
                (_, _) => At::Over,
            };
            Ok(())
        })?;
        if begins {
            self.begins(index);
        }
        Ok(())
    }

    fn change_job(
        &mut self,
        job: &JobId,
        change: impl FnOnce(&mut Task) -> Result<(), String>,
    ) -> Result<TaskIndex, String> {
        let index = self.indexed(job)?;
        self.change(index, change)?;
        Ok(index)
    }
}

/// Where a hook stands whose call is lost: where it may be repeated, without a job for it; else as after any lost job.
fn lost_call(hooking: &Hooking, why: &LossCause, can_look: bool, probes: &mut u32) -> At {
    match hooking.calls.last() {
        Some(call) if call.safe => {
            let mut hooking = hooking.clone();
            if let Some(mut last) = hooking.calls.pop_back() {
                Arc::make_mut(&mut last).round = 0;
                hooking.calls.push_back(last);
            }
            At::Hook(hooking)
        }
        Some(_) | None if can_look && hooking.part == Part::Main => {
            *probes += 1;
            At::Settle { loss: why.clone() }
        }
        Some(_) | None => At::Lost(why.clone()),
    }
}
