//! The plan's tasks as a graph with numbered nodes.
//!
//! A node is a task or a *gate*. A gate stands for "all tasks of this step", so that a step on a thousand hosts that
//! waits for another on a thousand hosts costs two thousand edges and not a million.

use std::collections::BTreeMap;

use petgraph::csr::Csr;

use crate::ids::{HostName, StepId, TaskId};

use super::Plan;

/// A task's number in its plan. Never written down: the journal names tasks by [`TaskId`].
pub type TaskIndex = u32;

/// The tasks of a plan and what waits for what.
#[derive(Debug)]
pub struct TaskGraph {
    ids: Vec<TaskId>,
    step_of: Vec<u32>,
    index: BTreeMap<TaskId, TaskIndex>,
    first: Vec<TaskIndex>,
    edges: Csr<(), ()>,
    indegree: Vec<u32>,
    main: u32,
}

impl TaskGraph {
    /// Numbers the tasks of a plan: in the order of the document, then of the hosts.
    pub fn of(plan: &Plan) -> Self {
        let mut ids = Vec::new();
        let mut step_of = Vec::new();
        let mut first = Vec::with_capacity(plan.steps.len() + 1);
        let mut main = 0;
        for (number, planned) in (0u32..).zip(&plan.steps) {
            first.push(count(&ids));
            let hosts = planned.hosts.iter().cloned().map(Some);
            let hosts: Vec<Option<HostName>> = if planned.hosts.is_empty() { vec![None] } else { hosts.collect() };
            for host in hosts {
                ids.push(TaskId { step: planned.step.id.clone(), host });
                step_of.push(number);
            }
            if !planned.finally {
                main = count(&ids);
            }
        }
        first.push(count(&ids));

        let index: BTreeMap<TaskId, TaskIndex> = ids.iter().cloned().zip(0..).collect();

        let gate = |step: usize| count(&ids) + u32::try_from(step).unwrap_or(u32::MAX);
        let mut edges = Vec::new();
        let mut gated = vec![false; plan.steps.len()];
        for (step, planned) in plan.steps.iter().enumerate() {
            for need in &planned.needs {
                let (from, to) = (first[need.step]..first[need.step + 1], first[step]..first[step + 1]);
                if need.per_host {
                    edges.extend(to.filter_map(|task| {
                        let step = plan.steps[need.step].step.id.clone();
                        let before = TaskId { step, host: ids[task as usize].host.clone() };
                        index.get(&before).map(|&before| (before, task))
                    }));
                } else if from.len() == 1 {
                    edges.extend(to.map(|task| (from.start, task)));
                } else {
                    if !std::mem::replace(&mut gated[need.step], true) {
                        edges.extend(from.map(|task| (task, gate(need.step))));
                    }
                    edges.extend(to.map(|task| (gate(need.step), task)));
                }
            }
        }
        edges.sort_unstable();
        edges.dedup();

        let nodes = ids.len() + plan.steps.len();
        let mut indegree = vec![0; nodes];
        for &(_, to) in &edges {
            indegree[to as usize] += 1;
        }
        // `from_sorted_edges` fails only on edges out of order, and gives no node after the last one with an edge.
        let mut graph = Csr::from_sorted_edges(&edges).unwrap_or_default();
        while graph.node_count() < nodes {
            graph.add_node(());
        }
        Self { ids, step_of, index, first, edges: graph, indegree, main }
    }

    /// How many tasks there are.
    pub fn len(&self) -> u32 {
        count(&self.ids)
    }

    /// Whether there is no task at all.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// How many tasks stand under `steps`; they have the numbers below this.
    pub fn main(&self) -> u32 {
        self.main
    }

    /// How many nodes there are, tasks and gates.
    pub(crate) fn nodes(&self) -> usize {
        self.indegree.len()
    }

    /// How many nodes a node waits for.
    pub(crate) fn indegree(&self, node: u32) -> u32 {
        self.indegree[node as usize]
    }

    /// The nodes that wait for this one, in ascending order.
    pub(crate) fn after(&self, node: u32) -> &[u32] {
        self.edges.neighbors_slice(node)
    }

    /// The name of a task.
    pub fn id(&self, task: TaskIndex) -> &TaskId {
        &self.ids[task as usize]
    }

    /// Which of [`Plan::steps`] a task belongs to.
    pub fn step(&self, task: TaskIndex) -> usize {
        self.step_of[task as usize] as usize
    }

    /// The tasks of a step.
    pub fn tasks_of(&self, step: usize) -> std::ops::Range<TaskIndex> {
        self.first[step]..self.first[step + 1]
    }

    /// The number of a task.
    pub fn find(&self, task: &TaskId) -> Option<TaskIndex> {
        self.index.get(task).copied()
    }

    /// The tasks whose step has this id.
    pub fn of_step(&self, step: &StepId) -> std::ops::Range<TaskIndex> {
        let from = TaskId { step: step.clone(), host: None };
        match self.index.range(from..).next() {
            Some((id, &task)) if id.step == *step => self.tasks_of(self.step(task)),
            Some(_) | None => 0..0,
        }
    }

    /// The tasks that must be settled before this one may start.
    pub fn before(&self, plan: &Plan, task: TaskIndex) -> Vec<TaskIndex> {
        let host = &self.id(task).host;
        let needs = &plan.steps[self.step(task)].needs;
        needs
            .iter()
            .flat_map(|need| self.tasks_of(need.step).filter(move |&t| !need.per_host || self.id(t).host == *host))
            .collect()
    }
}

fn count(ids: &[TaskId]) -> u32 {
    u32::try_from(ids.len()).unwrap_or(u32::MAX)
}
