//! What people say.

use super::runs::reopened;
use super::*;

pub(crate) async fn words_wait_until_an_append_takes_them(open: Open, dir: &Path) {
    let (journal, lease) = with_run(open, dir, 1).await;
    let retry = Word::Retry { task: "copy[hv1]".parse().unwrap(), why: "fixed".into() };
    let first = journal.say(run_id(1), "ada@ops", cancel("mistake"), Timestamp(10)).await.unwrap();
    let second = journal.say(run_id(1), "bob@ops", retry.clone(), Timestamp(11)).await.unwrap();
    assert!(second > first);
    drop(journal);
    let journal = reopened(open, dir).await;
    let letters = journal.inbox(run_id(1)).await.unwrap();
    let seen: Vec<_> = letters.iter().map(|letter| (letter.id, letter.by.as_str(), letter.at, &letter.word)).collect();
    assert_eq!(
        seen,
        [(first, "ada@ops", Timestamp(10), &cancel("mistake")), (second, "bob@ops", Timestamp(11), &retry)]
    );
    journal.append(&lease, taking(batch(2..=2), &[first])).await.unwrap();
    assert_eq!(journal.inbox(run_id(1)).await.unwrap(), letters[1..]);
    journal.append(&lease, taking(no_events(), &[first, second])).await.unwrap();
    assert_eq!(journal.inbox(run_id(1)).await.unwrap(), []);
    let third = journal.say(run_id(1), "ada@ops", cancel("x"), Timestamp(12)).await.unwrap();
    assert!(third > second, "a number is never given twice");
}

pub(crate) async fn a_refused_append_takes_no_word(open: Open, dir: &Path) {
    let (journal, lease) = with_run(open, dir, 1).await;
    let word = journal.say(run_id(1), "ada", cancel("x"), Timestamp(1)).await.unwrap();
    let other = Lease { fence: lease.fence + 1, ..lease.clone() };
    assert!(matches!(journal.append(&other, taking(batch(2..=2), &[word])).await, Err(JournalError::Stale { .. })));
    assert!(matches!(journal.append(&lease, taking(batch(9..=9), &[word])).await, Err(JournalError::Gap { .. })));
    assert_eq!(journal.inbox(run_id(1)).await.unwrap().len(), 1);
}

pub(crate) async fn a_word_wakes_who_waits(open: Open, dir: &Path) {
    let (journal, _lease) = with_run(open, dir, 1).await;
    journal.letters().await;
    let waiting = {
        let journal = Arc::clone(&journal);
        async move { journal.letters().await }
    };
    let saying = {
        let journal = Arc::clone(&journal);
        async move { journal.say(run_id(1), "ada", cancel("x"), Timestamp(1)).await }
    };
    let (_, said) = tokio::time::timeout(LONG, async { tokio::join!(waiting, saying) }).await.unwrap();
    assert_eq!(journal.inbox(run_id(1)).await.unwrap()[0].id, said.unwrap());
}

pub(crate) async fn words_of_one_run_are_not_another_s(open: Open, dir: &Path) {
    let (journal, one) = with_run(open, dir, 1).await;
    let two = journal.create(created(2), "a", LONG).await.unwrap();
    let word = journal.say(run_id(1), "ada", cancel("x"), Timestamp(1)).await.unwrap();
    assert_eq!(journal.inbox(run_id(2)).await.unwrap(), []);
    journal.append(&two, taking(batch(2..=2), &[word])).await.unwrap();
    assert_eq!(journal.inbox(run_id(1)).await.unwrap().len(), 1, "another run cannot take it");
    journal.append(&one, taking(batch(2..=2), &[word])).await.unwrap();
    assert_eq!(journal.inbox(run_id(1)).await.unwrap(), []);
}
