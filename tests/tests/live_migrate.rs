//! The runbook `live-migrate` between two real libvirts: the guest's heartbeat goes on, with Chinese names and paths; links,
//! libvirts and engines that die on the way.
//!
//! After every end exactly one host runs the guest, and the run says which.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::fs;

use piton_tests::hosts::{Guest, Hosts};

fn up() -> Hosts {
    Hosts::up(env!("CARGO_BIN_EXE_piton-under-test"))
}

fn words(guest: &Guest, from: &str, to: &str, more: &[&str]) -> Vec<String> {
    let own = [
        "run".to_owned(),
        "live-migrate".to_owned(),
        format!("vm={}", guest.name),
        format!("from={from}"),
        format!("to={to}"),
    ];
    own.into_iter().chain(more.iter().map(|word| (*word).to_owned())).collect()
}

/// Runs the runbook to its end, or to where it parks.
fn migrate(lab: &Hosts, exit: i32, guest: &Guest, from: &str, to: &str, more: &[&str]) -> String {
    let words = words(guest, from, to, more);
    lab.expect(exit, &words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A guest on `hv1` whose kernel is on `hv2`, too.
fn defined(lab: &Hosts, guest: &Guest) -> String {
    lab.define(guest);
    let on = |host: &str| lab.dir().join(format!("hosts/{host}")).join(&guest.dir[1..]);
    fs::create_dir_all(on("hv2")).unwrap();
    for file in ["vmlinuz", "initramfs.gz"] {
        fs::copy(on("hv1").join(file), on("hv2").join(file)).unwrap();
    }
    lab.beats("hv1", guest)
}

/// What a host has in the guest's directory, besides its kernel.
fn files(lab: &Hosts, host: &str, guest: &Guest) -> Vec<String> {
    let found = lab.on(host, &format!("ls -A '{}'", guest.dir));
    let own = |name: &&str| !["vmlinuz", "initramfs.gz"].contains(name);
    found.lines().filter(own).map(str::to_owned).collect()
}

#[test]
fn lab_a_guest_goes_on_beating_on_another_host_and_the_second_run_changes_nothing() {
    let lab = up();
    let guest = Guest {
        disks: "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
             <source file='/var/lib/libvirt/images/虚拟机 一/data &amp; more.qcow2'/><target dev='vdb' bus='virtio'/></disk>
             <disk type='file' device='cdrom'><target dev='hdc' bus='ide'/><readonly/></disk>",
        ..Guest::new("网站-一号", "/var/lib/libvirt/images/虚拟机 一")
    };
    let dir = &guest.dir;
    lab.on(
        "hv1",
        &format!(
            "mkdir -p '{dir}' && cd '{dir}' && qemu-img create -q -f qcow2 'data & more.qcow2' 40M &&
             qemu-io -c 'write -P 0x43 2M 512k' 'data & more.qcow2' >/dev/null"
        ),
    );
    let boot = defined(&lab, &guest);
    let sum = |host: &str, name: &str| lab.on(host, &format!("sha256sum <'{dir}/{name}'"));
    let before = sum("hv1", "root.img");

    // What is in the way is told before anything is touched, each with what to do: hv1 does not know hv2's host key.
    let known = lab.dir().join("hosts/hv1/root/.ssh/known_hosts");
    let kept = fs::read(&known).unwrap();
    fs::write(&known, "").unwrap();
    let said = migrate(&lab, 4, &guest, "hv1", "hv2", &["reserve=900TiB"]);
    assert!(said.contains("hv1 does not know the host key of hv2: as root on hv1: ssh hv2"), "{said}");
    assert!(said.contains("and a reserve of 900TiB") && said.contains("网站-一号 runs on hv1"), "{said}");
    assert_eq!(files(&lab, "hv2", &guest), Vec::<String>::new());
    fs::write(&known, kept).unwrap();

    let said = migrate(&lab, 0, &guest, "hv1", "hv2", &["bandwidth=16M"]);
    assert!(said.contains("网站-一号 runs on hv2") && said.contains("% of ") && said.contains("s left"), "{said}");
    assert_eq!(lab.beats("hv2", &guest), boot, "it was booted anew");
    assert_eq!((lab.guests("hv1"), lab.guests("hv2")), (Vec::new(), vec!["网站-一号: running".to_owned()]));
    assert!(lab.on("hv2", "virsh -q dominfo 网站-一号").contains("Autostart:      enable"));
    assert_eq!(sum("hv2", "root.img"), before);
    let pattern = format!("cd '{dir}' && qemu-io -f qcow2 -rU -c 'read -P 0x43 2M 512k' 'data & more.qcow2'");
    assert!(!lab.on("hv2", &pattern).contains("verification failed"));
    let left = files(&lab, "hv1", &guest);
    assert!(left.len() == 2 && left.iter().all(|name| name.contains(".moved-")), "{left:?}");

    // The second time changes nothing.
    let before = lab.everything();
    let said = migrate(&lab, 0, &guest, "hv1", "hv2", &[]);
    assert!(said.contains("is on hv2 already"), "{said}");
    assert_eq!(lab.everything(), before);

    // And back; what was left is in nobody's way.
    let said = migrate(&lab, 0, &guest, "hv2", "hv1", &["old_disks=remove"]);
    assert!(said.contains("网站-一号 runs on hv1"), "{said}");
    assert_eq!(lab.beats("hv1", &guest), boot);
    assert_eq!(files(&lab, "hv2", &guest), Vec::<String>::new());
}
