//! Finding runs.

use super::*;
use piton_runner::journal::Filter;

async fn ids(journal: &dyn Journal, filter: Filter) -> Vec<u64> {
    let found = journal.list(&filter).await.unwrap();
    (0..100).filter(|number| found.iter().any(|run| run.id == run_id(*number))).collect()
}

fn all() -> Filter {
    Filter { limit: 100, ..Filter::default() }
}

pub(crate) async fn runs_come_newest_first_in_pages(open: Open, dir: &Path) {
    let journal = open(dir).unwrap();
    for number in [3, 1, 9, 0, 7, 2, 8, 4, 6, 5] {
        journal.create(created(number), "a", LONG).await.unwrap();
    }
    let (mut before, mut seen) = (None, Vec::new());
    loop {
        let page = journal.list(&Filter { before, limit: 4, ..Filter::default() }).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        seen.extend(page.iter().map(|run| run.id));
    }
    assert_eq!(seen, (0..10).rev().map(run_id).collect::<Vec<_>>());
    assert_eq!(journal.list(&Filter::default()).await.unwrap(), [], "at most none");
}

pub(crate) async fn filters_narrow_the_list(open: Open, dir: &Path) {
    let journal = open(dir).unwrap();
    for number in 0..6 {
        let mut run = created(number);
        if number % 2 == 0 {
            run.runbook = "other_one".parse().unwrap();
        }
        let lease = journal.create(run, "a", LONG).await.unwrap();
        let status = match number {
            0 => RunStatus::Running,
            1 => RunStatus::Parked,
            2 => DONE,
            3 => RunStatus::Ended(Outcome::Failed),
            4 => RunStatus::Ended(Outcome::Cancelled),
            _ => RunStatus::Ended(Outcome::Undone),
        };
        journal.append(&lease, with_status(batch(2..=2), status)).await.unwrap();
        assert_eq!(journal.summary(run_id(number)).await.unwrap().status, status);
    }
    assert_eq!(ids(&*journal, all()).await, [0, 1, 2, 3, 4, 5]);
    assert_eq!(ids(&*journal, Filter { open: true, ..all() }).await, [0, 1]);
    let other = Some("other_one".parse().unwrap());
    assert_eq!(ids(&*journal, Filter { runbook: other.clone(), ..all() }).await, [0, 2, 4]);
    assert_eq!(ids(&*journal, Filter { runbook: other, open: true, ..all() }).await, [0]);
    assert_eq!(ids(&*journal, Filter { before: Some(run_id(2)), ..all() }).await, [0, 1]);
    let id = run_id(4).to_string();
    for prefix in [id.clone(), id.to_ascii_lowercase()] {
        assert_eq!(ids(&*journal, Filter { id_prefix: Some(prefix), ..all() }).await, [4]);
    }
    assert_eq!(ids(&*journal, Filter { id_prefix: Some(id[..9].into()), ..all() }).await, [0, 1, 2, 3, 4, 5]);
    assert_eq!(ids(&*journal, Filter { id_prefix: Some("%".into()), ..all() }).await, [0; 0]);
    assert_eq!(ids(&*journal, Filter { id_prefix: Some(String::new()), ..all() }).await, [0, 1, 2, 3, 4, 5]);
}

pub(crate) async fn what_nobody_drives_is_adrift(open: Open, dir: &Path) {
    let journal = open(dir).unwrap();
    let mut leases = Vec::new();
    for number in 0..6 {
        leases.push(journal.create(created(number), "a", LONG).await.unwrap());
    }
    let adrift = || Filter { adrift: true, ..all() };
    assert_eq!(ids(&*journal, adrift()).await, [0; 0], "all are held");
    // 0 held; 1 released and running; 2 expired and running; 3 released and parked; 4 likewise with a word; 5 over.
    journal.release(&leases[1]).await.unwrap();
    journal.renew(&leases[2], Duration::ZERO).await.unwrap();
    for number in [3, 4] {
        journal.append(&leases[number], with_status(batch(2..=2), RunStatus::Parked)).await.unwrap();
        journal.release(&leases[number]).await.unwrap();
    }
    journal.append(&leases[5], with_status(batch(2..=2), DONE)).await.unwrap();
    journal.release(&leases[5]).await.unwrap();
    for number in [0, 4, 5] {
        journal.say(run_id(number), "ada", cancel("x"), Timestamp(1)).await.unwrap();
    }
    assert_eq!(ids(&*journal, adrift()).await, [1, 2, 4]);
    journal.claim(run_id(1), "b", LONG).await.unwrap();
    assert_eq!(ids(&*journal, adrift()).await, [2, 4]);
    assert_eq!(ids(&*journal, Filter { before: Some(run_id(4)), ..adrift() }).await, [2]);
}
