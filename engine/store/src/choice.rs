//! Which journal a configuration names.

use std::path::Path;
use std::sync::Arc;

use piton_runner::journal::{Journal, JournalError};

use crate::place::unusable;
use crate::sqlite::SqliteJournal;

/// Opens the journal that `spec` names: `sqlite` (in the state directory; the default), or `sled:PATH` (relative to the
/// state directory; only in builds with the feature `sled`).
///
/// # Errors
///
/// What the store's own `open` says; [`JournalError::Unusable`] for a name that nothing goes by.
pub fn open_journal(spec: &str, state_dir: &Path) -> Result<Arc<dyn Journal>, JournalError> {
    match spec.split_once(':') {
        None if spec == "sqlite" => Ok(Arc::new(SqliteJournal::open(state_dir)?)),
        Some(("sled", path)) if !path.is_empty() => open_sled(&state_dir.join(path), state_dir),
        Some(_) | None => Err(unusable(state_dir, format!("`{spec}` is no journal: take `sqlite`, or `sled:PATH`"))),
    }
}

#[cfg(feature = "sled")]
fn open_sled(path: &Path, state_dir: &Path) -> Result<Arc<dyn Journal>, JournalError> {
    Ok(Arc::new(crate::sled_journal::SledJournal::open(path, state_dir)?))
}

#[cfg(not(feature = "sled"))]
fn open_sled(_path: &Path, state_dir: &Path) -> Result<Arc<dyn Journal>, JournalError> {
    Err(unusable(state_dir, "this piton was built without sled (cargo feature `sled`); take `sqlite`"))
}
