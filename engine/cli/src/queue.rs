//! Who holds which lock, and who waits for whom.

use piton_core::ids::{RunId, TaskId};
use piton_core::lock::{Ticket, tells};

use crate::exit::Failure;
use crate::store::Store;

/// All tickets, in the order of the queue.
pub(crate) struct Queue(pub Vec<Ticket>);

impl Queue {
    /// Reads the queue as it is now.
    pub(crate) async fn read(store: &Store) -> Result<Self, Failure> {
        Ok(Self(store.journal.tickets(None).await?))
    }

    /// What a run (`None`) or task waits for, and who has it.
    pub(crate) fn tells(&self, run: RunId, task: Option<&TaskId>) -> String {
        let own = self.0.iter().position(|ticket| ticket.run == run && ticket.task.as_ref() == task);
        own.map_or_else(|| "they were just asked for".to_owned(), |own| tells(&self.0, own))
    }
}
