//! Who holds which lock, and who waits for whom.

use piton_core::ids::{RunId, TaskId};
use piton_core::lock::{Ticket, tells};
use piton_core::run::Run;

use crate::exit::Failure;
use crate::store::Store;
use crate::tell::names;

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

/// The locks of a step's tasks as the plan knows them, as lines: of the first tasks, where there are many.
pub(crate) fn planned(run: &Run, step: usize) -> Vec<String> {
    const SHOWN: usize = 12;
    let wanted = &run.plan().steps[step].step.locks;
    let tasks = run.graph().tasks_of(step).take(if wanted.is_empty() { 0 } else { SHOWN });
    let line = |task| {
        let locks = match run.locks_of(task) {
            Ok(locks) => names(&locks),
            // A name that comes from an output is known when it runs.
            Err(_) => wanted.iter().map(|lock| lock.name.source()).collect::<Vec<_>>().join(", "),
        };
        format!("   locks    {}: {locks}", run.graph().id(task))
    };
    tasks.map(line).collect()
}
