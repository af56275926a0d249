//! The plan's tasks as a graph with numbered nodes, which grows when the items of a `for_each` become known.
//!
//! A node is a task or a *gate*. A gate stands for "all tasks of this step", so that a step on a thousand hosts that
//! waits for another on a thousand hosts costs two thousand edges and not a million.
//!
//! It is a persistent structure: a copy costs next to nothing, and growing costs what is new.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::{OrdMap, Vector};

use crate::ids::{StepId, TaskId};

use super::{Item, Plan};

/// A task's number in its run. Never written down: the journal names tasks by [`TaskId`].
pub type TaskIndex = u32;

/// Set in the number of a node that is a gate.
pub(crate) const GATE: u32 = 1 << 31;

/// A host or item of a step that counts them: the step's number, and which one.
pub(crate) type Unit = (u32, u64);

/// The tasks of a plan and what waits for what.
#[derive(Debug, Clone)]
pub struct TaskGraph {
    pub(super) places: Vector<Place>,
    pub(super) gates: Vector<Gate>,
    pub(super) index: OrdMap<TaskId, TaskIndex>,
    pub(super) steps: Arc<BTreeMap<StepId, u32>>,
    /// For each step its tasks, item by item and host by host; without the one that its items come from.
    pub(super) tasks: Vector<Arc<Vec<TaskIndex>>>,
    /// For each step the task that its items come from, where it has one.
    pub(super) sources: Vector<Option<TaskIndex>>,
    /// For each step the gate that stands for all of its tasks, where one is needed.
    pub(super) whole: Vector<Option<u32>>,
    /// The items of each `for_each` step, as far as they are known.
    pub(super) items: OrdMap<u32, Arc<Vec<Item>>>,
    /// How many tasks each host or item of a step has, where the step counts them.
    pub(super) units: OrdMap<Unit, u32>,
    /// How many hosts or items such a step has.
    pub(super) totals: OrdMap<u32, u32>,
    /// How many tasks stand under `steps` and under `finally`.
    pub(super) counts: [u32; 2],
    /// The number of the first step under `finally`.
    pub(super) finally: u32,
}

/// A task and its edges.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) id: TaskId,
    pub(super) step: u32,
    pub(super) item: Option<u32>,
    /// The step that it is started in the order of: its own, or that of its `for_each`.
    pub(super) top: u32,
    pub(super) after: Vec<u32>,
    pub(super) before: Vec<u32>,
    /// Of the steps that it stands in and that count their hosts or items, the one it is part of; from the outside in.
    pub(super) units: Arc<[Unit]>,
}

/// A gate and its edges.
#[derive(Debug, Clone, Default)]
pub(super) struct Gate {
    pub(super) after: Vec<u32>,
    pub(super) before: Vec<u32>,
    /// Whether it stands for one item only, whose failure is its own whatever the step tolerates.
    pub(super) within: bool,
}

impl TaskGraph {
    /// How many tasks there are, as far as is known.
    pub fn len(&self) -> u32 {
        u32::try_from(self.places.len()).unwrap_or(u32::MAX)
    }

    /// Whether there is no task at all.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many tasks stand under `steps`, or under `finally`.
    pub(crate) fn count(&self, finally: bool) -> u32 {
        self.counts[usize::from(finally)]
    }

    /// Whether a task stands under `finally`.
    pub fn is_finally(&self, task: TaskIndex) -> bool {
        self.places[task as usize].step >= self.finally
    }

    /// The number of the first step under `finally`, where the order of starting passes from one part to the other.
    pub(crate) fn first_finally(&self) -> u32 {
        self.finally
    }

    /// How many gates there are.
    pub(crate) fn gates(&self) -> usize {
        self.gates.len()
    }

