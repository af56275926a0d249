//! `piton locks`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use piton_core::ids::RunId;
use piton_core::lock::{Lock, Ticket, TicketState, blockers};
use piton_core::time::Timestamp;
use piton_runner::journal::RunSummary;
use serde_json::{Value, json};

use super::ls::state;
use crate::cli::Globals;
use crate::exit::{Code, Failure};
use crate::queue::Queue;
use crate::screen::{BOLD, CYAN, RED, Screen, YELLOW};
use crate::store::Store;
use crate::times::{Times, iso};
use crate::visible::visible;

/// Show who holds which lock, and who waits, in the order in which they will have it
///
/// A lock belongs to a run, not to the process that drives it: a run that is parked or whose engine died keeps its locks
/// until it is over (`piton resume`, `piton cancel`).
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only locks whose names begin so
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// One lock of one ticket.
struct Line<'q> {
    lock: &'q Lock,
    ticket: &'q Ticket,
    state: &'static str,
    since: Timestamp,
    behind: Vec<RunId>,
}

pub(crate) async fn run(args: Args, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
    let store = Store::here(globals)?;
    let queue = Queue::read(&store).await?;
    let mut runs: BTreeMap<RunId, RunSummary> = BTreeMap::new();
    for ticket in &queue.0 {
        if let Entry::Vacant(place) = runs.entry(ticket.run) {
            place.insert(store.journal.summary(ticket.run).await?);
        }
    }
    let lines = lines(&queue, args.name.as_deref().unwrap_or_default());
    let mut out = screen.out();
    if screen.json {
        for line in &lines {
            out.json(&as_json(line, runs.get(&line.ticket.run)))?;
        }
        out.flush()?;
        return Ok(Code::Succeeded);
    }
    if lines.is_empty() {
        screen.note("Nobody holds or waits for a lock.");
        return Ok(Code::Succeeded);
    }
    let times = Times::here();
    let width = lines.iter().map(|line| line.lock.to_string().chars().count()).max().unwrap_or(4).clamp(4, 48);
    let head =
        format!("{:width$}  {:7}  {:19}  {:26}  {:9}  {:24}  TASK", "LOCK", "", "SINCE", "RUN", "STATE", "RUNBOOK");
    out.line(out.paint(BOLD, head))?;
    for line in &lines {
        let style = match line.ticket.state {
            TicketState::Held(_) => CYAN,
            TicketState::Waiting => YELLOW,
            TicketState::Refused(_) => RED,
        };
        let (lock, since) = (line.lock.to_string(), times.date(line.since));
        let does = out.paint(style, format_args!("{:7}", line.state));
        let run = runs.get(&line.ticket.run);
        let (stands, runbook) = run.map_or(("", String::new()), |run| (state(run), run.runbook.to_string()));
        let task = line.ticket.task.as_ref().map(ToString::to_string).unwrap_or_default();
        let lock = visible(lock.as_bytes());
        let text = format!("{lock:width$}  {does}  {since}  {}  {stands:9}  {runbook:24}  {task}", line.ticket.run);
        out.line(text.trim_end())?;
    }
    out.flush()?;
    Ok(Code::Succeeded)
}

/// By the name of the lock; those who hold it first, then those who wait, as they asked.
fn lines<'q>(queue: &'q Queue, prefix: &str) -> Vec<Line<'q>> {
    let mut lines = Vec::new();
    for (at, ticket) in queue.0.iter().enumerate() {
        let (state, since, behind) = match &ticket.state {
            TicketState::Held(since) => ("holds", *since, Vec::new()),
            TicketState::Waiting => ("waits", ticket.asked, blockers(&queue.0, at)),
            TicketState::Refused(_) => ("refused", ticket.asked, Vec::new()),
        };
        let behind: Vec<RunId> = behind.into_iter().map(|at| queue.0[at].run).collect();
        for lock in ticket.locks.iter().filter(|lock| lock.name.starts_with(prefix)) {
            lines.push(Line { lock, ticket, state, since, behind: behind.clone() });
        }
    }
    lines.sort_by_key(|line| (line.lock.name.clone(), line.state != "holds", line.ticket.id));
    lines
}

fn as_json(line: &Line<'_>, run: Option<&RunSummary>) -> Value {
    let shared = line.lock.most == Lock::SHARED;
    json!({
        "lock": line.lock.name,
        "shared": shared,
        "count": (!shared).then_some(line.lock.most),
        "state": line.state,
        "since": iso(line.since),
        "run": line.ticket.run,
        "task": line.ticket.task,
        "runbook": run.map(|run| &run.runbook),
        "run_state": run.map(state),
        "behind": line.behind,
    })
}
