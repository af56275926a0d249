//! Results of another run that stand for this one's: a rerun begins where the run before it came to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{ParamName, RunId, TaskId};
use crate::plan::{GATE, Item, Plan, TaskGraph, TaskIndex};
use crate::runbook::Action;
use crate::value::{Map, Value};

use super::cause::{SkipCause, SuccessCause};
use super::process::{Exit, Printed};
use super::state::{Phase, Run};
use super::task::{TaskState, Undo};

/// The result of a task that is taken over from another run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TakenTask {
    /// Which.
    pub task: TaskId,
    /// How it came to its end there.
    pub end: Taken,
    /// The exit status of its last main job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// What that job printed; the bytes are in the output files of the other run.
    #[serde(default)]
    pub printed: Printed,
    /// Its outputs.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub outputs: Map<String, Value>,
    /// The items that it found out for its step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<Item>>,
    /// The parameters that it gave to the runbook that it called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<BTreeMap<ParamName, Value>>,
}

/// How a task that is taken over came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    /// Done.
    Succeeded(SuccessCause),
    /// Left out.
    Skipped(SkipCause),
}

/// The tasks of a run that begins with these results, as far as they are known.
pub fn graph_with(plan: &Plan, taken: &[TakenTask]) -> TaskGraph {
    let mut graph = TaskGraph::of(plan);
    for taken in taken {
        let Some((items, index)) = taken.items.as_ref().zip(graph.find(&taken.task)) else { continue };
        let step = graph.step(index);
        if graph.is_source(index) && TaskGraph::growth(plan, step, items.len()).is_ok() {
            graph.grow(plan, step, items.clone());
        }
    }
    graph
}

impl Run {
    /// The results that a new run may begin with if everything is done again that `again` says, what follows from it,
    /// and what has not come to a good end here. Steps under `finally` belong to their run and are never among them.
    pub fn results(&self, again: impl Fn(TaskIndex) -> bool) -> Vec<TakenTask> {
        let kept = self.kept(again);
        let main = (0..self.graph.len()).filter(|&t| !self.graph.is_finally(t));
        let taken = main.filter(|&t| kept[t as usize]).filter_map(|t| self.result(t));
        taken.collect()
    }

    /// The task that has not come to a good end although one of `again` needs it, directly or not.
    pub fn unfinished_before(&self, again: &[TaskIndex]) -> Option<TaskIndex> {
        let mut seen: BTreeSet<TaskIndex> = again.iter().copied().collect();
        let mut open = again.to_vec();
        while let Some(task) = open.pop() {
            for before in self.graph.before(task) {
                if seen.insert(before) {
                    if self.result(before).is_none() && !self.is_approval(before) {
                        return Some(before);
                    }
                    open.push(before);
                }
            }
        }
        None
    }

    /// For each task under `steps`: whether its result stands, and that of everything it needs.
    fn kept(&self, again: impl Fn(TaskIndex) -> bool) -> Vec<bool> {
        let graph = &self.graph;
        let gates = (0..graph.gates()).map(|gate| gate as u32 | GATE);
        let mut unmet: BTreeMap<u32, u32> = (0..graph.len()).chain(gates).map(|n| (n, graph.indegree(n))).collect();
        let mut spoilt = BTreeSet::new();
        let mut open: Vec<u32> = unmet.iter().filter(|(_, unmet)| **unmet == 0).map(|(node, _)| *node).collect();
        let mut kept = vec![false; graph.len() as usize];
        while let Some(node) = open.pop() {
            let (gate, whole) = (node & GATE != 0, !spoilt.contains(&node));
            let stands = whole && (gate || (!again(node) && self.result(node).is_some()));
            // What comes after an approval may stand although the approval itself does not.
            let asked_anew = whole && !gate && self.is_approval(node);
            if let (false, Some(kept)) = (gate, kept.get_mut(node as usize)) {
                *kept = stands;
            }
            for &after in graph.after(node) {
                if !stands && !asked_anew {
                    spoilt.insert(after);
                }
                if let Some(unmet) = unmet.get_mut(&after) {
                    *unmet = unmet.saturating_sub(1);
                    if *unmet == 0 {
                        open.push(after);
                    }
                }
            }
        }
        kept
    }

    /// What another run may take over of a task: nothing, where it did not come to a good end or was taken back.
    fn result(&self, index: TaskIndex) -> Option<TakenTask> {
        if self.is_approval(index) {
            return None;
        }
        let task = self.task(index);
        let end = match (&task.state, &task.undo) {
            (TaskState::Succeeded(how), Undo::Not) => Taken::Succeeded(*how),
            (TaskState::Skipped(why @ (SkipCause::When | SkipCause::ByHand)), Undo::Not) => Taken::Skipped(why.clone()),
            (_, _) => return None,
        };
        Some(TakenTask {
            task: self.graph.id(index).clone(),
            end,
            exit: task.exit,
            printed: task.printed.clone(),
            outputs: task.outputs.as_ref().clone(),
            items: self
                .graph
                .items_of(self.graph.step(index))
                .filter(|_| self.graph.is_source(index))
                .map(<[Item]>::to_vec),
            params: self.calls.get(&index).map(|params| params.as_ref().clone()),
        })
    }

    /// Whether it is an approval: that holds for its run alone, and another run asks again. What was done behind it
    /// stands, and nothing goes on behind that before the new approval.
    pub(super) fn is_approval(&self, index: TaskIndex) -> bool {
        matches!(self.step_of(index).action, Action::Approve(_))
    }

    /// Whether the task's result was taken over, and stands as soon as what it needs is settled here.
    pub(super) fn stands_when_met(&self, index: TaskIndex) -> bool {
        self.task(index).taken.is_some() && self.graph.indegree(index) > 0
    }

    pub(super) fn taken_over(&mut self, from: RunId, tasks: &[TakenTask]) -> Result<(), String> {
        if self.phase != Phase::Main || self.seq != 1 {
            return Err("a run takes results over before anything else happens".to_owned());
        }
        let mut indexes = Vec::with_capacity(tasks.len());
        for taken in tasks {
            let index = self.graph.find(&taken.task).ok_or_else(|| format!("the plan has no task {}", taken.task))?;
            if self.is_finally(index) {
                return Err(format!("{} stands under `finally`", taken.task));
            }
            if self.is_approval(index) {
                return Err(format!("{} is an approval, which holds for its own run alone", taken.task));
            }
            self.change(index, |task| {
                if task.state != TaskState::Waiting {
                    return Err("it is taken over twice".to_owned());
                }
                task.state = match &taken.end {
                    Taken::Succeeded(how) => TaskState::Succeeded(*how),
                    Taken::Skipped(why) => TaskState::Skipped(why.clone()),
                };
                task.taken = Some(from);
                task.exit = taken.exit;
                task.printed = taken.printed.clone();
                task.outputs = Arc::new(taken.outputs.clone());
                Ok(())
            })?;
            let step = self.graph.step(index);
            if let Some(items) = taken.items.as_ref().filter(|_| self.graph.is_source(index)) {
                TaskGraph::growth(&self.plan, step, items.len())?;
                self.grow(step, items);
            }
            if let Some(params) = &taken.params {
                self.calls.insert(index, Arc::new(params.clone()));
            }
            indexes.push(index);
        }
        indexes.retain(|&index| !self.stands_when_met(index));
        indexes.into_iter().for_each(|index| self.settled(index, None));
        Ok(())
    }
}
