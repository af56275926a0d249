//! Block devices for tests; they need root.

use std::path::Path;
use std::process::Command;

/// A loop device (losetup(8)) over a file; let go when dropped.
pub struct Loop(String);

impl Loop {
    /// The next one that is free.
    ///
    /// # Panics
    /// When there is none, or nobody may make one.
    pub fn over(file: &Path) -> Self {
        let made = Command::new("losetup").args(["--find", "--show"]).arg(file).output();
        let made = made.expect("losetup is installed (package mount)");
        assert!(made.status.success(), "losetup: {}", String::from_utf8_lossy(&made.stderr));
        Self(String::from_utf8_lossy(&made.stdout).trim().to_owned())
    }

    /// `/dev/loop0`, or another.
    pub fn path(&self) -> &str {
        &self.0
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _gone_or_not = Command::new("losetup").args(["--detach", &self.0]).status();
    }
}
