//! The hash chain. How it is tampered with depends on the store: see the tests beside the suite.

use super::*;

pub(crate) async fn a_whole_chain_verifies(open: Open, dir: &Path) {
    let (journal, lease) = with_run(open, dir, 1).await;
    let first = journal.verify(run_id(1)).await.unwrap();
    journal.append(&lease, batch(2..=50)).await.unwrap();
    let second = journal.verify(run_id(1)).await.unwrap();
    assert_eq!((first.events, second.events), (1, 50));
    assert_ne!(first.head, second.head);
    // The same events in another run have another chain.
    let other = NewRun { id: run_id(2), ..created(1) };
    let lease = journal.create(other, "a", LONG).await.unwrap();
    journal.append(&lease, batch(2..=50)).await.unwrap();
    assert_ne!(journal.verify(run_id(2)).await.unwrap().head, second.head);
}
