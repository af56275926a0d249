//! `piton why`.

use std::collections::{BTreeMap, BTreeSet};

use piton_core::ids::TaskId;
use piton_core::plan::TaskIndex;
use piton_core::run::{Event, Phase, Recorded, Run, SkipCause, TaskState, Undo};
use serde_json::{Value, json};

use crate::advice;
use crate::cli::Globals;
use crate::exit::{Code, Failure};
use crate::moment;
use crate::screen::{BOLD, DIM, Screen};
use crate::select;
use crate::store::Store;
use crate::tell::{Teller, task_of, told_about};
use crate::visible::visible;

/// Tell why a task ran, waits, was skipped, failed, or is unknown
///
/// The chain of causes: the facts about the task, then those about the task it waits for or was skipped for, and so on.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run
    #[arg(value_name = "RUN", add = clap_complete::ArgValueCompleter::new(super::completing::runs))]
    run: String,
    /// The task, or a step with one task
    task: String,
    /// As it was after the event with this number, or at this time: 10m (ago), 10:02, 2026-11-21T10:02:11Z
    #[arg(long, value_name = "MOMENT")]
    at: Option<String>,
}

/// How many events are read at a time.
const PAGE: usize = 2000;

/// How long a chain of causes is told.
const DEPTH: usize = 16;

/// How many tasks that one waits for are named.
const NAMED: usize = 6;

pub(crate) async fn run(args: Args, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
    let store = Store::here(globals)?;
    let summary = store.find(&args.run).await?;
    let run = moment::load(&store, summary.id, args.at.as_deref()).await?;
    let task = select::task(&run, &args.task)?;
    let chain = chain(&run, task);
    let events = events(&store, &run, &chain).await?;

    let mut out = screen.out();
    if screen.json {
        let links: Vec<Value> = chain
            .iter()
            .map(|link| {
                let id = run.graph().id(link.task);
                json!({
                    "task": id,
                    "state": run.task(link.task).state.word(),
                    "because": link.because,
                    "events": events.get(id),
                })
            })
            .collect();
        out.json(&json!({ "run": summary.id, "chain": links }))?;
        out.flush()?;
        return Ok(Code::Succeeded);
    }
    for (depth, link) in chain.iter().enumerate() {
        let id = run.graph().id(link.task);
        if depth > 0 {
            out.line("")?;
        }
        out.line(format_args!("{} {}", out.paint(BOLD, id), visible(link.because.as_bytes())))?;
        let mut teller = Teller::new(out.color);
        for recorded in events.get(id).into_iter().flatten() {
            if let Some(line) = teller.tell(recorded, true) {
                out.line(format_args!("  {line}"))?;
            }
        }
        for note in &link.notes {
            out.line(format_args!("  {}", out.paint(DIM, visible(note.as_bytes()))))?;
        }
    }
    if args.at.is_none() && run.parked().any(|parked| parked == task) {
        out.line("")?;
        for line in advice::choice_lines(&run, task, &store, out.color) {
            out.line(line)?;
        }
    }
    out.flush()?;
    Ok(Code::Succeeded)
}

/// One task in the chain.
struct Link {
    task: TaskIndex,
    because: String,
    notes: Vec<String>,
}

/// The task, then what it waits for or was left out for, and so on to the beginning.
fn chain(run: &Run, task: TaskIndex) -> Vec<Link> {
    let mut links = Vec::new();
    let mut seen = BTreeSet::new();
    let mut next = Some(task);
    while let Some(task) = next.filter(|&t| links.len() < DEPTH && seen.insert(t)) {
        let (link, cause) = link(run, task);
        links.push(link);
        next = cause;
    }
    links
}

fn link(run: &Run, task: TaskIndex) -> (Link, Option<TaskIndex>) {
    let state = &run.task(task).state;
    let before = run.graph().before(task);
    let mut notes = Vec::new();
    let mut cause = None;
    let because = match state {
        TaskState::Waiting => {
            let (because, on) = waiting(run, task, &before);
            cause = on;
            because
        }
        TaskState::Active(_) => "is running".to_owned(),
        TaskState::Pausing(_) => "failed and will be tried again".to_owned(),
        TaskState::Parked(why) => format!("waits for a decision: {why}"),
        TaskState::Succeeded(how) => match run.task(task).taken {
            Some(from) => format!("was done by run {from} (it {how}), and this run took its result over"),
            None => format!("succeeded: it {how}"),
        },
        TaskState::Failed(why) => format!("failed: {why}"),
        TaskState::Skipped(why) => {
            if let SkipCause::NeedFailed(needed) | SkipCause::TooManyFailed(needed) = why {
                cause = run.graph().find(needed);
            }
            match (why, &run.step_of(task).when) {
                (SkipCause::When, Some(when)) => format!("was skipped: its `when` is false: {}", when.source()),
                (SkipCause::RunStopped, _) if run.is_cancelled() => {
                    "was skipped: the run was cancelled before its turn came".to_owned()
                }
                (why, _) => format!("was skipped: {why}"),
            }
        }
    };
    let began = match state {
        _taken if run.task(task).taken.is_some() => false,
        TaskState::Waiting | TaskState::Skipped(_) => false,
        TaskState::Active(_)
        | TaskState::Pausing(_)
        | TaskState::Parked(_)
        | TaskState::Succeeded(_)
        | TaskState::Failed(_) => true,
    };
    if began {
        notes.push(if before.is_empty() {
            "It could start because it needs nothing.".to_owned()
        } else {
            let needed: Vec<String> =
                before.iter().take(NAMED).map(|&t| format!("{} ({})", run.graph().id(t), run.task(t).state)).collect();
            let more = before.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("It could start because of {}{more}.", needed.join(", "))
        });
    }
    if let Undo::Done | Undo::Left | Undo::Parked(..) | Undo::Active { .. } | Undo::Over(_) = run.task(task).undo {
        notes.push("The run was being undone.".to_owned());
    }
    (Link { task, because, notes }, cause)
}

