//! `piton resume`.

use std::time::Duration;

use piton_core::ids::RunId;
use piton_runner::journal::{Filter, JournalError, RunStatus, RunSummary};
use piton_runner::{DriveError, Driver, LEASE};
use serde_json::json;

use crate::cli::Globals;
use crate::exit::{Code, Failure};
use crate::foreground::{Foreground, tell_end};
use crate::screen::Screen;
use crate::store::Store;
use crate::{parts, secrets};

/// Drive a run that nobody drives, from where it is
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
    #[command(flatten)]
    secrets: secrets::SecretArgs,
}

/// How often a lease that is held is tried.
const TRY: Duration = Duration::from_millis(50);

pub(crate) async fn run(args: Args, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
    let instead = args.secrets.read()?;
    let store = Store::here(globals)?;
    let summary = match args.run.filter(|_| !args.latest) {
        Some(wanted) => store.find(&wanted).await?,
        None => newest_open(&store).await?,
    };
    let id = summary.id;
    if let RunStatus::Ended(_) = summary.status {
        let run = piton_runner::load(store.journal.as_ref(), id).await?;
        return tell_end(&run, &store, screen);
    }
    let run = piton_runner::load(store.journal.as_ref(), id).await?;
    let only_here = secrets::only_here(run.plan(), &instead);
    let fetching = secrets::of(&store, run.plan(), instead);
    secrets::ask(run.plan(), &fetching).await?;
    let foreground = Foreground::new(&store, screen, id, run.plan()).with_secrets(fetching, only_here);
    let owner = parts::owner()?;
    let begun = tokio::time::Instant::now();
    let mut told = false;
    let driver = loop {
        match Driver::adopt(foreground.ports.clone(), id, &owner).await {
            Ok(driver) => break driver,
            Err(DriveError::Journal(JournalError::Held { owner, .. })) => {
                // Where it is not certain that the holder is dead, its lease tells: the living renew it.
                let dead = parts::is_dead(&owner);
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
    tell_id(screen, &summary, id)?;
    foreground.drive(driver, &store, screen).await
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
