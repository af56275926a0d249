//! `piton engine`.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use piton_core::ids::RunId;
use piton_runner::journal::{Filter, JournalError, RunStatus};
use piton_runner::{DriveError, Driver, End, LEASE, Room};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::run::Blind;
use crate::cli::Globals;
use crate::exit::{Code, Failure};
use crate::parts;
use crate::screen::Screen;
use crate::store::{Store, is_adrift};

/// Drive runs without showing them
///
/// Those that are named, or all that are open and that nobody drives. Ends when there is nothing left to drive; with `--stay` it goes on looking. On SIGTERM it gives its runs back and
/// ends: what runs on hosts goes on, and the next engine follows it. `piton` starts this by itself when a run is to go
/// on in the background.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The runs; without any, all that nobody drives
    #[arg(value_name = "RUN")]
    runs: Vec<String>,
    /// Stay, and take up runs that nobody drives from now on
    #[arg(long, conflicts_with = "runs")]
    stay: bool,
    /// How many tasks to have under way at once, over all runs [default: what piton.toml says, else no limit]
    #[arg(long, value_name = "N")]
    max_parallel: Option<NonZeroU32>,
}

/// How many runs one engine drives at a time.
const AT_ONCE: usize = 64;

/// How often an engine that stays looks for runs, if no word wakes it.
const LOOK: Duration = Duration::from_secs(5);

/// How often the lease of a run that somebody else holds is tried.
const TRY: Duration = Duration::from_millis(50);

pub(crate) async fn run(args: Args, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
    let store = Store::here(globals)?;
    let mut named = Vec::new();
    for wanted in &args.runs {
        named.push(store.find(wanted).await?.id);
    }
    let handover = leave_on_signal()?;
    let room = args.max_parallel.or(store.most).map(Room::new);
    host(Host { store, named, stay: args.stay, room, handover, made: Arc::default() }, screen).await
}

/// What an engine that shows nothing drives.
pub(super) struct Host {
    pub store: Store,
    /// These runs; without any, all that nobody drives.
    pub named: Vec<RunId>,
    /// Whether to stay when there is nothing left to drive.
    pub stay: bool,
    pub room: Option<Arc<Room>>,
    /// Becomes true when it is to end.
    pub handover: watch::Receiver<bool>,
    /// Rings when this process has made a run that nobody drives yet.
    pub made: Arc<Notify>,
}

/// Drives runs until there is nothing left to drive, or it is to end.
pub(super) async fn host(host: Host, screen: &Screen) -> Result<Code, Failure> {
    let Host { store, named, stay: stays, room, handover, made } = host;
    let mut driven = BTreeSet::new();
    let mut driving = JoinSet::new();
    let mut worst = Code::Succeeded;
    // Runs that cannot be driven: trying again at once would help nobody.
    let mut given_up = BTreeSet::new();
    for id in named.iter().copied() {
        if driven.insert(id) {
            driving.spawn(take(store.clone(), id, room.clone(), handover.clone()));
        }
    }
    let mut leaving = handover.clone();
    loop {
        if named.is_empty() && !*leaving.borrow() {
            let more = AT_ONCE.saturating_sub(driven.len());
            let filter = Filter { adrift: true, limit: AT_ONCE * 2, ..Filter::default() };
            let mut adrift = store.journal.list(&filter).await?;
            if stays {
                // A lease whose engine is known to be dead need not run out first.
                let open = Filter { open: true, limit: AT_ONCE * 2, ..Filter::default() };
                adrift.extend(store.journal.list(&open).await?.into_iter().filter(is_adrift));
            }
            for run in adrift
                .into_iter()
                .filter(|run| !driven.contains(&run.id) && !given_up.contains(&run.id))
                .take(more)
                .collect::<Vec<_>>()
            {
                // Both lists may have it.
                if driven.insert(run.id) {
                    driving.spawn(take(store.clone(), run.id, room.clone(), handover.clone()));
                }
            }
        }
        let stay = stays && !*leaving.borrow();
        if driving.is_empty() && !stay {
            return Ok(worst);
        }
        tokio::select! {
            Some(done) = driving.join_next() => {
                if let Ok((id, end)) = done {
                    driven.remove(&id);
                    if !tell(screen, id, end) {
                        given_up.insert(id);
                        worst = Code::Unexpected;
                    }
                }
            }
            () = store.journal.letters(), if stay => {}
            () = made.notified(), if stay => {}
            () = tokio::time::sleep(LOOK), if stay => {}
            _ = leaving.changed() => {}
        }
    }
}

