//! `piton show`.

use piton_core::forecast::Forecast;
use piton_core::ids::TaskId;
use piton_core::run::{At, Attempt, Hold, Run, SkipCause, SuccessCause, Task, TaskState, Undo};
use piton_core::time::Timestamp;
use piton_core::value::to_text;
use piton_runner::clock::{Clock, SystemClock};
use piton_runner::journal::{RunStatus, RunSummary};
use serde_json::{Value, json};

use super::ls::{state, summary_json};
use crate::advice;
use crate::asking;
use crate::cli::Globals;
use crate::exit::{Code, Failure};
use crate::history;
use crate::moment;
use crate::screen::{BOLD, CYAN, DIM, GREEN, Out, RED, Screen, YELLOW};
use crate::store::Store;
use crate::tell::{Teller, names};
use crate::times::{Times, iso, took};
use crate::visible::visible;

/// Show where each task of a run stands, and what a person can do
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run
    #[arg(value_name = "RUN", add = clap_complete::ArgValueCompleter::new(super::completing::runs))]
    run: String,
    /// The journal instead: every fact, in order
    #[arg(long)]
    events: bool,
    /// The run as it was after the event with this number, or at this time: 10m (ago), 10:02, 2026-11-21T10:02:11Z
    #[arg(long, value_name = "MOMENT", conflicts_with = "events")]
    at: Option<String>,
}

/// How many events are read at a time.
const PAGE: usize = 2000;

/// How much of an output's value is shown.
const MAX_VALUE: usize = 200;

pub(crate) async fn run(args: Args, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
    let store = Store::here(globals)?;
    let summary = store.find(&args.run).await?;
    if args.events {
        return events(&store, &summary, screen).await;
    }
    let run = moment::load(&store, summary.id, args.at.as_deref()).await?;
    let past = args.at.is_some();
    let summary = if past { as_it_was(summary, &run) } else { summary };
    let running = !past && summary.status == RunStatus::Running;
    let left = if running { history::of_rest(&store, &run).await } else { None };
    let mut out = screen.out();
    if screen.json {
        let mut value = as_json(&run, &summary, &store, past);
        value["left"] = history::as_json(left.as_ref());
        out.json(&value)?;
    } else {
        text(&run, &summary, &store, past, left.as_ref(), &mut out)?;
    }
    out.flush()?;
    Ok(Code::Succeeded)
}

/// What a list would have said of the run then.
fn as_it_was(summary: RunSummary, run: &Run) -> RunSummary {
    let status = match run.outcome() {
        Some(outcome) => RunStatus::Ended(outcome),
        None if run.is_parked() => RunStatus::Parked,
        None => RunStatus::Running,
    };
    RunSummary { status, seq: run.seq(), changed: run.times().1, owner: None, ..summary }
}

async fn events(store: &Store, summary: &RunSummary, screen: &Screen) -> Result<Code, Failure> {
    let mut out = screen.out();
    let mut teller = Teller::new(out.color);
    let mut next = 1;
    loop {
        let page = store.journal.read(summary.id, next, PAGE).await?;
        for recorded in &page {
            next = recorded.seq + 1;
            if screen.json {
                out.json(recorded)?;
            } else if let Some(line) = teller.tell(recorded, true) {
                out.line(format_args!("{:>6}  {line}", recorded.seq))?;
            }
        }
        if page.len() < PAGE {
            out.flush()?;
            return Ok(Code::Succeeded);
        }
    }
}

fn text(
    run: &Run,
    summary: &RunSummary,
    store: &Store,
    past: bool,
    left: Option<&Forecast>,
    out: &mut Out,
) -> Result<(), Failure> {
    let times = Times::here();
    let (created, changed) = run.times();
    let over = matches!(summary.status, RunStatus::Ended(_));
    let end = if over || past { changed } else { SystemClock.now() };
    out.line(format_args!("{}  {}", out.paint(BOLD, &summary.runbook), visible(summary.title.as_bytes())))?;
    out.line(format_args!("run      {}", run.id()))?;
    let phase = if summary.status == RunStatus::Running { run.phase().word() } else { state(summary) };
    let adrift = if state(summary) == "adrift" && !past { ", nobody drives it" } else { "" };
    if past {
        out.line(format_args!("as of    event {}, {}", run.seq(), times.date(changed)))?;
    }
    let left = left.map(|left| format!(", {}", history::left(left))).unwrap_or_default();
    out.line(format_args!("state    {phase}{adrift}, {}{left}", took(end.since(created))))?;
    out.line(format_args!("asked    {} by {}", times.date(created), visible(summary.by.as_bytes())))?;
    // Whoever drove it to its end may still be tidying up on the hosts.
    if let Some(owner) = summary.owner.as_ref().filter(|_| !over) {
        out.line(format_args!("engine   {}", visible(owner.as_bytes())))?;
    }
    if let Some(waits) = run.waits() {
        let until = waits.until.map(|at| format!("; until {}", times.date(at))).unwrap_or_default();
        out.line(format_args!("waits    {}{until}", visible(waits.text.trim_start_matches("waits ").as_bytes())))?;
    }
    if let Hold::Taken(locks) = run.hold()
        && !over
    {
        out.line(format_args!("locks    {}", visible(names(locks).as_bytes())))?;
    }
    for (name, value) in &run.plan().params {
        let value = if value.is_null() { "(none)".to_owned() } else { shown_value(value) };
        out.line(format_args!("param    {name} = {value}"))?;
    }
    for (name, source) in &run.plan().secrets {
        out.line(format_args!("secret   {name} from {}", visible(source.to_string().as_bytes())))?;
    }
    out.line("")?;
    let width = run.tasks().map(|(id, _)| id.to_string().chars().count()).max().unwrap_or(4).clamp(4, 48);
    let head = format!("{:width$}  {:9}  {:>5}  {:>8}  ", "TASK", "STATE", "TRIES", "TOOK");
    out.line(out.paint(BOLD, head.trim_end()))?;
    for (id, task) in run.tasks() {
        let style = match &task.state {
            TaskState::Succeeded(_) => GREEN,
            TaskState::Failed(_) => RED,
            TaskState::Parked(_) => YELLOW,
            TaskState::Active(_) | TaskState::Pausing(_) => CYAN,
            TaskState::Waiting | TaskState::Skipped(_) => DIM,
        };
        let state = out.paint(style, format_args!("{:9}", task.state.word()));
        let span = span(task, end).map(took).unwrap_or_default();
        let tries = if task.attempts > 0 { task.attempts.to_string() } else { String::new() };
        let detail = detail(run, id, task, &times);
        let name = id.to_string();
        out.line(format!("{name:width$}  {state}  {tries:>5}  {span:>8}  {}", visible(detail.as_bytes())).trim_end())?;
        for (key, value) in task.outputs.iter() {
            out.line(format_args!("  {} {}={}", out.paint(DIM, "|"), visible(key.as_bytes()), shown_value(value)))?;
        }
    }
    // What could be said then may be refused now.
    let advice = if past { Vec::new() } else { advice::lines(run, store, out.color) };
    if !advice.is_empty() {
        out.line("")?;
        for line in advice {
            out.line(line)?;
        }
    }
    Ok(())
}

