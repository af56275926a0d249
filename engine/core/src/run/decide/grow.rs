//! Finds out the items of a step when its turn comes, and enters called runbooks.

use std::collections::BTreeMap;

use crate::ids::ParamName;
use crate::plan::{Item, TaskGraph, TaskIndex, read_items};
use crate::runbook::{ForEach, Given, read_argument, read_computed};
use crate::value::Value;

use super::super::cause::{FailureCause, SkipCause, SuccessCause};
use super::super::event::Event;
use super::super::state::Run;
use super::super::task::TaskState;
use super::Draft;

impl Draft {
    /// The items of a step become tasks.
    pub(in crate::run) fn expand(&mut self, task: TaskIndex) {
        match self.run.items_for(task) {
            Ok(items) => {
                self.push(Event::StepExpanded { task: self.name(task), items });
                self.succeed(task, SuccessCause::Ran);
            }
            Err(why) => self.unstartable(task, FailureCause::Expression(why)),
        }
    }

    /// A called runbook begins with the values that its parameters have now.
    pub(in crate::run) fn enter(&mut self, task: TaskIndex) {
        match self.run.arguments_of(task) {
            Ok(params) => {
                self.push(Event::CallEntered { task: self.name(task), params });
                self.succeed(task, SuccessCause::Ran);
            }
            Err(why) => self.unstartable(task, FailureCause::Expression(why)),
        }
    }
}

impl Run {
    fn items_for(&self, task: TaskIndex) -> Result<Vec<Item>, String> {
        let step = self.graph.step(task);
        let list = match &self.step_of(task).for_each {
            None => Value::Array(Vec::new()),
            Some(ForEach::List(list)) => Value::Array(list.clone()),
            Some(ForEach::Expr(expr)) => {
                let scope = self.scope(task, expr.steps()).map_err(|why| format!("`for_each`: {why}"))?;
                expr.eval(&scope).map_err(|error| format!("`for_each`: {error}"))?
            }
        };
        let items = read_items(list).map_err(|why| format!("`for_each`: {why}"))?;
        TaskGraph::growth(&self.plan, step, items.len()).map_err(|why| format!("`for_each`: {why}"))?;
        Ok(items)
    }

    /// The values of a called runbook's parameters.
    fn arguments_of(&self, task: TaskIndex) -> Result<BTreeMap<ParamName, Value>, String> {
        let planned = &self.plan.steps[self.graph.step(task)];
        let (Some(call), Some(called)) = (planned.step.call(), &planned.called) else {
            return Err("it calls no runbook".to_owned());
        };
        let mut params = called.params.clone();
        for param in called.declared.iter().filter(|param| !called.params.contains_key(&param.name)) {
            let Some(argument) = call.with.get(param.name.as_str()) else { continue };
            let value = match &argument.value {
                Given::Value(value) => read_argument(param, value),
                Given::Text(text) => self
                    .scope(task, text.steps())
                    .and_then(|scope| text.value(&scope).map_err(|error| error.to_string()))
                    .and_then(|value| read_computed(param, &value)),
            };
            params.insert(param.name.clone(), value.map_err(|why| format!("`with.{}`: {why}", param.name))?);
        }
        Ok(params)
    }

    /// Why a task is left out because what it stands in did not begin.
    pub(super) fn closed(&self, task: TaskIndex) -> Option<SkipCause> {
        let step = self.graph.step(task);
        let call = self.plan.caller(step)?;
        let item = self.graph.item_number(task);
        let tasks = match item.filter(|_| self.plan.family(call) == self.plan.family(step)) {
            Some(item) => self.graph.tasks_for(call, item).first().copied(),
            None => self.graph.tasks_of(call).next(),
        };
        match &self.task(tasks?).state {
            TaskState::Succeeded(_) => None,
            TaskState::Skipped(SkipCause::When) => Some(SkipCause::When),
            TaskState::Skipped(SkipCause::ByHand) => Some(SkipCause::ByHand),
            TaskState::Skipped(SkipCause::NeedFailed(root) | SkipCause::TooManyFailed(root)) => {
                Some(SkipCause::NeedFailed(root.clone()))
            }
            // Its `finally` steps have nothing to put in order.
            TaskState::Skipped(SkipCause::RunStopped)
            | TaskState::Waiting
            | TaskState::Active(_)
            | TaskState::Pausing(_)
            | TaskState::Parked(_)
            | TaskState::Failed(_) => Some(SkipCause::RunStopped),
        }
    }
}
