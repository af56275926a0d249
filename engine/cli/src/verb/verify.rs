//! `piton verify`.

use piton_core::ids::RunId;
use piton_runner::journal::{Filter, JournalError};
use serde_json::json;

use crate::cli::Globals;
use crate::exit::{Code, Failure, count};
use crate::screen::{GREEN, RED, Screen};
use crate::store::Store;

/// Prove that nothing in the journal of a run was changed
///
/// Recomputes the chain of digests from the first event to the last. Whoever keeps the digest of the last one elsewhere
/// can also tell that nothing was cut off.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run
    #[arg(value_name = "RUN", required_unless_present = "all", conflicts_with = "all",
          add = clap_complete::ArgValueCompleter::new(super::completing::runs))]
    run: Option<String>,
    /// All runs there are
    #[arg(long)]
    all: bool,
}

/// How many runs are listed at a time.
const PAGE: usize = 500;

pub(crate) async fn run(args: Args, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
    let store = Store::here(globals)?;
    let mut out = screen.out();
    let mut bad = 0;
    if let Some(wanted) = &args.run {
        let id = store.find(wanted).await?.id;
        bad += usize::from(!one(&store, id, screen, &mut out).await?);
    } else {
        let mut before = None;
        loop {
            let filter = Filter { before, limit: PAGE, ..Filter::default() };
            let page = store.journal.list(&filter).await?;
            for run in &page {
                bad += usize::from(!one(&store, run.id, screen, &mut out).await?);
            }
            let Some(last) = page.last() else { break };
            before = Some(last.id);
        }
    }
    out.flush()?;
    if bad == 0 {
        Ok(Code::Succeeded)
    } else {
        screen.error(
            format_args!("{} not as written", if bad == 1 { "1 journal is".to_owned() } else { format!("{} are", count(bad, "journal")) }),
            Some("restore the state directory from a backup; `piton show RUN --events` reads what comes before the damage".to_owned()),
        );
        Ok(Code::Unexpected)
    }
}

async fn one(store: &Store, id: RunId, screen: &Screen, out: &mut crate::screen::Out) -> Result<bool, Failure> {
    match store.journal.verify(id).await {
        Ok(verified) => {
            if screen.json {
                out.json(&json!({ "run": id, "ok": true, "events": verified.events, "head": verified.head }))?;
            } else {
                let ok = out.paint(GREEN, "ok");
                let events = count(usize::try_from(verified.events).unwrap_or(usize::MAX), "event");
                out.line(format_args!("{ok}  {id}  {events}  {}", verified.head))?;
            }
            Ok(true)
        }
        Err(JournalError::Corrupt { seq, detail, .. }) => {
            if screen.json {
                out.json(&json!({ "run": id, "ok": false, "event": seq, "detail": detail }))?;
            } else {
                let bad = out.paint(RED, "CHANGED");
                out.line(format_args!("{bad}  {id}  event {seq}: {detail}"))?;
            }
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}
