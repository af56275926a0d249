//! The lab's machine (`tests/lab/machine`) for tests: a whole Debian under qemu, and a project that knows it as `m1`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::lab::{root, shown};

/// The host `m1`, and a project whose inventory has it; gone when dropped.
pub struct Machine {
    dir: TempDir,
    piton: PathBuf,
}

impl Machine {
    /// Boots it with this much memory (MiB) and empty disks of these sizes: `/dev/vdb`, `/dev/vdc`, …. `piton` is the
    /// binary: `env!("CARGO_BIN_EXE_piton-under-test")`.
    pub fn up(piton: &str, memory: u32, disks: &[&str]) -> Self {
        let machine = Self { dir: tempfile::tempdir().unwrap(), piton: piton.into() };
        let up = root().join("tests/lab/machine/up");
        let output = Command::new(up)
            .arg(machine.dir())
            .arg("m1")
            .args(disks)
            .env("PITON_LAB_MEMORY", memory.to_string())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", shown(&output));
        fs::write(machine.dir().join("piton.toml"), "").unwrap();
        machine
    }

    /// The project, which is also where the machine keeps its files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Runs a script on it as somebody would by hand; what came of it.
    pub fn try_by_hand(&self, script: &str) -> Output {
        let config = self.dir().join("ssh_config");
        Command::new("ssh").arg("-F").arg(config).args(["m1", script]).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a script on it as somebody would by hand, which must succeed; what it printed.
    pub fn by_hand(&self, script: &str) -> String {
        let output = self.try_by_hand(script);
        assert!(output.status.success(), "{script}: {}", shown(&output));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Runs `piton` in the project, with a state directory of its own, to its end.
    pub fn piton(&self, words: &[&str]) -> Output {
        let mut command = Command::new(&self.piton);
        command.arg("-C").arg(self.dir()).arg("--state").arg(self.dir().join("state")).args(words);
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// Runs `piton`, which must exit with `exit`; everything that it said.
    pub fn expect(&self, exit: i32, words: &[&str]) -> String {
        let output = self.piton(words);
        let shown = shown(&output);
        assert_eq!(output.status.code(), Some(exit), "piton {words:?}: {shown}");
        shown
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let done = Command::new(root().join("tests/lab/machine/down")).arg(self.dir()).output();
        if !std::thread::panicking() {
            let done = done.unwrap();
            assert!(done.status.success(), "{}", shown(&done));
        }
    }
}
