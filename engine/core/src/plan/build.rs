//! Makes a plan: parameters are given values, hosts become known, needs become edges.

use std::collections::{BTreeMap, BTreeSet};

use crate::expr::{Scope, Template};
use crate::fault::{Fault, FaultCode, Place, Source};
use crate::ids::{HostName, ParamName, StepId};
use crate::inventory::{Host, Inventory};
use crate::lock::{Lock, bad_name};
use crate::runbook::{
    Action, ForEach, Library, LockWanted, MAX_STEPS, OnFailure, Param, ParamKind, Runbook, SecretSource, Step, Transfer,
};
use crate::value::{Map, Value};

use super::edges::connect;
use super::hosts::{host_param, hosts_of, hosts_of_params, one_host};
use super::items::{Item, read_items};
use super::{Plan, PlannedStep, TaskGraph};

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
    /// The runbooks that it calls, and those that they call.
    pub library: &'a Library,
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
        let mut secrets = BTreeMap::new();
        for param in runbook.params.iter().filter(|param| param.kind == ParamKind::Secret) {
            // Where nothing else is said, somebody is asked.
            match (&param.from, param.required) {
                (Some(source), _) => drop(secrets.insert(param.name.clone(), source.clone())),
                (None, true) => drop(secrets.insert(param.name.clone(), SecretSource::Prompt)),
                (None, false) => drop(params.insert(param.name.clone(), Value::Null)),
            }
        }
        let mut builder = Builder {
            around,
            steps: Vec::new(),
            later: Vec::new(),
            sources: BTreeSet::new(),
            locks: BTreeMap::new(),
            faults: Vec::new(),
        };
        builder.host_params(&runbook.params, &mut params, |_| None);
        let scope = param_scope(&params);
        let own = Document { source: around.source, prefix: None, call: None, on_failure: None, depth: 0 };
        builder.locks(&runbook.locks, &scope, &own);
        builder.add(runbook.steps, false, &scope, &own);
        builder.add(runbook.finally, true, &scope, &own);
        // What belongs to the end of called runbooks comes to the end of the run.
        for (steps, scope, document) in std::mem::take(&mut builder.later) {
            builder.add(steps, true, &scope, &document);
        }
        let Builder { mut steps, mut faults, locks, sources, .. } = builder;
        if steps.len() > MAX_STEPS {
            let message =
                format!("with the runbooks that it calls it has {} steps, more than {MAX_STEPS}", steps.len());
            faults.push(Fault::bare(FaultCode::TooLarge, message));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        connect(&mut steps);
        let locks = locks.into_iter().map(|(name, most)| Lock { name, most }).collect();
        let mut used: BTreeSet<HostName> = steps.iter().flat_map(|s| &s.hosts).chain(&sources).cloned().collect();
        if steps.iter().any(|s| s.step.has_hook()) {
            used.extend(hosts_of_params(&runbook.params, &params));
            let called = steps.iter().filter_map(|s| s.called.as_ref());
            used.extend(called.flat_map(|called| hosts_of_params(&called.declared, &called.params)));
        }
        let hosts = used
            .into_iter()
            .map(|name| (name.clone(), around.inventory.hosts.get(&name).cloned().unwrap_or_default()))
            .collect::<BTreeMap<HostName, Host>>();
        let plan = Self {
            version: Self::VERSION,
            runbook: runbook.name,
            title: runbook.title,
            on_failure: runbook.on_failure.unwrap_or_default(),
            max_parallel: runbook.max_parallel,
            locks,
            params,
            secrets,
            hosts,
            project: around.project.to_owned(),
            scripts: BTreeMap::new(),
            steps,
        };
        plan.check_growth(around.source).map(|()| plan)
    }

    /// What is known to grow too large is refused before anything begins.
    fn check_growth(&self, source: &Source) -> Result<(), Vec<Fault>> {
        let known = (0..self.steps.len()).filter_map(|at| Some((at, self.steps[at].items.as_ref()?.len())));
        let faults: Vec<Fault> = known
            .filter_map(|(at, items)| TaskGraph::growth(self, at, items).err().map(|why| (at, why)))
            .map(|(at, why)| {
                let step = &self.steps[at].step;
                let message = format!("step `{}`: {why}", step.id);
                match self.caller(at) {
                    None => Fault::at(FaultCode::TooLarge, source, step.span, message),
                    Some(_) => Fault::bare(FaultCode::TooLarge, message),
                }
            })
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}

/// Collects the steps of a runbook, and of those that it calls.
pub(super) struct Builder<'a> {
    pub(super) around: &'a Surroundings<'a>,
    pub(super) steps: Vec<PlannedStep>,
    /// The `finally` steps of called runbooks, with what they see and where they stand.
    pub(super) later: Vec<(Vec<Step>, Scope, Document<'a>)>,
    /// Hosts that files come from.
    pub(super) sources: BTreeSet<HostName>,
    /// The locks of the run by their names, each with how many may hold it.
    pub(super) locks: BTreeMap<String, u32>,
    pub(super) faults: Vec<Fault>,
}

/// The document that steps stand in.
pub(super) struct Document<'d> {
    pub(super) source: &'d Source,
    /// The id of the call before those of its steps.
    pub(super) prefix: Option<StepId>,
    /// The number of the call.
    pub(super) call: Option<usize>,
    /// What it says, or the call, about failures; `None` where that is the outermost runbook's to say.
    pub(super) on_failure: Option<OnFailure>,
    pub(super) depth: usize,
}

