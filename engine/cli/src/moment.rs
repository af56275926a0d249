//! A run as it was at some moment: after an event, or at a point in time.

use piton_core::ids::RunId;
use piton_core::run::Run;
use piton_runner::clock::{Clock, SystemClock};

use crate::exit::Failure;
use crate::store::Store;
use crate::times;

/// How many events are read at a time.
const PAGE: usize = 2000;

/// The run as it is, or as it was at a moment: the number of an event, or a time.
pub(crate) async fn load(store: &Store, id: RunId, at: Option<&str>) -> Result<Run, Failure> {
    let Some(at) = at else { return Ok(piton_runner::load(store.journal.as_ref(), id).await?) };
    let last = match at.parse::<u64>() {
        Ok(seq) => seq,
        Err(_) => last_before(store, id, at).await?,
    };
    let run = piton_runner::load_up_to(store.journal.as_ref(), id, last).await?;
    if run.seq() == 0 {
        return Err(Failure::usage(format!("at {} there was no run {id} yet", at.escape_debug()))
            .hint(format!("`piton show {id} --events` shows the events with numbers and times")));
    }
    if at.parse::<u64>().is_ok() && run.seq() < last {
        return Err(Failure::usage(format!("run {id} has {} events, none with the number {last}", run.seq()))
            .hint(format!("`piton show {id} --events` shows them")));
    }
    Ok(run)
}

/// The number of the last event that was written down by then.
async fn last_before(store: &Store, id: RunId, at: &str) -> Result<u64, Failure> {
    let time = times::read(at, SystemClock.now()).map_err(|why| {
        Failure::usage(why).hint("a moment is the number of an event, or a time; a number alone is an event's")
    })?;
    let mut last = 0;
    loop {
        let page = store.journal.read(id, last + 1, PAGE).await?;
        let before = page.iter().take_while(|recorded| recorded.at <= time);
        let count = before.count();
        last = page[..count].last().map_or(last, |recorded| recorded.seq);
        if count < PAGE {
            return Ok(last);
        }
    }
}
