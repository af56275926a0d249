//! The journal in sled against the suite, and what is sled's own.

use piton_store::{SledJournal, open_journal};

use super::*;

fn sled(dir: &Path) -> Result<Arc<dyn Journal>, JournalError> {
    open_journal("sled:journal.sled", dir)
}

whole_suite!(sled);

#[tokio::test]
async fn a_second_user_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _lease) = with_run(sled, dir.path(), 1).await;
    let said = SledJournal::open(&dir.path().join("journal.sled"), dir.path()).unwrap_err().to_string();
    assert!(said.contains("lock"), "{said}");
    drop(journal);
}

#[tokio::test]
async fn tampering_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, lease) = with_run(sled, dir.path(), 1).await;
    journal.append(&lease, batch(2..=9)).await.unwrap();
    drop(journal);
    let path = dir.path().join("journal.sled");
    let database = eventually("sled lets go", async || ::sled::open(&path).ok()).await;
    let key = [b"e", run_id(1).to_string().as_bytes(), &5u64.to_be_bytes()].concat();
    let mut value = database.get(&key).unwrap().unwrap().to_vec();
    value[60] ^= 1;
    database.insert(&key, value).unwrap();
    database.flush().unwrap();
    drop(database);
    let journal = runs::reopened(sled, dir.path()).await;
    let found = journal.verify(run_id(1)).await.unwrap_err();
    assert!(matches!(found, JournalError::Corrupt { seq: 5, .. }), "{found}");
    assert!(matches!(journal.read(run_id(1), 1, 9).await, Err(JournalError::Corrupt { seq: 5, .. })));
    assert_eq!(journal.read(run_id(1), 1, 4).await.unwrap().len(), 4);
}

#[tokio::test]
async fn after_a_full_disk_it_must_be_opened_anew_and_has_forgotten_nothing() {
    let disk = small_disk::Disk::of("8m");
    let dir = disk.path().join("state");
    let (journal, lease) = with_run(sled, &dir, 1).await;
    let filler = disk.fill(256 * 1024);
    let mut seq = 1;
    let error = loop {
        match journal.append(&lease, batch(seq + 1..=seq + 50)).await {
            Ok(()) => seq += 50,
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, JournalError::Full { detail, .. } if detail.contains("open it anew")), "{error}");
    std::fs::remove_file(filler).unwrap();
    let again = journal.append(&lease, batch(seq + 1..=seq + 1)).await.unwrap_err();
    assert_eq!(again, error, "room alone does not help");
    drop(journal);
    let journal = runs::reopened(sled, &dir).await;
    assert!(journal.verify(run_id(1)).await.unwrap().events >= seq);
}
