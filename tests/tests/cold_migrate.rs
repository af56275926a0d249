//! The runbook `cold-migrate` between two real libvirts: disks with their chains, Chinese names and paths, failures at every
//! stage, an engine that dies during the copy.
//!
//! After every end exactly one host runs the guest, and the run says which.

use std::fs;
use std::path::PathBuf;

use piton_tests::hosts::{Guest, Hosts, LOG};
use piton_tests::lab::{shown, wait_for};

const RUNBOOK: &str = "cold-migrate";

/// Runs the runbook to its end, or to where it parks.
fn migrate(lab: &Hosts, exit: i32, guest: &Guest, from: &str, to: &str, more: &[&str]) -> String {
    let (vm, from, to) = (format!("vm={}", guest.name), format!("from={from}"), format!("to={to}"));
    lab.expect(exit, &[&["run", RUNBOOK, &vm, &from, &to], more].concat())
}

#[test]
fn lab_a_guest_with_chains_and_a_chinese_name_is_moved_and_what_is_left_goes_later() {
    let lab = Hosts::up(env!("CARGO_BIN_EXE_piton-under-test"));
    let dir = "/var/lib/libvirt/images/虚拟机 一";
    let guest = Guest {
        disks: "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
             <source file='/var/lib/libvirt/images/虚拟机 一/data &amp; more.qcow2'/><target dev='vdb' bus='virtio'/></disk>
             <disk type='file' device='cdrom'><target dev='hdc' bus='ide'/><readonly/></disk>",
        ..Guest::new("网站-一号", dir)
    };
    lab.on(
        "hv1",
        &format!(
            "mkdir -p '{dir}/base' && cd '{dir}' && qemu-img create -q -f raw base/a.raw 40M &&
             printf bottom | dd of=base/a.raw conv=notrunc bs=1M seek=3 status=none &&
             (cd base && qemu-img create -q -f qcow2 -b a.raw -F raw b.qcow2) &&
             qemu-io -c 'write -P 0x42 1M 512k' base/b.qcow2 >/dev/null &&
             qemu-img create -q -f qcow2 -b '{dir}/base/b.qcow2' -F qcow2 'data & more.qcow2' &&
             qemu-io -c 'write -P 0x43 2M 512k' 'data & more.qcow2' >/dev/null"
        ),
    );
    lab.define(&guest);
    let boot = lab.beats("hv1", &guest);
    lab.on("hv2", "mkdir -p '/srv/新 盘'");
    let more = ["target_dir=/srv/新 盘"];

    let said = migrate(&lab, 0, &guest, "hv1", "hv2", &more);
    assert!(said.contains("网站-一号 runs on hv2"), "{said}");
    assert_ne!(lab.beats("hv2", &guest), boot, "it was not booted anew");
    assert_eq!(lab.guests("hv1"), ["网站-一号.moved: shut off"]);
    assert_eq!(lab.guests("hv2"), ["网站-一号: running"]);
    let sums = |host: &str, dir: &str, base: &str| {
        lab.on(
            host,
            &format!("cd '{dir}' && sha256sum < root.img && sha256sum < {base}a.raw && sha256sum < {base}b.qcow2"),
        )
    };
    assert_eq!(sums("hv1", dir, "base/"), sums("hv2", "/srv/新 盘", ""));
    let pattern = "cd '/srv/新 盘' && ! ls | grep -e part -e probe && qemu-io -f qcow2 -rU -c 'read -P 0x43 2M 512k' -c 'read -P 0x42 1M 512k' 'data & more.qcow2' && qemu-img info -U --backing-chain 'data & more.qcow2'";
    let chain = lab.on("hv2", pattern);
    assert!(!chain.contains("verification failed") && !chain.contains("images/"), "{chain}");
    assert!(chain.contains("image: /srv/新 盘/a.raw"), "{chain}");
    let xml = lab.on("hv2", "virsh -q dumpxml --inactive --security-info 网站-一号; virsh -q dominfo 网站-一号");
    assert!(
        xml.contains("passwd='keepthis'") && xml.contains("<source file='/srv/新 盘/data &amp; more.qcow2'/>"),
        "{xml}"
    );
    assert!(xml.contains("Autostart:      enable") && !xml.contains("虚拟机"), "{xml}");
    assert!(lab.on("hv1", "virsh -q dominfo 网站-一号.moved").contains("Autostart:      disable"));

    // The password of its console is in no file of the engine's.
    let kept = std::process::Command::new("grep").args(["-rl", "keepthis"]).arg(lab.dir().join("state")).output();
    assert!(kept.is_ok_and(|found| found.stdout.is_empty()), "a password is kept");

    // The second time changes nothing.
    let before = lab.everything();
    let said = migrate(&lab, 0, &guest, "hv1", "hv2", &more);
    assert!(said.contains("is on hv2 already"), "{said}");
    assert_eq!(lab.everything(), before);

    // Back is refused as long as what was left is there, and says what to do.
    let said = migrate(&lab, 4, &guest, "hv2", "hv1", &[&format!("target_dir={dir}")]);
    assert!(said.contains("left there") && said.contains("keep_days=0"), "{said}");
    assert!(said.contains("网站-一号 runs on hv2"), "{said}");

    // When its time is over it is asked for; nothing goes before that.
    let words = ["run", RUNBOOK, "vm=网站-一号", "from=hv1", "to=hv2", "target_dir=/srv/新 盘", "keep_days=0"];
    let child = lab.command(&words).spawn().unwrap_or_else(|error| panic!("piton does not start: {error}"));
    let state = || lab.expect(0, &["ls"]);
    wait_for(&|| format!("nobody is asked: {}", state()), &|| state().contains("approval").then_some(()));
    assert_eq!(lab.guests("hv1"), ["网站-一号.moved: shut off"]);
    lab.expect(0, &["approve", "latest", "may"]);
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    assert_eq!(lab.guests("hv1"), Vec::<String>::new());
    let left = lab.on("hv1", &format!("cd '{dir}' && ls . base"));
    assert_eq!(
        left.lines().collect::<Vec<_>>(),
        [".:", "base", "initramfs.gz", "vmlinuz", "", "base:", "a.raw", "b.qcow2"]
    );
    assert_eq!(lab.guests("hv2"), ["网站-一号: running"]);

    // And now it goes back; the base images that are there are used.
    let said = migrate(&lab, 0, &guest, "hv2", "hv1", &[&format!("target_dir={dir}")]);
    assert!(said.contains("网站-一号 runs on hv1"), "{said}");
    lab.beats("hv1", &guest);
}

