//! The items of a step become known, and a call begins.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::{ParamName, TaskId};
use crate::plan::{GATE, Item, TaskGraph};
use crate::time::Timestamp;
use crate::value::Value;

use super::super::state::Run;
use super::super::task::{Task, TaskState};
use super::attempt::over;
use super::only;

impl Run {
    pub(super) fn step_expanded(&mut self, task: &TaskId, items: &[Item], at: Timestamp) -> Result<(), String> {
        let index = self.named(task)?;
        if !self.graph.is_source(index) {
            return Err(format!("{task} is no task that items come from"));
        }
        let step = self.graph.step(index);
        if self.graph.items_of(step).is_some() {
            return Err(format!("the items of {task} are known already"));
        }
        TaskGraph::growth(&self.plan, step, items.len())?;
        self.comes_about(task, at)?;
        self.grow(step, items);
        Ok(())
    }

    /// Adds the tasks of a step whose items became known.
    pub(in crate::run) fn grow(&mut self, step: usize, items: &[Item]) {
        let (tasks, gates) = (self.graph.len(), self.graph.gates());
        let growth = Arc::make_mut(&mut self.graph).grow(&self.plan, step, items.to_vec());
        for (gate, more) in growth {
            let unmet = self.unmet_gates[(gate ^ GATE) as usize];
            self.unmet_gates.set((gate ^ GATE) as usize, unmet + more);
        }
        for gate in gates..self.graph.gates() {
            let gate = u32::try_from(gate).unwrap_or(u32::MAX) | GATE;
            self.unmet_gates.push_back(self.graph.indegree(gate));
        }
        // Every new task waits for the one that its items came from, so none can begin with this.
        for task in tasks..self.graph.len() {
            self.unmet.push_back(self.graph.indegree(task));
            self.tasks.push_back(Task::default());
        }
    }

    pub(super) fn call_entered(
        &mut self,
        task: &TaskId,
        params: &BTreeMap<ParamName, Value>,
        at: Timestamp,
    ) -> Result<(), String> {
        let index = self.named(task)?;
        if self.step_of(index).call().is_none() || self.graph.is_source(index) {
            return Err(format!("{task} is no call"));
        }
        self.comes_about(task, at)?;
        self.unit_starts(index);
        self.calls.insert(index, Arc::new(params.clone()));
        Ok(())
    }

    /// The task does what it does at once: only that it is done is left to be said.
    fn comes_about(&mut self, task: &TaskId, at: Timestamp) -> Result<(), String> {
        let index = self.named(task)?;
        self.change(index, |t| {
            only(matches!(t.state, TaskState::Waiting | TaskState::Pausing(_)))?;
            t.attempts += 1;
            t.started.get_or_insert(at);
            t.state = over(at);
            Ok(())
        })
    }
}
