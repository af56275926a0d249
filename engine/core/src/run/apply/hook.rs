//! A hook begins, asks for something, is answered, ends.

use std::sync::Arc;

use crate::ids::{JobId, Part};
use crate::time::Timestamp;
use crate::value::{Map, Value};

use super::super::hook::{HookCall, Hooking};
use super::super::process::Printed;
use super::super::state::{Run, action_at};
use super::super::task::{At, Task, TaskState};
use super::attempt::first_probe;
use super::only;

impl Run {
    /// The hook after the action begins; the others begin with what allows them.
    pub(super) fn hook_started(&mut self, hook: &JobId, at: Timestamp) -> Result<(), String> {
        let index = self.named(&hook.attempt.task)?;
        let there = self.step_of(index).after.is_some() && hook.part == Part::After;
        self.change(index, |t| {
            let TaskState::Active(attempt) = &mut t.state else { return Err("it is not being tried".to_owned()) };
            only(there && attempt.stopping.is_none() && t.attempts == hook.attempt.number)?;
            attempt.at = At::Hook(Hooking::new(Part::After));
            attempt.since = at;
            attempt.boot = None;
            Ok(())
        })
    }

    pub(super) fn hook_called(&mut self, hook: &JobId, call: &HookCall, at: Timestamp) -> Result<(), String> {
        self.change_hook(hook, |t, hooking| {
            let next = u32::try_from(hooking.calls.len()).unwrap_or(u32::MAX).saturating_add(1);
            match hooking.open().map(|open| (open.number, open.round, open.safe)) {
                None => only(call.number == next)?,
                // Nobody knows whether it happened, and it may happen twice.
                Some((number, 0, true)) => {
                    only(call.number == number)?;
                    hooking.calls.pop_back();
                    hooking.repeated += 1;
                }
                Some(_) => return Err("a call of the hook is going on".to_owned()),
            }
            only(call.kind.is_job() == (call.round > 0) && call.kind.is_job() == call.answer.is_none())?;
            if call.kind.is_job() {
                only(call.round == t.calls + 1)?;
                t.calls = call.round;
            }
            hooking.calls.push_back(Arc::new(call.clone()));
            Ok(())
        })?;
        let index = self.named(&hook.attempt.task)?;
        self.change(index, |t| {
            if let TaskState::Active(attempt) = &mut t.state {
                attempt.since = at;
                attempt.boot = None;
            }
            Ok(())
        })
    }

    pub(super) fn hook_ended(
        &mut self,
        hook: &JobId,
        outputs: &Map<String, Value>,
        printed: &Printed,
        well: bool,
        at: Timestamp,
    ) -> Result<(), String> {
        let index = self.named(&hook.attempt.task)?;
        let step = self.step_of(index);
        let (verify, unless) = (step.verify.is_some(), step.unless.is_some());
        let action = action_at(step, at);
        let mut begins = false;
        self.change(index, |t| {
            let TaskState::Active(attempt) = &mut t.state else { return Err("it is not being tried".to_owned()) };
            let At::Hook(hooking) = &attempt.at else { return Err("no hook is going on".to_owned()) };
            only(hooking.part == hook.part && hooking.open().is_none() && t.attempts == hook.attempt.number)?;
            if hook.part == Part::Main {
                t.printed = printed.clone();
                t.outputs = Arc::new(outputs.clone());
            }
            attempt.since = at;
            attempt.boot = None;
            attempt.at = match hook.part {
                Part::Before if well => {
                    let first = if unless { At::Unless } else { action };
                    begins = !unless;
                    t.probes += u32::from(matches!(first, At::Unless | At::Probe(_)));
                    first
                }
                Part::Main if well && verify => {
                    t.probes += 1;
                    At::Probe(first_probe(at))
                }
                Part::Before | Part::Main | Part::After | Part::Unless | Part::Verify | Part::Undo | Part::Call => {
                    At::Over
                }
            };
            Ok(())
        })?;
        if begins {
            self.begins(index);
        }
        Ok(())
    }

    fn change_hook(
        &mut self,
        hook: &JobId,
        change: impl FnOnce(&mut Task, &mut Hooking) -> Result<(), String>,
    ) -> Result<(), String> {
        let index = self.named(&hook.attempt.task)?;
        self.change(index, |t| {
            only(t.attempts == hook.attempt.number)?;
            let TaskState::Active(mut attempt) = std::mem::take(&mut t.state) else {
                return Err("it is not being tried".to_owned());
            };
            only(attempt.stopping.is_none())?;
            let At::Hook(mut hooking) = attempt.at else { return Err("no hook is going on".to_owned()) };
            only(hooking.part == hook.part)?;
            change(t, &mut hooking)?;
            attempt.at = At::Hook(hooking);
            t.state = TaskState::Active(attempt);
            Ok(())
        })
    }
}

/// Answers the call that is open; the job that carried it out has exited.
pub(super) fn answer(hooking: &mut Hooking, value: Value) {
    if let Some(mut last) = hooking.calls.pop_back() {
        Arc::make_mut(&mut last).answer.get_or_insert(value);
        hooking.calls.push_back(last);
    }
    hooking.repeated = 0;
}
