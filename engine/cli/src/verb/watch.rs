//! `piton watch`.

use std::time::Duration;

use piton_core::ids::RunId;
use piton_core::run::{Run, TaskState};
use piton_runner::DriveError;
use piton_runner::journal::RunStatus;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Globals;
use crate::exit::{Code, Failure};
use crate::follow::Viewer;
use crate::foreground::{counts, tell_end};
use crate::history;
use crate::screen::Screen;
use crate::store::Store;

/// Follow a run that is driven elsewhere, until it is over or parked
///
/// Ends with the exit code that the run would have had. Ctrl-C ends the watching, not the run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run
    #[arg(value_name = "RUN", add = clap_complete::ArgValueCompleter::new(super::completing::runs))]
    run: String,
    /// Tell everything from the beginning
    #[arg(long)]
    all: bool,
}

/// How often the journal is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// How long a run may have no engine before that is said.
const ADRIFT: Duration = Duration::from_secs(2);

/// How many events are read at a time.
const PAGE: usize = 1000;

pub(crate) async fn run(args: Args, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
    let store = Store::here(globals)?;
    let summary = store.find(&args.run).await?;
    if screen.json {
        let mut out = screen.out();
        out.json(&json!({ "run": summary.id, "runbook": summary.runbook }))?;
        out.flush()?;
    }
    let from = if args.all || screen.json { 0 } else { summary.seq };
    follow(&store, screen, summary.id, from).await
}

/// Follows a run from the fact after `after` on.
pub(crate) async fn follow(store: &Store, screen: &Screen, id: RunId, after: u64) -> Result<Code, Failure> {
    let mut interrupt =
        signal(SignalKind::interrupt()).map_err(|e| Failure::other(format!("signals cannot be listened for: {e}")))?;
    let mut run = piton_runner::load_up_to(store.journal.as_ref(), id, after).await?;
    if after > 0 && run.outcome().is_none() && !run.is_parked() {
        let left = history::of_rest(store, &run).await.map(|rest| format!("; {}", history::left(&rest)));
        screen.note(format_args!("Run {id}: {}; {}{}", counts(&run), running(&run), left.unwrap_or_default()));
    }
    let viewer = Viewer::new(store, screen, id);
    viewer.seed(&run);
    let observer = viewer.observer();
    let mut alone = None;
    let mut told = false;
    let code = loop {
        if catch_up(store, &mut run, observer.as_ref()).await? {
            continue;
        }
        if run.outcome().is_some() {
            break None;
        }
        let summary = store.journal.summary(id).await?;
        if run.is_parked() && summary.owner.is_none() && summary.status == RunStatus::Parked {
            // A word that waits has an engine coming.
            if store.journal.inbox(id).await?.is_empty() {
                break None;
            }
        }
        if summary.owner.is_some() {
            alone = None;
        } else if alone.get_or_insert_with(tokio::time::Instant::now).elapsed() > ADRIFT
            && !std::mem::replace(&mut told, true)
        {
            screen.note(format_args!("Nobody drives run {id}; `piton resume {id}` does."));
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = interrupt.recv() => break Some(Code::Interrupted),
        }
    };
    viewer.end(code.map(|_| LOOK)).await;
    match code {
        Some(code) => Ok(code),
        None => tell_end(&run, store, screen),
    }
}

/// Takes in what is new and shows it; says whether there may be more.
async fn catch_up(
    store: &Store,
    run: &mut Run,
    observer: &dyn piton_runner::observer::Observer,
) -> Result<bool, Failure> {
    let events = store.journal.read(run.id(), run.seq() + 1, PAGE).await?;
    for event in &events {
        run.apply(event).map_err(|error| DriveError::Illegal { run: run.id(), error })?;
        observer.event(run, event);
    }
    run.take_changes();
    Ok(events.len() == PAGE)
}

fn running(run: &Run) -> String {
    const SHOWN: usize = 5;
    let active: Vec<String> = run
        .active()
        .filter(|&t| matches!(run.task(t).state, TaskState::Active(_)))
        .map(|t| run.graph().id(t).to_string())
        .collect();
    let more = active.len().saturating_sub(SHOWN);
    let some = active.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match (active.is_empty(), more) {
        (true, _) => "nothing runs just now".to_owned(),
        (false, 0) => format!("{some} running"),
        (false, more) => format!("{some} and {more} more running"),
    }
}
