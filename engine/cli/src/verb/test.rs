//! `piton test`.

mod junit;
mod record;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use piton_core::fault::{Fault, FaultCode};
use piton_core::plan::{Plan, Surroundings};
use piton_core::runbook::{self, Library, Runbook};
use piton_core::testing::{self, Test};
use piton_core::time::show_duration;
use piton_sim::{Staged, Verdict};
use serde_json::{Value, json};

use crate::cli::Globals;
use crate::exit::{Code, Failure, count};
use crate::faults;
use crate::library;
use crate::planning;
use crate::project::{self, Found, Project};
use crate::screen::{GREEN, Out, RED, Screen};

/// Play the tests of runbooks on simulated hosts
///
/// A test stands beside its runbook, as `NAME.test.yaml`. Nothing is reached and no time passes: the engine that drives real
/// runs drives these, on hosts that answer as the test says. With --faults each test is also played once for everything
/// that can go wrong in it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Names of runbooks, with `*` for any letters, or paths of runbooks or test files [default: the whole project]
    #[arg(value_name = "RUNBOOK")]
    which: Vec<String>,
    /// Only tests whose names contain TEXT
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Have every step fail, hang, vanish and lose its host in turn, and the engine die at every entry of the journal
    #[arg(long)]
    faults: bool,
    /// Write the results to FILE in the form that CI servers read
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Play nothing, and print a test whose hosts answer as those of RUN did; what `no_log` steps printed is left out
    #[arg(long, value_name = "RUN", conflicts_with_all = ["which", "only", "faults", "junit"],
          add = clap_complete::ArgValueCompleter::new(super::completing::runs))]
    record: Option<String>,
}

/// What became of one test.
struct Done {
    file: String,
    runbook: String,
    name: String,
    took: Duration,
    /// A test that could not be played has complaints only.
    verdict: Option<Verdict>,
    complaints: Vec<Fault>,
}

pub(crate) async fn run(args: Args, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
    if let Some(run) = &args.record {
        return record::record(run, globals, screen).await;
    }
    let project = project::find(globals.project.as_deref())?;
    let files = wanted(project.as_ref(), &args.which)?;
    let read = read_all(&files, project.as_ref())?;
    let mut done = Vec::new();
    let mut out = screen.out();
    for file in read {
        for test in file.tests.into_iter().filter(|t| args.only.as_ref().is_none_or(|text| t.name.contains(text))) {
            let one = play(test, &file.runbook, &file.found, &file.library, args.faults);
            if !screen.json {
                tell(&mut out, &one, screen)?;
                out.flush()?;
            }
            done.push(one);
        }
    }
    if done.is_empty() {
        return Err(Failure::usage("no test has such a name"));
    }
    if let Some(path) = &args.junit {
        std::fs::write(path, junit::document(&done))
            .map_err(|error| Failure::other(format!("{} cannot be written: {error}", path.display())))?;
    }
    let failed = done.iter().filter(|one| !one.complaints.is_empty()).count();
    if screen.json {
        out.json(&json!({ "passed": done.len() - failed, "failed": failed, "tests": done.iter().map(as_json).collect::<Vec<_>>() }))?;
    } else {
        let plays: usize = done.iter().filter_map(|one| one.verdict.as_ref()).map(|v| v.plays).sum();
        let played = if args.faults { format!(", played {plays} times") } else { String::new() };
        out.line(format_args!("{} passed, {failed} failed{played}", done.len() - failed))?;
    }
    out.flush()?;
    Ok(if failed == 0 { Code::Succeeded } else { Code::Failed })
}

/// A test file that is without fault, and its runbook.
struct Read {
    tests: Vec<Test>,
    runbook: Runbook,
    found: Found,
    /// The runbooks that it calls.
    library: Library,
}

/// Reads test files and their runbooks; all their faults are told at once.
fn read_all(files: &[PathBuf], project: Option<&Project>) -> Result<Vec<Read>, Failure> {
    let mut found = Vec::new();
    let mut all = Vec::new();
    for path in files {
        let source = match project::read(path, &project::shown(path)) {
            Ok(source) => source,
            Err(Failure::Faults(mut faults)) => {
                all.append(&mut faults);
                continue;
            }
            Err(other) => return Err(other),
        };
        let (file, mut faults) = testing::parse(&source);
        all.append(&mut faults);
        let beside = runbook_of(path);
        let book = project::runbook(project, &project::shown(&beside))?;
        let (runbook, mut faults) = project::parse(&book.source);
        all.append(&mut faults);
        let (Some(file), Some(runbook)) = (file, runbook) else { continue };
        if file.runbook != runbook.name {
            let message =
                format!("this is a test of `{}`, and the runbook beside it is `{}`", file.runbook, runbook.name);
            all.push(Fault::at(FaultCode::BadName, &source, file.runbook_span, message));
        }
        let (library, mut faults) = library::load(project, &runbook, &book)?;
        all.append(&mut faults);
        found.push(Read { tests: file.tests, runbook, found: book, library });
    }
    if all.is_empty() { Ok(found) } else { Err(Failure::Faults(all)) }
}

/// `a/b.test.yaml` → `a/b.yaml`.
fn runbook_of(test: &Path) -> PathBuf {
    let name = test.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let (stem, extension) = name.rsplit_once(".test.").unwrap_or((name, "yaml"));
    test.with_file_name(format!("{stem}.{extension}"))
}

/// `a/b.yaml` → `a/b.test.yaml`.
pub(super) fn test_of(runbook: &Path) -> PathBuf {
    let extension = runbook.extension().and_then(|e| e.to_str()).unwrap_or("yaml").to_owned();
    runbook.with_extension(format!("test.{extension}"))
}

