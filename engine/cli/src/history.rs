//! What steps took in earlier runs of a runbook, read from the journal.
//!
//! Nothing is kept for it: the last runs tell enough, and reading them costs the same whether there are ten or ten thousand.

use std::time::Duration;

use piton_core::forecast::{Expected, Forecast, History};
use piton_core::ids::{RunId, RunbookName};
use piton_core::plan::Plan;
use piton_core::run::{Outcome, Run};
use piton_runner::clock::{Clock, SystemClock};
use piton_runner::journal::{Filter, JournalError, RunStatus};
use serde_json::{Value, json};

use crate::cli::Globals;
use crate::project::Project;
use crate::store::{self, Store};

/// How many runs are looked at, and how many of them at most are listed to find those that are over.
const RUNS: usize = 20;
const LISTED: usize = 60;

/// How many events are read in all: runs of thousands of tasks need not all be read to know what is usual.
const EVENTS: usize = 40_000;

/// How many events are read at a time.
const PAGE: usize = 5_000;

/// What steps of the runbook took in its last runs, without the run that is asked about.
pub(crate) async fn of(store: &Store, runbook: &RunbookName, but: Option<RunId>) -> Result<History, JournalError> {
    let filter = Filter { runbook: Some(runbook.clone()), limit: LISTED, ..Filter::default() };
    let mut runs = Vec::new();
    let (mut left, mut found) = (EVENTS, 0);
    for run in store.journal.list(&filter).await? {
        let over = match run.status {
            RunStatus::Ended(Outcome::Succeeded | Outcome::Failed | Outcome::Undone) => true,
            RunStatus::Ended(Outcome::Cancelled) | RunStatus::Running | RunStatus::Parked => false,
        };
        if !over || Some(run.id) == but || left == 0 || found == RUNS {
            continue;
        }
        found += 1;
        let mut events = Vec::new();
        while left > 0 {
            let from = events.len() as u64 + 1;
            // A run that is damaged has nothing to tell; `piton verify` finds it.
            let Ok(page) = store.journal.read(run.id, from, PAGE.min(left)).await else { break };
            left -= page.len();
            let last = page.len() < PAGE;
            events.extend(page);
            if last {
                break;
            }
        }
        runs.push(events);
    }
    let mut history = History::default();
    // The oldest first: what is newer pushes out what is older.
    runs.iter().rev().for_each(|events| history.take(events));
    Ok(history)
}

/// What a run of the plan takes; `None` where nothing is known. Nobody plans to be told that the store cannot be read, and a
/// store that is not there is not made.
pub(crate) async fn of_plan(globals: &Globals, project: Option<&Project>, plan: &Plan) -> Option<Forecast> {
    let there = store::state_dir(globals.state.as_deref())
        .is_ok_and(|dir| std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()));
    let store = if there { Store::open(globals, project).ok() } else { None };
    let history = match &store {
        Some(store) => of(store, &plan.runbook, None).await.unwrap_or_default(),
        None => History::default(),
    };
    Forecast::of_plan(plan, &history)
}

/// What is left of a run; `None` where it is over, waits for a person, or too little is known.
pub(crate) async fn of_rest(store: &Store, run: &Run) -> Option<Forecast> {
    let history = of(store, &run.plan().runbook, Some(run.id())).await.ok()?;
    Forecast::of_rest(run, &history, SystemClock.now()).filter(|forecast| forecast.unknown == 0)
}

/// `about 4 min, seldom more than 6 min; nothing is known of 2 of 7 tasks`
pub(crate) fn line(forecast: &Forecast) -> String {
    let Expected { median, high } = forecast.whole;
    let usual = round(median);
    let seldom = if round(high) == usual { String::new() } else { format!(", seldom more than {}", round(high)) };
    let unknown = match forecast.unknown {
        0 => String::new(),
        many => format!("; nothing is known of {many} of {} tasks", forecast.open),
    };
    format!("about {usual}{seldom}{unknown}")
}

/// `about 4 min left`
pub(crate) fn left(forecast: &Forecast) -> String {
    format!("about {} left", round(forecast.whole.median))
}

/// A forecast for programs, in seconds.
pub(crate) fn as_json(forecast: Option<&Forecast>) -> Value {
    forecast.map_or(Value::Null, |forecast| {
        json!({
            "median": forecast.whole.median.as_secs_f64(),
            "high": forecast.whole.high.as_secs_f64(),
            "tasks": forecast.open,
            "unknown": forecast.unknown,
        })
    })
}

/// A span as people say it who do not know exactly: `a moment`, `40 s`, `4 min`, `2 h 10 min`.
fn round(span: Duration) -> String {
    let seconds = span.as_secs_f64().round();
    let minutes = (seconds / 60.0).round();
    let (hours, rest) = ((minutes / 60.0).floor(), minutes % 60.0);
    if seconds < 2.0 {
        "a moment".to_owned()
    } else if seconds < 90.0 {
        format!("{seconds} s")
    } else if hours < 2.0 {
        format!("{minutes} min")
    } else {
        format!("{hours} h {rest} min")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forecast_is_not_exacter_than_it_is() {
        let told = |median, high, unknown| {
            let whole = Expected { median: Duration::from_secs(median), high: Duration::from_secs(high) };
            line(&Forecast { whole, open: 7, unknown })
        };
        assert_eq!(told(0, 0, 0), "about a moment");
        assert_eq!(told(40, 41, 0), "about 40 s, seldom more than 41 s");
        assert_eq!(told(230, 370, 2), "about 4 min, seldom more than 6 min; nothing is known of 2 of 7 tasks");
        assert_eq!(told(230, 250, 0), "about 4 min");
        assert_eq!(told(7_800, 7_800, 0), "about 2 h 10 min");
    }
}
