//! `piton test --record`: a real run becomes a test whose hosts answer as the real ones did.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io;

use piton_core::ids::{JobId, Part, TaskId};
use piton_core::run::{Event, Exit, Recorded, Run, Word};
use piton_core::testing::{end_of, part_word, task_end};
use piton_core::time::{Timestamp, show_duration};
use piton_core::value::{Map, Value, to_text};
use piton_runner::load;
use piton_runner::output::Stream;
use piton_store::OutputReader;

use crate::cli::Globals;
use crate::exit::{Code, Failure};
use crate::screen::Screen;
use crate::store::Store;

/// How much of what a script printed goes into a test, in bytes; a test is to be read by people.
const MOST: usize = 64 * 1024;

/// How many events are read at a time.
const PAGE: usize = 10_000;

/// What shorter scripts take is not worth a line.
const SHORT_MS: i64 = 2_000;

/// Writes a test to stdout that answers as the run's hosts did. What `no_log` steps printed is not kept, and so not there.
pub(super) async fn record(wanted: &str, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
    let store = Store::here(globals)?;
    let id = store.find(wanted).await?.id;
    let run = load(store.journal.as_ref(), id).await?;
    let mut log = Vec::new();
    loop {
        let page = store.journal.read(id, log.len() as u64 + 1, PAGE).await?;
        let last = page.len() < PAGE;
        log.extend(page);
        if last {
            break;
        }
    }
    let jobs = jobs(&log);
    let read = |job: &JobId| printed(&store, &run, job);
    let text = document(&run, &log, &jobs, &read)
        .map_err(|error| Failure::other(format!("what the run's jobs printed cannot be read: {error}")))?;
    let mut out = screen.out();
    out.line(text.trim_end())?;
    out.flush()?;
    Ok(Code::Succeeded)
}

/// How one job ended.
struct Ended {
    job: JobId,
    /// `None`: it was stopped, or nobody knows.
    exit: Option<Exit>,
    outputs: Map<String, Value>,
    took_ms: i64,
}

/// What a job printed, as far as that is kept.
type Read<'a> = dyn Fn(&JobId) -> io::Result<[String; 2]> + 'a;

fn jobs(log: &[Recorded<Event>]) -> Vec<Ended> {
    let mut began: BTreeMap<String, Timestamp> = BTreeMap::new();
    let mut all = Vec::new();
    let mut push = |job: &JobId, exit, outputs: Map<String, Value>, at: Timestamp, began: Option<&Timestamp>| {
        let took_ms = began.map_or(0, |began| at.0.saturating_sub(began.0));
        all.push(Ended { job: job.clone(), exit, outputs, took_ms });
    };
    for Recorded { at, event, .. } in log {
        if let Event::JobStarted { job, .. } = event {
            began.insert(job.file_name(), *at);
        } else if let Event::JobExited { job, exit, outputs, .. } = event {
            push(job, Some(*exit), outputs.clone(), *at, began.get(&job.file_name()));
        } else if let Event::JobStopped { job, .. } | Event::JobLost { job, .. } = event {
            push(job, None, Map::new(), *at, None);
        }
    }
    all
}

fn printed(store: &Store, run: &Run, job: &JobId) -> io::Result<[String; 2]> {
    let secret = run.graph().find(&job.attempt.task).is_none_or(|task| run.step_of(task).no_log);
    if secret {
        return Ok([String::new(), String::new()]);
    }
    let reader = OutputReader::of(&store.dir, run.id(), job);
    let read = |stream| -> io::Result<String> {
        if reader.extents(stream)?.len == 0 {
            return Ok(String::new());
        }
        let piece = reader.read(stream, 0, MOST)?;
        Ok(String::from_utf8_lossy(&piece.bytes).into_owned())
    };
    Ok([read(Stream::Out)?, read(Stream::Err)?])
}

fn document(run: &Run, log: &[Recorded<Event>], jobs: &[Ended], read: &Read<'_>) -> io::Result<String> {
    let plan = run.plan();
    let mut text = format!(
        "# Recorded from run {}: what its hosts answered then. What `no_log` steps printed is not in it.\n\
         # To test it with --faults, give the hosts a state, and say what the scripts change in it.\ntest: {}\nhosts:\n",
        run.id(),
        plan.runbook
    );
    for (name, host) in &plan.hosts {
        let mut fields = Vec::new();
        if !host.labels.is_empty() {
            fields.push(format!("labels: {}", json(&host.labels)));
        }
        if !host.vars.is_empty() {
            fields.push(format!("vars: {}", json(&host.vars)));
        }
        if fields.is_empty() {
            line(&mut text, format_args!("  {name}: {{}}"));
        } else {
            line(&mut text, format_args!("  {name}: {{ {} }}", fields.join(", ")));
        }
    }
    if plan.hosts.is_empty() {
        text.push_str("  local: {}\n");
    }
    let given: Vec<_> = plan.params.iter().filter(|(_, value)| !value.is_null()).collect();
    if !given.is_empty() {
        text.push_str("params:\n");
    }
    for (name, value) in given {
        let value = if value.is_array() { to_text(value).replace('\n', ",") } else { to_text(value) };
        line(&mut text, format_args!("  {name}: {}", json(&value)));
    }
    if !jobs.is_empty() {
        text.push_str("answers:\n");
    }
    for ended in jobs {
        answer(&mut text, run, ended, jobs, read)?;
    }
    expectations(&mut text, run, log);
    Ok(text)
}

