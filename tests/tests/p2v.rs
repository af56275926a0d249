//! The runbooks `p2v` and `p2v-running`: a machine with two disks (loop devices on one host; a Debian with its root on LVM) becomes a guest on
//! another host, which boots and is logged in to; that one, while it runs, becomes a guest on the first.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::path::Path;
use std::process::{Command, Stdio};

use piton_testkit::disk::Loop;
use piton_tests::lab::{Lab, foreign, root, shown, wait_for};

const IMAGES: &str = "/var/lib/libvirt/images";

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
    let (first, second) = (Loop::over(&root_disk), Loop::over(&data));
    let sums = || lab.by_hand(&format!("sha256sum <{} && sha256sum <{}", first.path(), second.path()));
    // It calls another, which it finds in the project.
    let copied = Command::new("cp").arg("-r").arg(root().join("runbooks")).arg(lab.dir()).status();
    assert!(copied.unwrap().success());
    let disks = format!("disks={},{}", first.path(), second.path());
    let words = ["run", "p2v", "source=hv1", "target=hv2", "name=旧机器", &disks, "method=plain", "bridge=br0"];
    let answers = format!("address={address}");
    let words = [&words[..], &["memory=512M", &answers, "port=22"]].concat();

    lab.by_hand(&format!("mount {} /mnt", second.path()));
    let said = lab.expect(4, &words);
    assert!(said.contains("is mounted read-write at /mnt"), "{said}");
    assert_eq!(lab.by_hand_on("hv2", &format!("ls -A {IMAGES}")), "");
    lab.by_hand("umount /mnt");
    let before = sums();

    let said = lab.expect(0, &words);
    let arguments = format!("p2v.disks={},{}", &first.path()[5..], &second.path()[5..]);
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

    moved_while_it_runs(&lab, &made, &address);
}

/// The guest that was just made is a machine that runs, with something that writes.
fn moved_while_it_runs(lab: &Lab, made: &str, address: &str) {
    let (inventory, key) = (lab.dir().join("inventory.yaml"), lab.dir().join("machine_key"));
    std::fs::copy(format!("{made}/key"), &key).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let known = lab.dir().join("known_guests");
    let (key, known) = (key.display(), known.display());
    let entry = format!(
        "  machine: {{ ssh: {{ address: {address}, user: root, identity: {key}, known_hosts: {known} }} }}\ngroups:"
    );
    let text = std::fs::read_to_string(&inventory).unwrap().replace("groups:", &entry);
    std::fs::write(&inventory, text).unwrap();
    let answers = format!("address={address}");
    let words = ["run", "p2v-running", "source=machine", "target=hv1", "name=moved", "bridge=br0", "memory=512M"];
    let words = [&words[..], &["services=counter", "source_after=off", &answers, "port=22"]].concat();

    let said = lab.expect(4, &[&words[..], &["size=128M"]].concat());
    assert!(said.contains("size is less than what is to be copied"), "{said}");
    let file = "/srv/a file, with blanks";
    in_guest(lab, made, address, &format!("mkdir -p /srv && echo kept >'{file}' && ln '{file}' /srv/linked"));

    let said = lab.expect(0, &words);
    assert!(said.contains(&format!("{address} answers on port 22")), "{said}");
    assert_eq!(lab.by_hand_on("hv2", "virsh domstate 旧机器"), "shut off");
    assert_eq!(lab.by_hand(&format!("ls -A {IMAGES}")), "moved.qcow2");
    let macs = "sed -n \"s/.*mac address='\\(.*\\)'.*/\\1/p\"";
    let of = |host: &str, name: &str| lab.by_hand_on(host, &format!("virsh dumpxml {name} | {macs}"));
    assert_eq!(of("hv1", "moved"), of("hv2", "旧机器"), "it has the machine's place in the network");
    // What it wrote until it was stopped is there, and it goes on.
    let script = format!(
        "cat /root/written '{file}' && findmnt -no SOURCE / && stat -c %h /srv/linked && systemctl is-active counter \
         && awk '$1 != NR {{ print \"a line is missing\", NR }}' /var/lib/counter && systemctl is-system-running --wait"
    );
    let found = in_guest(lab, made, address, &script);
    let found: Vec<&str> = found.lines().map(str::trim).collect();
    assert_eq!(found, ["before it was moved", "kept", "/dev/vda1", "2", "active", "running"]);
}
