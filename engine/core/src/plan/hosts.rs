//! Which hosts a parameter or a step means.

use std::collections::{BTreeMap, BTreeSet};

use crate::expr::{Scope, Template};
use crate::fault::{Fault, FaultCode, Place};
use crate::ids::{HostName, ParamName};
use crate::runbook::{Action, Param, ParamKind, Step, Transfer};
use crate::value::Value;

use super::build::{Document, Surroundings};

/// `host` and `hosts` parameters name hosts that exist; a `hosts` value becomes the list of them.
pub(super) fn host_param(param: &Param, value: &mut Value, around: &Surroundings<'_>) -> Result<(), Fault> {
    let bad = |message: String| Fault {
        code: FaultCode::UnknownHost,
        message: format!("parameter `{}`: {message}", param.name),
        place: None,
        hint: None,
    };
    match &param.kind {
        ParamKind::Host => {
            let name = value.as_str().unwrap_or_default();
            let found = around.inventory.select(name, around.allow_unknown_hosts).map_err(|e| bad(e.to_string()))?;
            match found.as_slice() {
                [one] => *value = Value::String(one.as_str().to_owned()),
                many => return Err(bad(format!("`{name}` is {} hosts, exactly one is needed", many.len()))),
            }
        }
        ParamKind::Hosts => {
            let found = select_all(texts(value), around).map_err(bad)?;
            if found.is_empty() {
                return Err(bad("names no host".to_owned()));
            }
            *value = found.into_iter().map(|h| Value::String(h.as_str().to_owned())).collect();
        }
        ParamKind::String
        | ParamKind::Name
        | ParamKind::Integer
        | ParamKind::Number
        | ParamKind::Boolean
        | ParamKind::Duration
        | ParamKind::Size
        | ParamKind::Path
        | ParamKind::Enum(_)
        | ParamKind::Secret
        | ParamKind::List => {}
    }
    Ok(())
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().map(crate::value::to_text).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            vec![crate::value::to_text(value)]
        }
    }
}

/// The hosts that parameters name: a hook may call them, though no step runs on them.
pub(super) fn hosts_of_params(declared: &[Param], params: &BTreeMap<ParamName, Value>) -> BTreeSet<HostName> {
    let named = declared.iter().filter(|param| matches!(param.kind, ParamKind::Host | ParamKind::Hosts));
    let values = named.filter_map(|param| params.get(&param.name)).flat_map(texts);
    values.filter_map(|name| HostName::new(&name).ok()).collect()
}

/// Hosts in the order of the patterns, each once.
fn select_all(patterns: Vec<String>, around: &Surroundings<'_>) -> Result<Vec<HostName>, String> {
    let mut hosts = Vec::new();
    let mut seen = BTreeSet::new();
    for pattern in patterns.iter().flat_map(|p| p.split([',', ' ', '\n'])).filter(|p| !p.is_empty()) {
        let found = around.inventory.select(pattern, around.allow_unknown_hosts).map_err(|e| e.to_string())?;
        hosts.extend(found.into_iter().filter(|host| seen.insert(host.clone())));
    }
    Ok(hosts)
}

/// The hosts that a step runs on.
pub(super) fn hosts_of(
    step: &Step,
    scope: &Scope,
    around: &Surroundings<'_>,
    document: &Document<'_>,
) -> Result<Vec<HostName>, Vec<Fault>> {
    let Some(wanted) = &step.hosts else {
        return Ok(match &step.action {
            Action::Assert(_)
            | Action::WaitFor(_)
            | Action::Hook(_)
            | Action::Approve(_)
            | Action::Block
            | Action::Call(_) => Vec::new(),
            Action::Transfer(Transfer { to_host: Some(host), .. }) => {
                vec![one_host(step, "to", host, scope, around, document)?]
            }
            Action::Run(_)
            | Action::Exec(_)
            | Action::Put(_)
            | Action::Get(_)
            | Action::Transfer(_)
            | Action::Reboot(_)
            | Action::WaitUntil(_) => HostName::new(HostName::LOCAL).into_iter().collect(),
        });
    };
    let fault = |message: String, hint: Option<&str>| {
        vec![Fault {
            code: FaultCode::UnknownHost,
            message: format!("step `{}`: {message}", step.id),
            place: Some(Place { source: document.source.clone(), span: step.span }),
            hint: hint.map(str::to_owned),
        }]
    };
    let value_of = |template: &Template| template.value(scope).map(|v| texts(&v));
    let mut patterns = Vec::new();
    for template in wanted {
        match value_of(template) {
            Ok(mut found) => patterns.append(&mut found),
            Err(error) => {
                return Err(fault(
                    format!("`hosts: {}`: {error}", template.source()),
                    Some("hosts are chosen when the plan is made: parameters are known then, outputs of steps are not"),
                ));
            }
        }
    }
    let hosts = select_all(patterns, around).map_err(|error| fault(error, None))?;
    if hosts.is_empty() {
        return Err(fault("there is no host to run on".to_owned(), Some("name at least one host in `hosts`")));
    }
    Ok(hosts)
}

/// The host of one end of a transfer: exactly one, by its name.
pub(super) fn one_host(
    step: &Step,
    end: &str,
    template: &Template,
    scope: &Scope,
    around: &Surroundings<'_>,
    document: &Document<'_>,
) -> Result<HostName, Vec<Fault>> {
    let found = template.render(scope).map_err(|error| error.to_string()).and_then(|name| {
        let found = around.inventory.select(&name, around.allow_unknown_hosts).map_err(|e| e.to_string())?;
        match found.as_slice() {
            // The name is what the task goes by later, so no group or pattern stands for it.
            [one] if one.as_str() == name => Ok(one.clone()),
            _ => Err(format!("`{name}` is not the name of one host")),
        }
    });
    found.map_err(|why| {
        vec![Fault {
            code: FaultCode::UnknownHost,
            message: format!("step `{}`: the host of `{end}`: {why}", step.id),
            place: Some(Place { source: document.source.clone(), span: step.span }),
            hint: None,
        }]
    })
}
