//! A run goes on with a corrected plan: only what has not begun, or has failed and waits for a person, may be another.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::digest::Digest;
use crate::ids::{StepId, TaskId};
use crate::plan::{Plan, PlanDiff, TaskGraph, TaskIndex};

use super::cause::{ParkCause, SkipCause, SuccessCause};
use super::decide::Draft;
use super::effect::{Change, Effect};
use super::event::Event;
use super::hold::Hold;
use super::state::{Phase, Run};
use super::task::TaskState;

/// What it would mean for a run to go on with another plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Onto {
    /// What differs.
    pub diff: PlanDiff,
    /// What stands in the way; empty: it can go on.
    pub obstacles: Vec<Obstacle>,
    /// Tasks that have failed and whose step is corrected: `retry` tries them with the new text.
    pub corrected: Vec<TaskId>,
}

/// Why a run cannot go on with another plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Obstacle {
    /// The step it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// What is in the way.
    pub why: String,
}

/// Whether a task's step may still become another.
enum Firm {
    /// Nothing of it has begun.
    Not,
    /// It has failed and waits for a person.
    Failed,
    /// It may not, for this reason.
    Yes(&'static str),
}

impl Run {
    /// What it would mean to go on with `new`: the difference, and what stands in the way.
    pub fn onto(&self, new: &Plan) -> Onto {
        let diff = self.plan.diff(new);
        let mut obstacles = Vec::new();
        let mut corrected = Vec::new();
        let mut whole = |why: String| obstacles.push(Obstacle { step: None, why });
        match self.phase {
            Phase::New => whole("the run has not been created".to_owned()),
            Phase::Main | Phase::Finally if self.cancelled => whole("the run is being cancelled".to_owned()),
            Phase::Main if self.undo_asked.is_some() => whole("the run is about to be undone".to_owned()),
            Phase::Main | Phase::Finally => {}
            Phase::Undoing => whole("the run is being undone".to_owned()),
            Phase::Ended(outcome) => whole(format!("the run is over: it {outcome}")),
        }
        if self.plan.runbook != new.runbook {
            whole(format!("it is another runbook: {}, and the run is one of {}", new.runbook, self.plan.runbook));
        }
        for (name, value) in &self.plan.params {
            if new.params.get(name) != Some(value) {
                whole(format!("the parameter {name} would have another value, and steps have begun with this one"));
            }
        }
        if self.plan.locks != new.locks {
            whole("it wants other locks for the run as a whole".to_owned());
        }
        if !diff.is_wording()
            && let Some(approval) = self.approved_by_people()
        {
            whole(format!("{} was approved for the plan as it is", self.graph.id(approval)));
        }
        if !self.plan.secrets.keys().eq(new.secrets.keys()) {
            whole("it has other secrets: the engine that goes on with it would have to fetch them first".to_owned());
        }
        for step in &diff.removed {
            for task in self.all_of(step) {
                let why = match self.firmness(task) {
                    Firm::Not => continue,
                    Firm::Failed => "has failed and waits for a person: `skip` it first",
                    Firm::Yes(why) => why,
                };
                let id = self.graph.id(task);
                obstacles.push(Obstacle { step: Some(step.clone()), why: format!("is removed, and {id} {why}") });
                break;
            }
        }
        for change in &diff.changed {
            let fields: Vec<&str> =
                change.fields.iter().filter(|f| !f.is_wording()).map(|f| f.field.as_str()).collect();
            if fields.is_empty() {
                continue;
            }
            // Which tasks there are is not a matter of what they do.
            let moved = fields.iter().any(|f| {
                let root = f.split('.').next().unwrap_or(f);
                matches!(
                    root,
                    "hosts"
                        | "finally"
                        | "locks"
                        | "for_each"
                        | "items"
                        | "batch"
                        | "parent"
                        | "block"
                        | "call"
                        | "called"
                )
            });
            let mut failed = Vec::new();
            for task in self.all_of(&change.step) {
                let id = self.graph.id(task);
                let why = match self.firmness(task) {
                    Firm::Not => continue,
                    Firm::Failed if moved => "has begun",
                    Firm::Failed => {
                        failed.push(id.clone());
                        continue;
                    }
                    Firm::Yes(why) => why,
                };
                let why = format!("{id} {why}, and what differs is {}", fields.join(", "));
                obstacles.push(Obstacle { step: Some(change.step.clone()), why });
                break;
            }
            corrected.append(&mut failed);
        }
        let graph = TaskGraph::of(new);
        for (id, task) in self.tasks() {
            let told = diff.removed.contains(&id.step) || obstacles.iter().any(|o| o.step.as_ref() == Some(&id.step));
            if task.attempts > 0 && !told && graph.find(id).is_none() {
                let why = format!("{id} has begun, and the new plan has no such task");
                obstacles.push(Obstacle { step: Some(id.step.clone()), why });
            }
        }
        Onto { diff, obstacles, corrected }
    }

