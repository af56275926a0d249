//! Several processes and one store: killed, stopped, competing, out of room.

use std::sync::Arc;

use super::child::Other;
use super::small_disk::Disk;
use super::*;
use piton_runner::journal::{Journal, JournalError};
use piton_store::{SqliteJournal, open_journal};
use rustix::process::Signal;

/// What was acknowledged is there after SIGKILL, every time.
async fn killed(spec: &str, rounds: u64) {
    let dir = tempfile::tempdir().unwrap();
    let open = || open_journal(spec, dir.path()).ok();
    let journal = open().unwrap();
    journal.create(created(1), "a", Duration::ZERO).await.unwrap();
    drop(journal);
    let mut acknowledged = 1;
    for round in 0..rounds {
        eventually("the store is free", async || open()).await;
        let mut other = Other::start("append", spec, dir.path());
        for _ in 0..1 + (round * 7) % 40 {
            acknowledged = other.hear().expect("the other process has ended").parse().unwrap();
        }
        if let Some(last) = other.kill().last() {
            acknowledged = last.parse().unwrap();
        }
        let journal = eventually("the store opens again", async || open()).await;
        let verified = journal.verify(run_id(1)).await.unwrap();
        assert!(verified.events >= acknowledged, "round {round}: {acknowledged} acknowledged, {verified:?}");
        let events = journal.read(run_id(1), 2, usize::MAX).await.unwrap();
        assert!(events.into_iter().eq((2..=verified.events).map(event)), "round {round}");
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_sigkill() {
    killed("sqlite", 40).await;
}

#[cfg(feature = "sled")]
#[tokio::test]
async fn what_was_acknowledged_survives_sigkill_in_sled_too() {
    killed("sled:journal.sled", 30).await;
}

#[tokio::test]
async fn an_engine_that_was_stopped_past_its_lease_can_do_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(dir.path()).unwrap();
    journal.create(created(1), "a", Duration::ZERO).await.unwrap();
    let mut other = Other::start("hold", "sqlite", dir.path());
    assert_eq!(other.hear().as_deref(), Some("held"));
    other.signal(Signal::STOP);
    let lease = eventually("its lease expires", async || match journal.claim(run_id(1), "b", LONG).await {
        Ok(lease) => Some(lease),
        Err(error) => {
            assert!(matches!(error, JournalError::Held { .. }), "{error}");
            None
        }
    })
    .await;
    journal.append(&lease, batch(3..=4)).await.unwrap();
    other.signal(Signal::CONT);
    other.tell();
    assert_eq!(other.hear().as_deref(), Some("stale"));
    other.end();
    assert_eq!(journal.verify(run_id(1)).await.unwrap().events, 4);
}

#[tokio::test]
async fn competing_processes_take_turns_and_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, lease) = with_run(|dir| Ok(Arc::new(SqliteJournal::open(dir)?)), dir.path(), 1).await;
    journal.release(&lease).await.unwrap();
    let mut others: Vec<Other> = (0..4).map(|_| Other::start("compete", "sqlite", dir.path())).collect();
    let mut had = 0;
    for other in &mut others {
        let said = other.hear().expect("it failed");
        let (number, times) = said.split_once(' ').unwrap();
        had += times.parse::<u64>().unwrap();
        assert_eq!(journal.verify(run_id(number.parse().unwrap())).await.unwrap().events, 60);
    }
    others.into_iter().for_each(Other::end);
    assert!(had > 0);
    assert_eq!(journal.verify(run_id(1)).await.unwrap().events, 1 + had);
    let fence = journal.claim(run_id(1), "z", LONG).await.unwrap().fence;
    assert_eq!(fence, 2 + had, "each claim has a number of its own");
}

#[tokio::test]
async fn many_processes_that_make_the_store_at_once_agree() {
    for _ in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let others: Vec<Other> =
            (0..3).map(|_| Other::start("create", "sqlite", &dir.path().join("new/state"))).collect();
        others.into_iter().for_each(Other::end);
        let journal = SqliteJournal::open(&dir.path().join("new/state")).unwrap();
        let all = piton_runner::journal::Filter { limit: 10, ..Default::default() };
        assert_eq!(journal.list(&all).await.unwrap().len(), 3);
    }
}

#[tokio::test]
async fn a_word_from_another_process_rings_at_every_socket() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _lease) = with_run(|dir| Ok(Arc::new(SqliteJournal::open(dir)?)), dir.path(), 1).await;
    journal.letters().await;
    let ear = std::os::unix::net::UnixDatagram::bind(dir.path().join("wake/ear")).unwrap();
    ear.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    Other::start("say", "sqlite", dir.path()).end();
    assert_eq!(ear.recv(&mut [0; 8]).unwrap(), 0);
    journal.letters().await;
    assert_eq!(journal.inbox(run_id(1)).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_forgets_nothing_and_writing_goes_on_when_there_is_room() {
    let disk = Disk::of("4m");
    let dir = disk.path().join("state");
    let (journal, lease) = with_run(|dir| Ok(Arc::new(SqliteJournal::open(dir)?)), &dir, 1).await;
    for but in [64 * 1024, 0, 200 * 1024] {
        let filler = disk.fill(but);
        let mut seq = journal.summary(run_id(1)).await.unwrap().seq;
        let error = loop {
            match journal.append(&lease, batch(seq + 1..=seq + 5)).await {
                Ok(()) => seq += 5,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, JournalError::Full { .. }), "{error}");
        let again = journal.append(&lease, batch(seq + 1..=seq + 5)).await.unwrap_err();
        assert!(matches!(again, JournalError::Full { .. }), "{again}");
        // Several at once, which share a commit and are then tried one by one.
        let many = futures(&journal, &lease, seq).await;
        assert!(
            many.iter().all(|error| matches!(error, Some(JournalError::Full { .. } | JournalError::Gap { .. }))),
            "{many:?}"
        );
        let events = journal.read(run_id(1), 2, usize::MAX).await.unwrap();
        assert!(events.into_iter().eq((2..=seq).map(event)), "what was acknowledged reads");
        assert_eq!(journal.verify(run_id(1)).await.unwrap().events, seq);

        std::fs::remove_file(filler).unwrap();
        journal.append(&lease, batch(seq + 1..=seq + 5)).await.unwrap();
        assert_eq!(journal.verify(run_id(1)).await.unwrap().events, seq + 5);
    }
    drop(journal);
    let journal = SqliteJournal::open(&dir).unwrap();
    journal.verify(run_id(1)).await.unwrap();
}

async fn futures(journal: &Arc<dyn Journal>, lease: &Lease, seq: u64) -> Vec<Option<JournalError>> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (journal, lease) = (Arc::clone(journal), lease.clone());
        tasks.spawn(async move { journal.append(&lease, batch(seq + 1..=seq + 50)).await.err() });
    }
    tasks.join_all().await
}

#[test]
fn no_room_to_make_a_store_is_said() {
    let disk = Disk::of("256k");
    let filler = disk.fill(0);
    let error = SqliteJournal::open(&disk.path().join("state")).unwrap_err();
    assert!(matches!(error, JournalError::Full { .. }), "{error}");
    std::fs::remove_file(filler).unwrap();
    SqliteJournal::open(&disk.path().join("state")).unwrap();
}

#[test]
fn a_read_only_file_system_is_said() {
    let disk = Disk::of("1m");
    let state = disk.path().join("state");
    drop(SqliteJournal::open(&state).unwrap());
    disk.read_only();
    for dir in [&state, &disk.path().join("new")] {
        let said = SqliteJournal::open(dir).unwrap_err().to_string();
        assert!(said.contains("Read-only file system"), "{said}");
    }
}