#[test]
fn lab_a_copy_goes_on_when_the_engine_was_killed() {
    let lab = Hosts::up(env!("CARGO_BIN_EXE_piton-under-test"));
    let guest = Guest::new("web1", "/var/lib/libvirt/images");
    lab.define(&guest);
    lab.on(
        "hv1",
        "head -c 200000000 /dev/urandom | dd of=/var/lib/libvirt/images/root.img conv=notrunc bs=1M status=none",
    );
    let images = lab.dir().join("hosts/hv2/var/lib/libvirt/images");
    let words = ["run", RUNBOOK, "vm=web1", "from=hv1", "to=hv2", "rate=15M"];
    let part = || -> Option<(PathBuf, u64)> {
        let found = fs::read_dir(&images).ok()?.filter_map(Result::ok).find(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.starts_with("root.img") && name.ends_with(".piton-part")
        })?;
        let about = found.metadata().ok()?;
        Some((found.path(), std::os::unix::fs::MetadataExt::blocks(&about) * 512))
    };
    let child = lab.command(&words).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("piton does not start: {error}"));
    let arrived = |least: u64| {
        wait_for(&|| format!("nothing arrives: {:?}", part()), &|| part().filter(|(_, size)| *size > least))
    };
    let (first, _) = arrived(70 << 20);
    let inode = |path: &PathBuf| fs::metadata(path).map(|about| std::os::unix::fs::MetadataExt::ino(&about)).ok();
    let begun = inode(&first);
    child.kill().unwrap_or_else(|error| panic!("{error}"));
    child.wait().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(lab.guests("hv1"), ["web1.moved: shut off"]);

    lab.expect(0, &["resume", "latest"]);
    let said = lab.expect(0, &["logs", "latest", "result[hv1]"]);
    assert!(said.contains("web1 runs on hv2"), "{said}");
    assert_eq!(inode(&images.join("root.img")), begun, "it was begun again: {said}");
    // One attempt, and never less than what had arrived before the engine died.
    let events = lab.expect(0, &["--json", "show", "latest", "--events"]);
    let moved = |event: &str| -> Option<u64> {
        let (_, rest) = event.split_once("\"moved\":")?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let progress: Vec<u64> = events
        .lines()
        .filter(|line| line.contains("transfer_progressed") && line.contains("vda"))
        .filter_map(moved)
        .collect();
    let most = progress.iter().copied().fold(0, u64::max);
    assert!(most >= 190_000_000, "{progress:?}");
    let falls = progress.windows(2).filter(|pair| pair[1] + (40 << 20) < pair[0]).count();
    assert_eq!(falls, 0, "it sent again what was there: {progress:?}");
    let attempts =
        events.lines().filter(|line| line.contains("attempt_started") && line.contains("images[hv2/vda]")).count();
    assert_eq!(attempts, 1, "{events}");
    let sum = |host: &str| lab.on(host, "sha256sum < /var/lib/libvirt/images/root.img");
    assert_eq!(sum("hv1"), sum("hv2"));
    lab.beats("hv2", &guest);
}

