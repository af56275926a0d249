//! Stores as older versions wrote them. They are kept, and read, for ever.

use piton_core::run::{BootId, Exit, Extent, FailureCause, LossCause, ParkCause, Printed, SkipCause, SuccessCause};
use piton_runner::journal::{Filter, Letter, RunSummary};
use piton_store::SqliteJournal;

use super::*;

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A run in which much happened.
fn eventful() -> Vec<Recorded<Event>> {
    let task = || "copy[hv1]".parse().unwrap();
    let attempt = || piton_core::ids::AttemptId { task: task(), number: 1 };
    let job = |part, round| piton_core::ids::JobId { attempt: attempt(), part, round };
    let main = || job(piton_core::ids::Part::Main, 1);
    let printed = || Printed { out: Some(Extent { len: 3, digest: Digest::of(b"abc") }), err: None };
    let outputs =
        || serde_json::from_str::<piton_core::value::Map<_, _>>(r#"{"disk":"/data/vms/ü.qcow2","n":3}"#).unwrap();
    let cause = || FailureCause::Exit(Exit(3));
    [
        created(1).events.remove(0).event,
        Event::EngineTook { engine: "machine:1:x".into(), fence: 1 },
        Event::TaskSkipped { task: task(), why: SkipCause::NeedFailed(task()) },
        Event::AttemptStarted { task: task(), attempt: 1, deadline: Some(Timestamp(9)) },
        Event::JobStarted { job: main(), boot: BootId("b".into()) },
        Event::JobExited { job: main(), exit: Exit(0), printed: printed(), outputs: outputs() },
        Event::JobLost { job: main(), why: LossCause::Unreachable("no route".into()) },
        Event::JobStopped { job: main(), exit: None, printed: printed() },
        Event::TransferProgressed { task: task(), attempt: 1, moved: 1, total: u64::MAX, left: Some(2) },
        Event::Transferred { task: task(), attempt: 1, bytes: u64::MAX, digest: Digest::of(b"x") },
        Event::AttemptTimedOut { task: task(), attempt: 1 },
        Event::AttemptFailed { task: task(), attempt: 1, cause: FailureCause::Asserted(vec!["no".into()]) },
        Event::RetryScheduled { task: task(), at: Timestamp(i64::MIN), repeat: true },
        Event::ProbeScheduled { task: task(), at: Timestamp(i64::MAX) },
        Event::WaitStarted { task: task(), until: Timestamp(0) },
        Event::TaskSucceeded { task: task(), how: SuccessCause::FoundDone },
        Event::TaskFailed { task: task(), cause: cause() },
        Event::TaskParked { task: task(), why: ParkCause::Unknown { loss: LossCause::ProcessGone, looked: None } },
        Event::WordTaken { id: WordId(1), by: "ada".into(), word: cancel("x"), refused: Some("no".into()) },
        Event::TaskReleased { task: task() },
        Event::CancelStarted,
        Event::UndoStarted { because: Some(task()) },
        Event::UndoAttemptStarted { task: task(), attempt: 1, deadline: None },
        Event::TaskUndone { task: task() },
        Event::UndoSkipped { task: task() },
        Event::FinallyStarted,
        Event::RunEnded { outcome: Outcome::Undone },
    ]
    .into_iter()
    .zip(1..)
    .map(|(event, seq)| Recorded { seq, at: Timestamp(1_000 * i64::try_from(seq).unwrap()), event })
    .collect()
}

/// All that a store says, as text.
async fn told(journal: &dyn Journal) -> String {
    let summaries: Vec<RunSummary> = journal.list(&Filter { limit: 100, ..Filter::default() }).await.unwrap();
    let mut told = String::new();
    for summary in summaries {
        told.push_str(&serde_json::to_string(&summary).unwrap());
        told.push_str(&format!("\nplan {}\n", journal.plan(summary.id).await.unwrap()));
        for event in journal.read(summary.id, 1, usize::MAX).await.unwrap() {
            told.push_str(&format!("{}\n", serde_json::to_string(&event).unwrap()));
        }
        for Letter { id, by, at, word } in journal.inbox(summary.id).await.unwrap() {
            told.push_str(&format!("{id:?} {by} {at:?} {}\n", serde_json::to_string(&word).unwrap()));
        }
        told.push_str(&format!("{}\n", serde_json::to_string(&journal.verify(summary.id).await.unwrap()).unwrap()));
    }
    told
}

#[tokio::test]
#[ignore = "writes the fixture of the present version; run it once for each, then never change what it wrote"]
async fn write_the_fixture() {
    let dir = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(dir.path()).unwrap();
    let version = rusqlite::Connection::open(dir.path().join("journal.db"))
        .unwrap()
        .query_row("PRAGMA user_version", [], |row| row.get::<_, u32>(0))
        .unwrap();
    let lease = journal.create(NewRun { events: eventful(), ..created(1) }, "a", LONG).await.unwrap();
    journal.append(&lease, with_status(no_events(), RunStatus::Ended(Outcome::Undone))).await.unwrap();
    journal.release(&lease).await.unwrap();
    let lease = journal.create(created(2), "machine:1:x", LONG).await.unwrap();
    journal.append(&lease, with_status(batch(2..=9), RunStatus::Parked)).await.unwrap();
    let gone = journal.say(run_id(2), "ada@ops", cancel("gone"), Timestamp(4)).await.unwrap();
    journal.append(&lease, with_status(taking(batch(10..=10), &[gone]), RunStatus::Parked)).await.unwrap();
    let undo = Word::Undo { why: "ünd so".into() };
    journal.say(run_id(2), "bob@ops", undo, Timestamp(5)).await.unwrap();
    journal.renew(&lease, Duration::ZERO).await.unwrap();
    let told = told(&journal).await;
    drop(journal);
    let database = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(database);
    let to = |ending: &str| fixtures().join(format!("v{version}.{ending}"));
    assert!(!to("db").exists(), "there is one already");
    std::fs::copy(dir.path().join("journal.db"), to("db")).unwrap();
    std::fs::write(to("txt"), told).unwrap();
}

#[tokio::test]
async fn stores_of_every_version_are_read_and_written_on() {
    let mut count = 0;
    for entry in std::fs::read_dir(fixtures()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "db") {
            continue;
        }
        count += 1;
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(&path, dir.path().join("journal.db")).unwrap();
        let journal = SqliteJournal::open(dir.path()).unwrap();
        let expected = std::fs::read_to_string(path.with_extension("txt")).unwrap();
        assert_eq!(told(&journal).await, expected, "{}", path.display());
        let lease = journal.claim(run_id(2), "b", LONG).await.unwrap();
        assert_eq!(lease.fence, 2);
        journal.append(&lease, batch(11..=11)).await.unwrap();
        assert_eq!(journal.verify(run_id(2)).await.unwrap().events, 11);
    }
    assert!(count >= 1, "the fixtures are gone");
}
