//! Opening the database, and saying clearly why it cannot be opened.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use piton_runner::journal::JournalError;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema;
use crate::place::{has_no_room, io_error, make_dir, sync_dir, unusable};

/// How many milliseconds another process may hold the write lock before we give up. It holds it for one commit, unless
/// it was stopped in the middle of it.
const PATIENCE: i32 = 30_000;

/// The database of a state directory.
pub(super) fn database_of(place: &Path) -> PathBuf {
    place.join("journal.db")
}

/// Opens the database for the writer thread; makes it, or brings it up to date, where needed.
pub(super) fn for_writing(place: &Path) -> Result<Connection, JournalError> {
    make_dir(place).map_err(|error| io_error(place, "cannot make the directory", &error))?;
    let dir = File::open(place).map_err(|error| io_error(place, "cannot open the directory", &error))?;
    // One process at a time makes or migrates (flock(2) on the directory itself; it ends with the descriptor).
    dir.lock().map_err(|error| io_error(place, "cannot lock the directory", &error))?;

    let path = database_of(place);
    if path.is_dir() {
        return Err(unusable(place, "journal.db is a directory"));
    }
    let new = !path.exists();
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| io_error(place, "cannot open journal.db", &error))?;
    let database = connect(place, &path).map_err(|error| explain(place, &error))?;
    let version = version(place, &database)?;
    durable(&database).map_err(|error| explain(place, &error))?;
    if version < schema::VERSION {
        schema::migrate(&database, version).map_err(|error| explain(place, &error))?;
    }
    if new {
        sync_dir(place).map_err(|error| io_error(place, "cannot sync the directory", &error))?;
    }
    Ok(database)
}

/// Opens the database for reads; it was opened for writing before.
pub(super) fn for_reading(place: &Path) -> Result<Connection, JournalError> {
    let database = connect(place, &database_of(place)).map_err(|error| explain(place, &error))?;
    database.pragma_update(None, "query_only", true).map_err(|error| explain(place, &error))?;
    Ok(database)
}

fn connect(place: &Path, path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    tracing::trace!(place = %place.display(), "opening the journal");
    let mut database = Connection::open_with_flags(path, flags)?;
    database.busy_handler(Some(|tries| {
        // SQLite's own handler waits up to 100 ms at a time; a commit takes far less than one.
        std::thread::park_timeout(Duration::from_millis(1));
        tries < PATIENCE
    }))?;
    database.set_prepared_statement_cache_capacity(64);
    Ok(database)
}

/// Which version of our tables a database has; 0 where it has none.
fn version(place: &Path, database: &Connection) -> Result<u32, JournalError> {
    let number = |name: &str| database.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let look = || -> rusqlite::Result<(i64, i64, i64)> {
        let tables = database.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((number("application_id")?, number("user_version")?, tables))
    };
    let (application, version, tables) = look().map_err(|error| explain(place, &error))?;
    if tables == 0 {
        return Ok(0);
    }
    let version = u32::try_from(version).unwrap_or(0);
    if application != i64::from(schema::APPLICATION) || version == 0 {
        return Err(unusable(place, "journal.db is the database of another program"));
    }
    if version > schema::VERSION {
        return Err(JournalError::Newer { place: place.display().to_string(), found: version, known: schema::VERSION });
    }
    Ok(version)
}

/// Has every commit synced before it returns (sqlite.org/pragma.html#pragma_synchronous: in WAL mode, NORMAL does not).
fn durable(database: &Connection) -> rusqlite::Result<()> {
    let mode: String = database.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
            Some(format!("no write-ahead log here (journal mode {mode}): is this a network file system?")),
        ));
    }
    database.execute_batch(
        // Moved into the database at 8 MB; a longer log (a reader held it) is cut back once it is free.
        "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 2000; PRAGMA journal_size_limit = 33554432; \
         PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;",
    )
}

/// What an error of SQLite means.
pub(super) fn explain(place: &Path, error: &rusqlite::Error) -> JournalError {
    let Some(code) = error.sqlite_error_code() else { return unusable(place, error.to_string()) };
    #[expect(clippy::wildcard_enum_match_arm, reason = "the list of SQLite's codes is not ours and grows")]
    let hint = match code {
        ErrorCode::DiskFull => {
            return JournalError::Full { place: place.display().to_string(), detail: error.to_string() };
        }
        ErrorCode::SystemIoFailure | ErrorCode::CannotOpen if has_no_room(place) => {
            return JournalError::Full { place: place.display().to_string(), detail: error.to_string() };
        }
        ErrorCode::NotADatabase => "journal.db is not a journal, or its first page is damaged",
        ErrorCode::DatabaseCorrupt => "journal.db is damaged",
        ErrorCode::ReadOnly => "journal.db may not be written",
        ErrorCode::CannotOpen => "journal.db or its log cannot be opened",
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            "another process has been writing for half a minute; is it stopped (state T in ps)?"
        }
        ErrorCode::PermissionDenied => "not permitted",
        _ => "SQLite failed",
    };
    unusable(place, format!("{hint}: {error}"))
}
