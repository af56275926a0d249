//! Results of another run that stand for this one's: a rerun begins where the run before it came to.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{RunId, TaskId};
use crate::plan::{TaskGraph, TaskIndex};
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
        // What came about only while the run went on is not in a plan that begins anew.
        let planned = TaskGraph::of(&self.plan);
        let kept = self.kept(|task| again(task) || planned.find(self.graph.id(task)).is_none());
        let taken = (0..self.graph.main()).filter(|&t| kept[t as usize]).filter_map(|t| self.result(t));
        taken.collect()
    }

    /// The task that has not come to a good end although one of `again` needs it, directly or not.
    pub fn unfinished_before(&self, again: &[TaskIndex]) -> Option<TaskIndex> {
        let mut seen: std::collections::BTreeSet<TaskIndex> = again.iter().copied().collect();
        let mut open = again.to_vec();
        while let Some(task) = open.pop() {
            for before in self.graph.before(&self.plan, task) {
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
        let mut unmet: Vec<u32> = (0u32..).take(self.graph.nodes()).map(|node| self.graph.indegree(node)).collect();
        let mut spoilt = vec![false; self.graph.nodes()];
        let mut open: Vec<u32> = (0u32..).zip(&unmet).filter(|(_, unmet)| **unmet == 0).map(|(node, _)| node).collect();
        let mut kept = vec![false; self.graph.len() as usize];
        while let Some(node) = open.pop() {
            let whole = !spoilt[node as usize];
            let stands = whole && (node >= self.graph.len() || (!again(node) && self.result(node).is_some()));
            // What comes after an approval may stand although the approval itself does not.
            let asked_anew = whole && node < self.graph.len() && self.is_approval(node);
            if let Some(kept) = kept.get_mut(node as usize) {
                *kept = stands;
            }
            for &after in self.graph.after(node) {
                spoilt[after as usize] |= !stands && !asked_anew;
                unmet[after as usize] -= 1;
                if unmet[after as usize] == 0 {
                    open.push(after);
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
            indexes.push(index);
        }
        indexes.retain(|&index| !self.stands_when_met(index));
        indexes.into_iter().for_each(|index| self.settled(index, None));
        Ok(())
    }
}
