//! What follows from how a job ended: success, another try, a person, or taking everything back.

use crate::ids::Part;
use crate::plan::TaskIndex;
use crate::runbook::{Action, OnFailure, Probe, Repeat, RetryOn};
use crate::time::Timestamp;

use super::super::cause::{FailureCause, LossCause, ParkCause, SuccessCause};
use super::super::event::Event;
use super::super::input::Refusal;
use super::super::process::Exit;
use super::super::state::{Phase, settling_part};
use super::super::task::{At, Probing, Stopping, Undo};
use super::Draft;

/// How often a lost attempt of a `repeat: safe` step is made again before a person is asked after all:
/// a script that takes its own host down would otherwise go on for ever.
const MAX_REPEATS: u32 = 3;

impl Draft {
    /// A job has exited; `before` is what the attempt was at.
    pub(in crate::run) fn exited(
        &mut self,
        task: TaskIndex,
        part: Part,
        before: Option<At>,
        exit: Exit,
        unreadable: Option<String>,
    ) {
        if part == Part::Undo {
            return if exit.is_success() {
                self.push(Event::TaskUndone { task: self.name(task) });
            } else {
                self.undo_failed(task, FailureCause::Exit(exit));
            };
        }
        let passed = exit.is_success();
        let reboot = matches!(self.run.step_of(task).action, Action::Reboot(_));
        if self.stopping(task).is_some() {
            // It came to its end before it could be stopped.
            let done = passed && !reboot && part == Part::Main && self.run.step_of(task).verify.is_none();
            return if done { self.succeed(task, SuccessCause::Ran) } else { self.stopped(task, part) };
        }
        match before {
            Some(At::Unless) if passed => self.succeed(task, SuccessCause::AlreadyDone),
            Some(At::Main) if !passed => self.fail(task, FailureCause::Exit(exit)),
            // Whatever was to reboot the host ended well, and the host is the same.
            Some(At::Main) if reboot => self.fail(task, FailureCause::NotRebooted),
            Some(At::Main) => match unreadable {
                Some(why) => self.fail(task, FailureCause::Expression(why)),
                None if self.run.step_of(task).verify.is_none() => self.succeed(task, SuccessCause::Ran),
                None => {}
            },
            Some(At::Probe(probing)) if passed => {
                let how = if probing.by_hand { SuccessCause::ByHand } else { SuccessCause::Ran };
                self.succeed(task, how);
            }
            Some(At::Probe(probing)) => self.ask_again(task, &probing, Some(exit)),
            Some(At::Settle { .. }) if passed => self.succeed(task, SuccessCause::FoundDone),
            Some(At::Settle { loss }) => {
                let looked = format!("`{}` exited with {}", settling_part(self.run.step_of(task)), exit.0);
                self.unknown(task, loss, Some(looked));
            }
            // `unless` said no: the action is wanted now.
            Some(At::Unless) => {}
            // A hook's call was answered, and the hook goes on.
            Some(At::Hook(_) | At::Transfer | At::Wait(_) | At::Assert | At::Approval(_) | At::Lost(_) | At::Over)
            | None => {}
        }
    }

    /// `verify` or `until` said no: ask again, or give up.
    pub(in crate::run) fn ask_again(&mut self, task: TaskIndex, probing: &Probing, exit: Option<Exit>) {
        let step = self.run.step_of(task);
        let Some(Probe { within, every, .. }) = step.probe().cloned() else { return };
        let until = matches!(step.action, Action::WaitUntil(_)) && step.verify.is_none();
        let next = self.now.plus(every);
        if next <= probing.since.plus(within) {
            self.push(Event::ProbeScheduled { task: self.name(task), at: next });
        } else if probing.by_hand {
            let why = ParkCause::Failed(FailureCause::NotVerified(exit));
            self.push(Event::TaskParked { task: self.name(task), why });
        } else if until {
            self.fail(task, FailureCause::NeverTrue(exit));
        } else {
            self.fail(task, FailureCause::NotVerified(exit));
        }
    }

    /// What was to be stopped is dead.
    pub(in crate::run) fn stopped(&mut self, task: TaskIndex, part: Part) {
        match self.stopping(task) {
            Some(Stopping::TimedOut)
                if part == Part::Main && matches!(self.run.step_of(task).action, Action::Reboot(_)) =>
            {
                self.fail(task, FailureCause::NotRebooted);
            }
            Some(Stopping::TimedOut) => self.fail(task, FailureCause::TimedOut),
            Some(Stopping::Cancelled) | None => self.fail(task, FailureCause::Cancelled),
        }
    }

    pub(in crate::run) fn lost(&mut self, task: TaskIndex, part: Part, before: Option<At>, why: &LossCause) {
        if part.only_looks() && self.stopping(task).is_some() {
            return self.stopped(task, part);
        }
        match (part, before) {
            (Part::Call, before) => self.call_lost(task, before, why),
            (Part::Undo, _) => self.undo_failed(task, FailureCause::Unknown(why.clone())),
            // A probe only looks: it is no loss to ask once more, unless the host is gone altogether.
            (Part::Unless | Part::Verify, Some(At::Settle { loss })) => {
                self.unknown(task, loss, Some(format!("it could not be looked at: {why}")));
            }
            (Part::Verify, Some(At::Probe(probing))) => self.ask_again(task, &probing, None),
            (Part::Unless, _) => self.fail(task, FailureCause::Unreachable(why.to_string())),
            // A `reboot`: it is done once the host answers anew, also if that was to be stopped.
            (Part::Main, Some(At::Main)) if self.at(task) == Some(At::Over) => {
                let unasked = self.run.step_of(task).verify.is_some();
                if unasked { self.stopped(task, part) } else { self.succeed(task, SuccessCause::Ran) }
            }
            (Part::Main | Part::Verify | Part::Before | Part::After, _) => {
                if let Some(At::Lost(loss)) = self.at(task) {
                    self.unknown(task, loss, None);
                }
            }
        }
    }

