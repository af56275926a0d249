//! Whether the engine that holds a lease is still there: it holds a lock on a file, which goes with its process.
//!
//! A lease that has run out may be taken by anybody. One that has not is respected, unless its engine is known to be
//! dead: then nobody need wait. An engine that only stands still keeps its lock, so there the lease's time decides.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use piton_core::digest::Digest;
use rustix::fs::{FlockOperation, flock};

use crate::place::make_dir;
use crate::request::Request;

/// The engines of a state directory, as far as their locks tell.
pub(crate) struct Presence {
    dir: PathBuf,
    held: BTreeMap<String, File>,
}

impl Presence {
    pub(crate) fn in_state_dir(state_dir: &Path) -> Self {
        Self { dir: state_dir.join("engines"), held: BTreeMap::new() }
    }

    /// Shows that the engines that ask for a lease are there.
    pub(crate) fn announce_all(&mut self, requests: &[Request]) {
        for request in requests {
            if let Request::Create { owner, .. } | Request::Claim { owner, .. } = request {
                self.announce(owner);
            }
        }
    }

    /// Shows that this engine is there, until this process ends. Best effort: without it the others only wait longer.
    pub(crate) fn announce(&mut self, owner: &str) {
        if self.held.contains_key(owner) || make_dir(&self.dir).is_err() {
            return;
        }
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(self.path(owner));
        if let Ok(file) = file
            && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
        {
            self.held.insert(owner.to_owned(), file);
        }
    }

    /// Whether the engine was there and is certainly gone.
    pub(crate) fn is_gone(&self, owner: &str) -> bool {
        if self.held.contains_key(owner) {
            return false;
        }
        let Ok(file) = File::open(self.path(owner)) else { return false };
        let gone = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        if gone {
            // Whoever else looks finds the file or not; both ways the lease is taken under the store's own lock.
            let _left_behind = std::fs::remove_file(self.path(owner));
        }
        gone
    }

    fn path(&self, owner: &str) -> PathBuf {
        let name = Digest::of(owner.as_bytes()).to_string();
        self.dir.join(name.get(..32).unwrap_or_default())
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        for owner in self.held.keys() {
            let _gone_already = std::fs::remove_file(self.path(owner));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_gone_when_its_lock_is() {
        let state = tempfile::tempdir().unwrap();
        let mut one = Presence::in_state_dir(state.path());
        let two = Presence::in_state_dir(state.path());
        assert!(!two.is_gone("one"), "nothing is known of it");
        one.announce("one");
        assert!(!two.is_gone("one") && !one.is_gone("one"));
        // As the kernel does when the process dies: the lock goes, the file stays.
        one.held.clear();
        assert!(two.is_gone("one"));
        assert!(!two.is_gone("one"), "it was said once, and nothing is known of it any more");
    }
}
