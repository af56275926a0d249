//! The runbook `managedsave-recover` against a real libvirt, with each way in which a managed save can be damaged.
//!
//! The guest prints a boot id and a counter twice a second: memory survived if, and only if, both go on.

use piton_tests::lab::{Beat, Lab, root};

const SAVE: &str = "/var/lib/libvirt/qemu/save/web1.save";

/// The lab with a guest, and what can be seen of its managed save.
struct Host(Lab);

impl std::ops::Deref for Host {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.0
    }
}

fn up() -> Host {
    Host(Lab::with_guest(env!("CARGO_BIN_EXE_piton-under-test")))
}

fn runbook() -> String {
    root().join("runbooks/libvirt/managedsave-recover.yaml").display().to_string()
}

impl Host {
    /// Runs the runbook to its end or to where it parks.
    fn recover(&self, exit: i32, more: &[&str]) -> String {
        let runbook = runbook();
        let words = [&["run", &runbook, "vm=web1", "hypervisor=hv1"], more].concat();
        self.expect(exit, &words)
    }

    /// Saves the guest's memory; its last heartbeat before that, and how many there were.
    fn save(&self) -> (Beat, usize) {
        self.by_hand("virsh -q managedsave web1");
        // virtlogd closes the log when it has written the last of it.
        self.by_hand("while ls -l /proc/$(cat /run/virtlogd.pid)/fd | grep -q web1-serial; do sleep 0.05; done");
        let beats = self.beats();
        (beats[beats.len() - 1].clone(), beats.len())
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

#[test]
fn lab_a_whole_image_is_resumed_and_a_guest_without_one_is_left_alone() {
    let lab = up();
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
    let lab = up();
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
    let lab = up();
    let (before, seen) = lab.save();
    let image = lab.by_hand(&format!("truncate -s 50 {SAVE} && ls -i {SAVE}"));

    // Undo: everything is as it was found.
    lab.recover(5, &[]);
    assert_eq!(lab.state(), "shut off (saved)");
    let asked = lab.expect(0, &["show", "latest"]);
    assert!(asked.contains("accept"), "{asked}");
    lab.piton(&["undo", "latest", "--why", "to see"]);
    lab.piton(&["resume", "latest"]);
    assert_eq!(lab.by_hand(&format!("ls -i {SAVE}")), image);
    assert_eq!((lab.state().as_str(), lab.kept()), ("shut off (saved)", Vec::new()));

    // Skip: accepted.
    lab.recover(5, &[]);
    lab.piton(&["skip", "latest", "accept", "--why", "it was only a test"]);
    lab.expect(0, &["resume", "latest"]);
    lab.assert_booted_anew(&before, seen);
    assert_eq!(lab.kept().len(), 1);
}

#[test]
fn lab_a_missing_disk_is_named_and_the_memory_survives_its_return() {
    let lab = up();
    let (before, seen) = lab.save();
    lab.by_hand("cd /var/lib/libvirt/images && mv web1.img elsewhere");
    lab.recover(5, &["accept_memory_loss=true"]);
    let said = lab.expect(0, &["logs", "latest", "disks[hv1]"]);
    assert!(said.contains("/var/lib/libvirt/images/web1.img"), "{said}");

    lab.by_hand("cd /var/lib/libvirt/images && mv elsewhere web1.img");
    lab.piton(&["retry", "latest", "disks[hv1]", "--why", "it is back"]);
    lab.expect(0, &["resume", "latest"]);
    lab.assert_memory_went_on(&before, seen);
}

#[test]
fn lab_a_guest_that_cannot_boot_gets_its_image_back() {
    let lab = up();
    lab.save();
    let image = lab.by_hand(&format!("truncate -s 4096 {SAVE} && ls -i {SAVE}"));
    lab.by_hand("cd /var/lib/libvirt/images && mv vmlinuz elsewhere");
    // With the kernel missing nothing can start: the image's fault is found first, then the boot fails and is undone.
    lab.recover(4, &["accept_memory_loss=true"]);
    assert_eq!(lab.by_hand(&format!("ls -i {SAVE}")), image);
    assert!(lab.kept().is_empty());
}
