//! Two libvirt hosts of the lab for tests that move guests, and guests whose heartbeat is seen on either.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::fs;

use crate::lab::{Lab, root, shown, wait_for};

/// Both hosts, and what can be seen on them.
pub struct Hosts(Lab);

impl std::ops::Deref for Hosts {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.0
    }
}

/// A guest that is defined on `hv1` and has its files in a directory.
pub struct Guest {
    /// Its name.
    pub name: &'static str,
    /// Where its files are.
    pub dir: String,
    /// Where its heartbeat goes; `NAME` is its name.
    pub log: &'static str,
    /// Further disks and other devices.
    pub disks: &'static str,
    /// The last two digits of its MAC address.
    pub mac: &'static str,
}

/// Where the heartbeat of a guest goes if nothing else is said.
pub const LOG: &str = "/var/log/libvirt/qemu/NAME-serial.log";

impl Guest {
    /// One with nothing but a disk.
    pub fn new(name: &'static str, dir: &str) -> Self {
        Self { name, dir: dir.to_owned(), log: LOG, disks: "", mac: "01" }
    }

    /// Its log on the host that it is on.
    pub fn log(&self) -> String {
        self.log.replace("NAME", self.name)
    }
}

impl Hosts {
    /// Brings `hv1` and `hv2` up. `piton` is the binary: `env!("CARGO_BIN_EXE_piton-under-test")`.
    pub fn up(piton: &str) -> Self {
        let lab = Lab::up(piton);
        lab.script("up", &["hv1", "hv2"]);
        // Runbooks that come along are found by name, and what their hooks import with them.
        for name in ["runbooks", "scripts"] {
            std::os::unix::fs::symlink(root().join(name), lab.dir().join(name)).unwrap();
        }
        Self(lab)
    }

    /// Defines the guest on `hv1`, with a raw disk, and starts it; it has begun to beat when this comes back.
    pub fn define(&self, guest: &Guest) {
        let boot = std::process::Command::new(root().join("tests/lab/guest-kernel")).output();
        let boot = boot.unwrap_or_else(|error| panic!("guest-kernel: {error}"));
        assert!(boot.status.success(), "{}", shown(&boot));
        // The host has a /root of its own.
        let (boot, own) = (String::from_utf8_lossy(&boot.stdout).trim().to_owned(), self.dir().join("hosts/hv1/root"));
        for file in ["vmlinuz", "initramfs.gz"] {
            let copied = fs::copy(format!("{boot}/{file}"), own.join(file));
            assert!(copied.is_ok(), "{file}: {copied:?}");
        }
        let Guest { name, dir, disks, mac, .. } = guest;
        let log = guest.log();
        let xml = format!(
            "<domain type='qemu'><name>{name}</name><memory unit='MiB'>128</memory><vcpu>1</vcpu>
             <os><type arch='x86_64' machine='pc'>hvm</type><kernel>{dir}/vmlinuz</kernel>
             <initrd>{dir}/initramfs.gz</initrd><cmdline>console=ttyS0 quiet panic=1</cmdline></os>
             <features><acpi/><apic/></features><cpu mode='custom' match='exact'><model>qemu64</model></cpu>
             <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
             <disk type='file' device='disk'><driver name='qemu' type='raw' cache='none'/>
             <source file='{dir}/root.img'/><target dev='vda' bus='virtio'/></disk>
             {disks}
             <interface type='bridge'><mac address='52:54:00:77:00:{mac}'/><source bridge='br0'/><model type='virtio'/></interface>
             <serial type='pty'><log file='{log}' append='on'/><target port='0'/></serial>
             <graphics type='vnc' port='-1' passwd='keepthis'/><memballoon model='none'/></devices></domain>"
        );
        fs::write(self.dir().join("hosts/hv1/root/guest.xml"), xml).unwrap_or_else(|error| panic!("{error}"));
        self.on(
            "hv1",
            &format!(
                "mkdir -p '{dir}' \"$(dirname '{log}')\" && cd '{dir}' && cp /root/vmlinuz /root/initramfs.gz . && truncate -s 32M root.img &&
                 head -c 3000000 /dev/urandom | dd of=root.img conv=notrunc bs=1M seek=7 status=none &&
                 virsh -q define /root/guest.xml && virsh -q autostart '{name}' && virsh -q start '{name}'"
            ),
        );
        self.beats("hv1", guest);
    }

    /// Runs a script on a host; what it printed.
    pub fn on(&self, host: &str, script: &str) -> String {
        self.by_hand_on(host, script)
    }

    /// The boot id of the guest's newest heartbeat, once there is one after all that was seen so far.
    pub fn beats(&self, host: &str, guest: &Guest) -> String {
        let log = self.dir().join(format!("hosts/{host}")).join(&guest.log()[1..]);
        let read = || String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
        let seen = read().len();
        wait_for(&|| format!("{} does not beat on {host}: {}", guest.name, read()), &|| {
            let text = read();
            let line = text.get(seen..)?.lines().rfind(|line| line.starts_with("TICK") && line.contains(" boot="))?;
            let (_, boot) = line.trim().split_once(" boot=")?;
            (boot.len() == 8).then(|| boot.to_owned())
        })
    }

    /// What libvirt has on a host: each guest with its state, in the order of their names.
    pub fn guests(&self, host: &str) -> Vec<String> {
        let script = "virsh -q list --all --name | sed '/^$/d' | sort | while read -r g; do echo \"$g: $(virsh -q domstate \"$g\" | head -n 1)\"; done";
        self.on(host, script).lines().map(str::to_owned).collect()
    }

    /// Everything that a second run must not change.
    pub fn everything(&self) -> String {
        let look = "virsh -q list --all; for g in $(virsh -q list --all --uuid); do virsh -q dumpxml --inactive $g; virsh -q dominfo $g | grep -v 'CPU time'; done; find /var/lib/libvirt/images /srv /etc/libvirt -newermt 1970-01-02 -printf '%p %s %i %T@\\n' | sort";
        format!("{}\n---\n{}", self.on("hv1", look), self.on("hv2", look))
    }
}
