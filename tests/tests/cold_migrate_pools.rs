//! The runbook `cold-migrate` with a guest that has nearly everything: UEFI with NVRAM, a TPM, disks in pools whose directories
//! differ, a backing chain with relative paths, a network of libvirt's. All of it between two hosts, in one sequence.

use std::fs;

use piton_tests::lab::{Lab, root, shown, wait_for};

/// On `nebula`. The guest does not listen to the power button. Its chain goes `data.qcow2` (pool) → `../base/mid.qcow2` → `golden.raw`.
const GUEST: &str = r#"set -e
    mkdir -p '/srv/快 fast' /srv/slow "/srv/it's 其他" /srv/base
    cd /srv
    virsh -q pool-define-as ssd-一 dir --target '/srv/快 fast' && virsh -q pool-start ssd-一
    virsh -q pool-define-as hdd dir --target /srv/slow && virsh -q pool-start hdd
    echo "<network><name>netz-内</name><forward mode='bridge'/><bridge name='br0'/></network>" >/root/net.xml
    virsh -q net-define /root/net.xml && virsh -q net-start netz-内
    truncate -s 24M '/srv/快 fast/db root.raw'
    head -c 3000000 /dev/urandom | dd of='/srv/快 fast/db root.raw' conv=notrunc bs=1M seek=5 status=none
    qemu-img create -q -f raw base/golden.raw 40M
    printf bottom | dd of=base/golden.raw conv=notrunc bs=1M seek=3 status=none
    qemu-img create -q -f qcow2 -b /srv/base/golden.raw -F raw base/mid.qcow2
    qemu-io -c 'write -P 0x42 1M 512k' base/mid.qcow2 >/dev/null
    qemu-img create -q -f qcow2 -b ../base/mid.qcow2 -F qcow2 slow/data.qcow2
    qemu-io -c 'write -P 0x43 2M 512k' slow/data.qcow2 >/dev/null
    truncate -s 8M "/srv/it's 其他/三.raw"
    virsh -q pool-refresh ssd-一
    virsh -q pool-refresh hdd
    cat >/root/guest.xml <<'EOC'
<domain type='qemu'><name>db-甲</name><memory unit='MiB'>192</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type><loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>
<nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'>/var/lib/libvirt/qemu/nvram/db-甲_VARS.fd</nvram>
<kernel>/root/vmlinuz</kernel><initrd>/root/initramfs.gz</initrd><cmdline>console=ttyS0 quiet panic=1 acpi=off</cmdline></os>
<features><acpi/><apic/></features><cpu mode='custom' match='exact'><model>qemu64</model></cpu>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='volume' device='disk'><driver name='qemu' type='raw' cache='none'/><source pool='ssd-一' volume='db root.raw'/><target dev='vda' bus='virtio'/></disk>
<disk type='volume' device='disk'><driver name='qemu' type='qcow2'/><source pool='hdd' volume='data.qcow2'/><target dev='vdb' bus='virtio'/></disk>
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file="/srv/it's 其他/三.raw"/><target dev='vdc' bus='virtio'/></disk>
<interface type='network'><mac address='52:54:00:77:00:a1'/><source network='netz-内'/><model type='virtio'/></interface>
<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>
<serial type='pty'><log file='/var/log/libvirt/qemu/db-serial.log' append='on'/><target port='0'/></serial>
<memballoon model='none'/></devices></domain>
EOC
    virsh -q define /root/guest.xml
    virsh -q start db-甲"#;

/// What is on `orion` by then: somebody with the guest's MAC address.
const THIEF: &str = "virsh -q define /dev/stdin <<'EOC'
<domain type='qemu'><name>dieb</name><memory>65536</memory><os><type arch='x86_64' machine='pc'>hvm</type></os>
<devices><interface type='bridge'><mac address='52:54:00:77:00:A1'/><source bridge='br0'/></interface></devices></domain>
EOC";

/// What makes `orion` fit: the same pools in other places, the network, and nobody with the address.
const MAKE_FIT: &str = "set -e
    virsh -q undefine dieb
    mkdir -p /srv/data/ssd '/srv/data/h d' '/srv/新 ziel'
    virsh -q pool-define-as ssd-一 dir --target /srv/data/ssd && virsh -q pool-start ssd-一
    virsh -q pool-define-as hdd dir --target '/srv/data/h d' && virsh -q pool-start hdd
    echo \"<network><name>netz-内</name><forward mode='bridge'/><bridge name='br0'/></network>\" >/root/net.xml
    virsh -q net-define /root/net.xml && virsh -q net-start netz-内";

