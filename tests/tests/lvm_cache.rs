//! The runbook `lvm-cache-disable` on a machine with real caches: dm-cache with a pool and with a volume, and dm-writecache.

use piton_tests::lab::root;
use piton_tests::machine::Machine;

/// Three caches in `vg+1-a` (the `-` is doubled in device mapper's names): of `data-1` and `writes`, which are mounted, and of the
/// data of the thin pool `plain`.
const SET_UP: &str = "set -e
    vgcreate -q vg+1-a /dev/vdb /dev/vdc
    for name in data-1 writes; do lvcreate -qy -L 100M -n $name vg+1-a /dev/vdb; mkfs.ext4 -q /dev/vg+1-a/$name; done
    lvcreate -qy --type thin-pool -L 60M -n plain vg+1-a /dev/vdb
    lvcreate -qy --type cache-pool -L 64M -n pool vg+1-a /dev/vdc
    lvconvert -qy --type cache --cachepool vg+1-a/pool --cachemode writeback vg+1-a/data-1
    lvcreate -qy -an -L 32M -n fast vg+1-a /dev/vdc
    lvchange -an vg+1-a/writes
    lvconvert -qy --type writecache --cachevol fast vg+1-a/writes
    lvchange -ay vg+1-a/writes
    lvcreate -qy -an -L 32M -n other vg+1-a /dev/vdc
    lvconvert -qy --type cache --cachevol other vg+1-a/plain
    mkdir -p /srv/data /srv/writes
    mount /dev/vg+1-a/data-1 /srv/data
    mount /dev/vg+1-a/writes /srv/writes";

/// Writes what only the caches hold then, and remembers its sums.
const WRITE: &str = "set -e
    for dir in data writes; do dd if=/dev/urandom of=/srv/$dir/file bs=4k count=2000 conv=fsync status=none; done
    sha256sum /srv/*/file >/root/sums";

/// Reads it all back from below the page cache.
const READ: &str = "echo 3 >/proc/sys/vm/drop_caches; sha256sum --quiet -c /root/sums && echo same";

/// What there is, without the parts that a cache is made of.
const KINDS: &str = "lvs -a --noheadings -o lv_name,segtype,cache_mode vg+1-a | tr -d '[]' | sed 's/^ *//; s/  */ /g; s/ *$//' | grep -vE '^[^ ]*_(corig|wcorig|cvol|cpool|cdata|cmeta|tmeta|pmspare) |_cpool_' | sort";

fn up() -> Machine {
    let machine = Machine::up(env!("CARGO_BIN_EXE_piton-under-test"), 768, &["512M", "256M"]);
    machine.by_hand(SET_UP);
    machine.by_hand(WRITE);
    machine
}

fn run(machine: &Machine, exit: i32, more: &[&str]) -> String {
    let runbook = root().join("runbooks/host/lvm-cache-disable.yaml").display().to_string();
    let words = [&["run", &runbook, "target=m1"], more].concat();
    machine.expect(exit, &words)
}

fn metadata(machine: &Machine) -> String {
    machine.by_hand("vgs --noheadings -o vg_seqno vg+1-a; ls -l /boot; cat /etc/lvm/lvm.conf | sha256sum")
}

#[test]
fn lab_caches_are_written_back_and_taken_off_and_the_second_run_changes_nothing() {
    let machine = up();
    let dirty = machine.by_hand("dmsetup status vg+1--a-data--1 | awk '{ print $14 }'");
    let said = run(&machine, 0, &["backup_dir=/var/lib/缓存 备份"]);
    assert!(said.contains("write_cache_state is obsolete since 2.03"), "{said}");
    assert!(said.contains("vg+1-a/data-1 is clean"), "{dirty} were dirty: {said}");
    let kinds = machine.by_hand(KINDS);
    for volume in [
        "data-1 linear",
        "fast linear",
        "other linear",
        "plain thin-pool",
        "plain_tdata linear",
        "pool cache-pool writethrough",
        "writes linear",
    ] {
        assert!(kinds.lines().any(|line| line == volume), "{volume}: {kinds}");
    }
    assert_eq!(machine.by_hand(READ), "same");
    assert_eq!(machine.by_hand("ls '/var/lib/缓存 备份'/*/vg+1-a/metadata | wc -l"), "1");

    let before = metadata(&machine);
    let said = run(&machine, 0, &["backup_dir=/var/lib/缓存 备份"]);
    assert!(said.contains("nothing to do"), "{said}");
    assert_eq!(metadata(&machine), before);
    assert_eq!(machine.by_hand("ls '/var/lib/缓存 备份' | wc -l"), "1");

    // What old lvm2 did, with a tool that calls itself old: the rest of it is the real one.
    machine.by_hand(
        r#"set -e
        printf '#!/bin/sh\n[ "$1" != version ] || { echo "  LVM version:     2.02.111(2) (2014-09-01)"; exit 0; }\nexec /usr/sbin/lvm "$@"\n' >/usr/local/sbin/lvm
        chmod +x /usr/local/sbin/lvm
        mkdir -p /etc/lvm/cache
        touch /etc/lvm/cache/.cache /etc/lvm/cache/notes"#,
    );
    let said = run(&machine, 0, &["initramfs=false"]);
    assert!(said.contains("write_cache_state = 0"), "{said}");
    assert_eq!(
        machine.by_hand("/usr/sbin/lvm lvmconfig devices/write_cache_state; ls -A /etc/lvm/cache"),
        "write_cache_state=0\nnotes"
    );
    let said = run(&machine, 0, &["initramfs=false"]);
    assert!(said.contains("nothing to do"), "{said}");
}

#[test]
fn lab_what_is_not_safe_to_detach_is_refused_and_what_was_detached_comes_back() {
    let machine = up();
    let before = machine.by_hand(KINDS);

    // Nobody can see what the cache of an inactive volume holds.
    machine.by_hand("lvchange -an vg+1-a/plain");
    let said = run(&machine, 5, &["volumes=vg+1-a/plain,vg+1-a/nowhere"]);
    assert!(said.contains("lvchange -ay vg+1-a/plain"), "{said}");
    assert!(said.contains("there is no volume vg+1-a/nowhere"), "{said}");
    machine.piton(&["cancel", "latest", "--why", "seen"]);
    machine.piton(&["resume", "latest"]);
    machine.by_hand("lvchange -ay vg+1-a/plain");
    assert_eq!(machine.by_hand(KINDS), before);

    // The run stops when every cache is off already; from there it is taken back.
    machine.by_hand("mv /usr/sbin/update-initramfs /root/");
    let said = run(&machine, 5, &[]);
    assert!(said.contains("neither update-initramfs nor dracut"), "{said}");
    assert!(machine.by_hand(KINDS).contains("data-1 linear"));
    machine.by_hand(WRITE);
    machine.piton(&["undo", "latest", "--why", "the day is over"]);
    machine.piton(&["resume", "latest"]);
    assert_eq!(machine.by_hand(KINDS), before);
    assert_eq!(machine.by_hand(READ), "same");

    // A cache that was put back is used, and is taken off for good; the others stay.
    machine.by_hand(WRITE);
    run(&machine, 0, &["volumes=vg+1-a/writes", "remove_caches=true", "initramfs=false"]);
    assert_eq!(
        machine.by_hand(KINDS),
        "data-1 cache writeback\nplain thin-pool\nplain_tdata cache writethrough\nwrites linear"
    );
    assert_eq!(machine.by_hand(READ), "same");
}
