//! Creating, appending, reading.

use super::*;

pub(crate) async fn a_run_reads_back_as_it_was_created(open: Open, dir: &Path) {
    let (journal, lease) = with_run(open, dir, 7).await;
    assert_eq!((lease.run, lease.owner.as_str(), lease.fence), (run_id(7), "a", 1));
    let run = created(7);
    assert_eq!(journal.plan(run.id).await.unwrap(), run.plan);
    assert_eq!(journal.read(run.id, 1, 100).await.unwrap(), run.events);
    let summary = journal.summary(run.id).await.unwrap();
    assert_eq!(
        (summary.id, summary.runbook, summary.title, summary.by, summary.created),
        (run.id, run.runbook, run.title, run.by, run.at)
    );
    assert_eq!((summary.changed, summary.status, summary.seq), (Timestamp(2_000), RunStatus::Running, 1));
    assert_eq!((summary.owner.as_deref(), summary.plan), (Some("a"), Digest::of(run.plan.as_bytes())));
}

pub(crate) async fn a_second_run_with_the_same_id_is_refused(open: Open, dir: &Path) {
    let (journal, lease) = with_run(open, dir, 1).await;
    let other = NewRun { title: "another".into(), events: vec![event(1), event(2)], ..created(1) };
    assert_eq!(journal.create(other, "b", LONG).await, Err(JournalError::Exists(run_id(1))));
    assert_eq!(journal.read(run_id(1), 1, 9).await.unwrap(), created(1).events);
    journal.append(&lease, batch(2..=2)).await.unwrap();

    let gap = NewRun { events: vec![event(2)], ..created(2) };
    assert_eq!(journal.create(gap, "b", LONG).await, Err(JournalError::Gap { run: run_id(2), stored: 0, given: 2 }));
    assert_eq!(journal.summary(run_id(2)).await, Err(JournalError::NoSuchRun(run_id(2))));
    let none = NewRun { events: Vec::new(), ..created(3) };
    journal.create(none, "b", LONG).await.unwrap();
    assert_eq!(journal.read(run_id(3), 1, 9).await.unwrap(), []);
    assert_eq!(journal.verify(run_id(3)).await.unwrap().events, 0);
}

pub(crate) async fn a_run_that_is_not_there_is_said_not_to_be_there(open: Open, dir: &Path) {
    let journal = open(dir).unwrap();
    let lost = JournalError::NoSuchRun(run_id(1));
    let lease = Lease { run: run_id(1), owner: "a".into(), fence: 1 };
    assert_eq!(journal.claim(run_id(1), "a", LONG).await, Err(lost.clone()));
    assert_eq!(journal.renew(&lease, LONG).await, Err(lost.clone()));
    assert_eq!(journal.release(&lease).await, Err(lost.clone()));
    assert_eq!(journal.append(&lease, batch(1..=1)).await, Err(lost.clone()));
    assert_eq!(journal.read(run_id(1), 1, 1).await, Err(lost.clone()));
    assert_eq!(journal.plan(run_id(1)).await, Err(lost.clone()));
    assert_eq!(journal.summary(run_id(1)).await, Err(lost.clone()));
    assert_eq!(journal.say(run_id(1), "ada", cancel("x"), Timestamp(1)).await, Err(lost.clone()));
    assert_eq!(journal.inbox(run_id(1)).await, Err(lost.clone()));
    assert_eq!(journal.verify(run_id(1)).await, Err(lost));
}

