//! `piton check`.

use std::collections::BTreeMap;
use std::path::Path;

use piton_core::fault::Fault;
use piton_core::runbook::{Library, ParamKind};
use serde_json::{Value, json};

use crate::cli::Globals;
use crate::exit::{Code, Failure, count};
use crate::inventory;
use crate::library;
use crate::planning;
use crate::project::{self, Found};
use crate::rules::{self, Rules};
use crate::screen::{GREEN, Screen};
use crate::scripts;
use crate::timetable;

/// Find every fault of runbooks, windows, rules, the inventory and piton.toml at once
///
/// Without RUNBOOK the whole project is checked. Where every parameter has a default, a plan is made, too, so that
/// hosts which do not exist are found.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Names or paths of runbooks
    #[arg(value_name = "RUNBOOK", add = clap_complete::ArgValueCompleter::new(super::completing::runbooks))]
    runbooks: Vec<String>,
}

pub(crate) async fn run(args: Args, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
    let project = project::find(globals.project.as_deref())?;
    let mut faults = Vec::new();
    let hosts = keep_faults(inventory::load(project.as_ref()).await, &mut faults)?;
    let mut found = Vec::new();
    if args.runbooks.is_empty() {
        let Some(project) = &project else {
            return Err(Failure::usage(format!("there is no project here ({} marks one)", project::FILE))
                .hint("say which runbook to check, or choose a project with -C DIR"));
        };
        for path in project::runbooks(project)? {
            let source = keep_faults(project::read(&path, &project::shown(&path)), &mut faults)?;
            found.extend(source.map(|source| Found { source, base: project.root.clone() }));
        }
    }
    let is_windows =
        |wanted: &String| project.as_ref().is_some_and(|project| timetable::is_document(project, Path::new(wanted)));
    for wanted in args.runbooks.iter().filter(|wanted| !is_windows(wanted)) {
        found.extend(keep_faults(project::runbook(project.as_ref(), wanted), &mut faults)?);
    }

    let mut good = Vec::new();
    if let Some(project) = project.as_ref().filter(|_| args.runbooks.is_empty()) {
        let scripts = keep_faults(scripts::load(&project.root), &mut faults)?.unwrap_or_default();
        for script in scripts.sources() {
            let own = scripts.check(script);
            if own.is_empty() {
                let json = json!({ "script": true });
                good.push(Good { file: script.name.to_string(), what: "script of hooks".to_owned(), json });
            }
            faults.extend(own);
        }
        if let Some(rules) = keep_faults(rules::load(project), &mut faults)? {
            faults.extend(of_rules(rules, &mut good));
        }
    }
    let tests: Vec<_> = found.iter().map(|f| super::test::test_of(Path::new(f.source.name.as_ref()))).collect();
    if let Some(path) = hosts.as_ref().and_then(|h| h.from.clone()) {
        let number = hosts.as_ref().map_or(0, |h| h.inventory.hosts.len());
        good.push(Good { file: path, what: count(number, "host"), json: json!({ "hosts": number }) });
    }
    for found in found {
        let (runbook, mut own) = project::parse(&found.source);
        let mut library = Library::new();
        if let Some(runbook) = &runbook
            && let Some((called, more)) = keep_faults(library::load(project.as_ref(), runbook, &found), &mut own)?
        {
            library = called;
            own.extend(more);
        }
        let Some(runbook) = runbook.filter(|_| own.is_empty()) else {
            faults.append(&mut own);
            continue;
        };
        let file = found.source.name.to_string();
        let steps = runbook.steps.len() + runbook.finally.len();
        let what = format!("{}: {}", runbook.name, count(steps, "step"));
        let json = json!({ "runbook": runbook.name, "title": runbook.title, "steps": steps });
        let plannable =
            runbook.params.iter().all(|p| p.default.is_some() || !p.required || p.kind == ParamKind::Secret);
        if runbook.has_hook() {
            let scripts = keep_faults(scripts::load(&found.base), &mut faults)?;
            let Some(scripts) = scripts else { continue };
            // With the whole project its scripts have been checked above.
            let own = if args.runbooks.is_empty() {
                scripts.check_runbook(&runbook, &found.source)
            } else {
                scripts.used(&runbook, &found.source).err().unwrap_or_default()
            };
            if !own.is_empty() {
                faults.extend(own.into_iter().filter(|fault| !faults.contains(fault)).collect::<Vec<_>>());
                continue;
            }
        }
        if let Some(hosts) = hosts.as_ref().filter(|_| plannable) {
            let planned = planning::build(runbook, &BTreeMap::new(), hosts, &found, &library);
            if keep_faults(planned, &mut faults)?.is_none() {
                continue;
            }
        }
        good.push(Good { file, what, json });
    }
    let with_windows = args.runbooks.is_empty() || args.runbooks.iter().any(is_windows);
    if let Some(project) = project.as_ref().filter(|_| with_windows) {
        good.extend(windows(project, &mut faults).await?);
    }
    for path in tests.iter().filter(|path| path.is_file()) {
        let source = keep_faults(project::read(path, &path.display().to_string()), &mut faults)?;
        good.extend(source.and_then(|source| test(&source, &mut faults)));
    }
    // What is wrong with a runbook is seen by each that calls it, and told once.
    let mut told: Vec<Fault> = Vec::new();
    for fault in faults {
        if !told.contains(&fault) {
            told.push(fault);
        }
    }
    tell(&good, told, screen)
}