/// Why a task has not begun, and on account of which other one.
fn waiting(run: &Run, task: TaskIndex, before: &[TaskIndex]) -> (String, Option<TaskIndex>) {
    if let Some(failed) = run.blamed(task) {
        return (format!("cannot start: {} failed, which it needs", run.graph().id(failed)), Some(failed));
    }
    let settled = |t: &TaskIndex| match run.task(*t).state {
        TaskState::Succeeded(_) | TaskState::Skipped(_) | TaskState::Failed(_) => true,
        TaskState::Waiting | TaskState::Active(_) | TaskState::Pausing(_) | TaskState::Parked(_) => false,
    };
    let open: Vec<TaskIndex> = before.iter().copied().filter(|t| !settled(t)).collect();
    // What keeps the others is seen first.
    let first = open.iter().copied().max_by_key(|&t| match run.task(t).state {
        TaskState::Parked(_) => 3,
        TaskState::Pausing(_) => 2,
        TaskState::Active(_) => 1,
        TaskState::Waiting | TaskState::Succeeded(_) | TaskState::Skipped(_) | TaskState::Failed(_) => 0,
    });
    if let Some(first) = first {
        let names: Vec<String> = open.iter().take(NAMED).map(|&t| run.graph().id(t).to_string()).collect();
        let more = open.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        return (format!("waits for {}{more}", names.join(", ")), Some(first));
    }
    let finally = run.plan().steps[run.graph().step(task)].finally;
    let because = match run.phase() {
        Phase::New => "waits for an engine to begin the run".to_owned(),
        Phase::Main if finally => "waits for the other steps to come to an end: it stands under `finally`".to_owned(),
        Phase::Undoing => "will not start: the run is being undone".to_owned(),
        Phase::Main | Phase::Finally => {
            if let Some((name, why)) = advice::missing(run).first_key_value() {
                return (format!("does not start because the secret `{name}` cannot be had: {why}"), None);
            }
            if let Some(parked) = run.parked().next() {
                let id = run.graph().id(parked);
                return (
                    format!("does not start because the run stands still: {id} waits for a decision"),
                    Some(parked),
                );
            }
            if let Some(step) = run.kept_by(task) {
                let planned = &run.plan().steps[step].step;
                let most = planned.max_parallel.unwrap_or_default();
                return (format!("waits for its turn: {} may have {most} under way at once", planned.id), None);
            }
            format!("waits for its turn: {} tasks may run at once", run.plan().max_parallel)
        }
        Phase::Ended(outcome) => format!("never began: the run {outcome}"),
    };
    (because, None)
}

/// The facts about the tasks of the chain.
async fn events(store: &Store, run: &Run, chain: &[Link]) -> Result<BTreeMap<TaskId, Vec<Recorded<Event>>>, Failure> {
    let wanted: BTreeSet<&TaskId> = chain.iter().map(|link| run.graph().id(link.task)).collect();
    let mut found: BTreeMap<TaskId, Vec<Recorded<Event>>> = BTreeMap::new();
    let mut next = 1;
    loop {
        let page = store.journal.read(run.id(), next, PAGE).await?;
        let full = page.len() == PAGE;
        for recorded in page.into_iter().take_while(|recorded| recorded.seq <= run.seq()) {
            next = recorded.seq + 1;
            let said = if let Event::WordTaken { word, .. } = &recorded.event { told_about(word) } else { None };
            let about = said.or_else(|| task_of(&recorded.event));
            if let Some(task) = about.filter(|task| wanted.contains(task)).cloned() {
                found.entry(task).or_default().push(recorded);
            }
        }
        if !full || next > run.seq() {
            return Ok(found);
        }
    }
}
