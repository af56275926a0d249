//! Results of another run that stand for this one's: a rerun begins where the run before it came to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{ParamName, RunId, TaskId};
use crate::plan::{GATE, Item, TaskGraph, TaskIndex};
use crate::value::{Map, Value};

use super::cause::{SkipCause, SuccessCause};
use super::event::{Exit, Printed};
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
                    if self.result(before).is_none() {
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
            let gate = node & GATE != 0;
            let stands = !spoilt.contains(&node) && (gate || (!again(node) && self.result(node).is_some()));
            if let (false, Some(kept)) = (gate, kept.get_mut(node as usize)) {
                *kept = stands;
            }
            for &after in graph.after(node) {
                if !stands {
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
        indexes.into_iter().for_each(|index| self.settled(index, None));
        Ok(())
    }
}