pub(crate) async fn appends_read_back_page_by_page_also_after_opening_again(open: Open, dir: &Path) {
    let (journal, lease) = with_run(open, dir, 1).await;
    for seq in (2..=296).step_by(3) {
        journal.append(&lease, batch(seq..=seq + 2)).await.unwrap();
    }
    journal.append(&lease, with_status(no_events(), RunStatus::Parked)).await.unwrap();
    let head = journal.verify(run_id(1)).await.unwrap();
    assert_eq!(head.events, 298);
    drop(journal);

    let journal = reopened(open, dir).await;
    let (mut from, mut all) = (1, Vec::new());
    loop {
        let page = journal.read(run_id(1), from, 7).await.unwrap();
        assert!(page.len() <= 7);
        let Some(last) = page.last() else { break };
        from = last.seq + 1;
        all.extend(page);
    }
    let mut expected = created(1).events;
    expected.extend((2..=298).map(event));
    assert_eq!(all, expected);
    assert_eq!(journal.read(run_id(1), 0, 2).await.unwrap(), expected[..2], "before the first is the first");
    assert_eq!(journal.read(run_id(1), 297, usize::MAX).await.unwrap(), expected[296..]);
    assert_eq!(journal.read(run_id(1), 299, 5).await.unwrap(), []);
    assert_eq!(journal.read(run_id(1), u64::MAX, 5).await.unwrap(), []);
    assert_eq!(journal.read(run_id(1), 1, 0).await.unwrap(), []);
    assert_eq!(journal.verify(run_id(1)).await.unwrap(), head);
    let summary = journal.summary(run_id(1)).await.unwrap();
    assert_eq!((summary.status, summary.seq, summary.changed), (RunStatus::Parked, 298, Timestamp(2_298)));
}

/// Opens a store again whose last user was dropped: it lets go when its writer thread has ended.
pub(crate) async fn reopened(open: Open, dir: &Path) -> Arc<dyn Journal> {
    eventually("the store opens again", async || open(dir).ok()).await
}

pub(crate) async fn a_gap_is_refused_and_nothing_is_written(open: Open, dir: &Path) {
    let (journal, lease) = with_run(open, dir, 1).await;
    let gap = |stored, given| Err(JournalError::Gap { run: run_id(1), stored, given });
    assert_eq!(journal.append(&lease, batch(3..=4)).await, gap(1, 3));
    assert_eq!(journal.append(&lease, batch(1..=2)).await, gap(1, 1));
    let mut torn = batch(2..=3);
    torn.events.push(event(5));
    assert_eq!(journal.append(&lease, with_status(torn, DONE)).await, gap(3, 5));
    let mut zero = batch(2..=2);
    zero.events.push(event(0));
    assert_eq!(journal.append(&lease, zero).await, gap(2, 0));
    let summary = journal.summary(run_id(1)).await.unwrap();
    assert_eq!((summary.seq, summary.status), (1, RunStatus::Running));
    assert_eq!(journal.read(run_id(1), 1, 9).await.unwrap(), created(1).events);
    journal.append(&lease, batch(2..=2)).await.unwrap();
    journal.verify(run_id(1)).await.unwrap();
}

pub(crate) async fn appends_of_many_runs_at_once_all_arrive(open: Open, dir: &Path) {
    let journal = open(dir).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..64 {
        let journal = Arc::clone(&journal);
        tasks.spawn(async move {
            let lease = journal.create(created(number), "a", LONG).await.unwrap();
            for seq in 2..=20 {
                journal.append(&lease, batch(seq..=seq)).await.unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    for number in 0..64 {
        assert_eq!(journal.verify(run_id(number)).await.unwrap().events, 20);
        assert_eq!(journal.read(run_id(number), 20, 2).await.unwrap(), [event(20)]);
    }
}

pub(crate) async fn a_refused_append_does_not_take_its_neighbours_down(open: Open, dir: &Path) {
    let journal = open(dir).unwrap();
    let mut leases = Vec::new();
    for number in 0..40 {
        leases.push(journal.create(created(number), "a", LONG).await.unwrap());
    }
    let mut tasks = tokio::task::JoinSet::new();
    for (number, lease) in leases.into_iter().enumerate() {
        let journal = Arc::clone(&journal);
        tasks.spawn(async move {
            for seq in 2..=10 {
                // Every third asks for what cannot be, at the same time as the others.
                let asked =
                    journal.append(&lease, if number % 3 == 0 { batch(99..=99) } else { batch(seq..=seq) }).await;
                assert_eq!(asked.is_ok(), number % 3 != 0, "{asked:?}");
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    for number in 0..40 {
        let events = journal.verify(run_id(number)).await.unwrap().events;
        assert_eq!(events, if number % 3 == 0 { 1 } else { 10 });
    }
}
