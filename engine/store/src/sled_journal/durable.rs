//! Making durable what sled has written.
//!
//! `flush` of sled 0.34.7 ends in sync_file_range(2), which neither writes metadata nor has the disk empty its cache ("none
//! of these operations ... gives any guarantee" without fdatasync, says its man page), and never syncs the directory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::place::sync_dir;

/// Syncs sled's files.
pub(super) struct Syncer {
    dir: PathBuf,
    /// The log, kept open: it is written all the time.
    log: File,
    /// Sizes of the other files (`conf`, `snap.*`, `blobs/*`) when they were last synced.
    synced: BTreeMap<PathBuf, u64>,
}

impl Syncer {
    pub(super) fn new(dir: &Path) -> io::Result<Self> {
        Ok(Self { dir: dir.to_owned(), log: File::open(dir.join("db"))?, synced: BTreeMap::new() })
    }

    /// Returns when all that sled has written is durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let mut present = BTreeMap::new();
        for dir in [&self.dir, &self.dir.join("blobs")] {
            let mut changed = false;
            for entry in std::fs::read_dir(dir)? {
                let entry = entry?;
                let Ok(meta) = entry.metadata() else { continue };
                let path = entry.path();
                if !meta.is_file() || path.ends_with("db") {
                    continue;
                }
                let same = self.synced.get(&path) == Some(&meta.len());
                match File::open(&path) {
                    Ok(file) if !same => file.sync_all()?,
                    // sled has removed it meanwhile.
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    Ok(_) | Err(_) => {}
                }
                changed |= !same;
                present.insert(path, meta.len());
            }
            if changed {
                sync_dir(dir)?;
            }
        }
        let gone = self.synced.keys().any(|path| !present.contains_key(path));
        if gone {
            sync_dir(&self.dir)?;
        }
        self.synced = present;
        self.log.sync_data()
    }
}
