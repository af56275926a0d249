//! What follows from what a hook asks for, and from how it ends.

use crate::ids::{JobId, Part};
use crate::plan::TaskIndex;
use crate::value::{Map, Value};

use super::super::cause::{FailureCause, LossCause, ParkCause, SuccessCause};
use super::super::event::Event;
use super::super::hook::{CallKind, HookCall};
use super::super::process::Printed;
use super::super::task::At;
use super::Draft;

/// How often one call that may be repeated is made again before a person is asked after all.
const MAX_REPEATS: u32 = 3;

impl Draft {
    /// The task whose hook this is, if that is what is going on there now.
    fn current_hook(&self, hook: &JobId) -> Option<TaskIndex> {
        let task = self.run.graph.find(&hook.attempt.task)?;
        (self.run.hook_of(task, self.run.task(task)).as_ref() == Some(hook)).then_some(task)
    }

    /// A hook asks for something that it has not asked for before.
    pub(in crate::run) fn hook_called(&mut self, hook: &JobId, call: &HookCall) {
        let Some(task) = self.current_hook(hook).filter(|&task| self.stopping(task).is_none()) else { return };
        let Some(hooking) = self.run.hooking(hook).filter(|h| h.open().is_none()) else { return };
        if call.number != hooking.answered() + 1 {
            return;
        }
        let round = if call.kind.is_job() { self.run.task(task).calls + 1 } else { 0 };
        let answer = match call.kind {
            CallKind::Now => Some(Value::from(self.now.0)),
            // Null would read back as no answer.
            CallKind::Notify => Some(Value::from(true)),
            CallKind::Run | CallKind::Exec | CallKind::Read | CallKind::Write => None,
        };
        self.push(Event::HookCalled { hook: hook.clone(), call: HookCall { round, answer, ..call.clone() } });
    }

    /// After a crash the hook asked for something else than what stands in the journal.
    pub(in crate::run) fn hook_differed(&mut self, hook: &JobId, number: u32, recorded: &str, made: &str) {
        let Some(task) = self.current_hook(hook) else { return };
        let why = ParkCause::HookDiffers { number, recorded: recorded.to_owned(), made: made.to_owned() };
        if self.stopping(task).is_none() {
            self.push(Event::TaskParked { task: self.name(task), why });
        }
    }

    pub(in crate::run) fn hook_ended(
        &mut self,
        hook: &JobId,
        end: &Result<Map<String, Value>, String>,
        printed: &Printed,
    ) {
        let Some(task) = self.current_hook(hook) else { return };
        // What it asked for is still going on: that comes first, and the hook is heard when it is evaluated again.
        if self.run.hooking(hook).is_none_or(|h| h.open().is_some()) {
            return;
        }
        let (outputs, failure) = match end {
            Ok(outputs) => (outputs.clone(), None),
            Err(why) => (Map::new(), Some(why.clone())),
        };
        let ended =
            Event::HookEnded { hook: hook.clone(), outputs, printed: printed.clone(), failure: failure.clone() };
        self.push(ended);
        match (failure, hook.part) {
            (Some(why), _) => self.fail(task, FailureCause::Hook(why)),
            (None, Part::Before) => self.begun(task),
            (None, Part::After) => {
                self.push(Event::TaskSucceeded { task: self.name(task), how: SuccessCause::Ran });
            }
            (None, Part::Main | Part::Unless | Part::Verify | Part::Undo | Part::Call) => {
                if self.at(task) == Some(At::Over) {
                    self.succeed(task, SuccessCause::Ran);
                }
            }
        }
    }

    /// Nobody knows whether what a hook asked for happened: done again where it may be, else as with any other job.
    pub(in crate::run) fn call_lost(&mut self, task: TaskIndex, before: Option<At>, why: &LossCause) {
        if let Some(At::Lost(loss)) = self.at(task) {
            return self.unknown(task, loss, None);
        }
        let (Some(hook), Some(At::Hook(hooking))) = (self.run.hook_of(task, self.run.task(task)), before) else {
            return;
        };
        let Some(call) = hooking.open() else { return };
        if hooking.repeated < MAX_REPEATS {
            let round = self.run.task(task).calls + 1;
            self.push(Event::HookCalled { hook, call: HookCall { round, ..call.clone() } });
        } else {
            self.unknown(task, why.clone(), None);
        }
    }
}