fn migrate(lab: &Lab, exit: i32, more: &[&str]) -> String {
    let words = ["run", "cold-migrate", "vm=db-甲", "from=nebula", "to=orion", "target_dir=/srv/新 ziel"];
    lab.expect(exit, &[&words[..], &["shutdown_within=2s", "force_off=true"], more].concat())
}

fn beats(lab: &Lab, host: &str) {
    let log = lab.dir().join(format!("hosts/{host}/var/log/libvirt/qemu/db-serial.log"));
    let read = || String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).matches("TICK").count();
    let seen = read();
    wait_for(&|| format!("it does not beat on {host}"), &|| (read() > seen).then_some(()));
}

#[test]
fn lab_uefi_tpm_and_disks_in_pools_go_along_and_nothing_that_is_in_use_is_removed() {
    let lab = Lab::of(env!("CARGO_BIN_EXE_piton-under-test"), &["nebula", "orion"]);
    for name in ["runbooks", "scripts"] {
        std::os::unix::fs::symlink(root().join(name), lab.dir().join(name)).unwrap_or_else(|error| panic!("{error}"));
    }
    let boot = std::process::Command::new(root().join("tests/lab/guest-kernel")).output();
    let boot = boot.unwrap_or_else(|error| panic!("guest-kernel: {error}"));
    assert!(boot.status.success(), "{}", shown(&boot));
    let boot = String::from_utf8_lossy(&boot.stdout).trim().to_owned();
    for (host, file) in [("nebula", "vmlinuz"), ("nebula", "initramfs.gz")] {
        let copied = fs::copy(format!("{boot}/{file}"), lab.dir().join(format!("hosts/{host}/root/{file}")));
        assert!(copied.is_ok(), "{file}: {copied:?}");
    }
    let nebula = |script: &str| lab.by_hand_on("nebula", script);
    let orion = |script: &str| lab.by_hand_on("orion", script);
    nebula(GUEST);
    beats(&lab, "nebula");

    // All that is in the way is told at once, with what to do, and nothing is touched.
    orion(THIEF);
    nebula(
        "virsh -q snapshot-create-as db-甲 前 --disk-only --diskspec vda,snapshot=no --diskspec vdb,snapshot=no --no-metadata >/dev/null",
    );
    nebula(
        "virsh -q snapshot-create-as db-甲 后 --disk-only --diskspec vda,snapshot=no --diskspec vdb,snapshot=no >/dev/null",
    );
    let said = migrate(&lab, 4, &[]);
    for what in [
        "db-甲 has snapshots, which cannot go along: 后",
        "the MAC address 52:54:00:77:00:a1 is taken by dieb on orion",
        "the network netz-内 is not active on orion",
        "vda: the pool ssd-一 is not active on orion",
        "vdb: the pool hdd is not active on orion",
        "the directory /srv/新 ziel is not there on orion",
    ] {
        assert!(said.contains(what), "{what}: {said}");
    }
    beats(&lab, "nebula");
    nebula("virsh -q snapshot-delete db-甲 后 --metadata");
    orion(MAKE_FIT);

    // It is moved, and does not answer in time: from there it is not taken back.
    let said = migrate(&lab, 5, &["heartbeat=/var/log/nothing", "alive_within=1s"]);
    assert!(said.contains("its power is cut, as force_off says"), "{said}");
    lab.piton(&["undo", "latest", "--why", "to see"]);
    lab.expect(5, &["resume", "latest"]);
    let said = lab.expect(0, &["logs", "latest", "end/go[orion]", "--part", "undo"]);
    assert!(said.contains("has run on orion") && said.contains("cancel"), "{said}");
    // Not even when somebody skips what is said.
    for task in ["end/go[orion]", "end/start[orion]", "end/define[orion]"] {
        lab.piton(&["skip", "latest", task, "--why", "somebody is in a hurry"]);
        lab.expect(5, &["resume", "latest"]);
    }
    let said = lab.expect(0, &["logs", "latest", "images", "--part", "undo"]);
    assert!(said.contains("is not removed from under it"), "{said}");
    lab.piton(&["cancel", "latest", "--why", "it stays there"]);
    lab.expect(6, &["resume", "latest"]);
    beats(&lab, "orion");

    // Turned off there, the same files are there, wherever the pools have them.
    let uuid = orion("virsh -q domuuid db-甲 | head -n 1");
    orion("virsh -q destroy db-甲");
    let sums = |script: &str, files: &[&str]| {
        let list: Vec<String> = files.iter().map(|file| format!("\"{file}\"")).collect();
        lab.by_hand_on(script, &format!("for f in {}; do sha256sum <\"$f\"; done", list.join(" ")))
    };
    assert_eq!(
        sums("nebula", &["/srv/快 fast/db root.raw", "/srv/base/golden.raw", "/srv/it's 其他/三.raw"]),
        sums("orion", &["/srv/data/ssd/db root.raw", "/srv/新 ziel/golden.raw", "/srv/新 ziel/三.raw"])
    );
    let chain = orion(
        "cd '/srv/data/h d' && qemu-io -f qcow2 -r -c 'read -P 0x43 2M 512k' -c 'read -P 0x42 1M 512k' data.qcow2 && qemu-img info --backing-chain data.qcow2 && qemu-img info --backing-chain /srv/新\\ ziel/三.后",
    );
    assert!(!chain.contains("verification failed") && chain.contains("image: /srv/新 ziel/golden.raw"), "{chain}");
    assert!(chain.contains("image: /srv/新 ziel/三.raw") && !chain.contains("其他"), "{chain}");
    let xml = orion("virsh -q dumpxml --inactive db-甲");
    for what in [
        "<source pool='hdd' volume='data.qcow2'/>",
        ">/srv/新 ziel/db-甲_VARS.fd</nvram>",
        "<source file='/srv/新 ziel/三.后'/>",
        "<kernel>/srv/新 ziel/vmlinuz</kernel>",
    ] {
        assert!(xml.contains(what), "{what}: {xml}");
    }
    // A TPM that finds no state of its own makes itself anew, and says so.
    let made = |host: &str| {
        lab.by_hand_on(
            host,
            "grep -c 'Successfully authored TPM state' /var/log/swtpm/libvirt/qemu/db-甲-swtpm.log || true",
        )
    };
    assert_eq!((made("nebula").as_str(), made("orion").as_str()), ("1", "0"));
    assert_ne!(orion(&format!("find /var/lib/libvirt/swtpm/{uuid} -name '*.permall'")), "");

    // It goes on from the start: what the cancelled run has left on nebula is renamed, and moved to its end.
    orion(
        "virsh -q undefine db-甲 --keep-nvram && rm -rf /srv/data/ssd/* '/srv/data/h d'/* /srv/新\\ ziel/* /var/lib/libvirt/swtpm/*",
    );
    nebula("virsh -q domrename db-甲.moved db-甲 && virsh -q start db-甲");
    let said = migrate(&lab, 0, &["heartbeat=/var/log/libvirt/qemu/db-serial.log"]);
    assert!(said.contains("db-甲 runs on orion") && said.contains(".moved stays on nebula for"), "{said}");
    beats(&lab, "orion");

    // A disk that another guest has, even by its pool and below an image of its own, is not removed with the old definition.
    nebula(
        "qemu-img create -q -f qcow2 -b ../slow/data.qcow2 -F qcow2 /srv/base/top.qcow2
         virsh -q define /dev/stdin <<'EOC'
<domain type='qemu'><name>andere</name><memory>65536</memory><os><type arch='x86_64' machine='pc'>hvm</type></os>
<devices><disk type='volume' device='disk'><source pool='ssd-一' volume='db root.raw'/><target dev='vda' bus='virtio'/></disk></devices></domain>
EOC",
    );
    let said = migrate(&lab, 5, &["keep_days=0", "remove_source=true"]);
    assert!(said.contains("db root.raw belongs to another guest by now"), "{said}");
    nebula(
        "virsh -q undefine andere
         virsh -q define /dev/stdin <<'EOC'
<domain type='qemu'><name>andere</name><memory>65536</memory><os><type arch='x86_64' machine='pc'>hvm</type></os>
<devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/srv/base/top.qcow2'/><target dev='vda' bus='virtio'/></disk></devices></domain>
EOC",
    );
    lab.piton(&["retry", "latest", "remove[nebula]", "--why", "it has its own now"]);
    lab.expect(5, &["resume", "latest"]);
    let said = lab.expect(0, &["logs", "latest", "remove[nebula]"]);
    assert!(said.contains("data.qcow2 belongs to another guest by now"), "{said}");
    nebula("test -e '/srv/快 fast/db root.raw' && virsh -q undefine andere");
    lab.piton(&["retry", "latest", "remove[nebula]", "--why", "it has gone"]);
    lab.expect(0, &["resume", "latest"]);
    let left =
        nebula("find '/srv/快 fast' /srv/slow \"/srv/it's 其他\" -type f | LC_ALL=C sort; virsh -q list --all --name");
    assert_eq!(left.trim(), "/srv/it's 其他/三.raw\n/srv/it's 其他/三.前", "{left}");
    beats(&lab, "orion");
}
