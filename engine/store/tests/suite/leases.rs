//! One owner at a time.

use super::runs::reopened;
use super::*;

pub(crate) async fn a_run_that_is_held_is_not_given_away(open: Open, dir: &Path) {
    let (journal, lease) = with_run(open, dir, 1).await;
    let held = Err(JournalError::Held { run: run_id(1), owner: "a".into() });
    assert_eq!(journal.claim(run_id(1), "b", LONG).await, held);
    journal.append(&lease, batch(2..=2)).await.unwrap();
    assert_eq!(journal.summary(run_id(1)).await.unwrap().owner.as_deref(), Some("a"));
}

pub(crate) async fn the_same_owner_may_claim_again_and_its_older_lease_is_stale(open: Open, dir: &Path) {
    let (journal, old) = with_run(open, dir, 1).await;
    let new = journal.claim(run_id(1), "a", LONG).await.unwrap();
    assert!(new.fence > old.fence);
    refused_everywhere(&*journal, &old).await;
    journal.append(&new, batch(2..=2)).await.unwrap();
}

/// A lease that is not the last one given is good for nothing, and using it changes nothing.
async fn refused_everywhere(journal: &dyn Journal, old: &Lease) {
    let before = journal.summary(old.run).await.unwrap();
    let stale = Err(JournalError::Stale { run: old.run, fence: old.fence });
    let next = before.seq + 1;
    assert_eq!(journal.append(old, with_status(batch(next..=next), DONE)).await, stale);
    assert_eq!(journal.append(old, batch(90..=91)).await, stale, "stale comes before the gap");
    assert_eq!(journal.renew(old, LONG).await, stale);
    assert_eq!(journal.release(old).await, stale);
    assert_eq!(journal.summary(old.run).await.unwrap(), before);
}

pub(crate) async fn an_expired_lease_goes_on_until_somebody_takes_the_run(open: Open, dir: &Path) {
    let journal = open(dir).unwrap();
    let first = journal.create(created(1), "a", Duration::ZERO).await.unwrap();
    assert_eq!(journal.summary(run_id(1)).await.unwrap().owner, None);
    journal.append(&first, batch(2..=2)).await.unwrap();
    journal.renew(&first, Duration::ZERO).await.unwrap();
    journal.append(&first, batch(3..=3)).await.unwrap();

    let second = journal.claim(run_id(1), "b", LONG).await.unwrap();
    assert!(second.fence > first.fence);
    refused_everywhere(&*journal, &first).await;
    journal.append(&second, batch(4..=4)).await.unwrap();
    // A forged lease with the right number but another owner's name is worth nothing either.
    refused_everywhere(&*journal, &Lease { owner: "a".into(), ..second.clone() }).await;
    assert_eq!(journal.verify(run_id(1)).await.unwrap().events, 4);
}

pub(crate) async fn a_released_run_can_be_taken_at_once(open: Open, dir: &Path) {
    let (journal, first) = with_run(open, dir, 1).await;
    journal.release(&first).await.unwrap();
    assert_eq!(journal.summary(run_id(1)).await.unwrap().owner, None);
    refused_everywhere(&*journal, &first).await;
    let second = journal.claim(run_id(1), "b", LONG).await.unwrap();
    assert!(second.fence > first.fence, "the number grows also over a release");
    journal.append(&second, batch(2..=2)).await.unwrap();
}

pub(crate) async fn renewing_keeps_the_run(open: Open, dir: &Path) {
    let journal = open(dir).unwrap();
    let lease = journal.create(created(1), "a", Duration::ZERO).await.unwrap();
    journal.renew(&lease, LONG).await.unwrap();
    assert!(matches!(journal.claim(run_id(1), "b", LONG).await, Err(JournalError::Held { .. })));
    journal.renew(&lease, Duration::from_millis(1)).await.unwrap();
    let taken = eventually_claimed(&*journal, "b").await;
    assert_eq!(taken.owner, "b");
}

async fn eventually_claimed(journal: &dyn Journal, owner: &str) -> Lease {
    eventually("the lease expires", async || match journal.claim(run_id(1), owner, LONG).await {
        Ok(lease) => Some(lease),
        Err(JournalError::Held { .. }) => None,
        Err(other) => panic!("{other}"),
    })
    .await
}

pub(crate) async fn a_lease_outlives_the_process_but_not_its_time(open: Open, dir: &Path) {
    let (journal, lease) = with_run(open, dir, 1).await;
    drop(journal);
    let journal = reopened(open, dir).await;
    assert!(matches!(journal.claim(run_id(1), "b", LONG).await, Err(JournalError::Held { .. })));
    journal.append(&lease, batch(2..=2)).await.unwrap();
    journal.renew(&lease, Duration::from_millis(200)).await.unwrap();
    drop(journal);
    let journal = reopened(open, dir).await;
    let second = eventually_claimed(&*journal, "b").await;
    assert!(second.fence > lease.fence);
}
