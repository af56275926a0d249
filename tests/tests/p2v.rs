//! The runbook `p2v`: a machine with two disks (loop devices on one host) becomes a guest on another host, which boots.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::path::Path;
use std::process::Command;

use piton_tests::lab::{Lab, foreign, root, shown, wait_for};

const IMAGES: &str = "/var/lib/libvirt/images";

/// A disk of the machine; let go when dropped.
struct Disk(String);

impl Disk {
    fn over(file: &Path) -> Self {
        let made = Command::new("losetup").args(["--find", "--show"]).arg(file).output().unwrap();
        assert!(made.status.success(), "{}", shown(&made));
        Self(String::from_utf8(made.stdout).unwrap().trim().to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _gone_or_not = Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

#[test]
fn lab_a_machine_becomes_a_guest_and_a_disk_in_use_is_left_alone() {
    let lab = Lab::up(env!("CARGO_BIN_EXE_piton-under-test"));
    lab.script("up", &["hv1", "hv2"]);
    let (root_disk, data) = (lab.dir().join("root.raw"), lab.dir().join("data.raw"));
    let image = format!("{}/disk.raw", foreign("image"));
    let copied = Command::new("cp").arg("--sparse=always").arg(image).arg(&root_disk).status();
    assert!(copied.unwrap().success());
    std::fs::File::create(&data).unwrap().set_len(64 << 20).unwrap();
    assert!(Command::new("mke2fs").args(["-q", "-t", "ext4"]).arg(&data).status().unwrap().success());
    let (first, second) = (Disk::over(&root_disk), Disk::over(&data));
    let sums = || lab.by_hand(&format!("sha256sum <{} && sha256sum <{}", first.0, second.0));
    // It calls another, which it finds in the project.
    let copied = Command::new("cp").arg("-r").arg(root().join("runbooks")).arg(lab.dir()).status();
    assert!(copied.unwrap().success());
    let disks = format!("disks={},{}", first.0, second.0);
    let words =
        ["run", "p2v", "source=hv1", "target=hv2", "name=旧机器", &disks, "method=plain", "bridge=br0", "memory=256M"];
    let words = [&words[..], &["console_log=/var/log/libvirt/old.log"]].concat();

    lab.by_hand(&format!("mount {} /mnt", second.0));
    let said = lab.expect(4, &words);
    assert!(said.contains("is mounted read-write at /mnt"), "{said}");
    assert_eq!(lab.by_hand_on("hv2", &format!("ls -A {IMAGES}")), "");
    lab.by_hand("umount /mnt");
    let before = sums();

    let said = lab.expect(0, &words);
    let arguments = format!("p2v.disks={},{}", &first.0[5..], &second.0[5..]);
    assert!(said.contains(&arguments), "virt-p2v's arguments: {said}");
    assert_eq!(sums(), before, "nothing was written to the machine");
    wait_for(&|| lab.by_hand_on("hv2", "cat /var/log/libvirt/old.log"), &|| {
        lab.by_hand_on("hv2", "cat /var/log/libvirt/old.log").contains("root=/dev/vda1").then_some(())
    });
    let files =
        lab.by_hand_on("hv2", &format!("cd {IMAGES} && ls -A && qemu-img info -U --output=json 旧机器-b.qcow2"));
    assert!(files.contains("旧机器-a.qcow2") && !files.contains(".p2v"), "{files}");
    assert!(files.contains("\"virtual-size\": 67108864"), "{files}");

    let said = lab.expect(0, &words);
    assert!(said.contains("nothing to do"), "{said}");
}
