//! The journal in SQLite against the suite, and what is SQLite's own.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use super::*;
use piton_runner::journal::{Journal, JournalError};
use piton_store::SqliteJournal;

fn sqlite(dir: &Path) -> Result<Arc<dyn Journal>, JournalError> {
    Ok(Arc::new(SqliteJournal::open(dir)?))
}

whole_suite!(sqlite);

fn edit(dir: &Path, sql: &str) {
    let database = rusqlite::Connection::open(dir.join("journal.db")).unwrap();
    assert!(database.execute(sql, []).unwrap() > 0, "{sql} changed nothing");
}

#[tokio::test]
async fn every_kind_of_tampering_is_found_and_what_stands_before_it_reads() {
    let changes = [
        ("UPDATE events SET body = CAST(replace(body, 'machine:5', 'machine:6') AS BLOB) WHERE seq = 5", 5),
        ("UPDATE events SET at = at + 1 WHERE seq = 5", 5),
        ("UPDATE events SET link = zeroblob(32) WHERE seq = 5", 5),
        ("UPDATE events SET link = x'00' WHERE seq = 5", 5),
        ("DELETE FROM events WHERE seq = 5", 5),
        ("DELETE FROM events WHERE seq >= 5", 5),
        ("UPDATE events SET seq = 50 WHERE seq = 5", 5),
    ];
    for (change, damaged) in changes {
        let dir = tempfile::tempdir().unwrap();
        let (journal, lease) = with_run(sqlite, dir.path(), 1).await;
        journal.append(&lease, batch(2..=9)).await.unwrap();
        edit(dir.path(), change);
        let found = journal.verify(run_id(1)).await.unwrap_err();
        assert!(matches!(found, JournalError::Corrupt { seq, .. } if seq == damaged), "{change}: {found}");
        let found = journal.read(run_id(1), 1, 100).await.unwrap_err();
        assert!(matches!(found, JournalError::Corrupt { seq, .. } if seq == damaged), "{change}: {found}");
        let before = journal.read(run_id(1), 1, 4).await.unwrap();
        assert_eq!(before.len(), 4, "{change}");
        assert_eq!(before[1..], [event(2), event(3), event(4)]);
    }
}

#[tokio::test]
async fn verify_finds_what_reading_does_not_see() {
    let changes = [
        "UPDATE runs SET seq = 8",
        "UPDATE runs SET head = zeroblob(32)",
        "UPDATE runs SET digest = zeroblob(32)",
        "UPDATE plans SET plan = plan || ' '",
        "DELETE FROM plans",
        "INSERT INTO events SELECT run, seq + 50, at, body, link FROM events WHERE seq = 9",
    ];
    for change in changes {
        let dir = tempfile::tempdir().unwrap();
        let (journal, lease) = with_run(sqlite, dir.path(), 1).await;
        journal.append(&lease, batch(2..=9)).await.unwrap();
        journal.verify(run_id(1)).await.unwrap();
        edit(dir.path(), change);
        let found = journal.verify(run_id(1)).await.unwrap_err();
        assert!(matches!(found, JournalError::Corrupt { .. }), "{change}: {found}");
    }
}

#[tokio::test]
async fn an_event_of_a_newer_engine_is_told_from_damage() {
    use piton_core::digest::Digest;
    for (body, newer) in [(r#"{"v":9,"e":{"type":"sung"}}"#, true), (r#"{"v":1,"e":{"type":"sung"}}"#, false)] {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _lease) = with_run(sqlite, dir.path(), 1).await;
        // What a newer engine would have written: the link is right.
        let database = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
        let head: Vec<u8> = database.query_row("SELECT head FROM runs", [], |row| row.get(0)).unwrap();
        let mut bytes = head;
        bytes.extend(2u64.to_le_bytes());
        bytes.extend(7i64.to_le_bytes());
        bytes.extend(body.as_bytes());
        let link = Digest::of(&bytes).0;
        let insert = "INSERT INTO events SELECT key, 2, 7, ?1, ?2 FROM runs";
        database.execute(insert, rusqlite::params![body.as_bytes(), link]).unwrap();
        database.execute("UPDATE runs SET seq = 2, head = ?1", [link]).unwrap();
        assert_eq!(journal.verify(run_id(1)).await.unwrap().events, 2, "the chain is whole");
        let said = journal.read(run_id(1), 1, 9).await.unwrap_err();
        let is_newer = matches!(said, JournalError::Newer { found: 9, known: 2, .. });
        let is_named = matches!(&said, JournalError::Unusable { detail, .. } if detail.contains("`sung`"));
        assert_eq!((is_newer, is_named), (newer, !newer), "{said}");
        assert_eq!(journal.read(run_id(1), 1, 1).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn two_journals_in_one_directory_see_each_other_s_work() {
    let dir = tempfile::tempdir().unwrap();
    let (one, lease) = with_run(sqlite, dir.path(), 1).await;
    let two = sqlite(dir.path()).unwrap();
    two.append(&lease, batch(2..=3)).await.unwrap();
    one.append(&lease, batch(4..=4)).await.unwrap();
    assert_eq!(two.verify(run_id(1)).await.unwrap(), one.verify(run_id(1)).await.unwrap());
}

#[test]
fn a_store_is_its_owner_s_alone() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("deep/state");
    let journal = SqliteJournal::open(&dir).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&root.path().join("deep"))), (0o700, 0o700));
    for file in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        assert_eq!(mode(&dir.join(file)), 0o600, "{file}");
    }
    assert!(!dir.join("wake").exists(), "only reading and writing leaves no socket");
    drop(journal);
}

