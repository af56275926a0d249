//! The runbook `managedsave-recover` against a real libvirt, with each way in which a managed save can be damaged.
//!
//! The guest prints a boot id and a counter twice a second: memory survived if, and only if, both go on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

const SAVE: &str = "/var/lib/libvirt/qemu/save/web1.save";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// The binary that was built along with this test.
fn piton() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let binary = here.ancestors().nth(2).unwrap().join("piton");
    assert!(binary.exists(), "{} is not there: cargo build -p piton-cli", binary.display());
    binary
}

fn shown(output: &Output) -> String {
    format!(
        "{}\n--- stdout\n{}--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A host with libvirt and one guest, and a project that knows it; gone when dropped.
struct Lab {
    dir: TempDir,
}

/// One line of the guest's heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Beat {
    boot: String,
    count: u64,
}

impl Lab {
    fn up() -> Self {
        let lab = Self { dir: tempfile::tempdir().unwrap() };
        lab.script("up", &[]);
        lab.script("guest", &["hv1", "web1"]);
        fs::write(lab.dir.path().join("piton.toml"), "").unwrap();
        lab
    }

    fn script(&self, name: &str, more: &[&str]) {
        let path = root().join("tests/lab").join(name);
        let output = Command::new(path).arg(self.dir.path()).args(more).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{name}: {}", shown(&output));
    }

    /// Runs a script on the host as somebody would by hand; what it printed.
    fn by_hand(&self, script: &str) -> String {
        let config = self.dir.path().join("ssh_config");
        let output = Command::new("ssh").arg("-F").arg(config).args(["hv1", script]).stdin(Stdio::null()).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{script}: {}", shown(&output));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn piton(&self, words: &[&str]) -> Output {
        let mut command = Command::new(piton());
        command.arg("-C").arg(self.dir.path()).arg("--state").arg(self.dir.path().join("state")).args(words);
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// Runs the runbook to its end or to where it parks.
    fn recover(&self, exit: i32, more: &[&str]) -> String {
        let runbook = root().join("runbooks/libvirt/managedsave-recover.yaml");
        let words = [&["run", runbook.to_str().unwrap(), "vm=web1", "hypervisor=hv1"], more].concat();
        self.expect(exit, &words)
    }

    fn expect(&self, exit: i32, words: &[&str]) -> String {
        let output = self.piton(words);
        let shown = shown(&output);
        assert_eq!(output.status.code(), Some(exit), "piton {words:?}: {shown}");
        shown
    }

    /// The id of the newest run.
    fn run(&self) -> String {
        let output = self.piton(&["ls", "--json"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let first = text.split("\"id\":").nth(1).unwrap_or_else(|| panic!("{}", shown(&output)));
        first.split('"').nth(1).unwrap().to_owned()
    }

    fn beats(&self) -> Vec<Beat> {
        let log = self.dir.path().join("hosts/hv1/var/log/libvirt/qemu/web1-serial.log");
        let text = String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned();
        let beat = |line: &str| {
            let (count, boot) = line.trim().strip_prefix("TICK n=")?.split_once(" boot=")?;
            (boot.len() == 8).then_some(Beat { boot: boot.to_owned(), count: count.parse().ok()? })
        };
        text.lines().filter_map(beat).collect()
    }

    /// The first heartbeat after the first `seen` of them.
    fn beat_after(&self, seen: usize) -> Beat {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut tick = tokio::time::interval(Duration::from_millis(100));
            for _ in 0..600 {
                tick.tick().await;
                if let Some(beat) = self.beats().get(seen) {
                    return beat.clone();
                }
            }
            panic!("the guest does not beat: {:?}", self.beats())
        })
    }

    /// Saves the guest's memory; its last heartbeat before that, and how many there were.
    fn save(&self) -> (Beat, usize) {
        self.by_hand("virsh -q managedsave web1");
        // virtlogd closes the log when it has written the last of it.
        self.by_hand("while ls -l /proc/$(cat /run/virtlogd.pid)/fd | grep -q web1-serial; do sleep 0.05; done");
        let beats = self.beats();
        (beats.last().unwrap().clone(), beats.len())
    }

    fn state(&self) -> String {
        self.by_hand("virsh -q domstate --reason web1 | head -n 1")
    }

    /// The images that were kept aside, and nothing else.
    fn kept(&self) -> Vec<String> {
        let list = self.by_hand("cd /var/lib/libvirt/qemu/save && ls | grep kept || true");
        list.lines().map(|name| format!("/var/lib/libvirt/qemu/save/{name}")).collect()
    }

    fn assert_memory_went_on(&self, before: &Beat, seen: usize) {
        let after = self.beat_after(seen);
        assert_eq!(after.boot, before.boot, "the guest was booted anew");
        assert_eq!(after.count, before.count + 1, "heartbeats are missing");
    }

    fn assert_booted_anew(&self, before: &Beat, seen: usize) {
        let after = self.beat_after(seen);
        assert_ne!(after.boot, before.boot, "the guest was not booted anew");
        assert_eq!(self.state(), "running (booted)");
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let done = Command::new(root().join("tests/lab/down")).arg(self.dir.path()).output();
        if !std::thread::panicking() {
            let done = done.unwrap();
            assert!(done.status.success(), "{}", shown(&done));
        }
    }
}

#[test]
fn lab_a_whole_image_is_resumed_and_a_guest_without_one_is_left_alone() {
    let lab = Lab::up();
    let said = lab.recover(0, &[]);
    assert!(lab.kept().is_empty(), "{said}");
    assert_eq!(lab.state(), "running (booted)");

    let (before, seen) = lab.save();
    lab.recover(0, &[]);
    lab.assert_memory_went_on(&before, seen);
    assert_eq!(lab.state(), "running (restored)");
    assert!(lab.kept().is_empty(), "an image that was resumed from must never be resumed from again");
    assert!(lab.by_hand(&format!("ls {SAVE} 2>&1 || true")).contains("No such file"));

    lab.by_hand("virsh -q destroy web1");
    lab.recover(0, &[]);
    assert_eq!(lab.state(), "shut off (destroyed)");
}

#[test]
fn lab_every_damage_is_seen_and_the_image_kept() {
    let lab = Lab::up();
    for damage in [
        "truncate -s 0 F",
        "truncate -s 50 F",
        "printf Part | dd of=F conv=notrunc bs=1 seek=12 status=none",
        "printf X | dd of=F conv=notrunc bs=1 seek=3 status=none",
        "printf QQQQ | dd of=F conv=notrunc bs=1 seek=16 status=none",
        "printf QQQQ | dd of=F conv=notrunc bs=1 seek=20 status=none",
        r"printf '\001\002' | dd of=F conv=notrunc bs=1 seek=110 status=none",
        "truncate -s 4096 F",
        "truncate -s 40000000 F",
        "head -c 8000000 /dev/urandom | dd of=F conv=notrunc bs=4096 seek=3000 status=none",
        "rm F",
    ] {
        let (before, seen) = lab.save();
        lab.by_hand(&damage.replace('F', SAVE));
        let gone = damage.starts_with("rm");
        let sum = if gone { String::new() } else { lab.by_hand(&format!("sha256sum < {SAVE}")) };

        let said = lab.recover(0, &["accept_memory_loss=true"]);
        lab.assert_booted_anew(&before, seen);
        let flag = lab.by_hand("virsh -q dominfo web1 | sed -n 's/^Managed save: *//p'");
        assert_eq!(flag, "no", "{damage}: libvirt still believes in a managed save: {said}");
        match lab.kept().as_slice() {
            [] => assert!(gone, "{damage}: the image was not kept: {said}"),
            [one] => assert_eq!(lab.by_hand(&format!("sha256sum < {one} && rm {one}")), sum, "{damage}: {said}"),
            more => panic!("{damage}: {more:?}: {said}"),
        }
    }
}

#[test]
fn lab_memory_is_given_up_only_when_somebody_says_so() {
    let lab = Lab::up();
    let (before, seen) = lab.save();
    let image = lab.by_hand(&format!("truncate -s 50 {SAVE} && ls -i {SAVE}"));

    // Undo: everything is as it was found.
    lab.recover(5, &[]);
    assert_eq!(lab.state(), "shut off (saved)");
    let run = lab.run();
    let asked = lab.expect(0, &["show", &run]);
    assert!(asked.contains("accept"), "{asked}");
    lab.piton(&["undo", &run, "--why", "to see"]);
    lab.piton(&["resume", &run]);
    assert_eq!(lab.by_hand(&format!("ls -i {SAVE}")), image);
    assert_eq!((lab.state().as_str(), lab.kept()), ("shut off (saved)", Vec::new()));

    // Skip: accepted.
    lab.recover(5, &[]);
    let run = lab.run();
    lab.piton(&["skip", &run, "accept", "--why", "it was only a test"]);
    lab.expect(0, &["resume", &run]);
    lab.assert_booted_anew(&before, seen);
    assert_eq!(lab.kept().len(), 1);
}

#[test]
fn lab_a_missing_disk_is_named_and_the_memory_survives_its_return() {
    let lab = Lab::up();
    let (before, seen) = lab.save();
    lab.by_hand("cd /var/lib/libvirt/images && mv web1.img elsewhere");
    lab.recover(5, &["accept_memory_loss=true"]);
    let run = lab.run();
    let said = lab.expect(0, &["logs", &run, "disks[hv1]"]);
    assert!(said.contains("/var/lib/libvirt/images/web1.img"), "{said}");

    lab.by_hand("cd /var/lib/libvirt/images && mv elsewhere web1.img");
    lab.piton(&["retry", &run, "disks[hv1]", "--why", "it is back"]);
    lab.expect(0, &["resume", &run]);
    lab.assert_memory_went_on(&before, seen);
}

#[test]
fn lab_a_guest_that_cannot_boot_gets_its_image_back() {
    let lab = Lab::up();
    lab.save();
    let image = lab.by_hand(&format!("truncate -s 4096 {SAVE} && ls -i {SAVE}"));
    lab.by_hand("cd /var/lib/libvirt/images && mv vmlinuz elsewhere");
    // With the kernel missing nothing can start: the image's fault is found first, then the boot fails and is undone.
    let output = lab.piton(&[
        "run",
        root().join("runbooks/libvirt/managedsave-recover.yaml").to_str().unwrap(),
        "vm=web1",
        "hypervisor=hv1",
        "accept_memory_loss=true",
    ]);
    assert_eq!(output.status.code(), Some(4), "{}", shown(&output));
    assert_eq!(lab.by_hand(&format!("ls -i {SAVE}")), image);
    assert!(lab.kept().is_empty());
}
