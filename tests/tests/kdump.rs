//! The runbook `kdump-setup` on a machine whose kernel really crashes.

use piton_tests::lab::root;
use piton_tests::machine::Machine;

fn run(machine: &Machine, exit: i32, more: &[&str]) -> String {
    let runbook = root().join("runbooks/host/kdump-setup.yaml").display().to_string();
    machine.expect(exit, &[&["run", &runbook, "target=m1", "backup_dir=/var/lib/转储 备份"], more].concat())
}

/// Has the machine look like RHEL: a grubby that keeps its entries in files as the real one prints them, a kdumpctl that knows
/// a default, and a service that does nothing. The scripts that read and change that are the real ones.
const RHEL: &str = r#"set -e
    mv /usr/sbin/update-grub /root/
    mkdir /root/entries
    for number in 0 1; do
      : >/boot/vmlinuz-5.14.$number
      printf '%s\n' "index=$number" "kernel=\"/boot/vmlinuz-5.14.$number\"" 'args="ro quiet"' 'root="/dev/vda1"' >/root/entries/$number
    done
    sed -i 's/quiet"/quiet crashkernel=auto"/' /root/entries/1
    cat >/usr/local/sbin/grubby <<'EOS'
#!/bin/sh
for word in "$@"; do
  case $word in
    --info=ALL) cat /root/entries/*; exit ;;
    --info=DEFAULT) cat /root/entries/0; exit ;;
    --update-kernel=*) kernel=${word#*=} ;;
    --remove-args=*) remove=${word#*=} ;;
    --args=*) add=${word#*=} ;;
  esac
done
for entry in /root/entries/*; do
  [ "$kernel" = ALL ] || grep -qx "kernel=\"$kernel\"" $entry || continue
  [ -z "$remove" ] || sed -i "/^args=/s/ $remove=[^ \"]*//g" $entry
  [ -z "$add" ] || sed -i "/^args=/s/\"\$/ $add\"/" $entry
done
EOS
    cat >/usr/local/sbin/kdumpctl <<'EOS'
#!/bin/sh
[ "$1" != get-default-crashkernel ] || echo 1G-4G:192M,4G-64G:256M,64G-:512M
EOS
    chmod +x /usr/local/sbin/grubby /usr/local/sbin/kdumpctl
    printf '%s\n' '[Service]' Type=oneshot ExecStart=/bin/true '[Install]' WantedBy=multi-user.target >/etc/systemd/system/kdump.service
    systemctl daemon-reload"#;

/// All that the runbook touches, but for the packages, which are there.
fn state(machine: &Machine) -> String {
    state_of(
        machine,
        "cat /boot/grub/grub.cfg /etc/default/kdump-tools; ls -A /etc/default/grub.d /etc/sysctl.d /etc/default
        sysctl kernel.panic kernel.sysrq; systemctl is-enabled kdump-tools; cat /sys/kernel/kexec_crash_loaded",
    )
}

/// What a script prints that may say no.
fn state_of(machine: &Machine, script: &str) -> String {
    machine.by_hand(&format!("{{ {script}; }} 2>&1; true"))
}

#[test]
fn lab_what_was_set_up_is_taken_back_when_the_reboot_is_refused() {
    let machine = Machine::up(env!("CARGO_BIN_EXE_piton-under-test"), 1024, &[]);
    // The image has the first grub.cfg by hand; from here on it is update-grub's.
    machine.by_hand("update-grub");
    let before = state(&machine);
    let said = run(&machine, 5, &["--no-wait"]);
    assert!(said.contains("Reboot m1 now, so that it sets 192 MiB aside?"), "{said}");
    assert_ne!(state(&machine), before);
    machine.expect(0, &["reject", "latest", "may_reboot", "--why", "guests run on it"]);
    machine.piton(&["undo", "latest", "--why", "another day"]);
    machine.piton(&["resume", "latest"]);
    let shown = machine.expect(0, &["show", "latest"]);
    assert!(shown.contains("undone"), "{shown}");
    assert_eq!(state(&machine), before);

    // What no host of this size can set aside is refused before anything is touched.
    for (size, why) in [("700M", "would take 700 MiB of the 1024 MiB"), ("4G-:512M", "sets nothing aside on this host")]
    {
        let said = run(&machine, 5, &[&format!("crashkernel={size}")]);
        assert!(said.contains(why), "{said}");
        machine.piton(&["cancel", "latest", "--why", "seen"]);
        machine.piton(&["resume", "latest"]);
    }
    assert_eq!(state(&machine), before);

    // The same on RHEL, as far as it can be without one.
    machine.by_hand(RHEL);
    let entries = "cat /root/entries/*; systemctl is-enabled kdump; sysctl kernel.panic; ls /etc/sysctl.d";
    let before = state_of(&machine, entries);
    let said = run(&machine, 5, &["--no-wait"]);
    assert!(said.contains("Reboot m1 now, so that it sets 192 MiB aside?"), "{said}");
    let wanted = r#"args="ro quiet crashkernel=1G-4G:192M,4G-64G:256M,64G-:512M""#;
    let now = state_of(&machine, entries);
    assert_eq!(now.matches(wanted).count(), 2, "{now}");
    assert!(now.contains("\nenabled\n"), "{now}");
    machine.piton(&["undo", "latest", "--why", "another day"]);
    machine.piton(&["resume", "latest"]);
    assert_eq!(state_of(&machine, entries), before);
}

#[test]
fn lab_a_kernel_that_crashes_leaves_a_dump_that_can_be_read() {
    let machine = Machine::up(env!("CARGO_BIN_EXE_piton-under-test"), 768, &[]);
    let said = run(&machine, 0, &["reboot=yes", "test_crash=yes"]);
    assert!(said.contains("the dump can be read: /var/crash/"), "{said}");
    let line = machine.by_hand("cat /proc/cmdline");
    assert!(line.contains("crashkernel=384M-1G:128M,1G-2G:192M,2G-:512M"), "{line}");
    // Not by the runbook's word: the dump is in its place, and the crashed kernel's last words are in it.
    let words = machine.by_hand(
        "set -e
        makedumpfile -R /root/vmcore </var/crash/*/dump.* >/dev/null
        makedumpfile --dump-dmesg /root/vmcore /root/words >/dev/null
        grep -c 'sysrq: Trigger a crash' /root/words /var/crash/*/dmesg.*",
    );
    assert!(words.lines().count() == 2 && words.lines().all(|line| line.ends_with(":1")), "{words}");

    // All of that is in place: nothing is changed, and nothing rebooted.
    let boot = machine.by_hand("cat /proc/sys/kernel/random/boot_id; ls '/var/lib/转储 备份'");
    let done = state(&machine);
    let said = run(&machine, 0, &["reboot=yes"]);
    assert!(said.contains("all of that is in place already"), "{said}");
    assert_eq!(state(&machine), done);
    assert_eq!(machine.by_hand("cat /proc/sys/kernel/random/boot_id; ls '/var/lib/转储 备份'"), boot);
}
