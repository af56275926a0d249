//! The steps of called runbooks, as part of the plan of whoever calls them.

use std::collections::BTreeMap;

use crate::expr::Scope;
use crate::fault::{Fault, FaultCode, Place};
use crate::ids::ParamName;
use crate::runbook::{Call, Given, OnFailure, Param, ParamKind, Step, read_argument, read_computed};
use crate::value::Value;

use super::Called;
use super::build::{Builder, Document, param_scope};

/// How deep runbooks may call each other.
const MAX_CALLS: usize = 8;

impl Builder<'_> {
    /// Adds the steps of a called runbook.
    pub(super) fn call(
        &mut self,
        call: &Call,
        index: usize,
        step: &Step,
        (written_policy, on_failure): (Option<OnFailure>, Option<OnFailure>),
        scope: &Scope,
        document: &Document<'_>,
    ) {
        let Some((runbook, source)) = self.around.library.get(&call.runbook) else {
            let fault = Fault::at(
                FaultCode::UnknownRunbook,
                document.source,
                call.span,
                format!("there is no runbook `{}`", call.runbook),
            );
            return self.faults.push(fault);
        };
        if document.depth >= MAX_CALLS {
            let message = format!("runbooks call each other more than {MAX_CALLS} deep");
            return self.faults.push(Fault::at(FaultCode::TooLarge, document.source, call.span, message));
        }
        if runbook.params.iter().any(|param| param.kind == ParamKind::Secret) {
            let message = format!("`{}` has secret parameters, which a call cannot give", call.runbook);
            return self.faults.push(Fault::at(FaultCode::BadParam, document.source, call.span, message));
        }
        let place = |name: &str| {
            let span = call.with.get(name).map_or(call.span, |argument| argument.span);
            Some(Place { source: document.source.clone(), span })
        };
        let (mut params, bad) = known_arguments(call, &runbook.params, scope);
        self.faults.extend(bad.into_iter().map(|(name, why)| Fault {
            code: FaultCode::BadParam,
            message: format!("step `{}`: `{}` refuses its parameter `{name}`: {why}", step.id, call.runbook),
            place: place(&name),
            hint: None,
        }));
        self.host_params(&runbook.params, &mut params, |name| place(name.as_str()));
        let inner = param_scope(&params);
        self.steps[index].called =
            Some(Called { declared: runbook.params.clone(), params, outputs: runbook.outputs.clone() });
        let inside = |source| Document {
            source,
            prefix: Some(document.id(&step.id)),
            call: Some(index),
            on_failure: written_policy.or(runbook.on_failure).or(on_failure),
            depth: document.depth + 1,
        };
        self.locks(&runbook.locks, &inner, &inside(source));
        let finally = self.steps[index].finally;
        let in_loop = std::iter::successors(Some(index), |&at: &usize| self.steps[at].parent)
            .any(|at| self.steps[at].step.for_each.is_some());
        if let Some(inner) = runbook.steps.iter().find(|inner| inner.for_each.is_some() && in_loop) {
            let message =
                format!("`{}` has a `for_each` in its step `{}`, and is called for each item", call.runbook, inner.id);
            self.faults.push(Fault::at(FaultCode::Conflict, document.source, call.span, message));
        }
        if !runbook.finally.is_empty() && (finally || in_loop) {
            let message =
                format!("`{}` has `finally` steps, so it cannot be called from `finally` or `for_each`", call.runbook);
            let fault = Fault::at(FaultCode::Conflict, document.source, call.span, message);
            self.faults.push(fault.hint("make its `finally` steps a runbook of their own, and call that at the end"));
        } else if !runbook.finally.is_empty() {
            self.later.push((runbook.finally.clone(), inner.clone(), inside(source)));
        }
        self.add(runbook.steps.clone(), finally, &inner, &inside(source));
    }
}

/// The arguments of a call whose values are known when the plan is made, and those that are refused.
fn known_arguments(
    call: &Call,
    declared: &[Param],
    scope: &Scope,
) -> (BTreeMap<ParamName, Value>, Vec<(String, String)>) {
    let (mut known, mut bad) = (BTreeMap::new(), Vec::new());
    for param in declared {
        let Some(argument) = call.with.get(param.name.as_str()) else {
            let default = param.default.clone().unwrap_or(Value::Null);
            known.insert(param.name.clone(), default);
            continue;
        };
        let value = match &argument.value {
            Given::Value(value) => read_argument(param, value),
            Given::Text(template) => {
                let there = |name: &String| scope.0.contains_key(name);
                if !template.roots().iter().all(there) || !template.params().iter().all(there) {
                    continue;
                }
                let value = template.value(scope).map_err(|error| error.to_string());
                value.and_then(|value| read_computed(param, &value))
            }
        };
        match value {
            Ok(value) => drop(known.insert(param.name.clone(), value)),
            Err(why) => bad.push((param.name.to_string(), why)),
        }
    }
    (known, bad)
}
