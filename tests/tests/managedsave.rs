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
fn lab_a_whole_image_is_resumed_on_the_disks_that_the_guest_has() {
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

    // A disk with a Chinese name is found; one that is missing is named, and the memory survives its return.
    const DISK: &str = "/var/lib/libvirt/images/网站 一.img";
    let redefine = |from: &str, to: &str| {
        lab.by_hand(&format!(
            "virsh -q dumpxml --inactive web1 | sed \"s|file='[^']*/{from}'|file='{to}'|\" >/root/web1.xml && virsh -q define /root/web1.xml"
        ));
    };
    lab.by_hand(&format!("mv /var/lib/libvirt/images/web1.img '{DISK}'"));
    redefine("web1.img", DISK);
    let seen = lab.beats().len();
    lab.by_hand("virsh -q start web1");
    lab.beat_after(seen);
    let (before, seen) = lab.save();
    lab.by_hand(&format!("mv '{DISK}' /var/lib/libvirt/images/elsewhere"));
    lab.recover(5, &["accept_memory_loss=true"]);
    let said = lab.expect(0, &["logs", "latest", "disks[hv1]"]);
    assert!(said.contains(DISK), "{said}");
    lab.by_hand(&format!("mv /var/lib/libvirt/images/elsewhere '{DISK}'"));
    lab.piton(&["retry", "latest", "disks[hv1]", "--why", "it is back"]);
    lab.expect(0, &["resume", "latest"]);
    lab.assert_memory_went_on(&before, seen);

    // libvirt would resume it on the disk that it had, which is no longer that of the guest: the older copy.
    let (before, seen) = lab.save();
    lab.by_hand(&format!("cp '{DISK}' /var/lib/libvirt/images/newer.img"));
    redefine("网站 一.img", "/var/lib/libvirt/images/newer.img");
    let image = lab.by_hand(&format!("ls -i {SAVE}"));
    let said = lab.recover(5, &[]);
    assert!(said.contains(&format!("configuration: vda was {DISK} when it was saved")), "{said}");
    lab.piton(&["undo", "latest", "--why", "it was moved"]);
    lab.piton(&["resume", "latest"]);
    assert_eq!((lab.by_hand(&format!("ls -i {SAVE}")), lab.state().as_str()), (image, "shut off (saved)"));
    // The way out that it names; another name for the same file is none of its business.
    lab.by_hand(&format!("rm '{DISK}' && ln -s newer.img '{DISK}'"));
    lab.recover(0, &[]);
    lab.assert_memory_went_on(&before, seen);

    // The image of another guest, put where libvirt looks for one of this.
    lab.save();
    lab.by_hand(&format!(
        "cp {SAVE} /root/other.save && virsh -q managedsave-remove web1 && virsh -q undefine web1
         sed -i '/<uuid>/d' /root/web1.xml && virsh -q define /root/web1.xml && cp /root/other.save {SAVE}
         kill $(cat /run/libvirtd.pid); while kill -0 $(cat /run/libvirtd.pid) 2>/dev/null; do sleep 0.1; done
         libvirtd -d -p /run/libvirtd.pid && virsh -q list >/dev/null"
    ));
    let said = lab.recover(5, &[]);
    assert!(said.contains("configuration: the image is that of another guest"), "{said}");
}

#[test]
fn lab_every_damage_is_told_by_its_kind_and_the_image_kept_or_put_back() {
    let lab = up();
    for (class, damage) in [
        ("short", "truncate -s 0 F"),
        ("short", "truncate -s 50 F"),
        ("partial-magic", "printf Part | dd of=F conv=notrunc bs=1 seek=12 status=none"),
        ("wrong-magic", "printf X | dd of=F conv=notrunc bs=1 seek=3 status=none"),
        ("header", "printf QQQQ | dd of=F conv=notrunc bs=1 seek=16 status=none"),
        ("header", "printf QQQQ | dd of=F conv=notrunc bs=1 seek=20 status=none"),
        ("header", r"printf '\001\002' | dd of=F conv=notrunc bs=1 seek=110 status=none"),
        ("header", "truncate -s 4096 F"),
        ("qemu", "truncate -s 40000000 F"),
        ("qemu", "head -c 8000000 /dev/urandom | dd of=F conv=notrunc bs=4096 seek=3000 status=none"),
        ("gone", "rm F"),
    ] {
        let (before, seen) = lab.save();
        lab.by_hand(&damage.replace('F', SAVE));
        let gone = damage.starts_with("rm");
        let sum = if gone { String::new() } else { lab.by_hand(&format!("sha256sum < {SAVE}")) };

        let said = lab.recover(0, &["accept_memory_loss=true"]);
        assert!(said.contains(&format!("damaged ({class})")), "{damage}: {said}");
        lab.assert_booted_anew(&before, seen);
        let flag = lab.by_hand("virsh -q dominfo web1 | sed -n 's/^Managed save: *//p'");
        assert_eq!(flag, "no", "{damage}: libvirt still believes in a managed save: {said}");
        match lab.kept().as_slice() {
            [] => assert!(gone, "{damage}: the image was not kept: {said}"),
            [one] => assert_eq!(lab.by_hand(&format!("sha256sum < {one} && rm {one}")), sum, "{damage}: {said}"),
            more => panic!("{damage}: {more:?}: {said}"),
        }
    }

    // Memory is given up only when somebody says so. Undo: everything is as it was found.
    let (before, seen) = lab.save();
    let image = lab.by_hand(&format!("truncate -s 50 {SAVE} && ls -i {SAVE}"));
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
    assert_eq!(lab.by_hand(&format!("ls -i {}", lab.kept()[0])).split(' ').next(), image.split(' ').next());
    lab.by_hand(&format!("rm {}", lab.kept()[0]));

    // With the kernel missing nothing can start: the image's fault is found first, then the boot fails, and the image is put back.
    lab.save();
    let image = lab.by_hand(&format!("truncate -s 4096 {SAVE} && ls -i {SAVE}"));
    lab.by_hand("cd /var/lib/libvirt/images && mv vmlinuz elsewhere");
    lab.recover(4, &["accept_memory_loss=true"]);
    assert_eq!(lab.by_hand(&format!("ls -i {SAVE}")), image);
    assert!(lab.kept().is_empty());
}
