//! Locks between runs: asked for and given back with an append, or not at all.

use piton_core::run::{WaitKind, Waits};

use super::runs::reopened;
use super::*;

const VM: &[(&str, u32)] = &[("vm/web1", 1)];

async fn runs(journal: &dyn Journal, numbers: std::ops::RangeInclusive<u64>) -> Vec<Lease> {
    let mut leases = Vec::new();
    for number in numbers {
        leases.push(journal.create(created(number), "a", LONG).await.unwrap());
    }
    leases
}

pub(crate) async fn locks_are_given_with_the_append_and_survive_a_restart(open: Open, dir: &Path) {
    let journal = open(dir).unwrap();
    let leases = runs(&*journal, 1..=2).await;
    journal.append(&leases[0], asking(batch(2..=2), None, VM)).await.unwrap();
    journal.append(&leases[1], asking(batch(2..=3), Some("copy[hv1]"), VM)).await.unwrap();
    let held = ["1 holds since 2002", "2 copy[hv1] waits"];
    assert_eq!(tickets(&*journal).await, held);
    // They are the run's, not the engine's: given back, expired or dead, the lease does not matter.
    journal.release(&leases[0]).await.unwrap();
    drop(journal);
    let journal = reopened(open, dir).await;
    assert_eq!(tickets(&*journal).await, held);
    let own = journal.tickets(Some(run_id(2))).await.unwrap();
    assert_eq!((own.len(), own[0].asked), (1, Timestamp(2_003)));
    let lease = journal.claim(run_id(1), "b", LONG).await.unwrap();
    journal.append(&lease, freeing(batch(3..=5), None)).await.unwrap();
    assert_eq!(tickets(&*journal).await, ["2 copy[hv1] holds since 2005"]);
    assert_eq!(journal.tickets(Some(run_id(9))).await, Err(JournalError::NoSuchRun(run_id(9))));
}

pub(crate) async fn a_refused_append_asks_for_nothing_and_gives_nothing_back(open: Open, dir: &Path) {
    let journal = open(dir).unwrap();
    let leases = runs(&*journal, 1..=2).await;
    journal.append(&leases[0], asking(batch(2..=2), None, VM)).await.unwrap();
    let gap = Err(JournalError::Gap { run: run_id(1), stored: 2, given: 9 });
    assert_eq!(journal.append(&leases[0], freeing(batch(9..=9), None)).await, gap);
    assert!(journal.append(&leases[1], asking(batch(9..=9), None, VM)).await.is_err());
    let over = with_status(batch(3..=3), DONE);
    let stale = Lease { fence: 9, ..leases[0].clone() };
    assert!(journal.append(&stale, over).await.is_err());
    assert_eq!(tickets(&*journal).await, ["1 holds since 2002"]);
}

pub(crate) async fn a_run_that_is_over_gives_everything_back(open: Open, dir: &Path) {
    let journal = open(dir).unwrap();
    let leases = runs(&*journal, 1..=3).await;
    let first = asking(asking(batch(2..=2), None, VM), Some("copy[hv1]"), &[("disk", 1)]);
    journal.append(&leases[0], first).await.unwrap();
    journal.append(&leases[1], asking(batch(2..=2), None, &[("disk", 1), ("vm/web1", 1)])).await.unwrap();
    journal.append(&leases[2], asking(batch(2..=2), None, &[("disk", Lock::SHARED)])).await.unwrap();
    assert_eq!(tickets(&*journal).await, ["1 holds since 2002", "1 copy[hv1] holds since 2002", "2 waits", "3 waits"]);
    // In the same append it asks for something else: whoever is over asks for nothing.
    let end = with_status(asking(batch(3..=3), Some("x[hv1]"), &[("x", 1)]), DONE);
    journal.append(&leases[0], end).await.unwrap();
    assert_eq!(tickets(&*journal).await, ["2 holds since 2003", "3 waits"]);
    // A late word to a run that is over changes nothing for the others.
    journal.append(&leases[0], with_status(batch(4..=4), DONE)).await.unwrap();
    journal.append(&leases[1], with_status(batch(3..=3), DONE)).await.unwrap();
    journal.append(&leases[2], with_status(batch(3..=3), DONE)).await.unwrap();
    assert_eq!(tickets(&*journal).await, [""; 0]);
}

