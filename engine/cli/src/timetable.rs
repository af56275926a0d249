//! The project's windows and schedules, read from `windows/*.yaml`, and the plans of what they start.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZoneDatabase;
use piton_core::fault::{Fault, FaultCode, Source};
use piton_core::ids::ParamName;
use piton_core::plan::Plan;
use piton_core::runbook::{self, Param, ParamKind, Runbook};
use piton_core::schedule::{self, Around, Schedule, Timetable};
use piton_core::value::Value;

use crate::exit::Failure;
use crate::inventory::{self, Hosts};
use crate::project::{self, Project};
use crate::{library, planning, secrets};

/// The directory of the project in which windows and schedules stand.
pub(crate) const DIR: &str = "windows";

/// The documents there are, sorted by path.
pub(crate) fn documents(project: &Project) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    project::walk(&project.root.join(DIR), 0, &mut found)?;
    found.sort();
    Ok(found)
}

/// Whether a path is that of one of these documents, be it there or not.
pub(crate) fn is_document(project: &Project, path: &Path) -> bool {
    project::is_yaml(path) && project::absolute(path).is_ok_and(|path| path.starts_with(project.root.join(DIR)))
}

/// The documents, and everything that is wrong with them; a timetable where nothing is.
pub(crate) fn load(project: &Project) -> Result<(Option<Timetable>, Vec<Fault>), Failure> {
    load_noting(project, &mut Vec::new())
}

/// The same; the files that the documents name are noted, whether they can be read or not.
pub(crate) fn load_noting(
    project: &Project,
    named: &mut Vec<PathBuf>,
) -> Result<(Option<Timetable>, Vec<Fault>), Failure> {
    let (mut sources, mut faults) = (Vec::new(), Vec::new());
    for path in documents(project)? {
        match project::read(&path, &project::shown(&path)) {
            Ok(source) => sources.push(source),
            Err(Failure::Faults(mut more)) => faults.append(&mut more),
            Err(failure) => return Err(failure),
        }
    }
    // The zones of the system, which its packages keep up to date; where it has none, those that came with this program.
    let (system, bundled) = (jiff::tz::db(), TimeZoneDatabase::bundled());
    let noted = RefCell::new(Vec::new());
    let around = Around {
        zone: &|name| system.get(name).or_else(|_| bundled.get(name)).ok(),
        zone_names: &|| bundled.available().map(|name| name.to_string()).collect(),
        file: &|source, path| beside(source, path, &noted),
    };
    let (table, mut own) = schedule::parse(&sources, &around);
    faults.append(&mut own);
    named.append(&mut noted.borrow_mut());
    Ok((table.filter(|_| faults.is_empty()), faults))
}

/// A file that a document names, relative to that document.
fn beside(source: &Source, path: &str, noted: &RefCell<Vec<PathBuf>>) -> Result<String, String> {
    let dir = Path::new(source.name.as_ref()).parent().unwrap_or(Path::new(""));
    noted.borrow_mut().push(dir.join(path));
    match project::read(&dir.join(path), path) {
        Ok(source) => Ok(source.text.to_string()),
        Err(Failure::Usage { message, .. }) => {
            Err(message.split_once(" cannot be read: ").map_or(message.clone(), |(_, why)| why.to_owned()))
        }
        Err(Failure::Faults(faults)) => Err(faults.into_iter().map(|fault| fault.message).collect()),
        Err(failure) => Err(failure.to_string()),
    }
}