/// One line for the log. Says whether it went as it should.
fn tell(screen: &Screen, id: RunId, end: Result<Option<End>, Failure>) -> bool {
    match end {
        Ok(Some(End::Ended(outcome))) => screen.note(format_args!("run {id} {outcome}")),
        Ok(Some(End::Parked)) => screen.note(format_args!("run {id} is parked")),
        Ok(Some(End::HandedOver)) => screen.note(format_args!("run {id} was given back")),
        Ok(None) => screen.note(format_args!("run {id} is driven by another engine")),
        Err(failure) => {
            screen.error(format_args!("run {id}: {failure}"), failure.advice());
            return false;
        }
    }
    true
}

/// Drives a run as soon as its lease is free; `None` if somebody else holds it, and is alive.
async fn take(
    store: Store,
    id: RunId,
    room: Option<Arc<Room>>,
    mut handover: watch::Receiver<bool>,
) -> (RunId, Result<Option<End>, Failure>) {
    let end = async {
        let begun = tokio::time::Instant::now();
        loop {
            match adopt(&store, id).await {
                Ok(driver) => return end_of(driver.sharing(room).drive(handover.clone()).await),
                Err(Failure::Drive(DriveError::Journal(JournalError::Held { .. }))) => {}
                Err(failure) => return Err(failure),
            }
            // A lease that is still held after two of its lives is being renewed: its holder is well.
            let over = matches!(store.journal.summary(id).await?.status, RunStatus::Ended(_));
            let leaving = *handover.borrow();
            if over || leaving || begun.elapsed() > LEASE * 2 {
                return Ok(None);
            }
            tokio::select! {
                () = tokio::time::sleep(TRY) => {}
                _ = handover.changed() => {}
            }
        }
    };
    (id, end.await)
}

fn end_of(end: Result<End, DriveError>) -> Result<Option<End>, Failure> {
    match end {
        Ok(end) => Ok(Some(end)),
        Err(DriveError::Journal(JournalError::Stale { .. })) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Takes a run over without showing it.
pub(crate) async fn adopt(store: &Store, id: RunId) -> Result<Driver, Failure> {
    let summary = store.journal.summary(id).await?;
    if let Some(owner) = summary.owner.filter(|owner| !parts::is_dead(owner)) {
        return Err(DriveError::from(JournalError::Held { run: id, owner }).into());
    }
    let ports = |plan: &piton_core::plan::Plan| parts::ports(store, plan, Arc::new(Blind));
    Ok(Driver::adopt_with(store.journal.clone(), id, &parts::owner()?, ports).await?)
}

/// Becomes true when the process is to end. That its terminal goes away is none of an engine's business.
pub(super) fn leave_on_signal() -> Result<watch::Receiver<bool>, Failure> {
    let (tell, leave) = watch::channel(false);
    let hear = |kind| signal(kind).map_err(|error| Failure::other(format!("signals cannot be listened for: {error}")));
    let (mut term, mut int, mut hup) =
        (hear(SignalKind::terminate())?, hear(SignalKind::interrupt())?, hear(SignalKind::hangup())?);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = term.recv() => break,
                _ = int.recv() => break,
                _ = hup.recv() => {}
            }
        }
        let _engine_is_there = tell.send(true);
        // The channel stays open for as long as somebody may look at it.
        tell.closed().await;
    });
    Ok(leave)
}