fn answer(text: &mut String, run: &Run, ended: &Ended, jobs: &[Ended], read: &Read<'_>) -> io::Result<()> {
    let job = &ended.job;
    let part = if job.part == Part::Main { String::new() } else { format!("    part: {}\n", part_word(job.part)) };
    line(text, format_args!("  - step: {}", json(&job.attempt.task.to_string())));
    text.push_str(&part);
    let same = |other: &&Ended| other.job.attempt.task == job.attempt.task && other.job.part == job.part;
    if jobs.iter().filter(same).count() > 1 {
        line(text, format_args!("    attempt: {}\n    round: {}", job.attempt.number, job.round));
    }
    match ended.exit {
        Some(Exit(status)) => line(text, format_args!("    exit: {status}")),
        None => text.push_str("    hangs: true # it was stopped, or lost\n"),
    }
    if ended.took_ms >= SHORT_MS {
        let took = std::time::Duration::from_millis(u64::try_from(ended.took_ms).unwrap_or(0));
        line(text, format_args!("    takes: {}", show_duration(took)));
    }
    let step = run.graph().find(&job.attempt.task).map(|task| run.step_of(task));
    let hidden = step.is_none_or(|step| step.no_log);
    let read_out: BTreeSet<&str> =
        step.map(|step| step.outputs.keys().map(|name| name.as_str()).collect()).unwrap_or_default();
    let written: Map<String, Value> = ended
        .outputs
        .iter()
        .filter(|(name, _)| !hidden && !read_out.contains(name.as_str()))
        .map(|(name, value)| (name.clone(), constant(value)))
        .collect();
    if !written.is_empty() {
        line(text, format_args!("    outputs: {}", json(&written)));
    }
    if hidden {
        text.push_str("    # no_log: what it printed and put out is left out\n");
    }
    for (name, printed) in ["stdout", "stderr"].into_iter().zip(read(job)?) {
        if !printed.is_empty() {
            line(text, format_args!("    {name}: {}", scalar(&printed)));
        }
    }
    Ok(())
}

fn expectations(text: &mut String, run: &Run, log: &[Recorded<Event>]) {
    line(text, format_args!("tests:\n  - name: as it was in run {}\n    faults: false", run.id()));
    let says = words(log);
    if !says.is_empty() {
        text.push_str("    says:\n");
    }
    for say in says {
        line(text, format_args!("      - {{ {say} }}"));
    }
    line(text, format_args!("    expect:\n      outcome: {}", end_of(run).word()));
    let ends: Vec<String> = run
        .tasks()
        .filter_map(|(id, task)| {
            Some(format!("        {}: {}\n", json(&id.to_string()), task_end(&task.state)?.word()))
        })
        .collect();
    if !ends.is_empty() {
        text.push_str("      tasks:\n");
        text.extend(ends);
    }
    let undone: Vec<String> = log
        .iter()
        .filter_map(|e| if let Event::TaskUndone { task } = &e.event { Some(json(&task.to_string())) } else { None })
        .collect();
    if !undone.is_empty() {
        line(text, format_args!("      undone: [{}]", undone.join(", ")));
    }
}

/// What people said and was followed.
fn words(log: &[Recorded<Event>]) -> Vec<String> {
    let mut says = Vec::new();
    let (mut begun, mut parked): (Option<TaskId>, bool) = (None, false);
    for recorded in log {
        if let Event::AttemptStarted { task, .. } = &recorded.event {
            (begun, parked) = (Some(task.clone()), false);
        } else if let Event::TaskParked { .. } = &recorded.event {
            parked = true;
        } else if let Event::WordTaken { by, word, refused: None, .. } = &recorded.event {
            let when = begun.as_ref().filter(|_| !parked).map(|task| format!(", at: {}", json(&task.to_string())));
            let when = when.unwrap_or_default();
            let about = |task: &TaskId| format!(", at: {}", json(&task.to_string()));
            let (said, at, why) = if let Word::Cancel { why } = word {
                ("cancel", when, why)
            } else if let Word::Undo { why } = word {
                ("undo", when, why)
            } else if let Word::Retry { task, why } = word {
                ("retry", about(task), why)
            } else if let Word::Skip { task, why } = word {
                ("skip", about(task), why)
            } else if let Word::Resolve { task, why, outputs } = word {
                ("resolve", format!("{}, outputs: {}", about(task), json(outputs)), why)
            } else {
                continue;
            };
            says.push(format!("say: {said}{at}, by: {}, why: {}", json(by), json(why)));
        }
    }
    says
}

/// A text that stays what it is where templates are read.
fn constant(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(plain(text)),
        Value::Array(items) => Value::Array(items.iter().map(constant).collect()),
        Value::Object(map) => Value::Object(map.iter().map(|(k, v)| (plain(k), constant(v))).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn plain(text: &str) -> String {
    text.replace("{{", "{{ \"{{\" }}")
}

/// A text as YAML: as a block where that reads well and says the same, else in quotes as JSON has them.
fn scalar(text: &str) -> String {
    let text = plain(&text.replace('\0', ""));
    let reads_well = text.ends_with('\n')
        && !text.ends_with("\n\n")
        && !text.starts_with([' ', '\n'])
        && text.len() > 1
        && text.chars().all(|c| c == '\n' || !c.is_control())
        && !text.contains(['\u{feff}', '\u{2028}', '\u{2029}', '\u{85}']);
    if !reads_well {
        return json(&text);
    }
    let lines: String =
        text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("\n      {line}") }).collect();
    format!("|{lines}")
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _infallible = writeln!(text, "{words}");
}