/// What stands in the way of the schedules: runbooks that are not there or are faulty, parameters that do not fit.
pub(crate) async fn check(project: &Project, table: &Timetable) -> Result<Vec<Fault>, Failure> {
    let mut faults: Vec<Fault> = Vec::new();
    let hosts = match inventory::load(Some(project)).await {
        Ok(hosts) => hosts,
        Err(Failure::Faults(faults)) => return Ok(faults),
        Err(failure) => return Err(failure),
    };
    for schedule in table.schedules.values() {
        match plan_with(project, schedule, &hosts) {
            Ok(_) => {}
            Err(Failure::Faults(more)) => {
                faults.extend(more.into_iter().filter(|fault| !faults.contains(fault)).collect::<Vec<_>>())
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(faults)
}

/// The plan of what a schedule starts, as runbook and inventory are now.
pub(crate) async fn plan(project: &Project, schedule: &Schedule) -> Result<Plan, Failure> {
    let hosts = inventory::load(Some(project)).await?;
    plan_with(project, schedule, &hosts)
}

fn plan_with(project: &Project, schedule: &Schedule, hosts: &Hosts) -> Result<Plan, Failure> {
    let place = &schedule.runbook_place;
    let fault = |code, message: String| Fault::at(code, &place.source, place.span, message);
    let found = project::runbook(Some(project), schedule.runbook.as_str()).map_err(|failure| match failure {
        Failure::Usage { message, hint } => {
            let fault = fault(FaultCode::UnknownRunbook, message);
            Failure::Faults(vec![match hint {
                Some(hint) => fault.hint(hint),
                None => fault,
            }])
        }
        other @ (Failure::Faults(_)
        | Failure::Journal(_)
        | Failure::Drive(_)
        | Failure::ReaderGone
        | Failure::Other { .. }) => other,
    })?;
    let (runbook, mut faults) = project::parse(&found.source);
    let Some(runbook) = runbook.filter(|_| faults.is_empty()) else { return Err(Failure::Faults(faults)) };
    let (called, more) = library::load(Some(project), &runbook, &found)?;
    faults.extend(more);
    let values = values(schedule, &runbook, &fault).unwrap_or_else(|mut more| {
        faults.append(&mut more);
        BTreeMap::new()
    });
    if !faults.is_empty() {
        return Err(Failure::Faults(faults));
    }
    let declared = planning::declared_secrets(&runbook);
    let of_schedule = |mut fault: Fault| {
        if fault.place.is_none() {
            fault.message = format!("schedule `{}`: {}", schedule.name, fault.message);
            fault.place = Some(place.clone());
        }
        fault
    };
    let placed = |failure: Failure| match failure.into_faults() {
        Ok(faults) => Failure::Faults(faults.into_iter().map(of_schedule).collect()),
        Err(other) => other,
    };
    let mut plan = planning::with_values(runbook, values, hosts, &found, &called).map_err(placed)?;
    let of_project = &project.settings.secrets;
    secrets::choose(&mut plan, &declared, &secrets::Sources::new(), of_project).map_err(Failure::Faults)?;
    if let Err(failure) = secrets::refuse_typed(&plan) {
        let fault = fault(FaultCode::BadParam, failure.to_string());
        return Err(Failure::Faults(vec![
            fault.hint("say in piton.toml or in the runbook where the secret comes from"),
        ]));
    }
    Ok(plan)
}

/// The values of the runbook's parameters, or what is wrong with those that the schedule gives.
fn values(
    schedule: &Schedule,
    runbook: &Runbook,
    fault: &impl Fn(FaultCode, String) -> Fault,
) -> Result<BTreeMap<ParamName, Value>, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut given: BTreeMap<&str, Value> = BTreeMap::new();
    given.extend(schedule.params.iter().map(|(name, value)| (name.as_str(), value.clone())));
    if let Some(hosts) = &schedule.hosts {
        let takes = |param: &&Param| {
            matches!(param.kind, ParamKind::Host | ParamKind::Hosts)
                && !schedule.params.contains_key(param.name.as_str())
        };
        let takers: Vec<&Param> = runbook.params.iter().filter(takes).collect();
        match (takers.as_slice(), hosts.as_slice()) {
            ([one], [host]) if one.kind == ParamKind::Host => {
                given.insert(one.name.as_str(), Value::from(host.as_str()));
            }
            ([one], hosts) => {
                given.insert(one.name.as_str(), Value::from(hosts.join(",")));
            }
            (takers, _) => {
                let names: Vec<String> = takers.iter().map(|param| format!("`{}`", param.name)).collect();
                let message = match names.as_slice() {
                    [] => format!("`hosts`: the runbook `{}` has no parameter that takes hosts", runbook.name),
                    names => format!("`hosts` could be the parameters {}", names.join(" and ")),
                };
                faults.push(
                    fault(FaultCode::BadParam, message).hint("give hosts under `params`, by the parameter's name"),
                );
            }
        }
    }
    let mut values = BTreeMap::new();
    for (name, value) in &given {
        let Some(param) = runbook.params.iter().find(|param| param.name.as_str() == *name) else {
            let message = format!("the runbook `{}` has no parameter `{}`", runbook.name, name.escape_debug());
            let names = runbook.params.iter().map(|param| param.name.as_str());
            faults.push(fault(FaultCode::UnknownParam, message).did_you_mean(name, names));
            continue;
        };
        if param.kind == ParamKind::Secret {
            let message = format!("the parameter `{name}` is a secret, which no document may hold");
            faults.push(fault(FaultCode::SecretLeak, message).hint("say in piton.toml where it comes from"));
            continue;
        }
        match runbook::read_argument(param, value) {
            Ok(value) => drop(values.insert(param.name.clone(), value)),
            Err(why) => faults.push(fault(FaultCode::BadParam, format!("the parameter `{name}`: {why}"))),
        }
    }
    let rest: Vec<Param> =
        runbook.params.iter().filter(|param| !given.contains_key(param.name.as_str())).cloned().collect();
    match runbook::read_params(&rest, &BTreeMap::new()) {
        Ok(rest) => values.extend(rest),
        Err(more) => {
            let told = |it: Fault| fault(it.code, it.message).hint("give it under `params` of the schedule");
            faults.extend(more.into_iter().map(told));
        }
    }
    if faults.is_empty() { Ok(values) } else { Err(faults) }
}