pub(crate) async fn whoever_waits_is_woken_and_the_queue_is_kept(open: Open, dir: &Path) {
    let journal = open(dir).unwrap();
    let leases = runs(&*journal, 1..=4).await;
    for lease in &leases {
        journal.append(lease, asking(batch(2..=2), None, &[("slot", 2)])).await.unwrap();
    }
    assert_eq!(tickets(&*journal).await, ["1 holds since 2002", "2 holds since 2002", "3 waits", "4 waits"]);
    // The first call returns at once, and so may one that hears of what was given before.
    for _ in 0..3 {
        journal.letters().await;
    }
    let (waiting, lease) = (Arc::clone(&journal), leases[1].clone());
    let woken = tokio::spawn(async move {
        while !tickets(&*waiting).await.contains(&"3 holds since 2003".to_owned()) {
            waiting.letters().await;
        }
    });
    journal.append(&lease, with_status(batch(3..=3), DONE)).await.unwrap();
    woken.await.unwrap();
    assert_eq!(tickets(&*journal).await, ["1 holds since 2002", "3 holds since 2003", "4 waits"]);
}

pub(crate) async fn a_circle_is_refused_in_the_same_step(open: Open, dir: &Path) {
    let journal = open(dir).unwrap();
    let leases = runs(&*journal, 1..=2).await;
    journal.append(&leases[0], asking(batch(2..=2), None, &[("a", 1)])).await.unwrap();
    journal.append(&leases[1], asking(batch(2..=2), None, &[("b", 1)])).await.unwrap();
    journal.append(&leases[0], asking(batch(3..=3), Some("s[h]"), &[("b", 1)])).await.unwrap();
    journal.append(&leases[1], asking(batch(3..=3), Some("s[h]"), &[("a", 1)])).await.unwrap();
    let told = tickets(&*journal).await;
    assert_eq!(told[..3], ["1 holds since 2002", "2 holds since 2002", "1 s[h] waits"]);
    assert!(told[3].starts_with("2 s[h] refused: to wait for a would be to wait for ever"), "{told:?}");
    // It is given back like any other, and may be asked for again.
    journal.append(&leases[1], freeing(batch(4..=4), Some("s[h]"))).await.unwrap();
    journal.append(&leases[0], with_status(batch(4..=4), DONE)).await.unwrap();
    journal.append(&leases[1], asking(batch(5..=5), Some("s[h]"), &[("a", 1)])).await.unwrap();
    assert_eq!(tickets(&*journal).await, ["2 holds since 2002", "2 s[h] holds since 2005"]);
}

pub(crate) async fn what_a_run_waits_for_is_listed(open: Open, dir: &Path) {
    let (journal, lease) = with_run(open, dir, 1).await;
    let waits = Waits { kind: WaitKind::Paused, text: "paused by ada@ops".into(), until: Some(Timestamp(7)) };
    let mut paused = with_status(batch(2..=2), RunStatus::Parked);
    paused.waits = Some(waits.clone());
    journal.append(&lease, paused).await.unwrap();
    assert_eq!(journal.summary(run_id(1)).await.unwrap().waits, Some(waits.clone()));
    // Only what it waits for may change, too.
    let mut other = with_status(batch(3..=3), RunStatus::Parked);
    other.waits = Some(Waits { kind: WaitKind::Approval, ..waits.clone() });
    journal.append(&lease, other).await.unwrap();
    assert_eq!(journal.summary(run_id(1)).await.unwrap().waits.unwrap().kind, WaitKind::Approval);
    journal.append(&lease, batch(4..=4)).await.unwrap();
    assert_eq!(journal.summary(run_id(1)).await.unwrap().waits, None);
}