    /// The numbers of all nodes: of the tasks, then of the gates.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = u32> {
        let gates = 0..u32::try_from(self.gates()).unwrap_or(u32::MAX);
        (0..self.len()).chain(gates.map(|gate| gate | GATE))
    }

    /// Where a node stands among all of them.
    pub(crate) fn place_of(&self, node: u32) -> usize {
        match node & GATE {
            0 => node as usize,
            _ => self.places.len() + (node ^ GATE) as usize,
        }
    }

    /// How many nodes a node waits for.
    pub(crate) fn indegree(&self, node: u32) -> u32 {
        u32::try_from(self.sources_of(node).len()).unwrap_or(u32::MAX)
    }

    /// The nodes that wait for this one.
    pub(crate) fn after(&self, node: u32) -> &[u32] {
        match node & GATE {
            0 => &self.places[node as usize].after,
            _ => &self.gates[(node ^ GATE) as usize].after,
        }
    }

    fn sources_of(&self, node: u32) -> &[u32] {
        match node & GATE {
            0 => &self.places[node as usize].before,
            _ => &self.gates[(node ^ GATE) as usize].before,
        }
    }

    /// Whether a gate stands for one item only.
    pub(crate) fn is_within(&self, gate: u32) -> bool {
        self.gates[(gate ^ GATE) as usize].within
    }

    /// The name of a task.
    pub fn id(&self, task: TaskIndex) -> &TaskId {
        &self.places[task as usize].id
    }

    /// Which of [`Plan::steps`] a task belongs to.
    pub fn step(&self, task: TaskIndex) -> usize {
        self.places[task as usize].step as usize
    }

    /// The number of a task's item in its `for_each`.
    pub fn item_number(&self, task: TaskIndex) -> Option<u32> {
        self.places[task as usize].item
    }

    /// The item of a task, and the step whose `for_each` it comes from.
    pub fn item(&self, plan: &Plan, task: TaskIndex) -> Option<&Item> {
        let number = self.item_number(task)?;
        let family = plan.family(self.step(task))?;
        self.items_of(family)?.get(number as usize)
    }

    /// The items of a `for_each` step, once they are known.
    pub fn items_of(&self, step: usize) -> Option<&[Item]> {
        self.items.get(&u32::try_from(step).ok()?).map(|items| items.as_slice())
    }

    /// Whether a task only finds out the items of its step.
    pub fn is_source(&self, task: TaskIndex) -> bool {
        self.sources[self.step(task)] == Some(task)
    }

    /// The task that the items of a step come from, where it has one.
    pub fn source(&self, step: usize) -> Option<TaskIndex> {
        self.sources.get(step).copied().flatten()
    }

    /// The tasks of a step, item by item, then host by host; without the one that its items come from.
    pub fn tasks_of(&self, step: usize) -> std::iter::Copied<std::slice::Iter<'_, TaskIndex>> {
        self.tasks.get(step).map_or(&[][..], |tasks| tasks.as_slice()).iter().copied()
    }

    /// Those of a step's tasks that are for one item.
    pub(crate) fn tasks_for(&self, step: usize, item: u32) -> &[TaskIndex] {
        let Some(tasks) = self.tasks.get(step) else { return &[] };
        let of = |task: &TaskIndex| self.places[*task as usize].item;
        let start = tasks.partition_point(|t| of(t) < Some(item));
        let end = tasks.partition_point(|t| of(t) <= Some(item));
        &tasks[start..end]
    }

    /// The number of a task.
    pub fn find(&self, task: &TaskId) -> Option<TaskIndex> {
        self.index.get(task).copied()
    }

    /// The number of the step with this id.
    pub fn step_named(&self, step: &StepId) -> Option<usize> {
        self.steps.get(step).map(|&step| step as usize)
    }

    /// The tasks whose step has this id; first the one that its items come from.
    pub fn of_step(&self, step: &StepId) -> Vec<TaskIndex> {
        let Some(step) = self.step_named(step) else { return Vec::new() };
        self.source(step).into_iter().chain(self.tasks_of(step)).collect()
    }

    /// All tasks as people read them: in the order of the document, item by item.
    pub fn in_order(&self) -> Vec<TaskIndex> {
        let mut all: Vec<TaskIndex> = (0..self.len()).collect();
        all.sort_by_key(|&task| (self.places[task as usize].top, task));
        all
    }

    /// The tasks that must be settled before this one may start.
    pub fn before(&self, task: TaskIndex) -> Vec<TaskIndex> {
        let mut found = Vec::new();
        let mut open: Vec<u32> = self.sources_of(task).to_vec();
        while let Some(node) = open.pop() {
            match node & GATE {
                0 => found.push(node),
                _ => open.extend(self.sources_of(node)),
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Where a task stands in the order in which tasks are started.
    pub(crate) fn rank(&self, task: TaskIndex) -> (u32, u32) {
        let place = &self.places[task as usize];
        (place.top, place.item.map_or(0, |item| item + 1))
    }

    /// Of the steps around a task that count their hosts or items, which it is part of; from the outside in.
    pub(crate) fn units(&self, task: TaskIndex) -> &Arc<[Unit]> {
        &self.places[task as usize].units
    }

    /// How many tasks a host or item of a counting step has.
    pub(crate) fn unit_size(&self, unit: Unit) -> u32 {
        self.units.get(&unit).copied().unwrap_or(0)
    }

    /// How many hosts or items a counting step has.
    pub fn total(&self, step: usize) -> u32 {
        u32::try_from(step).ok().and_then(|step| self.totals.get(&step).copied()).unwrap_or(0)
    }
}
