//! The runbook `p2v`: a machine with two disks (loop devices on one host; a Debian with its root on LVM) becomes a guest on
//! another host, which boots and is logged in to.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::path::Path;
use std::process::{Command, Stdio};

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

/// Where the root's file system begins on the disk of `tests/lab/foreign/lvm`: its partition, and what LVM keeps before it.
const ROOT_AT: u64 = (264_192 + 2048) * 512;

/// Writes a file into the file system of the disk, which nobody has mounted (debugfs(8)).
fn put_in(disk: &Path, path: &str, text: &str) {
    let from = disk.with_extension("file");
    std::fs::write(&from, text).unwrap();
    let order = format!("write {} {path}", from.display());
    let on = format!("{}?offset={ROOT_AT}", disk.display());
    let made = Command::new("debugfs").args(["-w", "-R", &order, &on]).output().unwrap();
    assert!(made.status.success() && String::from_utf8_lossy(&made.stdout).contains("inode"), "{}", shown(&made));
}

/// What a script prints in the guest at this address, as soon as it can be logged in to.
fn in_guest(lab: &Lab, keys: &str, address: &str, script: &str) -> String {
    let known = lab.dir().join("known_guests");
    let key = std::fs::read_to_string(format!("{keys}/host_key.pub")).unwrap();
    std::fs::write(&known, format!("{address} {key}")).unwrap();
    let ask = || {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-i", &format!("{keys}/key"), "-o", "BatchMode=yes", "-o", "ConnectTimeout=5"]);
        ssh.arg("-o").arg(format!("UserKnownHostsFile={}", known.display()));
        ssh.args([&format!("root@{address}"), script]).stdin(Stdio::null()).output().unwrap()
    };
    let answer = || {
        let output = ask();
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    wait_for(&|| shown(&ask()), &answer)
}

#[test]
fn lab_a_machine_with_lvm_becomes_a_guest_that_is_logged_in_to() {
    let lab = Lab::up(env!("CARGO_BIN_EXE_piton-under-test"));
    lab.script("up", &["hv1", "hv2"]);
    let number = std::fs::read_to_string(lab.dir().join("number")).unwrap();
    let address = format!("10.213.{}.60", number.trim());
    let made = foreign("lvm");
    let (root_disk, data) = (lab.dir().join("root.raw"), lab.dir().join("data.raw"));
    let copied = Command::new("cp").arg("--sparse=always").arg(format!("{made}/disk.raw")).arg(&root_disk).status();
    assert!(copied.unwrap().success());
    let network =
        format!("[Match]\nName=e*\n[Network]\nAddress={address}/24\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n");
    put_in(&root_disk, "etc/systemd/network/10-lab.network", &network);
    put_in(&root_disk, "root/written", "before it was moved\n");
    std::fs::File::create(&data).unwrap().set_len(64 << 20).unwrap();
    assert!(Command::new("mke2fs").args(["-q", "-t", "ext4", "-L", "data"]).arg(&data).status().unwrap().success());
    let (first, second) = (Disk::over(&root_disk), Disk::over(&data));
    let sums = || lab.by_hand(&format!("sha256sum <{} && sha256sum <{}", first.0, second.0));
    // It calls another, which it finds in the project.
    let copied = Command::new("cp").arg("-r").arg(root().join("runbooks")).arg(lab.dir()).status();
    assert!(copied.unwrap().success());
    let disks = format!("disks={},{}", first.0, second.0);
    let words = ["run", "p2v", "source=hv1", "target=hv2", "name=旧机器", &disks, "method=plain", "bridge=br0"];
    let answers = format!("address={address}");
    let words = [&words[..], &["memory=512M", &answers, "port=22"]].concat();

    lab.by_hand(&format!("mount {} /mnt", second.0));
    let said = lab.expect(4, &words);
    assert!(said.contains("is mounted read-write at /mnt"), "{said}");
    assert_eq!(lab.by_hand_on("hv2", &format!("ls -A {IMAGES}")), "");
    lab.by_hand("umount /mnt");
    let before = sums();

    let said = lab.expect(0, &words);
    let arguments = format!("p2v.disks={},{}", &first.0[5..], &second.0[5..]);
    assert!(said.contains(&arguments), "virt-p2v's arguments: {said}");
    assert!(said.contains(&format!("{address} answers on port 22")), "{said}");
    assert_eq!(sums(), before, "nothing was written to the machine");
    let script = "cat /root/written && findmnt -no SOURCE / && lvs --noheadings -o devices debian && blkid -L data";
    let found = in_guest(&lab, &made, &address, script);
    let found: Vec<&str> = found.lines().map(str::trim).collect();
    assert_eq!(found, ["before it was moved", "/dev/mapper/debian-root", "/dev/vda2(0)", "/dev/vdb"]);
    let files =
        lab.by_hand_on("hv2", &format!("cd {IMAGES} && ls -A && qemu-img info -U --output=json 旧机器-b.qcow2"));
    assert!(files.contains("旧机器-a.qcow2") && !files.contains(".p2v"), "{files}");
    assert!(files.contains("\"virtual-size\": 67108864"), "{files}");

    let said = lab.expect(0, &words);
    assert!(said.contains("nothing to do"), "{said}");
}
