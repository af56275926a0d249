//! `piton run`.

use std::collections::BTreeSet;

use piton_core::ids::RunId;
use piton_runner::Driver;
use piton_runner::journal::Filter;
use serde_json::json;

use crate::cli::Globals;
use crate::exit::{Code, Failure, count};
use crate::foreground::{self, Foreground};
use crate::history;
use crate::planning::{self, Wanted};
use crate::screen::Screen;
use crate::store::{Store, is_adrift};
use crate::{background, parts, secrets};

/// Run a runbook
///
/// Prints the id of the run first, on stdout; how it goes is told on stderr. The run is driven by this process. Ctrl-C
/// asks whether to cancel it or to let it go on in the background; when the terminal closes, it goes on in the
/// background. If this process is killed, nothing is lost: `piton resume` goes on where it was.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    wanted: Wanted,
    /// Let the run go on in the background from the start
    #[arg(long)]
    detach: bool,
    /// Do not wait for people: end, with exit code 5, as soon as only they can move the run on. It goes on in the
    /// background when they have
    #[arg(long, conflicts_with = "detach")]
    no_wait: bool,
    /// Only show the plan, as `piton plan` does
    #[arg(long, conflicts_with = "detach")]
    dry_run: bool,
}

pub(crate) async fn run(args: Args, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
    let planned = planning::plan(globals, &args.wanted).await?;
    if args.dry_run {
        let expected = history::of_plan(globals, planned.project.as_ref(), &planned.plan).await;
        return super::plan::show(&planned.plan, planned.source.name.as_ref(), expected.as_ref(), screen);
    }
    let store = Store::open(globals, planned.project.as_ref())?;
    if args.detach {
        secrets::refuse_typed(&planned.plan)?;
    }
    let fetching = secrets::of(&store, &planned.plan, secrets::Sources::new());
    secrets::fetch_all(&planned.plan, &fetching).await?;
    let id = parts::new_run_id()?;
    let only_here = secrets::only_here(&planned.plan, &secrets::Sources::new());
    let foreground = Foreground::new(&store, screen, id, &planned.plan).with_secrets(fetching, only_here);
    let runbook = planned.plan.runbook.clone();
    let driver =
        Driver::create(foreground.ports.clone(), id, planned.plan, &parts::speaker(), &parts::owner()?).await?;
    let first = tell_id(screen, id, &json!({ "run": id, "runbook": runbook, "tasks": driver.run().graph().len() }));
    if args.detach {
        driver.leave().await?;
        background::engine(&store, &[id])?;
        foreground::handed_over(&store, screen, id).await;
        return first.map(|()| Code::Succeeded);
    }
    if let Err(failure) = first.or_else(|failure| match failure {
        // The run does not need a reader.
        Failure::ReaderGone => Ok(()),
        Failure::Usage { .. }
        | Failure::Faults(_)
        | Failure::Journal(_)
        | Failure::Drive(_)
        | Failure::Other { .. } => Err(failure),
    }) {
        screen.error(&failure, failure.advice());
    }
    take_up_others(&store, screen).await;
    foreground.drive(driver.staying(foreground::stay(args.no_wait)), &store, screen).await
}

fn tell_id(screen: &Screen, id: RunId, json: &serde_json::Value) -> Result<(), Failure> {
    let mut out = screen.out();
    if screen.json {
        out.json(json)?;
    } else {
        out.line(id)?;
    }
    out.flush()
}

/// Runs that a crashed engine left behind are taken up in the background. That must not hold the new run up.
async fn take_up_others(store: &Store, screen: &Screen) {
    const LOOKED_AT: usize = 100;
    let adrift = Filter { adrift: true, limit: LOOKED_AT, ..Filter::default() };
    let open = Filter { open: true, limit: LOOKED_AT, ..Filter::default() };
    // Nobody asked for this: if it fails, whoever looks after those runs finds out with `piton ls`.
    let (Ok(adrift), Ok(open)) = (store.journal.list(&adrift).await, store.journal.list(&open).await) else { return };
    let all = adrift.iter().chain(open.iter().filter(|run| is_adrift(run)));
    let ids: BTreeSet<RunId> = all.map(|run| run.id).collect();
    if ids.is_empty() {
        return;
    }
    let ids: Vec<RunId> = ids.into_iter().collect();
    let some: Vec<String> = ids.iter().take(3).map(RunId::to_string).collect();
    let more = if ids.len() > 3 { ", …" } else { "" };
    match background::engine(store, &ids) {
        Ok(_) => screen.note(format_args!(
            "{} that nobody drove taken up in the background: {}{more}",
            count(ids.len(), "run"),
            some.join(", ")
        )),
        Err(failure) => screen.error(&failure, failure.advice()),
    }
}

/// An observer that shows nothing.
pub(crate) struct Blind;

impl piton_runner::observer::Observer for Blind {
    fn event(&self, _run: &piton_core::run::Run, _event: &piton_core::run::Recorded<piton_core::run::Event>) {}

    fn notice(&self, notice: &piton_runner::observer::Notice) {
        tracing::warn!(?notice, "notice");
    }

    fn printed(&self, _job: &piton_core::ids::JobId, _stream: piton_runner::output::Stream, _bytes: &[u8]) {}
}