#[test]
fn what_is_no_journal_is_refused_with_its_reason_and_left_as_it_is() {
    type Make = fn(&Path);
    let cases: [(Make, &str); 7] = [
        (|dir| std::fs::write(dir.join("journal.db"), "x".repeat(5000)).unwrap(), "is not a journal"),
        (|dir| std::fs::create_dir(dir.join("journal.db")).unwrap(), "journal.db is a directory"),
        (
            |dir| {
                let database = rusqlite::Connection::open(dir.join("journal.db")).unwrap();
                database.execute_batch("CREATE TABLE songs (x); PRAGMA user_version = 1").unwrap();
            },
            "another program",
        ),
        (
            |dir| {
                drop(SqliteJournal::open(dir).unwrap());
                let database = rusqlite::Connection::open(dir.join("journal.db")).unwrap();
                database.execute_batch("PRAGMA user_version = 77").unwrap();
            },
            "newer Piton (format 77, this one knows up to 2)",
        ),
        (
            |dir| {
                std::fs::remove_dir(dir).unwrap();
                std::fs::write(dir, "").unwrap();
            },
            "cannot make the directory: not a directory",
        ),
        (
            |dir| {
                std::fs::remove_dir(dir).unwrap();
                std::os::unix::fs::symlink("/nowhere/at/all", dir).unwrap();
            },
            "cannot make the directory",
        ),
        (|dir| std::os::unix::fs::symlink("journal.db", dir.join("journal.db")).unwrap(), "cannot open journal.db"),
    ];
    for (make, expected) in cases {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("state");
        std::fs::create_dir(&dir).unwrap();
        make(&dir);
        let before = std::fs::read(dir.join("journal.db")).ok();
        let said = SqliteJournal::open(&dir).unwrap_err().to_string();
        assert!(said.contains(expected), "{said}\nshould say: {expected}");
        if !expected.contains("newer") {
            assert_eq!(std::fs::read(dir.join("journal.db")).ok(), before, "{expected}");
        }
    }
}

#[tokio::test]
async fn a_journal_that_is_removed_while_open_takes_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, lease) = with_run(sqlite, dir.path(), 1).await;
    std::fs::remove_file(dir.path().join("journal.db")).unwrap();
    let said = journal.append(&lease, batch(2..=2)).await.unwrap_err().to_string();
    assert!(said.contains("removed or replaced"), "{said}");
}

#[tokio::test]
async fn a_damaged_page_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, lease) = with_run(sqlite, dir.path(), 1).await;
    for seq in 2..=400 {
        journal.append(&lease, batch(seq..=seq)).await.unwrap();
    }
    drop(journal);
    let database = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    database.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(database);
    // One flipped bit in the middle of an event's text: SQLite itself does not notice.
    let path = dir.path().join("journal.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let needle = b"machine:300:x";
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    bytes[at + 3] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let journal = sqlite(dir.path()).unwrap();
    let found = journal.verify(run_id(1)).await.unwrap_err();
    assert!(matches!(found, JournalError::Corrupt { seq: 300, .. }), "{found}");
    assert_eq!(journal.read(run_id(1), 1, 299).await.unwrap().len(), 299);
}
