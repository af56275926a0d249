//! Brings what people say to the driver of a run, and rings when locks may have been given.

use std::sync::Arc;

use piton_core::ids::RunId;
use piton_core::run::{Input, WordId};
use tokio::sync::{mpsc, watch};

use crate::journal::{Journal, JournalError};

/// The words that wait, after this one.
pub(crate) async fn unread(journal: &dyn Journal, run: RunId, after: WordId) -> Result<Vec<Input>, JournalError> {
    let letters = journal.inbox(run).await?;
    let new = letters.into_iter().filter(|l| l.id > after);
    Ok(new.map(|l| Input::Said { id: l.id, by: l.by, word: l.word }).collect())
}

/// Brings what people say to the driver, each word once, and rings where locks may have been given.
pub(crate) async fn deliver(
    journal: Arc<dyn Journal>,
    run: RunId,
    to: mpsc::UnboundedSender<Input>,
    rings: watch::Sender<u64>,
) {
    let mut last = WordId(0);
    loop {
        journal.letters().await;
        rings.send_modify(|count| *count = count.wrapping_add(1));
        // A journal that cannot be read now can be asked again at the next call.
        let Ok(letters) = unread(journal.as_ref(), run, last).await else { continue };
        for letter in letters {
            if let Input::Said { id, .. } = &letter {
                last = *id;
            }
            if to.send(letter).is_err() {
                return;
            }
        }
    }
}
