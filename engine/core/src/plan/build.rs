//! Makes a plan: parameters are given values, hosts become known, needs become edges.

use std::collections::{BTreeMap, BTreeSet};

use crate::expr::{Scope, Template};
use crate::fault::{Fault, FaultCode, Place, Source};
use crate::ids::{HostName, ParamName};
use crate::inventory::{Host, Inventory};
use crate::lock::{Lock, bad_name};
use crate::runbook::{Action, LockWanted, Param, ParamKind, Runbook, SecretSource, Step, Transfer};
use crate::value::{Map, Value};

use super::{Need, Plan, PlannedStep};

/// What a plan is made of besides the runbook.
#[derive(Debug, Clone)]
pub struct Surroundings<'a> {
    /// The hosts there are.
    pub inventory: &'a Inventory,
    /// Whether a host that the inventory does not have may be known to the user's ssh config.
    pub allow_unknown_hosts: bool,
    /// The directory that relative paths begin from; absolute.
    pub project: &'a str,
    /// The runbook's text, for the places of faults.
    pub source: &'a Source,
}

impl Plan {
    /// Makes the plan, or says everything that stands in its way.
    ///
    /// `params` holds a value for every declared parameter that has one (see [`crate::runbook::read_params`]).
    pub fn build(
        runbook: Runbook,
        mut params: BTreeMap<ParamName, Value>,
        around: &Surroundings<'_>,
    ) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut secrets = BTreeMap::new();
        for param in &runbook.params {
            if param.kind == ParamKind::Secret {
                // Where nothing else is said, somebody is asked.
                match (&param.from, param.required) {
                    (Some(source), _) => drop(secrets.insert(param.name.clone(), source.clone())),
                    (None, true) => drop(secrets.insert(param.name.clone(), SecretSource::Prompt)),
                    (None, false) => drop(params.insert(param.name.clone(), Value::Null)),
                }
            }
            if let Some(value) = params.get_mut(&param.name)
                && let Err(fault) = host_param(param, value, around)
            {
                faults.push(fault);
            }
        }
        let scope = param_scope(&params);

        let mut sources = BTreeSet::new();
        let mut steps = Vec::with_capacity(runbook.steps.len() + runbook.finally.len());
        let all = runbook.steps.into_iter().map(|s| (s, false)).chain(runbook.finally.into_iter().map(|s| (s, true)));
        for (step, finally) in all {
            let hosts = hosts_of(&step, &scope, around).unwrap_or_else(|mut found| {
                faults.append(&mut found);
                Vec::new()
            });
            if let Action::Transfer(transfer) = &step.action {
                match one_host(&step, "from", &transfer.from_host, &scope, around) {
                    Ok(host) => drop(sources.insert(host)),
                    Err(mut found) => faults.append(&mut found),
                }
            }
            steps.push(PlannedStep { step, hosts, needs: Vec::new(), finally });
        }
        connect(&mut steps);
        let locks = run_locks(&runbook.locks, &scope, around, &mut faults);

        if !faults.is_empty() {
            return Err(faults);
        }
        let mut used: BTreeSet<HostName> = steps.iter().flat_map(|s| &s.hosts).chain(&sources).cloned().collect();
        if steps.iter().any(|s| s.step.has_hook()) {
            used.extend(hosts_of_params(&runbook.params, &params));
        }
        let hosts = used
            .into_iter()
            .map(|name| (name.clone(), around.inventory.hosts.get(&name).cloned().unwrap_or_default()))
            .collect::<BTreeMap<HostName, Host>>();
        Ok(Self {
            version: Self::VERSION,
            runbook: runbook.name,
            title: runbook.title,
            on_failure: runbook.on_failure,
            max_parallel: runbook.max_parallel,
            locks,
            params,
            secrets,
            hosts,
            project: around.project.to_owned(),
            scripts: BTreeMap::new(),
            steps,
        })
    }
}

/// The variables that are known when a plan is made.
pub(crate) fn param_scope(params: &BTreeMap<ParamName, Value>) -> Scope {
    let mut scope = Map::new();
    let mut all = Map::new();
    for (name, value) in params {
        scope.insert(name.as_str().to_owned(), value.clone());
        all.insert(name.as_str().to_owned(), value.clone());
    }
    scope.insert("params".to_owned(), Value::Object(all));
    Scope(scope)
}

/// The hosts that parameters name: a hook may call them, though no step runs on them.
fn hosts_of_params(declared: &[Param], params: &BTreeMap<ParamName, Value>) -> BTreeSet<HostName> {
    let named = declared.iter().filter(|param| matches!(param.kind, ParamKind::Host | ParamKind::Hosts));
    let values = named.filter_map(|param| params.get(&param.name)).flat_map(texts);
    values.filter_map(|name| HostName::new(&name).ok()).collect()
}

/// The locks of the run by their names, each once.
fn run_locks(wanted: &[LockWanted], scope: &Scope, around: &Surroundings<'_>, faults: &mut Vec<Fault>) -> Vec<Lock> {
    let mut locks: BTreeMap<String, u32> = BTreeMap::new();
    for lock in wanted {
        let source = lock.name.source();
        let name = lock.name.render(scope).map_err(|error| error.to_string());
        let name = name.and_then(|name| match bad_name(&name) {
            Some(what) => Err(format!("the name `{}` {what}", name.escape_debug())),
            None => Ok(name),
        });
        match name {
            Ok(name) => {
                let most = locks.entry(name).or_insert(lock.most);
                *most = lock.most.min(*most);
            }
            Err(why) => {
                let message = format!("the lock `{source}`: {why}");
                faults.push(Fault::at(FaultCode::BadValue, around.source, lock.span, message));
            }
        }
    }
    locks.into_iter().map(|(name, most)| Lock { name, most }).collect()
}

/// `host` and `hosts` parameters name hosts that exist; a `hosts` value becomes the list of them.
fn host_param(param: &Param, value: &mut Value, around: &Surroundings<'_>) -> Result<(), Fault> {
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

fn hosts_of(step: &Step, scope: &Scope, around: &Surroundings<'_>) -> Result<Vec<HostName>, Vec<Fault>> {
    let Some(wanted) = &step.hosts else {
        return Ok(match &step.action {
            Action::Assert(_) | Action::WaitFor(_) | Action::Hook(_) | Action::Approve(_) => Vec::new(),
            Action::Transfer(Transfer { to_host: Some(host), .. }) => vec![one_host(step, "to", host, scope, around)?],
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
            place: Some(Place { source: around.source.clone(), span: step.span }),
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
fn one_host(
    step: &Step,
    end: &str,
    template: &Template,
    scope: &Scope,
    around: &Surroundings<'_>,
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
            place: Some(Place { source: around.source.clone(), span: step.span }),
            hint: None,
        }]
    })
}

/// Makes needs into edges. Where two steps run on the same hosts, each host waits for itself only.
fn connect(steps: &mut [PlannedStep]) {
    let number: BTreeMap<_, _> = steps.iter().enumerate().map(|(i, s)| (s.step.id.clone(), i)).collect();
    let hosts: Vec<BTreeSet<HostName>> = steps.iter().map(|s| s.hosts.iter().cloned().collect()).collect();
    for (index, planned) in steps.iter_mut().enumerate() {
        let barrier = planned.step.barrier;
        planned.needs = planned
            .step
            .needs
            .iter()
            .filter_map(|id| number.get(id))
            .map(|&step| Need { step, per_host: !barrier && !hosts[index].is_empty() && hosts[step] == hosts[index] })
            .collect();
    }
}
