//! `piton ls`.

use piton_core::ids::{RunId, RunbookName};
use piton_core::run::Outcome;
use piton_runner::clock::{Clock, SystemClock};
use piton_runner::journal::{Filter, RunStatus, RunSummary};
use serde_json::json;

use crate::cli::Globals;
use crate::exit::{Code, Failure};
use crate::screen::{BOLD, CYAN, GREEN, Out, RED, Screen, YELLOW};
use crate::store::{Store, is_adrift};
use crate::times::{Times, iso, took};
use crate::visible::visible;

/// List runs: those that are open first, then the newest
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// All runs there are, newest first
    #[arg(long)]
    all: bool,
    /// Only runs that are not over
    #[arg(long, conflicts_with = "all")]
    open: bool,
    /// Only runs of this runbook
    #[arg(long, value_name = "NAME", add = clap_complete::ArgValueCompleter::new(super::completing::runbooks))]
    runbook: Option<String>,
    /// At most so many [default: 20 that are over, and all that are open]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// How many runs are read at a time.
const PAGE: usize = 500;

/// How many runs that are over are shown, unless all are wanted.
const RECENT: usize = 20;

pub(crate) async fn run(args: Args, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
    let runbook = match &args.runbook {
        Some(name) => Some(RunbookName::new(name).map_err(|bad| Failure::usage(bad.to_string()))?),
        None => None,
    };
    let store = Store::here(globals)?;
    let mut out = screen.out();
    let mut list = List { now: SystemClock.now(), times: Times::here(), json: screen.json, any: false };
    let mut left = args.limit.unwrap_or(usize::MAX);
    let all = Filter { runbook, ..Filter::default() };
    if args.all {
        pages(&store, &all, &mut left, &mut out, &mut list, |_| true).await?;
    } else {
        let open = Filter { open: true, ..all.clone() };
        pages(&store, &open, &mut left, &mut out, &mut list, |_| true).await?;
        if !args.open {
            left = left.min(args.limit.unwrap_or(RECENT));
            pages(&store, &all, &mut left, &mut out, &mut list, |run| matches!(run.status, RunStatus::Ended(_)))
                .await?;
        }
    }
    out.flush()?;
    if !list.any {
        screen.note("There is no such run.");
    }
    Ok(Code::Succeeded)
}

struct List {
    now: piton_core::time::Timestamp,
    times: Times,
    json: bool,
    any: bool,
}

/// Shows the runs that the filter gives and `want` takes, until `left` is used up.
async fn pages(
    store: &Store,
    filter: &Filter,
    left: &mut usize,
    out: &mut Out,
    list: &mut List,
    want: impl Fn(&RunSummary) -> bool,
) -> Result<(), Failure> {
    let mut before: Option<RunId> = None;
    while *left > 0 {
        let page = store.journal.list(&Filter { before, limit: PAGE, ..filter.clone() }).await?;
        for run in page.iter().filter(|run| want(run)).take(*left) {
            list.show(run, out)?;
            *left -= 1;
        }
        match page.last() {
            Some(last) if page.len() == PAGE => before = Some(last.id),
            Some(_) | None => break,
        }
    }
    Ok(())
}

impl List {
    fn show(&mut self, run: &RunSummary, out: &mut Out) -> Result<(), Failure> {
        let state = state(run);
        if self.json {
            self.any = true;
            return out.json(&summary_json(run));
        }
        if !std::mem::replace(&mut self.any, true) {
            let head = format!("{:26}  {:9}  {:19}  {:>7}  {:24}  TITLE", "RUN", "STATE", "CREATED", "TOOK", "RUNBOOK");
            out.line(out.paint(BOLD, head))?;
        }
        let style = match run.status {
            RunStatus::Running => CYAN,
            RunStatus::Parked => YELLOW,
            RunStatus::Ended(Outcome::Succeeded) => GREEN,
            RunStatus::Ended(Outcome::Failed | Outcome::Cancelled | Outcome::Undone) => RED,
        };
        let end = if matches!(run.status, RunStatus::Ended(_)) { run.changed } else { self.now };
        let state = out.paint(style, format_args!("{state:9}"));
        let created = self.times.date(run.created);
        let span = took(end.since(run.created));
        let (runbook, title) = (&run.runbook, visible(run.title.as_bytes()).into_owned());
        out.line(format!("{}  {state}  {created}  {span:>7}  {runbook:24}  {title}", run.id).trim_end())?;
        if let Some(waits) = &run.waits {
            let until = waits.until.map(|at| format!("; until {}", self.times.date(at))).unwrap_or_default();
            out.line(format_args!("{:28}{}{until}", "", visible(waits.text.as_bytes())))?;
        }
        Ok(())
    }
}

/// One word for where a run stands.
pub(crate) fn state(run: &RunSummary) -> &'static str {
    match run.status {
        RunStatus::Running if is_adrift(run) => "adrift",
        RunStatus::Running | RunStatus::Parked if run.waits.is_some() => {
            run.waits.as_ref().map_or("", |waits| waits.kind.word())
        }
        RunStatus::Running => "running",
        RunStatus::Parked => "parked",
        RunStatus::Ended(Outcome::Succeeded) => "succeeded",
        RunStatus::Ended(Outcome::Failed) => "failed",
        RunStatus::Ended(Outcome::Cancelled) => "cancelled",
        RunStatus::Ended(Outcome::Undone) => "undone",
    }
}

/// A run for programs.
pub(crate) fn summary_json(run: &RunSummary) -> serde_json::Value {
    json!({
        "run": run.id,
        "runbook": run.runbook,
        "title": run.title,
        "state": state(run),
        "by": run.by,
        "created": iso(run.created),
        "changed": iso(run.changed),
        "events": run.seq,
        "owner": run.owner,
        "waits": run.waits,
        "plan": run.plan,
    })
}