pub(crate) fn shown_value(value: &Value) -> String {
    let text = to_text(value);
    let cut: String = text.chars().take(MAX_VALUE).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{more}", visible(cut.as_bytes()))
}

/// How long a task took, or has taken so far.
fn span(task: &Task, now: Timestamp) -> Option<std::time::Duration> {
    let end = match (&task.state, task.ended) {
        (_, Some(ended)) => ended,
        (TaskState::Active(_) | TaskState::Pausing(_), None) => now,
        (
            TaskState::Waiting
            | TaskState::Parked(_)
            | TaskState::Succeeded(_)
            | TaskState::Skipped(_)
            | TaskState::Failed(_),
            None,
        ) => return None,
    };
    task.started.map(|started| end.since(started))
}

/// What there is to say about where a task stands.
pub(crate) fn detail(run: &Run, id: &TaskId, task: &Task, times: &Times) -> String {
    let undo = match &task.undo {
        Undo::Not => match (&task.state, &task.hold) {
            (TaskState::Waiting, _) | (_, Hold::No | Hold::Taken(_)) => None,
            (_, Hold::Asked(locks)) => Some(format!("to be taken back, stands in the queue for {}", names(locks))),
        },
        Undo::Active { .. } | Undo::Over(_) => Some("being taken back".to_owned()),
        Undo::Parked(_, cause) => Some(format!("its undo failed: {cause}")),
        Undo::Done => Some("taken back".to_owned()),
        Undo::Left => Some("left as it is".to_owned()),
    };
    let asked = run.graph().find(id).and_then(|index| asking::line(run, index, times));
    let own = match &task.state {
        TaskState::Waiting => match &task.hold {
            Hold::Asked(locks) => Some(format!("stands in the queue for {}", names(locks))),
            Hold::No | Hold::Taken(_) => None,
        },
        TaskState::Active(Attempt { at: At::Approval(_), .. }) => asked,
        TaskState::Active(attempt) => match (&attempt.at, attempt.stopping, attempt.deadline) {
            (_, Some(_), _) => Some("being stopped".to_owned()),
            (At::Wait(Some(until)), None, _) => Some(format!("until {}", times.clock(*until))),
            (At::Settle { loss } | At::Lost(loss), None, _) => Some(loss.to_string()),
            (_, None, Some(deadline)) => Some(format!("until {} at most", times.clock(deadline))),
            (_, None, None) => None,
        },
        TaskState::Pausing(at) => Some(format!("next attempt at {}", times.clock(*at))),
        TaskState::Parked(why) => Some(why.to_string()),
        TaskState::Succeeded(SuccessCause::Ran) => None,
        TaskState::Succeeded(how) => Some(how.to_string()),
        TaskState::Skipped(SkipCause::ByHand) => Some("by hand".to_owned()),
        TaskState::Skipped(why) => Some(why.to_string()),
        TaskState::Failed(cause) => Some(cause.to_string()),
    };
    let taken = task.taken.map(|run| format!("taken over from {run}"));
    own.into_iter().chain(taken).chain(undo).collect::<Vec<_>>().join("; ")
}

fn as_json(run: &Run, summary: &RunSummary, store: &Store, past: bool) -> Value {
    let time = |at: Option<Timestamp>| at.map(iso);
    let times = Times::here();
    let tasks: Vec<Value> = run
        .tasks()
        .map(|(id, task): (&TaskId, &Task)| {
            json!({
                "task": id,
                "state": task.state.word(),
                "detail": Some(detail(run, id, task, &times)).filter(|d| !d.is_empty()),
                "attempts": task.attempts,
                "exit": task.exit,
                "started": time(task.started),
                "ended": time(task.ended),
                "outputs": task.outputs.as_ref(),
                "printed": task.printed,
                "taken_over_from": task.taken,
            })
        })
        .collect();
    let mut value = summary_json(summary);
    value["phase"] = Value::from(run.phase().word());
    value["paused"] = json!(run.paused().map(|pause| json!({ "by": pause.by, "why": pause.why })));
    value["approvals"] = asking::as_json(run);
    value["params"] = json!(run.plan().params);
    value["tasks"] = Value::from(tasks);
    if past && summary.status == RunStatus::Running {
        value["state"] = Value::from(run.phase().word());
    }
    value["parked"] = Value::from(advice::as_json(run, store));
    value
}