    pub(in crate::run) fn refused(&mut self, task: TaskIndex, part: Part, why: &Refusal) {
        let cause = match why {
            Refusal::Unreachable(why) => FailureCause::Unreachable(why.clone()),
            Refusal::Refused(why) => FailureCause::Refused(why.clone()),
        };
        match (part, self.at(task)) {
            (Part::Undo, _) => self.undo_failed(task, cause),
            (_, Some(At::Settle { loss })) => {
                self.unknown(task, loss, Some(format!("it could not be looked at: {cause}")));
            }
            (_, Some(At::Probe(probing))) => self.ask_again(task, &probing, None),
            (Part::Unless | Part::Main | Part::Verify | Part::Before | Part::After | Part::Call, _) => {
                self.fail(task, cause);
            }
        }
    }

    /// An undo that was to be stopped is dead; `before` is where it stood.
    pub(in crate::run) fn undo_stopped(&mut self, task: TaskIndex, before: &Undo) {
        let timed_out = matches!(before, Undo::Active { stopping: Some(Stopping::TimedOut), .. });
        let cause = if timed_out { FailureCause::TimedOut } else { FailureCause::Cancelled };
        self.undo_failed(task, cause);
    }

    pub(in crate::run) fn undo_failed(&mut self, task: TaskIndex, cause: FailureCause) {
        self.push(Event::TaskParked { task: self.name(task), why: ParkCause::UndoFailed(cause) });
    }

    /// Nobody knows whether the attempt happened, and whoever could tell has been asked.
    pub(in crate::run) fn unknown(&mut self, task: TaskIndex, loss: LossCause, looked: Option<String>) {
        let step = self.run.step_of(task);
        let may_repeat = step.repeat == Repeat::Safe && self.run.task(task).repeated < MAX_REPEATS;
        let number = self.run.task(task).attempts;
        let cause = FailureCause::Unknown(loss.clone());
        if may_repeat && self.stopping(task).is_none() && !self.run.cancelled {
            self.push(Event::AttemptFailed { task: self.name(task), attempt: number, cause });
            self.push(Event::RetryScheduled { task: self.name(task), at: self.now, repeat: true });
            return;
        }
        let undo = self.run.policy(task) == OnFailure::Undo && !self.run.is_past_return(task);
        if undo || self.run.cancelled || self.run.phase == Phase::Undoing {
            self.push(Event::TaskFailed { task: self.name(task), cause });
        } else {
            self.push(Event::TaskParked { task: self.name(task), why: ParkCause::Unknown { loss, looked } });
        }
    }

    /// The attempt failed: try again, park, go on without it, or take everything back.
    pub(in crate::run) fn fail(&mut self, task: TaskIndex, cause: FailureCause) {
        let number = self.run.task(task).attempts;
        self.push(Event::AttemptFailed { task: self.name(task), attempt: number, cause: cause.clone() });
        if self.run.cancelled || self.run.phase == Phase::Undoing {
            return self.push(Event::TaskFailed { task: self.name(task), cause });
        }
        if let Some(at) = self.retry_at(task, &cause) {
            return self.push(Event::RetryScheduled { task: self.name(task), at, repeat: false });
        }
        match self.run.policy(task) {
            OnFailure::Stop => {
                self.push(Event::TaskParked { task: self.name(task), why: ParkCause::Failed(cause) });
            }
            OnFailure::Continue => self.push(Event::TaskFailed { task: self.name(task), cause }),
            OnFailure::Undo if self.run.is_past_return(task) => {
                self.push(Event::TaskParked { task: self.name(task), why: ParkCause::NoReturn(cause) });
            }
            OnFailure::Undo => self.push(Event::TaskFailed { task: self.name(task), cause }),
        }
    }

    /// When the next attempt is due, if there is to be one.
    pub(in crate::run) fn retry_at(&self, task: TaskIndex, cause: &FailureCause) -> Option<Timestamp> {
        let retry = self.run.step_of(task).retry.as_ref()?;
        let done = self.run.task(task).attempts - self.run.task(task).released - self.run.task(task).repeated;
        if done > retry.times {
            return None;
        }
        let matches = retry.on.is_empty()
            || retry.on.iter().any(|on| match (on, cause) {
                (RetryOn::Exit(status), FailureCause::Exit(exit)) => exit.0 == *status,
                (RetryOn::Timeout, FailureCause::TimedOut | FailureCause::NotRebooted) => true,
                (RetryOn::Unreachable, FailureCause::Unreachable(_)) => true,
                (RetryOn::Exit(_) | RetryOn::Timeout | RetryOn::Unreachable, _) => false,
            });
        let hopeless = matches!(cause, FailureCause::Expression(_) | FailureCause::Cancelled);
        if !matches || hopeless {
            return None;
        }
        let factor = retry.backoff.powi(i32::try_from(done.saturating_sub(1)).unwrap_or(i32::MAX));
        let seconds = (retry.delay.as_secs_f64() * factor).min(retry.max_delay.as_secs_f64());
        let pause = std::time::Duration::try_from_secs_f64(seconds).unwrap_or(retry.max_delay);
        Some(self.now.plus(pause))
    }
}
