//! `piton resume`.

use std::path::PathBuf;
use std::time::Duration;

use piton_core::ids::RunId;
use piton_core::run::{WaitKind, Word};
use piton_runner::clock::{Clock, SystemClock};
use piton_runner::journal::{Filter, JournalError, RunStatus, RunSummary};
use piton_runner::{DriveError, Driver, LEASE};
use serde_json::json;

use crate::cli::Globals;
use crate::exit::{Code, Failure};
use crate::foreground::{self, Foreground, tell_end};
use crate::onto::{self, Consent};
use crate::screen::Screen;
use crate::store::Store;
use crate::{parts, secrets};

/// Drive a run that nobody drives, or that is paused, from where it is
///
/// What was finished is not done again, and what runs on hosts is found and followed. A run whose engine died is taken
/// over, one that another engine drives is only watched. `--secret` gets a secret from elsewhere than the run says, this
/// time only.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run [default: the newest that is open]
    #[arg(value_name = "RUN", conflicts_with = "latest",
          add = clap_complete::ArgValueCompleter::new(super::completing::runs))]
    run: Option<String>,
    /// The newest run that is open
    #[arg(long)]
    latest: bool,
    /// Go on with this corrected runbook: what has not begun, or has failed and waits for a decision, may be another
    #[arg(long, value_name = "FILE")]
    onto: Option<PathBuf>,
    /// Do not ask whether the corrected runbook is right
    #[arg(long, requires = "onto")]
    yes: bool,
    /// Only show what the corrected runbook changes
    #[arg(long, requires = "onto", conflicts_with = "yes")]
    dry_run: bool,
    /// Try the failed tasks whose steps are corrected again at once
    #[arg(long, requires = "onto")]
    retry: bool,
    /// The reason for ending a pause, or for going on with another runbook, for the journal
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Do not wait for people: end, with exit code 5, as soon as only they can move the run on
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    secrets: secrets::SecretArgs,
}

/// How often a lease that is held is tried.
const TRY: Duration = Duration::from_millis(50);

pub(crate) async fn run(args: Args, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
    let instead = args.secrets.read()?;
    let store = Store::here(globals)?;
    let summary = match args.run.as_ref().filter(|_| !args.latest) {
        Some(wanted) => store.find(wanted).await?,
        None => newest_open(&store).await?,
    };
    let id = summary.id;
    if let RunStatus::Ended(outcome) = summary.status {
        if args.onto.is_some() {
            return Err(Failure::usage(format!("run {id} is over: it {outcome}"))
                .hint("`piton rerun RUN --replan` begins anew with its results and the runbook as it is now"));
        }
        let run = piton_runner::load(store.journal.as_ref(), id).await?;
        return tell_end(&run, &store, screen);
    }
    if summary.waits.as_ref().is_some_and(|waits| waits.kind == WaitKind::Paused) {
        let why = args.why.clone().unwrap_or_default();
        store.journal.say(id, &parts::speaker(), Word::Resume { why }, SystemClock.now()).await?;
        // An engine that is there goes on by itself.
        if summary.owner.as_deref().is_some_and(|owner| !parts::is_dead(owner)) {
            tell_id(screen, &summary, id)?;
            return super::watch::follow(&store, screen, id, summary.seq).await;
        }
    } else if args.why.is_some() && args.onto.is_none() {
        return Err(Failure::usage(format!("run {id} is not paused: there is no pause to end, nor a reason to give")));
    }
    let run = piton_runner::load(store.journal.as_ref(), id).await?;
    let new = match &args.onto {
        None => None,
        Some(path) => {
            let consent = match (args.yes, args.dry_run) {
                (true, _) => Consent::Given,
                (false, true) => Consent::OnlyShow,
                (false, false) => Consent::Ask,
            };
            match onto::agree(globals, screen, &run, path, consent).await? {
                Some(new) => Some(new),
                None => return Ok(Code::Succeeded),
            }
        }
    };
    let plan = new.as_ref().map_or(run.plan().as_ref(), |(plan, _)| plan);
    let only_here = secrets::only_here(plan, &instead);
    let fetching = secrets::of(&store, plan, instead);
    secrets::ask(plan, &fetching).await?;
    let foreground = Foreground::new(&store, screen, id, plan).with_secrets(fetching, only_here);
    let owner = parts::owner()?;
    let begun = tokio::time::Instant::now();
    let mut told = false;
    let mut driver = loop {
        match Driver::adopt(foreground.ports.clone(), id, &owner).await {
            Ok(driver) => break driver,
            Err(DriveError::Journal(JournalError::Held { owner, .. })) => {
                // Where it is not certain that the holder is dead, its lease tells: the living renew it.
                let dead = parts::is_dead(&owner);
                if new.is_some() && !dead {
                    return Err(Failure::usage(format!("engine {owner} drives run {id}: it must stand still"))
                        .hint("a run stands still when it is parked; `piton cancel RUN` ends it"));
                }
                if !std::mem::replace(&mut told, true) {
                    let what = if dead { "has died; its lease ends soon" } else { "drives the run; is it alive?" };
                    screen.note(format_args!("Engine {owner} {what} (waiting up to {} s).", LEASE.as_secs()));
                }
                let fresh = store.journal.summary(id).await?;
                if begun.elapsed() > LEASE + Duration::from_secs(1) || matches!(fresh.status, RunStatus::Ended(_)) {
                    screen.note(format_args!("Engine {owner} is alive; watching it."));
                    return super::watch::follow(&store, screen, id, fresh.seq).await;
                }
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(TRY).await;
    };
    if let Some((plan, onto)) = &new {
        let (by, why) = (parts::speaker(), args.why.unwrap_or_default());
        if !driver.replan(&by, &why, plan).await? {
            driver.leave().await?;
            return Err(Failure::usage(format!(
                "run {id} has gone on meanwhile, and the new plan does not fit any more"
            ))
            .hint("say it again: what differs is shown anew"));
        }
        for task in onto.corrected.iter().filter(|_| args.retry) {
            let word = Word::Retry { task: task.clone(), why: "its step is corrected".to_owned() };
            store.journal.say(id, &by, word, SystemClock.now()).await?;
        }
    }
    tell_id(screen, &summary, id)?;
    foreground.drive(driver.staying(foreground::stay(args.no_wait)), &store, screen).await
}

fn tell_id(screen: &Screen, summary: &RunSummary, id: RunId) -> Result<(), Failure> {
    let mut out = screen.out();
    if screen.json {
        out.json(&json!({ "run": id, "runbook": summary.runbook, "resumed_after": summary.seq }))?;
    } else {
        out.line(id)?;
    }
    out.flush()
}

async fn newest_open(store: &Store) -> Result<RunSummary, Failure> {
    let open = store.journal.list(&Filter { open: true, limit: 1, ..Filter::default() }).await?;
    open.into_iter()
        .next()
        .ok_or_else(|| Failure::usage("no run is open").hint("`piton ls --all` lists the runs there are"))
}
