//! A disk that is soon full. Making one needs root.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A small file system of its own.
pub(crate) struct Disk {
    root: tempfile::TempDir,
}

impl Disk {
    pub(crate) fn of(size: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "tmpfs"])
            .arg(root.path())
            .status();
        assert!(mounted.is_ok_and(|status| status.success()), "this test needs to mount a tmpfs: run it as root");
        Self { root }
    }

    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }

    /// Takes all the room but for a few pages; the file to remove gives it back.
    pub(crate) fn fill(&self, but: u64) -> PathBuf {
        let filler = self.path().join("filler");
        let stat = rustix::fs::statvfs(self.path()).unwrap();
        let len = (stat.f_bavail * stat.f_frsize).saturating_sub(but);
        std::fs::write(&filler, vec![1; usize::try_from(len).unwrap()]).unwrap();
        filler
    }

    pub(crate) fn read_only(&self) {
        let done = Command::new("mount").args(["-o", "remount,ro"]).arg(self.path()).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
