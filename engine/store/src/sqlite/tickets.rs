//! Tickets for locks: rows that belong to the run, whichever process drives it. Whose turn it is the core says.

use piton_core::lock::{Ticket, TicketState, settle};
use piton_core::time::Timestamp;
use piton_runner::journal::LockChange;
use rusqlite::{Connection, Row, params};

/// Asks for and gives back the locks of a run, and gives what is free to those whose turn it is.
/// Says whether somebody was given, or refused, something.
pub(super) fn change(database: &Connection, run: i64, changes: &[LockChange], at: Timestamp) -> rusqlite::Result<bool> {
    for change in changes {
        match change {
            LockChange::Ask { task, locks } => {
                let mut ask = database.prepare_cached(
                    "INSERT INTO tickets (run, task, asked, locks, state) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?;
                let task = task.as_ref().map(ToString::to_string);
                ask.execute(params![run, task, at.0, json(locks)?, json(&TicketState::Waiting)?])?;
            }
            LockChange::Free { task } => {
                let mut free = database.prepare_cached("DELETE FROM tickets WHERE run = ?1 AND task IS ?2")?;
                free.execute(params![run, task.as_ref().map(ToString::to_string)])?;
            }
        }
    }
    if changes.is_empty() { Ok(false) } else { settle_all(database, at) }
}

/// The run is over: it holds nothing and waits for nothing.
pub(super) fn free_all(database: &Connection, run: i64, at: Timestamp) -> rusqlite::Result<bool> {
    let freed = database.prepare_cached("DELETE FROM tickets WHERE run = ?1")?.execute([run])?;
    if freed == 0 { Ok(false) } else { settle_all(database, at) }
}

fn settle_all(database: &Connection, at: Timestamp) -> rusqlite::Result<bool> {
    let before = read(database, None)?;
    let mut tickets = before.clone();
    let changed = settle(&mut tickets, at);
    for (ticket, _) in tickets.iter().zip(&before).filter(|(after, before)| after != before) {
        let mut set = database.prepare_cached("UPDATE tickets SET state = ?2 WHERE id = ?1")?;
        set.execute(params![i64::try_from(ticket.id).unwrap_or(-1), json(&ticket.state)?])?;
    }
    Ok(changed)
}

/// The tickets of a run, or all, in the order of the queue.
pub(super) fn read(database: &Connection, run: Option<i64>) -> rusqlite::Result<Vec<Ticket>> {
    let mut find = database.prepare_cached(
        "SELECT t.id, r.id, t.task, t.asked, t.locks, t.state FROM tickets t JOIN runs r ON r.key = t.run \
         WHERE ?1 IS NULL OR t.run = ?1 ORDER BY t.id",
    )?;
    find.query_map([run], ticket)?.collect()
}

fn ticket(row: &Row<'_>) -> rusqlite::Result<Ticket> {
    let nonsense = |column: usize, error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error)
    };
    let text = |column: usize| row.get::<_, String>(column);
    let task = row.get::<_, Option<String>>(2)?;
    Ok(Ticket {
        id: u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
        run: text(1)?.parse().map_err(|error| nonsense(1, Box::new(error)))?,
        task: task.map(|task| task.parse()).transpose().map_err(|error| nonsense(2, Box::new(error)))?,
        asked: Timestamp(row.get(3)?),
        locks: serde_json::from_str(&text(4)?).map_err(|error| nonsense(4, Box::new(error)))?,
        state: serde_json::from_str(&text(5)?).map_err(|error| nonsense(5, Box::new(error)))?,
    })
}

/// The stored form of a part of a ticket.
pub(super) fn json(what: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(what).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
