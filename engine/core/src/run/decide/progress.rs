//! Starts what can start, ends what is over.

use crate::plan::TaskIndex;
use crate::runbook::Action;
use crate::time::Timestamp;

use super::super::cause::{FailureCause, Outcome, SkipCause, SuccessCause};
use super::super::effect::{Effect, TimerId, TimerKind};
use super::super::event::Event;
use super::super::hold::Hold;
use super::super::state::{Phase, Run};
use super::super::task::{At, TaskState, Undo};
use super::Draft;

impl Draft {
    pub(in crate::run) fn fired(&mut self, timer: &TimerId) {
        let Some(task) = self.run.graph.find(&timer.task) else { return };
        let wanted = self.run.effects_of(task, self.run.task(task));
        if !wanted.iter().any(|e| matches!(e, Effect::Wake { timer: t, .. } if t == timer)) {
            return;
        }
        match timer.what {
            TimerKind::Deadline if self.unanswered(task) => {}
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
            TimerKind::Undo => {
                self.push(Event::UndoTimedOut { task: self.name(task), attempt: timer.attempt });
            }
        }
    }

    /// Starts what can start, ends what is over.
    pub(in crate::run) fn go_on(&mut self) {
        self.end_what_has_no_job();
        // What begins may need a secret, and what ends may have printed one.
        if !self.run.has_secrets() {
            return;
        }
        loop {
            let before = self.events.len();
            if self.run.paused.is_some() {
                return;
            }
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
    pub(in crate::run) fn end_what_has_no_job(&mut self) {
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

    pub(in crate::run) fn go_on_main(&mut self) {
        if !self.run.has_its_locks() && !self.run.cancelled {
            if self.run.hold == Hold::No {
                self.push(Event::LocksAsked { task: None, locks: self.run.plan.locks.clone() });
            }
            return;
        }
        let stop = self.run.cancelled || self.run.undo_asked.is_some() || !self.run.holding.is_empty();
        if !stop {
            self.start_ready(false);
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
        if self.run.parked.is_empty() && self.run.settled[0] == self.run.graph.count(false) {
            self.push(Event::FinallyStarted);
        }
    }

    pub(in crate::run) fn go_on_undoing(&mut self) {
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
            Some(task) if self.may_begin(task) => self.take_back(task, 1),
            Some(_) => {}
            None => self.push(Event::FinallyStarted),
        }
    }

    /// Begins the undo of a task, which has the locks that it must have.
    fn take_back(&mut self, task: TaskIndex, attempt: u32) {
        let event = self.run.undo_begins(task, attempt, self.now);
        self.push(event);
    }

    pub(in crate::run) fn go_on_finally(&mut self) {
        // A cancel that came before lets `finally` run; one that comes now ends the run where it stands.
        if self.run.abandoned {
            if self.run.active.is_empty() {
                self.push(Event::RunEnded { outcome: Outcome::Cancelled });
            }
            return;
        }
        if self.run.holding.is_empty() {
            self.start_ready(true);
        }
        if !self.run.active.is_empty() || !self.run.parked.is_empty() {
            return;
        }
        if self.run.settled[1] == self.run.graph.count(true) {
            self.push(Event::RunEnded { outcome: self.run.verdict() });
        }
    }

    pub(in crate::run) fn start_ready(&mut self, finally: bool) {
        while self.run.under_way() < self.run.most() && self.run.holding.is_empty() {
            let Some(task) = self.run.next_ready(finally) else { return };
            match self.run.blamed(task) {
                Some(root) => {
                    let why = SkipCause::NeedFailed(self.name(root));
                    self.push(Event::TaskSkipped { task: self.name(task), why });
                }
                None => match (self.run.closed(task), self.run.too_many(task)) {
                    (Some(why), _) => self.push(Event::TaskSkipped { task: self.name(task), why }),
                    (None, Some(root)) => {
                        let why = SkipCause::TooManyFailed(self.name(root));
                        self.push(Event::TaskSkipped { task: self.name(task), why });
                    }
                    (None, None) => self.start(task),
                },
            }
            if self.run.undo_asked.is_some() || self.run.is_ready(task) {
                return;
            }
        }
    }

    /// Starts an attempt, unless `when` says no.
    pub(in crate::run) fn start(&mut self, task: TaskIndex) {
        let name = self.name(task);
        let waiting = self.run.task(task).state == TaskState::Waiting;
        match self.run.is_wanted_by_when(task) {
            Ok(true) => {}
            Ok(false) if waiting => return self.push(Event::TaskSkipped { task: name, why: SkipCause::When }),
            Ok(false) => {}
            Err(error) => return self.unstartable(task, FailureCause::Expression(format!("`when`: {error}"))),
        }
        if self.run.graph.is_source(task) {
            return self.expand(task);
        }
        if self.run.step_of(task).call().is_some() {
            return self.enter(task);
        }
        if let Err(error) = self.run.check_texts(task) {
            return self.unstartable(task, FailureCause::Expression(error));
        }
        if !self.may_begin(task) {
            return;
        }
        let deadline = self.run.step_of(task).time_limit().map(|t| self.now.plus(t));
        let attempt = self.run.task(task).attempts + 1;
        self.push(Event::AttemptStarted { task: name, attempt, deadline });
        self.begun(task);
    }

    /// What is over as soon as it begins.
    pub(in crate::run) fn begun(&mut self, task: TaskIndex) {
        let name = self.name(task);
        match self.at(task) {
            Some(At::Assert) => match self.run.broken_assertions(task) {
                Ok(broken) if broken.is_empty() => self.succeed(task, SuccessCause::Ran),
                Ok(broken) => self.fail(task, FailureCause::Asserted(broken)),
                Err(error) => self.fail(task, FailureCause::Expression(error)),
            },
            Some(At::Approval(None)) => self.ask_people(task),
            Some(At::Wait(None)) => {
                if let Action::WaitFor(span) = self.run.step_of(task).action {
                    self.push(Event::WaitStarted { task: name, until: self.now.plus(span) });
                }
            }
            Some(
                At::Unless
                | At::Hook(_)
                | At::Main
                | At::Transfer
                | At::Wait(Some(_))
                | At::Approval(Some(_))
                | At::Probe(_)
                | At::Settle { .. }
                | At::Lost(_)
                | At::Over,
            )
            | None => {}
        }
    }

    pub(in crate::run) fn unstartable(&mut self, task: TaskIndex, cause: FailureCause) {
        self.push(Event::TaskUnstartable { task: self.name(task) });
        self.fail(task, cause);
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
        task.began.is_some() && task.undo == Undo::Not && self.step_of(index).undo.is_some()
    }

    /// The fact that an undo may begin now, and until when.
    pub(in crate::run) fn undo_begins(&self, task: TaskIndex, attempt: u32, now: Timestamp) -> Event {
        let deadline = self.step_of(task).undo_limit().map(|limit| now.plus(limit));
        Event::UndoAttemptStarted { task: self.graph.id(task).clone(), attempt, deadline }
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
