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
