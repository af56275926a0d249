//! The runbook `v2v` on a real libvirt: with virt-v2v and a guest that boots from IDE elsewhere, and plainly.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::fs;
use std::process::Command;

use piton_tests::lab::{Lab, foreign, root, shown, wait_for};

const PITON: &str = env!("CARGO_BIN_EXE_piton-under-test");
const IMAGES: &str = "/var/lib/libvirt/images";

/// A host with the guest's disk in `IMAGES`, as what `qemu-img` makes of it with these words.
fn up(words: &[&str], name: &str) -> Lab {
    let lab = Lab::up(PITON);
    let from = format!("{}/disk.raw", foreign("image"));
    let to = lab.dir().join("hosts/hv1").join(&IMAGES[1..]).join(name);
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let output = Command::new("qemu-img").args(["convert", "-f", "raw", "-O"]).args(words).arg(from).arg(to).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", shown(&output));
    lab
}

fn run(lab: &Lab, exit: i32, more: &[&str]) -> String {
    let runbook = root().join("runbooks/convert/v2v.yaml").display().to_string();
    lab.expect(exit, &[&["run", &runbook, "target=hv1", "bridge=br0", "memory=256M"], more].concat())
}

#[test]
fn lab_a_guest_of_vmware_boots_from_virtio_and_the_second_run_changes_nothing() {
    let lab = up(&["vmdk", "-o", "subformat=streamOptimized"], "从 VMware/web 1.vmdk");
    let appliance = lab.dir().join("hosts/hv1").join(&IMAGES[1..]).join("appliance");
    let copied = Command::new("cp").args(["-a", "--sparse=always"]).arg(foreign("appliance")).arg(&appliance).status();
    assert!(copied.unwrap().success());
    let source = format!("source={IMAGES}/从 VMware/web 1.vmdk");
    let appliance = format!("appliance={IMAGES}/appliance");
    let words = ["name=网站", &source, &appliance, "console_log=/var/log/libvirt/web.log"];

    let said = run(&lab, 0, &words);
    assert!(said.contains("12.9"), "the system was looked at: {said}");
    assert!(said.contains("| Copying disk 1/1"), "{said}");
    let console = lab.by_hand("cat /var/log/libvirt/web.log");
    assert!(console.contains("root=/dev/vda1 converted=1"), "{console}");
    let files = lab.by_hand(&format!("ls -A {IMAGES} '{IMAGES}/从 VMware'"));
    assert!(files.contains("网站.qcow2") && files.contains("web 1.vmdk.converted-to-网站"), "{files}");
    assert!(!files.contains(".converting\n"), "{files}");

    let defined = lab.by_hand("virsh dumpxml --inactive 网站");
    let said = run(&lab, 0, &words);
    assert!(said.contains("网站 was made from") && said.contains("nothing to do"), "{said}");
    assert_eq!(lab.by_hand("virsh dumpxml --inactive 网站"), defined);
    assert_eq!(lab.by_hand("cat /var/log/libvirt/web.log | grep -c BOOTED"), "1");
}

#[test]
fn lab_what_is_wrong_is_told_at_once_and_a_plain_conversion_is_taken_back_whole() {
    let lab = up(&["vmdk", "-o", "subformat=streamOptimized"], "app.vmdk");
    lab.by_hand(&format!(
        "cd {IMAGES} && cp app.vmdk cut.vmdk && truncate -s 9M cut.vmdk && mkdir cut.vmdk.lck && qemu-img create -q -f qcow2 base.qcow2 64M \
         && qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 data.qcow2"
    ));
    let said = run(
        &lab,
        4,
        &["name=app", &format!("source={IMAGES}/cut.vmdk"), "method=plain", "network=lan", "reserve=900T"],
    );
    for word in ["cut.vmdk is damaged", "[lock] VMware holds a lock", "smaller reserve"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let before = lab.by_hand(&format!("ls -A {IMAGES}"));

    // Nothing answers at that address, so it is not known to live: it stays, to be looked at.
    let (source, data) = (format!("source={IMAGES}/app.vmdk"), format!("more_disks={IMAGES}/data.qcow2"));
    let words = ["name=app", &source, &data, "method=plain", "format=raw", "address=192.0.2.1", "port=22"];
    let said = run(&lab, 5, &[&words[..], &["alive_within=1s", "console_log=/var/log/libvirt/app.log"]].concat());
    assert!(said.contains("192.0.2.1 does not answer on port 22"), "{said}");
    assert_eq!(lab.by_hand("virsh domstate app"), "running");
    let files = lab.by_hand(&format!("ls -A {IMAGES}"));
    assert!(
        files.contains("app-a.raw") && files.contains("app-b.raw") && files.contains("app.vmdk.converted-to-app"),
        "{files}"
    );
    wait_for(&|| lab.by_hand("cat /var/log/libvirt/app.log"), &|| {
        lab.by_hand("cat /var/log/libvirt/app.log").contains("root=/dev/vda1").then_some(())
    });

    lab.piton(&["undo", "latest", "--watch", "--why", "a try"]);
    assert_eq!(lab.by_hand(&format!("ls -A {IMAGES}")), before);
    assert_eq!(lab.by_hand("virsh list --all --name"), "");
}