/// What is wrong with the rules; those with which nothing is are good.
fn of_rules(rules: Rules, good: &mut Vec<Good>) -> Vec<Fault> {
    let sound = |file: &str| {
        let of_file = |fault: &Fault| fault.place.as_ref().is_some_and(|place| place.source.name.as_ref() == file);
        !rules.faults.iter().any(of_file)
    };
    if let Some(source) = rules.settings_source.as_ref().filter(|source| sound(&source.name)) {
        let (sources, silences) = (rules.settings.sources.len(), rules.settings.silences.len());
        let what = format!("{}, {}", count(sources, "source"), count(silences, "silence"));
        good.push(Good {
            file: source.name.to_string(),
            what,
            json: json!({ "sources": sources, "silences": silences }),
        });
    }
    for (rule, source) in rules.rules.iter().filter(|(_, source)| sound(&source.name)) {
        let what = format!("rule {}: {} {}", rule.name, rule.mode, rule.call.runbook);
        let json = json!({ "rule": rule.name, "runbook": rule.call.runbook, "mode": rule.mode.to_string() });
        good.push(Good { file: source.name.to_string(), what, json });
    }
    rules.faults
}

/// Looks over the project's windows and schedules.
async fn windows(project: &project::Project, faults: &mut Vec<Fault>) -> Result<Option<Good>, Failure> {
    let (table, mut own) = timetable::load(project)?;
    if let Some(table) = &table {
        own.append(&mut timetable::check(project, table).await?);
    }
    let good = table.filter(|table| own.is_empty() && !table.windows.is_empty()).map(|table| {
        let (windows, schedules) = (table.windows.len(), table.schedules.len());
        let what = format!("{}, {}", count(windows, "window"), count(schedules, "schedule"));
        Good { file: timetable::DIR.to_owned(), what, json: json!({ "windows": windows, "schedules": schedules }) }
    });
    faults.append(&mut own);
    Ok(good)
}

/// Looks over the test that stands beside a runbook.
fn test(source: &piton_core::fault::Source, faults: &mut Vec<Fault>) -> Option<Good> {
    let (file, mut own) = piton_core::testing::parse(source);
    faults.append(&mut own);
    file.map(|file| {
        let tests = file.tests.len();
        let json = json!({ "test": file.runbook, "tests": tests });
        Good { file: source.name.to_string(), what: count(tests, "test"), json }
    })
}

/// A document without faults.
struct Good {
    file: String,
    what: String,
    json: Value,
}

fn tell(good: &[Good], faults: Vec<Fault>, screen: &Screen) -> Result<Code, Failure> {
    let mut out = screen.out();
    if screen.json {
        let good: Vec<Value> = good
            .iter()
            .map(|g| {
                let mut value = g.json.clone();
                value["file"] = Value::from(g.file.as_str());
                value
            })
            .collect();
        out.json(&json!({ "good": good, "faults": crate::faults::to_json(&faults) }))?;
        out.flush()?;
        return Ok(if faults.is_empty() { Code::Succeeded } else { Code::Faulty });
    }
    for Good { file, what, .. } in good {
        let ok = out.paint(GREEN, "ok");
        out.line(format_args!("{ok}  {file}  {what}"))?;
    }
    out.flush()?;
    if faults.is_empty() { Ok(Code::Succeeded) } else { Err(Failure::Faults(faults)) }
}

/// Faults are collected; anything else ends the check.
fn keep_faults<T>(result: Result<T, Failure>, faults: &mut Vec<Fault>) -> Result<Option<T>, Failure> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(failure) => {
            faults.append(&mut failure.into_faults()?);
            Ok(None)
        }
    }
}
