//! The power fails. All that another process does to the store's files is recorded; then the directory is built again as it
//! could stand on the disk at some moment, with what was not synced lost, partly there, or torn; and it is opened.

mod disk;
mod trace;

use std::collections::BTreeMap;
use std::time::Instant;

use disk::{Disk, Loss};
use piton_store::open_journal;
use trace::{Op, record};

use super::*;

/// How long one store is tried, in seconds, unless `PITON_POWERCUT_SECONDS` says otherwise.
const SECONDS: u64 = 15;
/// Moments tried in one pass over the record.
const PASS: usize = 200;

/// An event of the recorded process: some are long, so that pages split and logs fill.
pub(crate) fn long_event(seq: u64) -> Recorded<Event> {
    let mut event = event(seq);
    if let Event::EngineTook { engine, .. } = &mut event.event {
        *engine = engine.repeat(if seq.is_multiple_of(5) { 200 } else { 1 });
    }
    event
}

/// What came of the moments that were tried.
#[derive(Debug, Default)]
struct Tally {
    whole: usize,
    /// The store says clearly that it cannot be used, or that a record is damaged.
    refused: Vec<String>,
    /// Something acknowledged is not there, and nothing says so.
    lost: Vec<String>,
    /// It panicked or hung.
    broke: Vec<String>,
}

/// A small generator of numbers (splitmix64): a seed makes a failure happen again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % below.max(1) as u64).unwrap()
    }
}

/// Tries a store; with `lying`, on a disk that says it has synced and has not.
fn try_store(spec: &str, lying: bool) -> Tally {
    let given = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = if lying { 2 } else { given("PITON_POWERCUT_SECONDS").unwrap_or(SECONDS) };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = given("PITON_POWERCUT_SEED").unwrap_or(now.as_secs());
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let ops = record(spec, &state);
    let acknowledged = ops.iter().filter(|op| matches!(op, Op::Acknowledged { .. })).count();
    println!("{spec}: seed {seed}, {} operations, {acknowledged} acknowledgements", ops.len());
    assert!(acknowledged > 500, "the recorded process did not do its work");

    let (mut dice, mut tally, begun) = (Dice(seed), Tally::default(), Instant::now());
    // Where a store changes its ways: around syncs, truncations and names.
    let corners: Vec<usize> = (0..ops.len()).filter(|at| ops[*at].is_corner()).collect();
    while begun.elapsed().as_secs() < seconds {
        let mut moments: Vec<usize> = (0..PASS)
            .map(|n| match n % 2 {
                0 => dice.roll(ops.len()),
                _ => (corners[dice.roll(corners.len())] + dice.roll(4)).min(ops.len() - 1),
            })
            .collect();
        moments.sort_unstable();
        let mut disk = Disk::new(&state, lying);
        let mut expected = BTreeMap::new();
        let mut done = 0;
        for moment in moments {
            for op in &ops[done..moment.max(done)] {
                if let Op::Acknowledged { run, seq } = op {
                    expected.insert(*run, *seq);
                }
            }
            disk.take(&ops, done..moment.max(done));
            done = moment.max(done);
            let loss = Loss::ALL[dice.roll(Loss::ALL.len())];
            let built = tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" }).unwrap();
            disk.build(&ops, loss, &mut |below| dice.roll(below), built.path());
            look(spec, built.path(), &expected, &format!("at {moment}, {loss:?}"), &mut tally);
            if begun.elapsed().as_secs() >= seconds {
                break;
            }
        }
    }
    let Tally { whole, refused, lost, broke } = &tally;
    println!("{spec}: {whole} whole, {} refused, {} lost, {} broke", refused.len(), lost.len(), broke.len());
    for (what, cases) in [("refused", refused), ("lost", lost), ("broke", broke)] {
        for case in cases.iter().take(5) {
            println!("  {what} {case}");
        }
    }
    tally
}

/// Opens what was built and checks it, in a thread of its own: it may panic or hang.
fn look(spec: &str, state: &Path, expected: &BTreeMap<u64, u64>, moment: &str, tally: &mut Tally) {
    let (spec, state, expected) = (spec.to_owned(), state.to_owned(), expected.clone());
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Nobody listens any more if it took too long.
        let _ = tell.send(runtime.block_on(check(&spec, &state, &expected)));
    });
    match told.recv_timeout(Duration::from_secs(20)) {
        Ok(Ok(())) => tally.whole += 1,
        Ok(Err(Bad::Refused(why))) => tally.refused.push(format!("{moment}: {why}")),
        Ok(Err(Bad::Lost(what))) => tally.lost.push(format!("{moment}: {what}")),
        Err(error) => tally.broke.push(format!("{moment}: {error}")),
    }
}

enum Bad {
    Refused(JournalError),
    Lost(String),
}

impl From<JournalError> for Bad {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::NoSuchRun(_) => Self::Lost(error.to_string()),
            JournalError::Exists(_)
            | JournalError::Held { .. }
            | JournalError::Stale { .. }
            | JournalError::Gap { .. }
            | JournalError::Full { .. }
            | JournalError::Corrupt { .. }
            | JournalError::Newer { .. }
            | JournalError::Unusable { .. } => Self::Refused(error),
        }
    }
}

async fn check(spec: &str, state: &Path, expected: &BTreeMap<u64, u64>) -> Result<(), Bad> {
    let journal = open_journal(spec, state)?;
    for (number, seq) in expected {
        let run = run_id(*number);
        let verified = journal.verify(run).await?;
        if verified.events < *seq {
            return Err(Bad::Lost(format!("run {number} has {} of {seq} events", verified.events)));
        }
        let events = journal.read(run, 2, usize::MAX).await?;
        if !events.into_iter().eq((2..=verified.events).map(long_event)) {
            return Err(Bad::Lost(format!("run {number} has other events")));
        }
        // And it goes on.
        let lease = journal.claim(run, "a", LONG).await?;
        let next = verified.events + 1;
        journal.append(&lease, Batch { events: vec![long_event(next)], ..no_events() }).await?;
        journal.verify(run).await?;
    }
    Ok(())
}

#[test]
fn sqlite_loses_nothing_that_was_acknowledged() {
    let Tally { whole, refused, lost, broke } = try_store("sqlite", false);
    assert!(whole > 20, "hardly anything was tried");
    assert!(refused.is_empty() && lost.is_empty() && broke.is_empty(), "see above");
}

#[test]
fn a_disk_that_lies_is_noticed() {
    let Tally { lost, refused, .. } = try_store("sqlite", true);
    assert!(!lost.is_empty() || !refused.is_empty(), "this harness would notice nothing");
}

#[cfg(feature = "sled")]
#[test]
fn sled_s_losses_are_counted() {
    let Tally { whole, lost, .. } = try_store("sled:journal.sled", false);
    assert!(whole > 20, "hardly anything was tried");
    // Less is claimed for sled; what it refuses is printed. Without our own sync a third of the tries lose something, with it
    // none was seen to: see docs/decisions/0001-sqlite-not-sled.md.
    assert!(lost.len() * 50 < whole, "see above");
}
