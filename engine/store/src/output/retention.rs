//! Removing old output.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use piton_core::ids::RunId;
use piton_core::time::Timestamp;

/// How much output is kept. Both limits hold; the oldest goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Output of runs in which nothing was printed since then is removed.
    pub since: Timestamp,
    /// What is left is removed until it is no more than this many bytes.
    pub bytes: u64,
}

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Whose output, oldest first.
    pub runs: Vec<RunId>,
    /// How many bytes.
    pub bytes: u64,
}

/// Removes the output of old runs; never of those that `spare` is true of (runs that are not over need their output to go on).
/// What is spared counts towards the bytes.
///
/// # Errors
///
/// What the system says, with what was removed until then already gone.
pub fn prune(state_dir: &Path, keep: Keep, spare: &dyn Fn(RunId) -> bool) -> io::Result<Pruned> {
    let mut found = found(&state_dir.join("output"))?;
    found.sort_by_key(|output| (output.changed, output.run));
    let mut total: u64 = found.iter().map(|output| output.bytes).sum();
    let mut pruned = Pruned::default();
    for output in found {
        let old = output.changed < keep.since;
        if (old || total > keep.bytes) && !spare(output.run) {
            std::fs::remove_dir_all(&output.dir)?;
            total -= output.bytes;
            pruned.bytes += output.bytes;
            pruned.runs.push(output.run);
        }
    }
    Ok(pruned)
}

struct Found {
    run: RunId,
    dir: PathBuf,
    bytes: u64,
    changed: Timestamp,
}

fn found(dir: &Path) -> io::Result<Vec<Found>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut all = Vec::new();
    for entry in entries {
        let entry = entry?;
        // What does not have a run's name is not ours.
        let Some(run) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let (mut bytes, mut changed) = (0, stamp(entry.metadata()?.modified()?));
        for file in std::fs::read_dir(entry.path())? {
            let meta = match file?.metadata() {
                Ok(meta) => meta,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            bytes += meta.len();
            changed = changed.max(stamp(meta.modified()?));
        }
        all.push(Found { run, dir: entry.path(), bytes, changed });
    }
    Ok(all)
}

fn stamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
