//! Waits until a run or a task has the locks that it asked for. Whose turn it is the store decides, with the asking itself;
//! here it is only looked at, so nothing is lost when this is dropped.

use piton_core::ids::{RunId, TaskId};
use piton_core::lock::{TicketState, tells};
use piton_core::run::{Change, Input};
use tokio::sync::{mpsc, watch};

use crate::journal::LockChange;
use crate::observer::Notice;
use crate::ports::Ports;

use super::Reporting;

/// Reports when the ticket has its locks, or is refused. It is looked at whenever something rings.
pub(super) fn wait(
    ports: &Ports,
    run: RunId,
    task: Option<TaskId>,
    news: mpsc::UnboundedSender<Input>,
    mut rang: watch::Receiver<u64>,
) -> Reporting {
    let (journal, observer) = (ports.journal.clone(), ports.observer.clone());
    tokio::spawn(async move {
        let mut told = String::new();
        loop {
            rang.mark_unchanged();
            // A journal that cannot be read now can be asked again when something rings.
            let tickets = journal.tickets(None).await.unwrap_or_default();
            let own = tickets.iter().position(|ticket| ticket.run == run && ticket.task == task);
            let input = match own.map(|own| (own, &tickets[own].state)) {
                Some((_, TicketState::Held(_))) => Some(Input::LocksTaken(task.clone())),
                Some((_, TicketState::Refused(why))) => {
                    Some(Input::LocksRefused { task: task.clone(), why: why.clone() })
                }
                Some((own, TicketState::Waiting)) => {
                    let what = tells(&tickets, own);
                    if what != told {
                        observer.notice(&Notice::Queued { task: task.clone(), what: what.clone() });
                        told = what;
                    }
                    None
                }
                None => None,
            };
            if let Some(input) = input {
                let _unheard = news.send(input);
                return;
            }
            if rang.changed().await.is_err() {
                return;
            }
        }
    })
}

/// What a change means for the locks in the store.
pub(crate) fn lock_change(change: &Change) -> Option<LockChange> {
    match change {
        Change::Ask { task, locks } => Some(LockChange::Ask { task: task.clone(), locks: locks.clone() }),
        Change::Free { task } => Some(LockChange::Free { task: task.clone() }),
        Change::Begin(_) | Change::Drop(_) => None,
    }
}
