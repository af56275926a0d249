//! Tickets for locks, as a request sees and changes them.

use std::collections::BTreeMap;

use piton_core::ids::RunId;
use piton_core::lock::{Ticket, TicketState, settle};
use piton_core::time::Timestamp;
use piton_runner::journal::{JournalError, LockChange};

use super::explain;
use super::rows::{LAST_TICKET, TICKETS, number_of, of_ticket};
use super::write::Page;

impl Page<'_> {
    /// Asks for and gives back the locks of a run, and gives what is free to those whose turn it is.
    /// Says whether somebody was given, or refused, something.
    pub(super) fn change_locks(
        &mut self,
        run: RunId,
        changes: &[LockChange],
        over: bool,
        at: Timestamp,
    ) -> Result<bool, JournalError> {
        if changes.is_empty() && !over {
            return Ok(false);
        }
        let before = self.tickets()?;
        let mut tickets = before.clone();
        for change in changes {
            match change {
                LockChange::Ask { task, locks } => {
                    let last = self.get(LAST_TICKET)?.and_then(|last| number_of(&last)).unwrap_or(0);
                    let id = last.saturating_add(1);
                    self.new.insert(LAST_TICKET.to_vec(), Some(id.to_be_bytes().to_vec()));
                    let (task, locks) = (task.clone(), locks.clone());
                    tickets.push(Ticket { id, run, task, locks, asked: at, state: TicketState::Waiting });
                }
                LockChange::Free { task } => tickets.retain(|ticket| ticket.run != run || ticket.task != *task),
            }
        }
        if over {
            tickets.retain(|ticket| ticket.run != run);
        }
        let changed = tickets != before && settle(&mut tickets, at);
        for gone in before.iter().filter(|old| tickets.iter().all(|ticket| ticket.id != old.id)) {
            self.new.insert(of_ticket(gone.id), None);
        }
        for ticket in tickets.iter().filter(|ticket| !before.contains(ticket)) {
            self.put(of_ticket(ticket.id), ticket)?;
        }
        Ok(changed)
    }

    /// All tickets, as the requests before this one left them.
    fn tickets(&self) -> Result<Vec<Ticket>, JournalError> {
        let mut rows: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
        for pair in self.ledger.database.scan_prefix(TICKETS) {
            let (key, value) = pair.map_err(|error| explain(&self.ledger.place, &error))?;
            rows.insert(key.to_vec(), Some(value.to_vec()));
        }
        for changes in [self.before, &self.new] {
            let changed = changes.iter().filter(|(key, _)| key.starts_with(TICKETS));
            rows.extend(changed.map(|(key, value)| (key.clone(), value.clone())));
        }
        let tickets = rows.into_values().flatten().map(|value| serde_json::from_slice(&value));
        tickets.collect::<Result<_, _>>().map_err(|error| self.nonsense(&error.to_string()))
    }
}
