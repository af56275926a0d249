//! What can only be seen when the runbooks that a runbook calls are known: that they exist, that none calls itself,
//! and that their parameters are given.

use std::collections::{BTreeMap, BTreeSet};

use super::{Call, Given, Param, ParamKind, Runbook, Step, read_argument};
use crate::fault::{Fault, FaultCode, Place, Source};
use crate::ids::{RunbookName, StepId};
use crate::value::Value;

/// Runbooks that can be called, each with its text, for the places of faults.
pub type Library = BTreeMap<RunbookName, (Runbook, Source)>;

impl Runbook {
    /// Whether any step of it has a hook.
    pub fn has_hook(&self) -> bool {
        self.steps.iter().chain(&self.finally).any(Step::has_hook)
    }

    /// The calls in it, in the order of the document.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.calling().map(|(_, call)| call)
    }

    /// The steps that are calls.
    fn calling(&self) -> impl Iterator<Item = (&Step, &Call)> {
        self.steps.iter().chain(&self.finally).filter_map(|step| Some((step, step.call()?)))
    }

    /// Whether a step is done for each item of a list: its own, or that of a block around it.
    fn is_looped(&self, step: &Step) -> bool {
        let above = |id: &StepId| self.steps.iter().chain(&self.finally).find(|step| step.id == *id);
        let mut around = std::iter::successors(Some(step), |step| step.parent.as_ref().and_then(above));
        around.any(|step| step.for_each.is_some())
    }
}

/// Checks the calls of a runbook, and of all those that it reaches: every fault, each in the document that makes it.
pub fn check_calls(root: &Runbook, source: &Source, library: &Library) -> Vec<Fault> {
    let root_source = source;
    let mut faults = Vec::new();
    let mut seen = BTreeSet::from([root.name.clone()]);
    let mut open = vec![(root, source)];
    while let Some((runbook, source)) = open.pop() {
        for (step, call) in runbook.calling() {
            let called = library.get(&call.runbook).map(|(runbook, source)| (runbook, source));
            let itself = (call.runbook == root.name).then_some((root, root_source));
            let called = itself.or(called);
            if let Some((called, _)) = called {
                check_arguments(call, called, source, &mut faults);
            }
            if let Some(cycle) = cycle(root, runbook, call, library) {
                let message = format!("runbooks cannot call each other in a circle: {}", cycle.join(" → "));
                faults.push(Fault::at(FaultCode::Cycle, source, call.span, message));
                continue;
            }
            let Some((called, text)) = called else {
                let message = format!("there is no runbook `{}`", call.runbook);
                let fault = Fault::at(FaultCode::UnknownRunbook, source, call.span, message);
                faults.push(fault.did_you_mean(call.runbook.as_str(), library.keys().map(RunbookName::as_str)));
                continue;
            };
            faults.extend(
                misplaced(runbook, step, call, called, library)
                    .map(|fault| Fault { place: Some(Place { source: source.clone(), span: call.span }), ..fault }),
            );
            if seen.insert(called.name.clone()) {
                open.push((called, text));
            }
        }
    }
    faults
}

/// What a called runbook has, or one that it calls, that cannot be where it is called from. Nothing calls itself here.
fn misplaced(
    runbook: &Runbook,
    step: &Step,
    call: &Call,
    called: &Runbook,
    library: &Library,
) -> impl Iterator<Item = Fault> {
    let looped = runbook.is_looped(step);
    let finally = runbook.finally.iter().any(|other| other.id == step.id);
    let mut faults = Vec::new();
    let mut ways = vec![(called, format!("`{}`", called.name))];
    let mut seen = BTreeSet::new();
    while let Some((reached, way)) = ways.pop() {
        if !seen.insert(&reached.name) {
            continue;
        }
        if let Some(inner) = reached.steps.iter().chain(&reached.finally).find(|s| s.for_each.is_some() && looped) {
            let message = format!(
                "a `for_each` cannot stand inside of another: {way} has one in its step `{}`, and is called for each item",
                inner.id
            );
            let hint = "make one list of both: each item can be a map with the fields of both";
            faults.push(Fault::bare(FaultCode::Conflict, message).hint(hint));
        }
        if !reached.finally.is_empty() && (looped || finally) {
            let message = format!("{way} has `finally` steps, so it cannot be called from `finally` or `for_each`");
            let hint = "make its `finally` steps a runbook of their own, and call that at the end";
            faults.push(Fault::bare(FaultCode::Conflict, message).hint(hint));
        }
        if reached.name == call.runbook && reached.params.iter().any(|param| param.kind == ParamKind::Secret) {
            let message = format!("{way} has secret parameters, which a call cannot give");
            faults.push(Fault::bare(FaultCode::BadParam, message));
        }
        let next = reached.calls().filter_map(|call| library.get(&call.runbook));
        ways.extend(next.map(|(next, _)| (next, format!("{way} → `{}`", next.name))));
    }
    faults.into_iter()
}

/// The way from a runbook through one of its calls back to itself, if there is one.
fn cycle(root: &Runbook, from: &Runbook, call: &Call, library: &Library) -> Option<Vec<String>> {
    let mut ways = vec![vec![from.name.clone(), call.runbook.clone()]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        let last = way.last()?.clone();
        if last == from.name {
            return Some(way.iter().map(ToString::to_string).collect());
        }
        if !seen.insert(last.clone()) {
            continue;
        }
        let next = if last == root.name { Some(root) } else { library.get(&last).map(|(runbook, _)| runbook) };
        for call in next.into_iter().flat_map(Runbook::calls) {
            ways.push(way.iter().chain([&call.runbook]).cloned().collect());
        }
    }
    None
}

pub(crate) fn check_arguments(call: &Call, called: &Runbook, source: &Source, faults: &mut Vec<Fault>) {
    let names = || called.params.iter().map(|param| param.name.as_str());
    for (name, argument) in &call.with {
        let Some(param) = called.params.iter().find(|param| param.name.as_str() == name) else {
            let message = format!("`{}` has no parameter `{}`", called.name, crate::yaml::read::shorten(name));
            let fault = Fault::at(FaultCode::UnknownParam, source, argument.span, message).did_you_mean(name, names());
            faults.push(match fault.hint {
                None if called.params.is_empty() => fault.hint("it takes no parameters"),
                None => fault.hint(format!("there is {}", names().collect::<Vec<_>>().join(", "))),
                Some(_) => fault,
            });
            continue;
        };
        if let Err(why) = constant(&argument.value).map_or(Ok(Value::Null), |value| read_argument(param, &value)) {
            let message = format!("`{}` refuses its parameter `{name}`: {why}", called.name);
            faults.push(Fault::at(FaultCode::BadParam, source, argument.span, message));
        }
    }
    let missing = |param: &&Param| param.required && !call.with.contains_key(param.name.as_str());
    let missing: Vec<String> = called.params.iter().filter(missing).map(|p| format!("`{}`", p.name)).collect();
    if !missing.is_empty() {
        let message = format!("`{}` needs a value for {}", called.name, missing.join(", "));
        faults.push(Fault::at(FaultCode::BadParam, source, call.span, message).hint("give it under `with:`"));
    }
}

/// The value of an argument that is no template.
fn constant(given: &Given) -> Option<Value> {
    match given {
        Given::Value(value) => Some(value.clone()),
        Given::Text(text) if text.is_constant() => Some(Value::String(text.source().to_owned())),
        Given::Text(_) => None,
    }
}
