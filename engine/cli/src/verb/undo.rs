//! `piton undo`.

use piton_core::run::Word;
use piton_runner::clock::{Clock, SystemClock};
use serde_json::json;

use super::say::{To, reason};
use crate::cli::Globals;
use crate::exit::{Code, Failure};
use crate::screen::Screen;
use crate::store::Store;
use crate::way_back;

/// Take back what a run did, in reverse order
///
/// Also what may have happened. Steps without `undo` are passed over. `--dry-run` shows what would be taken back, in
/// which order, and what would be left as it is.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    to: To,
    /// The reason, for the journal
    #[arg(long, value_name = "TEXT", value_parser = reason, required_unless_present = "dry_run")]
    why: Option<String>,
    /// Only show what would be taken back
    #[arg(long, conflicts_with_all = ["watch", "no_wait", "why"])]
    dry_run: bool,
}

pub(crate) async fn run(args: Args, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
    if !args.dry_run {
        return args.to.say(globals, screen, Word::Undo { why: args.why.unwrap_or_default() }).await;
    }
    let store = Store::here(globals)?;
    let summary = store.find(&args.to.run).await?;
    let run = piton_runner::load(store.journal.as_ref(), summary.id).await?;
    let back = run.way_back().map_err(|why| Failure::other(format!("undo would be refused: {why}")))?;
    let mut out = screen.out();
    if screen.json {
        let mut value = way_back::as_json(&run, &back);
        value["run"] = json!(run.id());
        value["at"] = json!(crate::times::iso(SystemClock.now()));
        value["seq"] = json!(run.seq());
        out.json(&value)?;
    } else {
        way_back::of_run(&run, &back, &mut out)?;
    }
    out.flush()?;
    Ok(Code::Succeeded)
}
