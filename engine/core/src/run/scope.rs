//! What expressions see: parameters, the item, the host, the run, and the steps that they name.

use std::collections::{BTreeMap, BTreeSet};

use crate::expr::Scope;
use crate::ids::{HostName, ParamName, StepId};
use crate::plan::{TaskIndex, param_scope};
use crate::value::{Map, Value, to_text};

use super::state::Run;
use super::task::{Task, TaskState};

/// From where steps are looked at.
struct View {
    /// The call whose steps are named, where it is not the outermost runbook.
    call: Option<usize>,
    /// The `for_each` around, and which of its items.
    item: Option<(usize, u32)>,
    host: Option<HostName>,
}

impl Run {
    /// What the task's expressions may name. Only the steps that are asked for are in it.
    ///
    /// # Errors
    /// If something of a called runbook that is asked for has no value.
    pub(super) fn scope(&self, task: TaskIndex, named: &BTreeSet<StepId>) -> Result<Scope, String> {
        let mut scope = param_scope(self.params_of(task));
        scope.0.append(&mut self.surroundings(task));
        scope.0.insert("steps".to_owned(), self.steps_value(&self.view(task), named)?);
        Ok(scope)
    }

    /// What a hook knows from the beginning: `params`, `host`, `item` and `run`.
    pub(super) fn facts(&self, task: TaskIndex) -> Map<String, Value> {
        let params = param_scope(self.params_of(task)).0.remove("params").unwrap_or_default();
        let mut facts = self.surroundings(task);
        facts.insert("params".to_owned(), params);
        facts
    }

    /// `host` and `item`, where there is one, and `run`.
    fn surroundings(&self, task: TaskIndex) -> Map<String, Value> {
        let mut scope = Map::new();
        if let Some(name) = &self.graph.id(task).host {
            let known = self.plan.hosts.get(name).cloned().unwrap_or_default();
            let labels = known.labels.into_iter().map(|(k, v)| (k, Value::String(v))).collect();
            let mut map = Map::new();
            map.insert("name".to_owned(), Value::String(name.as_str().to_owned()));
            map.insert("labels".to_owned(), Value::Object(labels));
            map.insert("vars".to_owned(), Value::Object(known.vars));
            scope.insert("host".to_owned(), Value::Object(map));
        }
        if self.plan.sees_item(self.graph.step(task))
            && let Some(item) = self.graph.item(&self.plan, task)
        {
            scope.insert("item".to_owned(), item.value.clone());
        }
        let mut run = Map::new();
        run.insert("id".to_owned(), Value::String(self.id.to_string()));
        run.insert("runbook".to_owned(), Value::String(self.plan.runbook.as_str().to_owned()));
        run.insert("by".to_owned(), Value::String(self.by.to_string()));
        scope.insert("run".to_owned(), Value::Object(run));
        scope
    }

    fn view(&self, task: TaskIndex) -> View {
        let step = self.graph.step(task);
        let item = self.graph.item_number(task).and_then(|item| Some((self.plan.family(step)?, item)));
        View { call: self.plan.caller(step), item, host: self.graph.id(task).host.clone() }
    }

    /// What a hook of this task may know of a step: only of one that has certainly come to its end by then, so that it is
    /// told the same whenever it asks.
    pub fn step_for_hook(&self, task: TaskIndex, id: &StepId) -> Result<Value, String> {
        let own = self.graph.step(task);
        let caller = self.plan.caller(own);
        let beside = |at: &usize| self.plan.caller(*at) == caller;
        let here = &self.plan.steps[own];
        let plain = |at: usize| self.plan.steps[at].step.id.last();
        let Some(asked) = (0..self.plan.steps.len()).filter(beside).find(|&at| plain(at) == id.as_str()) else {
            let near = crate::fault::nearest(id.as_str(), (0..self.plan.steps.len()).filter(beside).map(plain));
            let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Err(format!("there is no step `{id}`{hint}"));
        };
        let there = &self.plan.steps[asked];
        if (!here.finally || there.finally) && !self.plan.comes_before(asked, own) {
            return Err(format!("`{}` reads `{id}`, but does not come after it: add it to `needs`", here.step.id));
        }
        self.step_value(&self.view(task), id)
    }