    /// All tasks of a step, and of those that stand in it.
    fn all_of(&self, step: &StepId) -> Vec<TaskIndex> {
        let Some(step) = self.graph.step_named(step) else { return Vec::new() };
        let own = self.graph.source(step).into_iter();
        own.chain(self.plan.acting(step).into_iter().flat_map(|at| self.graph.tasks_of(at))).collect()
    }

    /// An approval for which people have voted: it holds for the plan that they were shown.
    fn approved_by_people(&self) -> Option<TaskIndex> {
        (0..self.graph.len()).find(|&index| match &self.task(index).state {
            TaskState::Succeeded(how) => matches!(how, SuccessCause::Approved | SuccessCause::Unopposed),
            TaskState::Active(_) => self.asking(index).is_some(),
            TaskState::Waiting
            | TaskState::Pausing(_)
            | TaskState::Parked(_)
            | TaskState::Skipped(_)
            | TaskState::Failed(_) => false,
        })
    }

    fn firmness(&self, index: TaskIndex) -> Firm {
        let task = self.task(index);
        match &task.state {
            TaskState::Waiting if task.attempts == 0 => Firm::Not,
            TaskState::Waiting | TaskState::Active(_) | TaskState::Pausing(_) => Firm::Yes("has begun"),
            TaskState::Parked(ParkCause::Unknown { .. } | ParkCause::HookDiffers { .. }) => {
                Firm::Yes("may have happened: `resolve`, `skip` or `retry` it first")
            }
            TaskState::Parked(ParkCause::Failed(_) | ParkCause::UndoFailed(_) | ParkCause::NoReturn(_)) => Firm::Failed,
            TaskState::Succeeded(_) | TaskState::Failed(_) => Firm::Yes("has come to its end"),
            TaskState::Skipped(_) if task.attempts == 0 => Firm::Not,
            TaskState::Skipped(_) => Firm::Yes("has come to its end"),
        }
    }

    pub(super) fn plan_replaced(&mut self, digest: Digest, text: &str) -> Result<(), String> {
        if Digest::of(text.as_bytes()) != digest {
            return Err("the plan is not the one that its digest says".to_owned());
        }
        let plan = Plan::from_json(text)?;
        if let Some(Obstacle { step, why }) = self.onto(&plan).obstacles.into_iter().next() {
            return Err(step.map_or_else(|| why.clone(), |step| format!("{step}: {why}")));
        }
        let mut next = self.replanted(Arc::new(plan))?;
        next.digest = Some(digest);
        next.changes.clone_from(&self.changes);
        // Who has not begun asks anew, perhaps for other locks.
        for (id, task) in self.tasks().filter(|(_, task)| task.hold != Hold::No) {
            let kept = next.graph.find(id).is_some_and(|index| next.task(index).hold == task.hold);
            if !kept {
                next.changes.push(Change::Free { task: Some(id.clone()) });
            }
        }
        let (before, after) = (&self.wanted, &next.wanted);
        let gone = before.iter().filter(|e| !after.contains(*e)).cloned().map(Change::Drop);
        let new = after.iter().filter(|e| !before.contains(*e)).cloned().map(Change::Begin);
        next.changes.extend(gone.chain(new));
        *self = next;
        Ok(())
    }

