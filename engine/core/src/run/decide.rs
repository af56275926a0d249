//! Decides which facts follow from news. Changes nothing: what follows from what is tried out on a copy.

use crate::ids::{JobId, Part, TaskId};
use crate::plan::TaskIndex;
use crate::runbook::{Action, OnFailure, Probe, Repeat, RetryOn};
use crate::time::Timestamp;

use super::effect::{Effect, TimerId, TimerKind};
use super::event::{Event, Exit, FailureCause, LossCause, Outcome, ParkCause, Recorded, SkipCause, SuccessCause};
use super::input::{Input, Refusal};
use super::state::{At, Phase, Probing, Run, Stopping, TaskState, Undo};

/// How often a lost attempt of a `repeat: safe` step is made again before a person is asked after all:
/// a script that takes its own host down would otherwise go on for ever.
const MAX_REPEATS: u32 = 3;

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
                        Err(why) => (crate::value::Map::new(), Some(why.clone())),
                    };
                    self.push(Event::JobExited { job: job.clone(), exit: *exit, printed: printed.clone(), outputs });
                    self.exited(task, job.part, before, *exit, unreadable);
                }
            }
            Input::JobStopped { job, exit, printed } => {
                if let Some(task) = self.current(job) {
                    self.push(Event::JobStopped { job: job.clone(), exit: *exit, printed: printed.clone() });
                    self.stopped(task, job.part);
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
            Input::Transferred { attempt, bytes, digest } => {
                let effect = Effect::Transfer(attempt.clone());
                if let Some(task) = self.run.graph.find(&attempt.task).filter(|_| self.run.wanted.contains(&effect)) {
                    let (bytes, digest, number) = (*bytes, *digest, attempt.number);
                    self.push(Event::Transferred { task: attempt.task.clone(), attempt: number, bytes, digest });
                    if self.at(task) == Some(At::Over) {
                        self.push(Event::TaskSucceeded { task: self.name(task), how: SuccessCause::Ran });
                    }
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
            Input::TimerFired(timer) => self.fired(timer),
            Input::Said { id, by, word } => self.said(*id, by, word),
        }
    }

    /// The task whose job this is, if it is what is going on there now.
    fn current(&self, job: &JobId) -> Option<TaskIndex> {
        let task = self.run.graph.find(&job.attempt.task)?;
        (self.run.job_of(task, self.run.task(task)).as_ref() == Some(job)).then_some(task)
    }

    fn at(&self, task: TaskIndex) -> Option<At> {
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

    fn stopping(&self, task: TaskIndex) -> Option<Stopping> {
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

    fn succeed(&mut self, task: TaskIndex, how: SuccessCause) {
        self.push(Event::TaskSucceeded { task: self.name(task), how });
    }

    /// A job has exited; `before` is what the attempt was at.
    fn exited(&mut self, task: TaskIndex, part: Part, before: Option<At>, exit: Exit, unreadable: Option<String>) {
        if part == Part::Undo {
            return if exit.is_success() {
                self.push(Event::TaskUndone { task: self.name(task) });
            } else {
                self.undo_failed(task, FailureCause::Exit(exit));
            };
        }
        let passed = exit.is_success();
        if self.stopping(task).is_some() {
            // It came to its end before it could be stopped.
            let done = passed && part == Part::Main && self.run.step_of(task).verify.is_none();
            return if done { self.succeed(task, SuccessCause::Ran) } else { self.stopped(task, part) };
        }
        match before {
            Some(At::Unless) if passed => self.succeed(task, SuccessCause::AlreadyDone),
            Some(At::Main) if !passed => self.fail(task, FailureCause::Exit(exit)),
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
                let looked =
                    format!("`{}` exited with {}", super::state::settling_part(self.run.step_of(task)), exit.0);
                self.unknown(task, loss, Some(looked));
            }
            // `unless` said no: the action is wanted now.
            Some(At::Unless) => {}
            Some(At::Transfer | At::Wait(_) | At::Assert | At::Lost(_) | At::Over) | None => {}
        }
    }

    /// `verify` or `until` said no: ask again, or give up.
    fn ask_again(&mut self, task: TaskIndex, probing: &Probing, exit: Option<Exit>) {
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
    fn stopped(&mut self, task: TaskIndex, part: Part) {
        if part == Part::Undo {
            return self.undo_failed(task, FailureCause::Cancelled);
        }
        match self.stopping(task) {
            Some(Stopping::TimedOut) => self.fail(task, FailureCause::TimedOut),
            Some(Stopping::Cancelled) | None => self.fail(task, FailureCause::Cancelled),
        }
    }

    fn lost(&mut self, task: TaskIndex, part: Part, before: Option<At>, why: &LossCause) {
        match (part, before) {
            (Part::Undo, _) => self.undo_failed(task, FailureCause::Unknown(why.clone())),
            // A probe only looks: it is no loss to ask once more, unless the host is gone altogether.
            (Part::Unless | Part::Verify, Some(At::Settle { loss })) => {
                self.unknown(task, loss, Some(format!("it could not be looked at: {why}")));
            }
            (Part::Verify, Some(At::Probe(probing))) => self.ask_again(task, &probing, None),
            (Part::Unless, _) => self.fail(task, FailureCause::Unreachable(why.to_string())),
            (Part::Main | Part::Verify, _) => {
                if let Some(At::Lost(loss)) = self.at(task) {
                    self.unknown(task, loss, None);
                }
            }
        }
    }

    fn refused(&mut self, task: TaskIndex, part: Part, why: &Refusal) {
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
            (Part::Unless | Part::Main | Part::Verify, _) => self.fail(task, cause),
        }
    }

    fn undo_failed(&mut self, task: TaskIndex, cause: FailureCause) {
        self.push(Event::TaskParked { task: self.name(task), why: ParkCause::UndoFailed(cause) });
    }

    /// Nobody knows whether the attempt happened, and whoever could tell has been asked.
    fn unknown(&mut self, task: TaskIndex, loss: LossCause, looked: Option<String>) {
        let step = self.run.step_of(task);
        let may_repeat = step.repeat == Repeat::Safe && self.run.task(task).repeated < MAX_REPEATS;
        let number = self.run.task(task).attempts;
        let cause = FailureCause::Unknown(loss.clone());
        if may_repeat && self.stopping(task).is_none() && !self.run.cancelled {
            self.push(Event::AttemptFailed { task: self.name(task), attempt: number, cause });
            self.push(Event::RetryScheduled { task: self.name(task), at: self.now, repeat: true });
            return;
        }
        let undo = self.run.policy(task) == OnFailure::Undo && !self.run.no_return;
        if undo || self.run.cancelled || self.run.phase == Phase::Undoing {
            self.push(Event::TaskFailed { task: self.name(task), cause });
        } else {
            self.push(Event::TaskParked { task: self.name(task), why: ParkCause::Unknown { loss, looked } });
        }
    }

    /// The attempt failed: try again, park, go on without it, or take everything back.
    pub(super) fn fail(&mut self, task: TaskIndex, cause: FailureCause) {
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
            OnFailure::Undo if self.run.no_return => {
                self.push(Event::TaskParked { task: self.name(task), why: ParkCause::NoReturn(cause) });
            }
            OnFailure::Undo => self.push(Event::TaskFailed { task: self.name(task), cause }),
        }
    }

    /// When the next attempt is due, if there is to be one.
    fn retry_at(&self, task: TaskIndex, cause: &FailureCause) -> Option<Timestamp> {
        let retry = self.run.step_of(task).retry.as_ref()?;
        let done = self.run.task(task).attempts - self.run.task(task).released - self.run.task(task).repeated;
        if done > retry.times {
            return None;
        }
        let matches = retry.on.is_empty()
            || retry.on.iter().any(|on| match (on, cause) {
                (RetryOn::Exit(status), FailureCause::Exit(exit)) => exit.0 == *status,
                (RetryOn::Timeout, FailureCause::TimedOut) => true,
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

    fn fired(&mut self, timer: &TimerId) {
        let Some(task) = self.run.graph.find(&timer.task) else { return };
        let wanted = self.run.effects_of(task, self.run.task(task));
        if !wanted.iter().any(|e| matches!(e, Effect::Wake { timer: t, .. } if t == timer)) {
            return;
        }
        match timer.what {
            TimerKind::Deadline => {
                let number = self.run.task(task).attempts;
                self.push(Event::AttemptTimedOut { task: self.name(task), attempt: number });
                if self.run.job_of(task, self.run.task(task)).is_none() {
                    self.fail(task, FailureCause::TimedOut);
                }
            }
            TimerKind::Retry => self.start(task),
            TimerKind::Probe => self.push(Event::ProbeStarted { task: self.name(task) }),
            TimerKind::Wait => self.succeed(task, SuccessCause::Ran),
        }
    }

    /// Starts what can start, ends what is over.
    fn go_on(&mut self) {
        self.end_what_has_no_job();
        loop {
            let before = self.events.len();
            match self.run.phase {
                Phase::New | Phase::Ended(_) => return,
                Phase::Main => self.go_on_main(),
                Phase::Undoing => self.go_on_undoing(),
                Phase::Finally => self.go_on_finally(),
            }
            if self.events.len() == before {
                return;
            }
        }
    }

    /// What is to be stopped and has no job that must die first is over at once.
    fn end_what_has_no_job(&mut self) {
        if !self.run.cancelled && self.run.phase != Phase::Undoing {
            return;
        }
        let active: Vec<TaskIndex> = self.run.active.iter().copied().collect();
        for task in active {
            let state = self.run.task(task);
            if self.stopping(task).is_some() && self.run.job_of(task, state).is_none() {
                self.fail(task, FailureCause::Cancelled);
            }
        }
    }

    fn go_on_main(&mut self) {
        let stop = self.run.cancelled || self.run.undo_asked.is_some() || !self.run.holding.is_empty();
        if !stop {
            self.start_ready(0..self.run.graph.main());
        }
        if !self.run.active.is_empty() {
            return;
        }
        if self.run.cancelled {
            return self.push(Event::FinallyStarted);
        }
        if let Some(task) = self.run.undo_asked {
            return self.push(Event::UndoStarted { because: Some(self.name(task)) });
        }
        if self.run.parked.is_empty() && self.run.settled[0] == self.run.graph.main() {
            self.push(Event::FinallyStarted);
        }
    }

    fn go_on_undoing(&mut self) {
        if !self.run.active.is_empty() {
            return;
        }
        if self.run.cancelled {
            return self.push(Event::FinallyStarted);
        }
        if !self.run.parked.is_empty() {
            return;
        }
        match self.run.next_undo() {
            Some(task) => self.push(Event::UndoAttemptStarted { task: self.name(task), attempt: 1 }),
            None => self.push(Event::FinallyStarted),
        }
    }

    fn go_on_finally(&mut self) {
        // A cancel that came before lets `finally` run; one that comes now ends the run where it stands.
        if self.run.abandoned {
            if self.run.active.is_empty() {
                self.push(Event::RunEnded { outcome: Outcome::Cancelled });
            }
            return;
        }
        if self.run.holding.is_empty() {
            self.start_ready(self.run.graph.main()..self.run.graph.len());
        }
        if !self.run.active.is_empty() || !self.run.parked.is_empty() {
            return;
        }
        if self.run.settled[1] == self.run.graph.len() - self.run.graph.main() {
            self.push(Event::RunEnded { outcome: self.run.verdict() });
        }
    }

    fn start_ready(&mut self, among: std::ops::Range<TaskIndex>) {
        while self.run.active.len() < self.run.plan.max_parallel as usize && self.run.holding.is_empty() {
            let Some(task) = self.run.ready.range(among.clone()).next().copied() else { return };
            match self.run.blamed(task) {
                Some(root) => {
                    let why = SkipCause::NeedFailed(self.name(root));
                    self.push(Event::TaskSkipped { task: self.name(task), why });
                }
                None => self.start(task),
            }
            if self.run.undo_asked.is_some() || self.run.ready.contains(&task) {
                return;
            }
        }
    }

    /// Starts an attempt, unless `when` says no.
    fn start(&mut self, task: TaskIndex) {
        let name = self.name(task);
        let waiting = self.run.task(task).state == TaskState::Waiting;
        match self.run.is_wanted_by_when(task) {
            Ok(true) => {}
            Ok(false) if waiting => return self.push(Event::TaskSkipped { task: name, why: SkipCause::When }),
            Ok(false) => {}
            Err(error) => return self.unstartable(task, format!("`when`: {error}")),
        }
        if let Err(error) = self.run.check_texts(task) {
            return self.unstartable(task, error);
        }
        let step = self.run.step_of(task);
        let deadline = step.timeout.map(|t| self.now.plus(t));
        let attempt = self.run.task(task).attempts + 1;
        self.push(Event::AttemptStarted { task: name.clone(), attempt, deadline });
        match self.at(task) {
            Some(At::Assert) => match self.run.broken_assertions(task) {
                Ok(broken) if broken.is_empty() => self.succeed(task, SuccessCause::Ran),
                Ok(broken) => self.fail(task, FailureCause::Asserted(broken)),
                Err(error) => self.fail(task, FailureCause::Expression(error)),
            },
            Some(At::Wait(None)) => {
                if let Action::WaitFor(span) = self.run.step_of(task).action {
                    self.push(Event::WaitStarted { task: name, until: self.now.plus(span) });
                }
            }
            Some(
                At::Unless
                | At::Main
                | At::Transfer
                | At::Wait(Some(_))
                | At::Probe(_)
                | At::Settle { .. }
                | At::Lost(_)
                | At::Over,
            )
            | None => {}
        }
    }

    fn unstartable(&mut self, task: TaskIndex, why: String) {
        self.push(Event::TaskUnstartable { task: self.name(task) });
        self.fail(task, FailureCause::Expression(why));
    }
}

impl Run {
    /// The task to be taken back next: the last one that began, or may have, and has a way back.
    pub(super) fn next_undo(&self) -> Option<TaskIndex> {
        self.begun.iter().rev().copied().find(|&index| self.can_undo(index))
    }

    /// Whether there is something to take back, and a way to.
    pub fn can_undo(&self, index: TaskIndex) -> bool {
        let task = self.task(index);
        let skipped = matches!(task.state, TaskState::Skipped(_));
        task.began.is_some() && !skipped && task.undo == Undo::Not && self.step_of(index).undo.is_some()
    }

    fn verdict(&self) -> Outcome {
        if self.cancelled {
            Outcome::Cancelled
        } else if self.undone {
            Outcome::Undone
        } else if self.failed > 0 {
            Outcome::Failed
        } else {
            Outcome::Succeeded
        }
    }
}