    /// The parameters of the runbook that a task stands in.
    pub(super) fn params_of(&self, task: TaskIndex) -> &BTreeMap<ParamName, Value> {
        let step = self.graph.step(task);
        match self.plan.caller(step) {
            Some(call) => {
                let item = self.graph.item_number(task).filter(|_| self.plan.family(call) == self.plan.family(step));
                self.params_of_call(call, item)
            }
            None => &self.plan.params,
        }
    }

    /// The parameters that a call gave; before it began, those that are known.
    fn params_of_call(&self, call: usize, item: Option<u32>) -> &BTreeMap<ParamName, Value> {
        let task = match item {
            Some(item) => self.graph.tasks_for(call, item).first().copied(),
            None => self.graph.tasks_of(call).next(),
        };
        match (task.and_then(|task| self.calls.get(&task)), &self.plan.steps[call].called) {
            (Some(params), _) => params,
            (None, Some(called)) => &called.params,
            (None, None) => &self.plan.params,
        }
    }

    /// The item as environment variables: its name, its value, and, of a map, its fields.
    pub(super) fn item_env(&self, task: TaskIndex) -> BTreeMap<String, String> {
        let mut env = BTreeMap::new();
        if !self.plan.sees_item(self.graph.step(task)) {
            return env;
        }
        let Some(item) = self.graph.item(&self.plan, task) else { return env };
        env.insert("PITON_ITEM".to_owned(), item.name.as_str().to_owned());
        env.insert("item".to_owned(), to_text(&item.value));
        if let Value::Object(fields) = &item.value {
            let named = fields.iter().filter(|(field, _)| ParamName::new(field).is_ok());
            env.extend(named.map(|(field, value)| (format!("item_{field}"), to_text(value))));
        }
        env
    }

    fn steps_value(&self, view: &View, named: &BTreeSet<StepId>) -> Result<Value, String> {
        let steps = named.iter().map(|id| Ok((id.as_str().to_owned(), self.step_value(view, id)?)));
        steps.collect::<Result<Map<String, Value>, String>>().map(Value::Object)
    }

    /// `steps.<id>`: the task for the same item and on the same host, or the only one; under `hosts` every one by its
    /// host, under `items` by its item.
    fn step_value(&self, view: &View, id: &StepId) -> Result<Value, String> {
        let full = match view.call {
            Some(call) => StepId::new(&format!("{}/{id}", self.plan.steps[call].step.id)).ok(),
            None => Some(id.clone()),
        };
        let Some(step) = full.and_then(|id| self.graph.step_named(&id)) else { return Ok(Value::Object(Map::new())) };
        let family = self.plan.family(step);
        let item = view.item.filter(|(of, _)| family == Some(*of)).map(|(_, item)| item);
        let planned = &self.plan.steps[step].step;
        if planned.is_block() || planned.call().is_some() {
            return self.whole_value(step, item);
        }
        let all: Vec<TaskIndex>;
        let tasks = match item {
            Some(item) => self.graph.tasks_for(step, item),
            None => {
                all = self.graph.tasks_of(step).collect();
                &all
            }
        };
        let host_of = |task: TaskIndex| self.graph.id(task).host.as_ref();
        let mut value = Map::new();
        if item.is_some() || family.is_none() {
            let same = tasks.iter().copied().find(|&t| view.host.is_some() && host_of(t) == view.host.as_ref());
            let own = same.or(if let [one] = *tasks { Some(one) } else { None });
            value = own.map_or_else(Map::new, |task| task_value(self.task(task)));
            value.insert("hosts".to_owned(), self.by_host(tasks));
        } else {
            value.insert("state".to_owned(), self.state_of(step, None).into());
            value.insert("items".to_owned(), self.by_item(step, tasks));
        }
        Ok(Value::Object(value))
    }

    fn by_host(&self, tasks: &[TaskIndex]) -> Value {
        let named = |&task: &TaskIndex| {
            let host = self.graph.id(task).host.as_ref()?;
            Some((host.as_str().to_owned(), Value::Object(task_value(self.task(task)))))
        };
        Value::Object(tasks.iter().filter_map(named).collect())
    }

