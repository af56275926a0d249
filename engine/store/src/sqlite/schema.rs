//! The tables, and how a store of an older version becomes one of this version.

use rusqlite::Connection;

/// The version of the tables that this engine writes (`PRAGMA user_version`).
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

/// `PRAGMA application_id` of our databases: "PITN".
pub(super) const APPLICATION: u32 = 0x5049_544e;

/// What brings a store from version *n* to *n + 1*, at index *n*. An entry is never changed once it was released:
/// stores that it made are out there, and `tests/fixtures` keeps one of each version.
const MIGRATIONS: &[&str] = &[V1, V2];

/// Runs, events, leases and inbox. A run's plan stands apart from its row, which every append rewrites.
/// Statuses are words, so that nobody's numbering has to be kept. A lease without owner was given back.
const V1: &str = "
CREATE TABLE runs (
    key     INTEGER PRIMARY KEY,
    id      TEXT    NOT NULL UNIQUE,
    runbook TEXT    NOT NULL,
    title   TEXT    NOT NULL,
    by      TEXT    NOT NULL,
    created INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    status  TEXT    NOT NULL,
    seq     INTEGER NOT NULL,
    head    BLOB    NOT NULL,
    digest  BLOB    NOT NULL
) STRICT;
CREATE INDEX runs_open ON runs (id) WHERE status IN ('running', 'parked');
CREATE INDEX runs_of_runbook ON runs (runbook, id);

CREATE TABLE plans (
    run  INTEGER PRIMARY KEY,
    plan TEXT    NOT NULL
) STRICT;

CREATE TABLE events (
    run  INTEGER NOT NULL,
    seq  INTEGER NOT NULL,
    at   INTEGER NOT NULL,
    body BLOB    NOT NULL,
    link BLOB    NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE leases (
    run   INTEGER PRIMARY KEY,
    owner TEXT,
    fence INTEGER NOT NULL,
    boot  TEXT    NOT NULL,
    until INTEGER NOT NULL
) STRICT;

CREATE TABLE inbox (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    run  INTEGER NOT NULL,
    by   TEXT    NOT NULL,
    at   INTEGER NOT NULL,
    word BLOB    NOT NULL
) STRICT;
CREATE INDEX inbox_of_run ON inbox (run, id);
";

/// Tickets for locks, in the order of their ids, and what a run as a whole waits for (JSON, for lists).
const V2: &str = "
CREATE TABLE tickets (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    run   INTEGER NOT NULL,
    task  TEXT,
    asked INTEGER NOT NULL,
    locks TEXT    NOT NULL,
    state TEXT    NOT NULL
) STRICT;
CREATE INDEX tickets_of_run ON tickets (run);
ALTER TABLE runs ADD COLUMN waits TEXT;
";

/// Brings a store from version `found` up to [`VERSION`], all or nothing.
pub(super) fn migrate(database: &Connection, found: u32) -> rusqlite::Result<()> {
    let missing = MIGRATIONS.iter().skip(found as usize);
    let mut script = String::from("BEGIN IMMEDIATE;");
    missing.for_each(|step| script.push_str(step));
    script.push_str(&format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;"));
    database.execute_batch(&script).inspect_err(|_| {
        // The error that matters is the first; without a transaction there is nothing to take back.
        let _ = database.execute_batch("ROLLBACK");
    })
}