#[test]
fn lab_whatever_fails_before_it_runs_there_it_runs_where_it_ran() {
    let lab = Hosts::up(env!("CARGO_BIN_EXE_piton-under-test"));
    let guest = Guest { log: "/var/log/libvirt/qemu/more/NAME.log", ..Guest::new("web1", "/var/lib/libvirt/images") };
    lab.define(&guest);
    let boot = lab.beats("hv1", &guest);
    let as_it_was = |said: &str| {
        assert_eq!(lab.guests("hv1"), ["web1: running"], "{said}");
        assert!(said.contains("web1 runs on hv1"), "{said}");
        assert!(lab.on("hv1", "virsh -q dominfo web1").contains("Autostart:      enable"), "{said}");
        assert_eq!(lab.on("hv2", "ls /var/lib/libvirt/images"), "", "{said}");
        assert_eq!(lab.on("hv2", "ls /srv | grep -v small || true"), "", "{said}");
    };

    // Everything that is in the way is told at once, and nothing is touched.
    lab.on(
        "hv2",
        "sed 's/<mac [^>]*>/<mac address=\"52:54:00:77:00:01\"\\/>/;/<uuid>/d' <<'EOC' | virsh -q define /dev/stdin
<domain type='qemu'><name>web1</name><memory>65536</memory><os><type arch='x86_64' machine='pc'>hvm</type></os>
<devices><interface type='bridge'><mac address='x'/><source bridge='br0'/></interface></devices></domain>
EOC",
    );
    let said = migrate(&lab, 4, &guest, "hv1", "hv2", &["reserve=900GiB", "target_dir=/nowhere"]);
    for what in
        ["another guest on hv2 is called web1", "52:54:00:77:00:01 is taken by web1", "/nowhere is not there on hv2"]
    {
        assert!(said.contains(what), "{what}: {said}");
    }
    let said = migrate(&lab, 4, &guest, "hv1", "hv2", &["reserve=900GiB"]);
    assert!(said.contains("and a reserve of 900GiB"), "{said}");
    lab.on("hv2", "virsh -q undefine web1");
    as_it_was(&said);

    // A file system that takes two files and no more: only the copy sees it.
    assert_eq!(lab.beats("hv1", &guest), boot, "it was shut down for something that could be known before: {said}");
    lab.on("hv2", "mkdir /srv/small && mount -t tmpfs -o nr_inodes=3 tmpfs /srv/small");
    let said = migrate(&lab, 4, &guest, "hv1", "hv2", &["target_dir=/srv/small"]);
    assert!(said.contains("No space left on device"), "{said}");
    assert_eq!(lab.on("hv2", "ls -A /srv/small"), "", "{said}");
    as_it_was(&said);
    let boot = lab.beats("hv1", &guest);

    // Its log cannot be written on hv2, so qemu cannot start there: only `start` sees it.
    let said = migrate(&lab, 4, &guest, "hv1", "hv2", &[]);
    assert!(said.contains("start[hv2]"), "{said}");
    as_it_was(&said);
    assert_ne!(lab.beats("hv1", &guest), boot);

    // libvirt goes away on hv2 while the disk is copied: undoing waits until it can be seen that nothing is left.
    lab.on("hv2", "mkdir -p /var/log/libvirt/qemu/more");
    let child = lab.command(&["run", RUNBOOK, "vm=web1", "from=hv1", "to=hv2", "rate=1M"]).spawn();
    let child = child.unwrap_or_else(|error| panic!("piton does not start: {error}"));
    wait_for(&|| format!("it is not shut down: {:?}", lab.guests("hv1")), &|| {
        (lab.guests("hv1") == ["web1.moved: shut off"]).then_some(())
    });
    lab.on("hv2", "kill $(cat /run/libvirtd.pid)");
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(output.status.code(), Some(5), "{}", shown(&output));
    assert_eq!(lab.guests("hv1"), ["web1.moved: shut off"], "it was started before it was certain that hv2 has it not");
    lab.on("hv2", "libvirtd -d -p /run/libvirtd.pid && virsh -q list >/dev/null");
    lab.piton(&["retry", "latest", "end/define[hv2]", "--why", "libvirtd is back"]);
    // Whoever drives the run by then, the log has its end.
    lab.expect(4, &["resume", "latest"]);
    let said = lab.expect(0, &["logs", "latest", "result[hv1]"]);
    as_it_was(&said);
    lab.beats("hv1", &guest);

    // And now nothing is in the way any more.
    let said = migrate(&lab, 0, &guest, "hv1", "hv2", &[]);
    assert!(said.contains("web1 runs on hv2"), "{said}");
    assert_eq!(lab.guests("hv1"), ["web1.moved: shut off"]);
    lab.beats("hv2", &guest);
}

#[test]
fn lab_a_disk_that_both_hosts_share_is_not_copied_and_one_guest_has_it() {
    let lab = Hosts::up(env!("CARGO_BIN_EXE_piton-under-test"));
    let shared = lab.dir().join("shared").display().to_string();
    let guest = Guest { log: LOG, ..Guest::new("web1", &shared) };
    lab.define(&guest);
    let before = lab.on("hv1", &format!("ls -iA {shared}"));
    let said = migrate(&lab, 0, &guest, "hv1", "hv2", &[]);
    assert!(said.contains("stays where it is, because both hosts have it: vda"), "{said}");
    assert_eq!(lab.on("hv1", &format!("ls -iA {shared}")), before, "{said}");
    assert_eq!(lab.on("hv1", "virsh -q domblklist web1.moved --inactive"), "", "the old definition still has the disk");
    lab.beats("hv2", &guest);
    // Nothing of it is removed with the old definition.
    migrate(&lab, 0, &guest, "hv1", "hv2", &["keep_days=0", "remove_source=true"]);
    assert_eq!(lab.on("hv1", &format!("ls -iA {shared}")), before);
    assert_eq!((lab.guests("hv1"), lab.guests("hv2")), (Vec::new(), vec!["web1: running".to_owned()]));
}