impl Document<'_> {
    pub(super) fn id(&self, id: &StepId) -> StepId {
        let full = self.prefix.as_ref().and_then(|prefix| StepId::new(&format!("{prefix}/{id}")).ok());
        full.unwrap_or_else(|| id.clone())
    }

    fn fault(&self, code: FaultCode, step: &Step, message: &str) -> Fault {
        Fault::at(code, self.source, step.span, format!("step `{}`: {message}", step.id))
    }
}

impl<'a> Builder<'a> {
    pub(super) fn host_params(
        &mut self,
        declared: &[Param],
        params: &mut BTreeMap<ParamName, Value>,
        place: impl Fn(&ParamName) -> Option<Place>,
    ) {
        for param in declared {
            if let Some(value) = params.get_mut(&param.name)
                && let Err(fault) = host_param(param, value, self.around)
            {
                self.faults.push(Fault { place: place(&param.name), ..fault });
            }
        }
    }

    pub(super) fn add(&mut self, steps: Vec<Step>, finally: bool, scope: &Scope, document: &Document<'_>) {
        let mut place: BTreeMap<StepId, usize> = BTreeMap::new();
        for mut step in steps {
            let index = self.steps.len();
            place.insert(step.id.clone(), index);
            let parent = step.parent.as_ref().and_then(|id| place.get(id).copied()).or(document.call);
            let hosts = match (&step.action, &step.hosts, parent) {
                (Action::Block | Action::Call(_), None, _) => self.inherited(parent),
                (Action::Assert(_) | Action::WaitFor(_) | Action::Approve(_), None, _) => Vec::new(),
                (action, None, Some(_)) if !names_its_host(action) && !self.inherited(parent).is_empty() => {
                    self.inherited(parent)
                }
                (_, _, _) => hosts_of(&step, scope, self.around, document).unwrap_or_else(|mut found| {
                    self.faults.append(&mut found);
                    Vec::new()
                }),
            };
            if let Action::Transfer(transfer) = &step.action {
                match one_host(&step, "from", &transfer.from_host, scope, self.around, document) {
                    Ok(host) => drop(self.sources.insert(host)),
                    Err(mut found) => self.faults.append(&mut found),
                }
            }
            let items = self.items(&step, scope, document);
            // What a block says about failures holds for its steps.
            let above = parent.filter(|_| step.parent.is_some()).and_then(|at| self.steps[at].step.on_failure);
            let own_policy = step.on_failure;
            step.on_failure = step.on_failure.or(above).or(document.on_failure);
            let call = step.call().cloned();
            let (written, policy) = (step.clone(), own_policy);
            step.id = document.id(&step.id);
            step.parent = step.parent.map(|id| document.id(&id));
            step.needs = step.needs.iter().map(|id| document.id(id)).collect();
            let on_failure = step.on_failure;
            self.steps.push(PlannedStep { step, hosts, needs: Vec::new(), finally, parent, items, called: None });
            if let Some(call) = call {
                self.call(&call, index, &written, (policy, on_failure), scope, document);
            }
        }
    }

    /// The locks that a runbook wants for the whole run, each once.
    pub(super) fn locks(&mut self, wanted: &[LockWanted], scope: &Scope, document: &Document<'_>) {
        for lock in wanted {
            let unknown = |name: &&String| *name != "params" && !scope.0.contains_key(*name);
            let fault = |why: String| {
                let message = format!("the lock `{}`: {why}", lock.name.source());
                Fault::at(FaultCode::BadValue, document.source, lock.span, message)
            };
            if let Some(name) = lock.name.roots().iter().chain(lock.name.params()).find(unknown) {
                let message = format!("`{name}` is known only when the call begins");
                let hint = "the locks of a run are taken before anything runs; say `locks` on the steps that need it";
                self.faults.push(fault(message).hint(hint));
                continue;
            }
            match lock_name(&lock.name, scope) {
                Ok(name) => {
                    let most = self.locks.entry(name).or_insert(lock.most);
                    *most = lock.most.min(*most);
                }
                Err(why) => self.faults.push(fault(why)),
            }
        }
    }

    /// The hosts of the blocks around, as far as they have any; a call is no block, its steps have hosts of their own.
    fn inherited(&self, parent: Option<usize>) -> Vec<HostName> {
        match parent.map(|at| &self.steps[at]) {
            Some(block) if block.step.is_block() => block.hosts.clone(),
            Some(_) | None => Vec::new(),
        }
    }

    /// The items of a step, where parameters are enough to know them.
    fn items(&mut self, step: &Step, scope: &Scope, document: &Document<'_>) -> Option<Vec<Item>> {
        let list = match step.for_each.as_ref()? {
            ForEach::List(list) => Value::Array(list.clone()),
            ForEach::Expr(expr) => {
                let known = expr.roots().iter().all(|root| scope.0.contains_key(root))
                    && expr.params().iter().all(|name| scope.0.contains_key(name));
                if !known {
                    return None;
                }
                match expr.eval(scope) {
                    Ok(list) => list,
                    Err(error) => {
                        let fault = document.fault(FaultCode::BadExpression, step, &format!("`for_each`: {error}"));
                        self.faults.push(fault);
                        return None;
                    }
                }
            }
        };
        match read_items(list) {
            Ok(items) => Some(items),
            Err(why) => {
                self.faults.push(document.fault(FaultCode::BadValue, step, &format!("`for_each`: {why}")));
                None
            }
        }
    }
}

/// Whether the host that a step is done on stands in its action.
fn names_its_host(action: &Action) -> bool {
    matches!(action, Action::Transfer(Transfer { to_host: Some(_), .. }))
}

fn lock_name(template: &Template, scope: &Scope) -> Result<String, String> {
    let name = template.render(scope).map_err(|error| error.to_string())?;
    match bad_name(&name) {
        Some(what) => Err(format!("the name `{}` {what}", name.escape_debug())),
        None => Ok(name),
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