/// The test files that are asked for.
fn wanted(project: Option<&Project>, which: &[String]) -> Result<Vec<PathBuf>, Failure> {
    let all: Vec<PathBuf> = match project {
        Some(project) => project::runbooks(project)?.iter().map(|p| test_of(p)).filter(|p| p.is_file()).collect(),
        None => Vec::new(),
    };
    if which.is_empty() {
        if project.is_none() {
            return Err(Failure::usage(format!("there is no project here ({} marks one)", project::FILE))
                .hint("say which runbook to test, or choose a project with -C DIR"));
        }
        if all.is_empty() {
            return Err(Failure::usage("the project has no tests")
                .hint("a test of runbooks/NAME.yaml is runbooks/NAME.test.yaml beside it"));
        }
        return Ok(all);
    }
    let mut found: Vec<PathBuf> = Vec::new();
    for word in which {
        let by_path = word.contains('/') || word.ends_with(".yaml") || word.ends_with(".yml");
        let mut some: Vec<PathBuf> = if by_path && !word.contains('*') {
            let path = project::absolute(Path::new(word))?;
            let is_test = path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.contains(".test."));
            let path = if is_test { path } else { test_of(&path) };
            if !path.is_file() {
                return Err(Failure::usage(format!("there is no test {}", project::shown(&path))));
            }
            vec![path]
        } else {
            all.iter().filter(|path| fits(word, path)).cloned().collect()
        };
        if some.is_empty() {
            return Err(Failure::usage(format!("no test is called `{word}`"))
                .hint("a test of runbooks/NAME.yaml is runbooks/NAME.test.yaml beside it"));
        }
        some.retain(|path| !found.contains(path));
        found.append(&mut some);
    }
    Ok(found)
}

/// Whether the test at this path is meant by a name with `*` for any letters.
fn fits(word: &str, path: &Path) -> bool {
    let name = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.split(".test.").next()).unwrap_or_default();
    let mut pieces = word.split('*');
    let Some(mut rest) = pieces.next().and_then(|head| name.strip_prefix(head)) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn play(test: Test, runbook: &Runbook, found: &Found, library: &Library, faults: bool) -> Done {
    let began = Instant::now();
    let (file, name) = (test.source.name.to_string(), test.name.clone());
    let test = Arc::new(test);
    let verdict = plan(&test, runbook, found, library).and_then(|plan| {
        let staged = Staged { test: test.clone(), plan, hooks: Arc::new(piton_hooks::RhaiHooks) };
        piton_sim::test(&staged, faults)
            .map_err(|error| vec![test.complaint(format!("the engine could not go on: {error}"))])
    });
    let (verdict, complaints) = match verdict {
        Ok(verdict) => {
            let complaints = verdict.complaints.clone();
            (Some(verdict), complaints)
        }
        Err(complaints) => (None, complaints),
    };
    Done { file, runbook: runbook.name.to_string(), name, took: began.elapsed(), verdict, complaints }
}

/// The plan that the test's parameters and hosts make of the runbook.
fn plan(test: &Test, runbook: &Runbook, found: &Found, library: &Library) -> Result<Plan, Vec<Fault>> {
    let base = std::fs::canonicalize(&found.base).unwrap_or_else(|_| found.base.clone());
    let around = Surroundings {
        inventory: &test.inventory,
        allow_unknown_hosts: false,
        project: &base.display().to_string(),
        source: &found.source,
        library,
    };
    let placed = |faults: Vec<Fault>| -> Vec<Fault> {
        let blame = |fault: Fault| match &fault.place {
            Some(_) => fault,
            None => Fault { place: test.complaint("").place, ..fault },
        };
        faults.into_iter().map(blame).collect()
    };
    let given: BTreeMap<String, String> = test.params.clone();
    let params = runbook::read_params(&runbook.params, &given).map_err(placed)?;
    planning::with_scripts(runbook.clone(), params, &around).map_err(|failure| match failure.into_faults() {
        Ok(faults) => placed(faults),
        Err(other) => vec![test.complaint(other.to_string())],
    })
}

fn tell(out: &mut Out, one: &Done, screen: &Screen) -> Result<(), Failure> {
    let word = if one.complaints.is_empty() { out.paint(GREEN, "ok    ") } else { out.paint(RED, "FAILED") };
    let played = one.verdict.as_ref().map_or_else(String::new, |v| {
        let times = if v.plays > 1 { format!(", played {} times", v.plays) } else { String::new() };
        format!("  ({} simulated{times})", show_duration(Duration::from_millis(v.simulated_ms)))
    });
    out.line(format_args!("{word}  {}: {}{played}", one.runbook, one.name))?;
    for fault in &one.complaints {
        out.line("")?;
        for line in faults::rendered(fault, screen.color_out).lines() {
            out.line(format_args!("  {line}"))?;
        }
    }
    if !one.complaints.is_empty() {
        out.line("")?;
        out.line(format_args!("  {}", count(one.complaints.len(), "complaint")))?;
        out.line("")?;
    }
    Ok(())
}

fn as_json(one: &Done) -> Value {
    let verdict = one.verdict.as_ref();
    json!({
        "file": one.file,
        "runbook": one.runbook,
        "test": one.name,
        "passed": one.complaints.is_empty(),
        "plays": verdict.map(|v| v.plays),
        "events": verdict.map(|v| v.events),
        "simulated_ms": verdict.map(|v| v.simulated_ms),
        "complaints": faults::to_json(&one.complaints),
    })
}