    /// This run as it stands, on another plan.
    fn replanted(&self, plan: Arc<Plan>) -> Result<Self, String> {
        let mut next = Self {
            seq: self.seq,
            phase: self.phase,
            by: self.by.clone(),
            created: self.created,
            changed: self.changed,
            cancelled: self.cancelled,
            abandoned: self.abandoned,
            undone: self.undone,
            last_word: self.last_word,
            hold: self.hold.clone(),
            paused: self.paused.clone(),
            secrets: self.secrets.clone(),
            room: self.room,
            ..Self::new(self.id, plan)
        };
        if let Hold::Asked(_) = next.hold {
            next.wanted.insert(Effect::Hold(None));
        }
        // What has grown grows again, from the same items.
        for step in 0..self.plan.steps.len() {
            let Some(source) = self.graph.source(step) else { continue };
            let (Some(items), Some(new)) = (self.graph.items_of(step), next.graph.find(self.graph.id(source))) else {
                continue;
            };
            let step = next.graph.step(new);
            if next.graph.is_source(new) {
                TaskGraph::growth(&next.plan, step, items.len())?;
                let items = items.to_vec();
                next.grow(step, &items);
            }
        }
        let mut new_index = BTreeMap::new();
        for (index, task) in (0..).zip(self.tasks.iter()) {
            let Some(new) = next.graph.find(self.graph.id(index)) else { continue };
            new_index.insert(index, new);
            if let Some(params) = self.calls.get(&index) {
                next.calls.insert(new, params.clone());
            }
            if task.state != TaskState::Waiting || task.attempts > 0 {
                next.change(new, |fresh| {
                    *fresh = task.clone();
                    Ok(())
                })?;
            }
        }
        next.begun = self.begun.iter().filter_map(|index| new_index.get(index).copied()).collect();
        for index in 0..next.graph.len() {
            let task = next.task(index).clone();
            if task.attempts > 0 {
                next.unit_starts(index);
            }
            if matches!(task.state, TaskState::Failed(_)) && self.phase == Phase::Main {
                next.count_failure(index);
            }
            next.no_return += u32::from(task.began.is_some() && next.step_of(index).point_of_no_return);
            let blame = match &task.state {
                TaskState::Failed(_) => Some(index),
                TaskState::Skipped(SkipCause::NeedFailed(root) | SkipCause::TooManyFailed(root)) => {
                    next.graph.find(root)
                }
                TaskState::Skipped(SkipCause::When | SkipCause::ByHand | SkipCause::RunStopped)
                | TaskState::Succeeded(_) => None,
                TaskState::Waiting | TaskState::Active(_) | TaskState::Pausing(_) | TaskState::Parked(_) => continue,
            };
            next.failed += u32::from(matches!(task.state, TaskState::Failed(_)));
            if !next.stands_when_met(index) {
                next.settled(index, blame);
            }
        }
        if next.phase == Phase::Finally {
            // What waited for a person before need not be decided any more.
            let graph = next.graph.clone();
            next.parked = next.parked.into_iter().filter(|&task| graph.is_finally(task)).collect();
            next.holding = next.holding.into_iter().filter(|&task| graph.is_finally(task)).collect();
        }
        if self.wanted.contains(&Effect::Fetch) {
            next.wanted.insert(Effect::Fetch);
        }
        next.changes.clear();
        Ok(next)
    }
}

impl Draft {
    pub(super) fn replanned(&mut self, by: &str, why: &str, text: &str) {
        let fits = Plan::from_json(text).is_ok_and(|plan| self.run.onto(&plan).obstacles.is_empty());
        if fits {
            let (by, why, text) = (by.to_owned(), why.to_owned(), text.to_owned());
            let plan = Digest::of(text.as_bytes());
            self.push(Event::PlanReplaced { by, why, plan, text });
        }
    }
}