    fn by_item(&self, step: usize, tasks: &[TaskIndex]) -> Value {
        let several = self.plan.steps[step].hosts.len() > 1;
        let mut items = Map::new();
        for of_item in tasks.chunk_by(|a, b| self.graph.item_number(*a) == self.graph.item_number(*b)) {
            let [first, ..] = *of_item else { continue };
            let Some(name) = &self.graph.id(first).item else { continue };
            let mut value = if several { Map::new() } else { task_value(self.task(first)) };
            value.insert("hosts".to_owned(), self.by_host(of_item));
            items.insert(name.as_str().to_owned(), Value::Object(value));
        }
        Value::Object(items)
    }

    /// What a block or call amounts to: the state of all of it, and what a called runbook gives.
    fn whole_value(&self, step: usize, item: Option<u32>) -> Result<Value, String> {
        let mut value = Map::new();
        value.insert("state".to_owned(), self.state_of(step, item).into());
        let looped = item.is_none() && self.plan.family(step).is_some();
        if !looped {
            value.insert("outputs".to_owned(), self.outputs_of(step, item)?);
        } else if self.plan.family(step) == Some(step) {
            let mut items = Map::new();
            for (number, item) in (0u32..).zip(self.graph.items_of(step).unwrap_or_default()) {
                let mut one = Map::new();
                one.insert("state".to_owned(), self.state_of(step, Some(number)).into());
                one.insert("outputs".to_owned(), self.outputs_of(step, Some(number))?);
                items.insert(item.name.as_str().to_owned(), Value::Object(one));
            }
            value.insert("items".to_owned(), Value::Object(items));
        }
        Ok(Value::Object(value))
    }

    /// What a called runbook gives to its caller; nothing before all of it has succeeded.
    fn outputs_of(&self, call: usize, item: Option<u32>) -> Result<Value, String> {
        let mut outputs = Map::new();
        let Some(called) = &self.plan.steps[call].called else { return Ok(Value::Object(outputs)) };
        if self.state_of(call, item) != "succeeded" {
            return Ok(Value::Object(outputs));
        }
        let params = self.params_of_call(call, item);
        for (name, template) in &called.outputs {
            let family = self.plan.family(call);
            let view = View { call: Some(call), item: item.and_then(|item| Some((family?, item))), host: None };
            let mut scope = param_scope(params);
            scope.0.insert("steps".to_owned(), self.steps_value(&view, template.steps())?);
            let value = template.value(&scope);
            let what = || format!("the output `{name}` of {}", self.plan.steps[call].step.id);
            outputs.insert(name.as_str().to_owned(), value.map_err(|error| format!("{}: {error}", what()))?);
        }
        Ok(Value::Object(outputs))
    }

    /// One word for all tasks of a step and what stands in it, for one item or all.
    pub fn state_of(&self, step: usize, item: Option<u32>) -> &'static str {
        let (mut open, mut failed, mut done, mut skipped) = (false, false, false, false);
        let mut look = |task: &Task| match task.state {
            TaskState::Succeeded(_) => done = true,
            TaskState::Skipped(_) => skipped = true,
            TaskState::Failed(_) => failed = true,
            TaskState::Waiting | TaskState::Active(_) | TaskState::Pausing(_) | TaskState::Parked(_) => open = true,
        };
        for at in self.plan.acting(step) {
            match item {
                Some(item) => self.graph.tasks_for(at, item).iter().for_each(|&task| look(self.task(task))),
                None => self.graph.tasks_of(at).for_each(|task| look(self.task(task))),
            }
        }
        if item.is_none()
            && let Some(source) = self.graph.source(step)
        {
            look(self.task(source));
        }
        match (failed, open, done, skipped) {
            (true, _, _, _) => "failed",
            (false, true, _, _) => "running",
            (false, false, false, true) => "skipped",
            (false, false, _, _) => "succeeded",
        }
    }
}

fn task_value(task: &Task) -> Map<String, Value> {
    let mut value = Map::new();
    value.insert("state".to_owned(), Value::String(task.state.word().to_owned()));
    value.insert("exit".to_owned(), task.exit.map_or(Value::Null, |e| Value::from(e.0)));
    value.insert("outputs".to_owned(), Value::Object(task.outputs.as_ref().clone()));
    value
}
