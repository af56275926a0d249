//! What every journal must do, whatever it is made of. Each test takes a way to open a fresh store, and to open it again.

#![expect(clippy::unwrap_used, reason = "a test says what it expects")]

/// Makes a test of every function of the suite.
macro_rules! conformance {
    ($open:expr; $($module:ident :: $test:ident),+ $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            let dir = tempfile::tempdir().unwrap();
            $crate::$module::$test($open, dir.path()).await;
        })+
    };
}

/// The whole suite for one store.
macro_rules! whole_suite {
    ($open:expr) => {
        conformance! { $open;
            runs::a_run_reads_back_as_it_was_created,
            runs::a_second_run_with_the_same_id_is_refused,
            runs::a_run_that_is_not_there_is_said_not_to_be_there,
            runs::appends_read_back_page_by_page_also_after_opening_again,
            runs::a_gap_is_refused_and_nothing_is_written,
            runs::appends_of_many_runs_at_once_all_arrive,
            runs::a_refused_append_does_not_take_its_neighbours_down,
            leases::a_run_that_is_held_is_not_given_away,
            leases::the_same_owner_may_claim_again_and_its_older_lease_is_stale,
            leases::an_expired_lease_goes_on_until_somebody_takes_the_run,
            leases::a_released_run_can_be_taken_at_once,
            leases::renewing_keeps_the_run,
            leases::a_lease_outlives_the_process_but_not_its_time,
            list::runs_come_newest_first_in_pages,
            list::filters_narrow_the_list,
            list::what_nobody_drives_is_adrift,
            locks::locks_are_given_with_the_append_and_survive_a_restart,
            locks::a_refused_append_asks_for_nothing_and_gives_nothing_back,
            locks::a_run_that_is_over_gives_everything_back,
            locks::whoever_waits_is_woken_and_the_queue_is_kept,
            locks::a_circle_is_refused_in_the_same_step,
            locks::what_a_run_waits_for_is_listed,
            inbox::words_wait_until_an_append_takes_them,
            inbox::a_refused_append_takes_no_word,
            inbox::a_word_wakes_who_waits,
            inbox::words_of_one_run_are_not_another_s,
            chain::a_whole_chain_verifies,
        }
    };
}

mod chain;
mod child;
mod fixtures;
mod inbox;
mod leases;
mod list;
mod locks;
mod output;
mod powercut;
mod processes;
mod runs;
#[cfg(feature = "sled")]
mod sled;
mod small_disk;
mod sqlite;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use piton_core::digest::Digest;
use piton_core::ids::RunId;
use piton_core::lock::{Lock, Ticket, TicketState};
use piton_core::run::{Event, Outcome, Recorded, Word, WordId};
use piton_core::time::Timestamp;
use piton_runner::journal::{Batch, Journal, JournalError, Lease, LockChange, NewRun, RunStatus};

/// How to open a store in a directory, now or again.
pub(crate) type Open = fn(&Path) -> Result<Arc<dyn Journal>, JournalError>;

/// Long enough that no test outlasts it.
pub(crate) const LONG: Duration = Duration::from_secs(3600);

pub(crate) fn run_id(number: u64) -> RunId {
    RunId::from_parts(1_700_000_000_000 + number, u128::from(number))
}

pub(crate) fn created(number: u64) -> NewRun {
    let plan = format!("{{\"plan\":{number}}}");
    let event = Event::RunCreated {
        by: "ada@ops".into(),
        runbook: "drain-host".parse().unwrap(),
        plan: Digest::of(plan.as_bytes()),
    };
    NewRun {
        id: run_id(number),
        runbook: "drain-host".parse().unwrap(),
        title: format!("Drain host {number}"),
        by: "ada@ops".into(),
        at: Timestamp(1_000 + i64::try_from(number).unwrap()),
        plan,
        events: vec![Recorded { seq: 1, at: Timestamp(2_000), event }],
    }
}

/// A small event that differs with its number.
pub(crate) fn event(seq: u64) -> Recorded<Event> {
    let event = Event::EngineTook { engine: format!("machine:{seq}:x"), fence: seq };
    Recorded { seq, at: Timestamp(2_000 + i64::try_from(seq).unwrap()), event }
}

pub(crate) fn batch(seqs: std::ops::RangeInclusive<u64>) -> Batch {
    Batch {
        events: seqs.map(event).collect(),
        status: RunStatus::Running,
        taken: Vec::new(),
        locks: Vec::new(),
        waits: None,
    }
}

pub(crate) fn no_events() -> Batch {
    Batch { events: Vec::new(), status: RunStatus::Running, taken: Vec::new(), locks: Vec::new(), waits: None }
}

pub(crate) fn with_status(mut batch: Batch, status: RunStatus) -> Batch {
    batch.status = status;
    batch
}

pub(crate) fn taking(mut batch: Batch, taken: &[WordId]) -> Batch {
    batch.taken = taken.to_vec();
    batch
}

pub(crate) fn asking(mut batch: Batch, task: Option<&str>, locks: &[(&str, u32)]) -> Batch {
    let lock = |(name, most): &(&str, u32)| Lock { name: (*name).into(), most: *most };
    let task = task.map(|task| task.parse().unwrap());
    batch.locks.push(LockChange::Ask { task, locks: locks.iter().map(lock).collect() });
    batch
}

pub(crate) fn freeing(mut batch: Batch, task: Option<&str>) -> Batch {
    batch.locks.push(LockChange::Free { task: task.map(|task| task.parse().unwrap()) });
    batch
}

/// The tickets of a store: number of the run, task, state.
pub(crate) async fn tickets(journal: &dyn Journal) -> Vec<String> {
    let state = |ticket: &Ticket| match &ticket.state {
        TicketState::Waiting => "waits".to_owned(),
        TicketState::Held(since) => format!("holds since {}", since.0),
        TicketState::Refused(why) => format!("refused: {why}"),
    };
    let task = |ticket: &Ticket| ticket.task.as_ref().map(|task| format!(" {task}")).unwrap_or_default();
    let told = |ticket: &Ticket| {
        let number = (1..100).find(|number| run_id(*number) == ticket.run).unwrap();
        format!("{number}{} {}", task(ticket), state(ticket))
    };
    journal.tickets(None).await.unwrap().iter().map(told).collect()
}

pub(crate) fn cancel(why: &str) -> Word {
    Word::Cancel { why: why.into() }
}

pub(crate) const DONE: RunStatus = RunStatus::Ended(Outcome::Succeeded);

/// A fresh store with one run.
pub(crate) async fn with_run(open: Open, dir: &Path, number: u64) -> (Arc<dyn Journal>, Lease) {
    let journal = open(dir).unwrap();
    let lease = journal.create(created(number), "a", LONG).await.unwrap();
    (journal, lease)
}

/// Asks again and again, for half a minute at most, until there is an answer.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    for _ in 0..6000 {
        if let Some(answer) = ask().await {
            return answer;
        }
        ticks.tick().await;
    }
    panic!("in vain: {what}");
}
