//! The libvirt lab (`tests/lab`) for tests: a real host with libvirt and one guest, and a project that knows it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// The top of the project's own sources.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// What a program did, for messages.
pub fn shown(output: &Output) -> String {
    format!(
        "{}\n--- stdout\n{}--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Asks ten times a second, for three minutes at most, until there is an answer.
///
/// # Panics
/// With what `what` says, when there is none.
pub fn wait_for<T>(what: &dyn Fn() -> String, ask: &dyn Fn() -> Option<T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        for _ in 0..1800 {
            tick.tick().await;
            if let Some(answer) = ask() {
                return answer;
            }
        }
        panic!("{}", what())
    })
}

/// What one of the scripts in `tests/lab/foreign` prints: a directory.
///
/// # Panics
/// When it fails.
pub fn foreign(script: &str) -> String {
    let output = Command::new(root().join("tests/lab/foreign").join(script)).output().unwrap();
    assert!(output.status.success(), "{script}: {}", shown(&output));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The host `hv1`, and a project whose inventory has it; gone when dropped.
pub struct Lab {
    dir: TempDir,
    piton: PathBuf,
}

/// One line of a guest's heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// The guest's boot id.
    pub boot: String,
    /// How many there were since it booted, this one included.
    pub count: u64,
}

impl Lab {
    /// Brings the host up. `piton` is the binary: `env!("CARGO_BIN_EXE_piton-under-test")`.
    pub fn up(piton: &str) -> Self {
        Self::of(piton, &["hv1"])
    }

    /// Brings up hosts of these names.
    pub fn of(piton: &str, hosts: &[&str]) -> Self {
        let lab = Self { dir: tempfile::tempdir().unwrap(), piton: piton.into() };
        lab.script("up", hosts);
        fs::write(lab.dir().join("piton.toml"), "").unwrap();
        lab
    }

    /// Brings the host up, and on it the guest `web1`.
    pub fn with_guest(piton: &str) -> Self {
        let lab = Self::up(piton);
        lab.script("guest", &["hv1", "web1"]);
        lab
    }

    /// The project, which is also where the lab keeps its files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Runs one of the scripts in `tests/lab`.
    pub fn script(&self, name: &str, more: &[&str]) {
        let path = root().join("tests/lab").join(name);
        let output = Command::new(path).arg(self.dir()).args(more).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{name}: {}", shown(&output));
    }

    /// Runs a script on `hv1` as somebody would by hand; what it printed.
    pub fn by_hand(&self, script: &str) -> String {
        self.by_hand_on("hv1", script)
    }

    /// Runs a script on one of the hosts as somebody would by hand; what it printed.
    pub fn by_hand_on(&self, host: &str, script: &str) -> String {
        let config = self.dir().join("ssh_config");
        let output = Command::new("ssh").arg("-F").arg(config).args([host, script]).stdin(Stdio::null()).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{host}: {script}: {}", shown(&output));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// `piton` in the project, with a state directory of its own.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.piton);
        command.arg("-C").arg(self.dir()).arg("--state").arg(self.dir().join("state")).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs `piton` to its end.
    pub fn piton(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Runs `piton`, which must exit with `exit`; everything that it said.
    pub fn expect(&self, exit: i32, words: &[&str]) -> String {
        let output = self.piton(words);
        let shown = shown(&output);
        assert_eq!(output.status.code(), Some(exit), "piton {words:?}: {shown}");
        shown
    }

    /// The guest's heartbeats so far.
    pub fn beats(&self) -> Vec<Beat> {
        let log = self.dir().join("hosts/hv1/var/log/libvirt/qemu/web1-serial.log");
        let text = String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned();
        let beat = |line: &str| {
            let (count, boot) = line.trim().strip_prefix("TICK n=")?.split_once(" boot=")?;
            (boot.len() == 8).then_some(Beat { boot: boot.to_owned(), count: count.parse().ok()? })
        };
        text.lines().filter_map(beat).collect()
    }

    /// The first heartbeat after the first `seen` of them, as soon as it is there.
    pub fn beat_after(&self, seen: usize) -> Beat {
        let silent = || format!("the guest does not beat; it did: {:?}", self.beats());
        wait_for(&silent, &|| self.beats().get(seen).cloned())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let done = Command::new(root().join("tests/lab/down")).arg(self.dir()).output();
        if !std::thread::panicking() {
            let done = done.unwrap();
            assert!(done.status.success(), "{}", shown(&done));
        }
    }
}
