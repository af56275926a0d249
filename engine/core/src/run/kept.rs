//! What is kept beside the tasks, so that nothing has to be searched for: the sets, and what is wanted.

use imbl::OrdSet;

use crate::ids::AttemptId;
use crate::plan::TaskIndex;
use crate::runbook::OnFailure;

use super::cause::ParkCause;
use super::effect::{Change, Effect, TimerId, TimerKind};
use super::hold::Hold;
use super::state::{Phase, Run};
use super::task::{At, Attempt, Probing, Task, TaskState, Undo};

impl Run {
    /// Whether nothing can go on without a person.
    pub fn is_parked(&self) -> bool {
        let people = self.active.len() == self.asking.len() && !(self.parked.is_empty() && self.asking.is_empty());
        let stuck = self.wanted.is_empty() && (self.paused.is_some() || people);
        self.outcome().is_none() && (stuck || self.misses_secrets())
    }

    /// Changes one task, and with it everything that is kept beside the tasks: the sets and what is wanted.
    pub(super) fn change(
        &mut self,
        index: TaskIndex,
        change: impl FnOnce(&mut Task) -> Result<(), String>,
    ) -> Result<(), String> {
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
        if old.hold != Hold::No && new.hold == Hold::No {
            self.changes.push(Change::Free { task: Some(self.graph.id(index).clone()) });
        }
        let queueing = matches!(new.hold, Hold::Asked(_));
        toggle(&mut self.queueing, index, queueing);
        let begins = |task: &Task| task.state == TaskState::Waiting && !matches!(task.hold, Hold::Asked(_));
        if begins(&new) != begins(&old) {
            self.set_ready(index, begins(&new) && self.unmet[index as usize] == 0);
        }
        let undoing = matches!(new.undo, Undo::Active { .. } | Undo::Over(_));
        toggle(&mut self.active, index, undoing || matches!(new.state, TaskState::Active(_) | TaskState::Pausing(_)));
        let asking = matches!(&new.state, TaskState::Active(Attempt { at: At::Approval(_), .. }));
        toggle(&mut self.asking, index, asking);
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
            (_, Undo::Active { stopping, .. }) => stopping.is_some(),
            (TaskState::Active(attempt), _) => attempt.stopping.is_some(),
            (_, _) => false,
        };
        if let Some(job) = self.job_of(index, task) {
            effects.push(if stopping { Effect::Stop(job) } else { Effect::Carry(job) });
        }
        if let Undo::Active { number, deadline: Some(at), stopping: None, .. } = task.undo {
            let timer = TimerId { attempt: number, ..timer(TimerKind::Undo, 0) };
            effects.push(Effect::Wake { timer, at });
        }
        if let Hold::Asked(_) = task.hold {
            effects.push(Effect::Hold(Some(self.graph.id(index).clone())));
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
                    At::Hook(hooking) => {
                        let Some(hook) = self.hook_of(index, task) else { return effects };
                        let answered = hooking.answered();
                        if answered > 0 {
                            effects.push(Effect::Answer { hook: hook.clone(), answered });
                        }
                        effects.push(Effect::Hook(hook));
                    }
                    At::Transfer => effects.push(Effect::Transfer(AttemptId {
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
                    | At::Approval(_)
                    | At::Settle { .. }
                    | At::Lost(_)
                    | At::Over => {}
                }
            }
            TaskState::Pausing(_) if self.paused.is_some() => {}
            TaskState::Pausing(at) => effects.push(Effect::Wake { timer: timer(TimerKind::Retry, 0), at: *at }),
            TaskState::Waiting
            | TaskState::Parked(_)
            | TaskState::Succeeded(_)
            | TaskState::Skipped(_)
            | TaskState::Failed(_) => {}
        }
        effects
    }
}

fn toggle(set: &mut OrdSet<TaskIndex>, index: TaskIndex, member: bool) {
    if member {
        set.insert(index);
    } else {
        set.remove(&index);
    }
}
