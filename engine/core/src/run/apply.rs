//! Takes facts into the state. Decides nothing: every fact means one thing in one state, or is illegal there.

use std::sync::Arc;

use crate::ids::{JobId, Part, TaskId};
use crate::plan::TaskIndex;
use crate::runbook::OnFailure;
use crate::time::Timestamp;

use super::effect::{Change, Effect, TimerId, TimerKind};
use super::event::{Event, ParkCause, Recorded, SkipCause, SuccessCause};
use super::state::{At, Attempt, Phase, Probing, Run, Stopping, Task, TaskState, Undo, action_at};

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
            Event::RunCreated { by, .. } => {
                if self.phase != Phase::New {
                    return Err("the run was created before".to_owned());
                }
                self.phase = Phase::Main;
                self.by = by.as_str().into();
                self.created = at;
            }
            Event::EngineTook { .. } => {}
            Event::WordTaken { id, .. } => {
                if self.last_word >= Some(*id) {
                    return Err(format!("word {} was taken before", id.0));
                }
                self.last_word = Some(*id);
            }
            Event::TaskSkipped { task, why } => {
                let index = self.named(task)?;
                self.change(index, |t| {
                    let legal = match (&t.state, why) {
                        (TaskState::Waiting, _) => true,
                        (TaskState::Parked(_), SkipCause::ByHand) => true,
                        (_, _) => false,
                    };
                    settle(t, legal, TaskState::Skipped(why.clone()), at)
                })?;
                let blame = match why {
                    SkipCause::NeedFailed(root) => Some(self.named(root)?),
                    SkipCause::When | SkipCause::ByHand | SkipCause::RunStopped => None,
                };
                self.settled(index, blame);
            }
            Event::TaskUnstartable { task } => {
                let index = self.named(task)?;
                self.change(index, |t| {
                    only(matches!(t.state, TaskState::Waiting | TaskState::Pausing(_)))?;
                    t.attempts += 1;
                    t.probes = 0;
                    t.state = over(at);
                    t.started.get_or_insert(at);
                    Ok(())
                })?;
            }
            Event::AttemptStarted { task, attempt, deadline } => {
                let index = self.named(task)?;
                let step = self.step_of(index);
                let has_unless = step.unless.is_some();
                let point = step.point_of_no_return;
                let first = if has_unless { At::Unless } else { action_at(step, at) };
                self.change(index, |t| {
                    only(matches!(t.state, TaskState::Waiting | TaskState::Pausing(_)) && *attempt == t.attempts + 1)?;
                    t.attempts = *attempt;
                    t.probes = u32::from(matches!(first, At::Unless | At::Probe(_)));
                    t.started.get_or_insert(at);
                    t.ended = None;
                    let deadline = *deadline;
                    t.state = TaskState::Active(Attempt { at: first, deadline, stopping: None, since: at, boot: None });
                    Ok(())
                })?;
                if !has_unless {
                    self.begins(index);
                    self.no_return |= point;
                }
            }
            Event::JobStarted { job, boot } => {
                self.change_job(job, |t| {
                    match (&mut t.state, &mut t.undo) {
                        (_, Undo::Active { boot: seen, .. }) => *seen = Some(boot.clone()),
                        (TaskState::Active(attempt), _) => attempt.boot = Some(boot.clone()),
                        (_, _) => return Err("no job is going on".to_owned()),
                    }
                    Ok(())
                })?;
            }
            Event::JobExited { job, exit, printed, outputs } => {
                let index = self.change_job(job, |t| {
                    if job.part == Part::Main {
                        t.exit = Some(*exit);
                        t.printed = printed.clone();
                        t.outputs = Arc::new(outputs.clone());
                    }
                    Ok(())
                })?;
                self.job_over(index, job, at, exit.is_success())?;
            }
            Event::JobStopped { job, exit, printed } => {
                self.change_job(job, |t| {
                    if job.part == Part::Main {
                        t.exit = *exit;
                        t.printed = printed.clone();
                    }
                    match (&mut t.state, &t.undo) {
                        (_, Undo::Active { number, .. }) => t.undo = Undo::Over(*number),
                        (TaskState::Active(attempt), _) => attempt.at = At::Over,
                        (_, _) => return Err("no job is going on".to_owned()),
                    }
                    Ok(())
                })?;
            }
            Event::JobLost { job, why } => {
                let index = self.indexed(job)?;
                let step = self.step_of(index);
                let can_look = step.unless.is_some() || step.verify.is_some();
                self.change_job(job, |t| {
                    if let Undo::Active { number, .. } = t.undo {
                        t.undo = Undo::Over(number);
                        return Ok(());
                    }
                    let TaskState::Active(attempt) = &mut t.state else { return Err("no job is going on".to_owned()) };
                    attempt.boot = None;
                    attempt.since = at;
                    attempt.at = match &attempt.at {
                        At::Main if can_look && attempt.stopping.is_none() => {
                            t.probes += 1;
                            At::Settle { loss: why.clone() }
                        }
                        At::Settle { loss } => At::Lost(loss.clone()),
                        At::Main | At::Unless | At::Probe(_) => At::Lost(why.clone()),
                        At::Transfer | At::Wait(_) | At::Assert | At::Lost(_) | At::Over => {
                            return Err("no job is going on".to_owned());
                        }
                    };
                    Ok(())
                })?;
            }
            Event::Transferred { task, attempt, .. } => {
                let index = self.named(task)?;
                let step = self.step_of(index);
                let verify = step.verify.is_some();
                self.change_attempt(index, *attempt, |t, a| {
                    only(a.at == At::Transfer)?;
                    a.at = if verify { At::Probe(first_probe(at)) } else { At::Over };
                    t.probes += 1;
                    Ok(())
                })?;
            }
            Event::AttemptTimedOut { task, attempt } => {
                let index = self.named(task)?;
                self.change_attempt(index, *attempt, |_, a| {
                    a.stopping = Some(Stopping::TimedOut);
                    a.deadline = None;
                    Ok(())
                })?;
            }
            Event::AttemptFailed { task, attempt, cause } => {
                let index = self.named(task)?;
                let never_began =
                    matches!(cause, super::FailureCause::Unreachable(_) | super::FailureCause::Refused(_));
                self.change_attempt(index, *attempt, |t, a| {
                    a.at = At::Over;
                    a.deadline = None;
                    if never_began && t.began == Some(*attempt) {
                        t.began = None;
                    }
                    Ok(())
                })?;
            }
            Event::RetryScheduled { task, at: due, repeat } => {
                let index = self.named(task)?;
                self.change(index, |t| {
                    only(matches!(t.state, TaskState::Active(_)))?;
                    t.repeated += u32::from(*repeat);
                    t.state = TaskState::Pausing(*due);
                    Ok(())
                })?;
            }
            Event::ProbeScheduled { task, at: due } => {
                let index = self.named(task)?;
                self.change(index, |t| {
                    let TaskState::Active(Attempt { at: At::Probe(probing), .. }) = &mut t.state else {
                        return Err("nothing is being asked".to_owned());
                    };
                    probing.next = Some(*due);
                    Ok(())
                })?;
            }
            Event::ProbeStarted { task } => {
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
            }
            Event::WaitStarted { task, until } => {
                let index = self.named(task)?;
                self.change(index, |t| {
                    let TaskState::Active(Attempt { at: At::Wait(end @ None), .. }) = &mut t.state else {
                        return Err("it is not about to wait".to_owned());
                    };
                    *end = Some(*until);
                    Ok(())
                })?;
            }
            Event::TaskSucceeded { task, how } => {
                let index = self.named(task)?;
                self.change(index, |t| {
                    let legal = match how {
                        SuccessCause::ByHand => matches!(t.state, TaskState::Active(_) | TaskState::Parked(_)),
                        SuccessCause::Ran | SuccessCause::AlreadyDone | SuccessCause::FoundDone => {
                            matches!(t.state, TaskState::Active(_))
                        }
                    };
                    settle(t, legal, TaskState::Succeeded(*how), at)
                })?;
                self.settled(index, None);
            }
            Event::TaskFailed { task, cause } => {
                let index = self.named(task)?;
                self.change(index, |t| {
                    let legal = matches!(t.state, TaskState::Active(_) | TaskState::Pausing(_));
                    settle(t, legal, TaskState::Failed(cause.clone()), at)
                })?;
                self.failed += 1;
                if self.policy(index) == OnFailure::Undo && self.phase == Phase::Main && !self.cancelled {
                    self.undo_asked.get_or_insert(index);
                }
                self.settled(index, Some(index));
            }
            Event::TaskParked { task, why } => {
                let index = self.named(task)?;
                self.change(index, |t| {
                    match (&mut t.undo, why) {
                        (
                            Undo::Over(number) | Undo::Parked(number, _) | Undo::Active { number, .. },
                            ParkCause::UndoFailed(cause),
                        ) => {
                            t.undo = Undo::Parked(*number, cause.clone());
                        }
                        (_, _) => {
                            only(matches!(t.state, TaskState::Active(_)))?;
                            t.state = TaskState::Parked(why.clone());
                        }
                    }
                    Ok(())
                })?;
            }
            Event::ResolveStarted { task, outputs } => {
                let index = self.named(task)?;
                let ask = self.step_of(index).verify.is_some();
                self.change(index, |t| {
                    only(matches!(t.state, TaskState::Parked(_)))?;
                    t.outputs = Arc::new(outputs.clone());
                    t.probes += 1;
                    let probing = Probing { by_hand: true, ..first_probe(at) };
                    let phase = if ask { At::Probe(probing) } else { At::Over };
                    t.state =
                        TaskState::Active(Attempt { at: phase, deadline: None, stopping: None, since: at, boot: None });
                    Ok(())
                })?;
            }
            Event::TaskReleased { task } => {
                let index = self.named(task)?;
                self.change(index, |t| {
                    match (&t.state, &t.undo) {
                        (_, Undo::Parked(..)) => {}
                        (TaskState::Parked(_), _) => t.state = TaskState::Waiting,
                        (_, _) => return Err("it is not parked".to_owned()),
                    }
                    t.released = t.attempts;
                    t.repeated = 0;
                    Ok(())
                })?;
            }
            Event::CancelStarted => {
                self.cancelled = true;
                self.abandoned = self.phase == Phase::Finally;
                self.undo_asked = None;
                self.stop_all(at);
            }
            Event::UndoStarted { because } => {
                if let Some(task) = because {
                    self.named(task)?;
                }
                if self.phase != Phase::Main {
                    return Err("there is nothing to undo now".to_owned());
                }
                self.phase = Phase::Undoing;
                self.undone = true;
                self.undo_asked = None;
                self.stop_all(at);
                // What waits for a person in the main part need not be decided any more.
                self.holding = imbl::OrdSet::new();
                self.parked = imbl::OrdSet::new();
            }
            Event::UndoAttemptStarted { task, attempt } => {
                let index = self.named(task)?;
                self.change(index, |t| {
                    let legal = match &t.undo {
                        Undo::Not => *attempt == 1,
                        Undo::Parked(number, _) => *attempt == number + 1,
                        Undo::Active { .. } | Undo::Over(_) | Undo::Done | Undo::Left => false,
                    };
                    only(legal)?;
                    t.undo = Undo::Active { number: *attempt, since: at, boot: None, stopping: false };
                    Ok(())
                })?;
            }
            Event::TaskUndone { task } => {
                let index = self.named(task)?;
                self.change(index, |t| {
                    only(matches!(t.undo, Undo::Over(_) | Undo::Parked(..)))?;
                    t.undo = Undo::Done;
                    Ok(())
                })?;
            }
            Event::UndoSkipped { task } => {
                let index = self.named(task)?;
                self.change(index, |t| {
                    only(matches!(t.undo, Undo::Over(_) | Undo::Parked(..)))?;
                    t.undo = Undo::Left;
                    Ok(())
                })?;
            }
            Event::FinallyStarted => {
                self.phase = Phase::Finally;
                self.parked = imbl::OrdSet::new();
                self.holding = imbl::OrdSet::new();
            }
            Event::RunEnded { outcome } => {
                self.phase = Phase::Ended(*outcome);
                let gone: Vec<Effect> = self.wanted.iter().cloned().collect();
                self.changes.extend(gone.into_iter().map(Change::Drop));
                self.wanted = imbl::OrdSet::new();
            }
        }
        Ok(())
    }

    /// What follows from a job's exit status in the attempt itself.
    fn job_over(&mut self, index: TaskIndex, job: &JobId, at: Timestamp, passed: bool) -> Result<(), String> {
        let step = self.step_of(index);
        let verify = step.verify.is_some();
        let action = action_at(step, at);
        let point = step.point_of_no_return;
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
                (At::Main, Part::Main) if passed && verify => {
                    t.probes += 1;
                    At::Probe(first_probe(at))
                }
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
            self.no_return |= point;
        }
        Ok(())
    }

    fn begins(&mut self, index: TaskIndex) {
        let attempts = self.task(index).attempts;
        if let Some(task) = self.tasks.get_mut(index as usize)
            && task.began.is_none()
        {
            task.began = Some(attempts);
            self.begun.push_back(index);
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
                if let Undo::Active { stopping, .. } = &mut t.undo {
                    *stopping = true;
                }
                Ok(())
            });
        }
    }

    fn named(&self, task: &TaskId) -> Result<TaskIndex, String> {
        self.graph.find(task).ok_or_else(|| format!("the plan has no task {task}"))
    }

    fn indexed(&self, job: &JobId) -> Result<TaskIndex, String> {
        let index = self.named(&job.attempt.task)?;
        if self.job_of(index, self.task(index)).as_ref() != Some(job) {
            return Err(format!("{job} is not the job that is going on"));
        }
        Ok(index)
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

    /// Changes one task, and with it everything that is kept beside the tasks: the sets and what is wanted.
    fn change(&mut self, index: TaskIndex, change: impl FnOnce(&mut Task) -> Result<(), String>) -> Result<(), String> {
        let old = self.tasks[index as usize].clone();
        let mut new = old.clone();
        change(&mut new).map_err(|why| format!("{}: {why}", self.graph.id(index)))?;
        let (before, after) = (self.effects_of(index, &old), self.effects_of(index, &new));
        for effect in before.iter().filter(|e| !after.contains(e)) {
            self.wanted.remove(effect);
            self.changes.push(Change::Drop(effect.clone()));
        }
        for effect in after.into_iter().filter(|e| !before.contains(e)) {
            self.wanted.insert(effect.clone());
            self.changes.push(Change::Begin(effect));
        }
        let waiting = new.state == TaskState::Waiting;
        toggle(&mut self.ready, index, waiting && self.unmet[index as usize] == 0);
        let undoing = matches!(new.undo, Undo::Active { .. } | Undo::Over(_));
        toggle(&mut self.active, index, undoing || matches!(new.state, TaskState::Active(_) | TaskState::Pausing(_)));
        let undo_parked = matches!(new.undo, Undo::Parked(..));
        let parked = undo_parked || (matches!(new.state, TaskState::Parked(_)) && new.undo == Undo::Not);
        toggle(&mut self.parked, index, parked && (undo_parked || self.phase != Phase::Undoing));
        let lets_others_go = matches!(new.state, TaskState::Parked(ParkCause::Unknown { .. }))
            && self.policy(index) == OnFailure::Continue;
        toggle(&mut self.holding, index, self.parked.contains(&index) && !lets_others_go);
        self.tasks.set(index as usize, new);
        Ok(())
    }

    /// What a task's state wants to be in flight.
    pub(super) fn effects_of(&self, index: TaskIndex, task: &Task) -> Vec<Effect> {
        let mut effects = Vec::new();
        let timer = |what, round| TimerId { task: self.graph.id(index).clone(), what, attempt: task.attempts, round };
        let stopping = match (&task.state, &task.undo) {
            (_, Undo::Active { stopping, .. }) => *stopping,
            (TaskState::Active(attempt), _) => attempt.stopping.is_some(),
            (_, _) => false,
        };
        if let Some(job) = self.job_of(index, task) {
            effects.push(if stopping { Effect::Stop(job) } else { Effect::Carry(job) });
        }
        match &task.state {
            TaskState::Active(attempt) => {
                let over = matches!(attempt.at, At::Over | At::Lost(_) | At::Assert);
                if let Some(at) = attempt.deadline
                    && !stopping
                    && !over
                {
                    effects.push(Effect::Wake { timer: timer(TimerKind::Deadline, 0), at });
                }
                if stopping {
                    return effects;
                }
                match &attempt.at {
                    At::Transfer => effects.push(Effect::Transfer(crate::ids::AttemptId {
                        task: self.graph.id(index).clone(),
                        number: task.attempts,
                    })),
                    At::Wait(Some(at)) => effects.push(Effect::Wake { timer: timer(TimerKind::Wait, 0), at: *at }),
                    At::Probe(Probing { next: Some(at), .. }) => {
                        effects.push(Effect::Wake { timer: timer(TimerKind::Probe, task.probes), at: *at });
                    }
                    At::Probe(Probing { next: None, .. })
                    | At::Unless
                    | At::Main
                    | At::Wait(None)
                    | At::Assert
                    | At::Settle { .. }
                    | At::Lost(_)
                    | At::Over => {}
                }
            }
            TaskState::Pausing(at) => effects.push(Effect::Wake { timer: timer(TimerKind::Retry, 0), at: *at }),
            TaskState::Waiting
            | TaskState::Parked(_)
            | TaskState::Succeeded(_)
            | TaskState::Skipped(_)
            | TaskState::Failed(_) => {}
        }
        effects
    }

    /// A task has come to its end: whoever waits for it alone may go on, or knows that it never will.
    fn settled(&mut self, index: TaskIndex, blame: Option<TaskIndex>) {
        self.settled[usize::from(self.is_finally(index))] += 1;
        let mut open = vec![index];
        while let Some(node) = open.pop() {
            let blame = blame.or_else(|| self.blame.get(&node).copied().filter(|_| node != index));
            for &after in self.graph.clone().after(node) {
                if let Some(blame) = blame {
                    self.blame.entry(after).or_insert(blame);
                }
                let unmet = self.unmet[after as usize].saturating_sub(1);
                self.unmet.set(after as usize, unmet);
                if unmet == 0 {
                    if after < self.graph.len() {
                        self.ready.insert(after);
                    } else {
                        open.push(after);
                    }
                }
            }
        }
    }
}

fn first_probe(at: Timestamp) -> Probing {
    Probing { since: at, next: None, by_hand: false }
}

/// An attempt of which only the decision is left.
fn over(at: Timestamp) -> TaskState {
    TaskState::Active(Attempt { at: At::Over, deadline: None, stopping: None, since: at, boot: None })
}

fn only(legal: bool) -> Result<(), String> {
    if legal { Ok(()) } else { Err("the task is not in the state for it".to_owned()) }
}

fn settle(task: &mut Task, legal: bool, state: TaskState, at: Timestamp) -> Result<(), String> {
    only(legal)?;
    task.state = state;
    task.ended = Some(at);
    Ok(())
}

fn toggle(set: &mut imbl::OrdSet<TaskIndex>, index: TaskIndex, member: bool) {
    if member {
        set.insert(index);
    } else {
        set.remove(&index);
    }
}
