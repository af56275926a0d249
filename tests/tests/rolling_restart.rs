//! The runbook `rolling-restart` on a machine with a real systemd.

use piton_tests::lab::root;
use piton_tests::machine::Machine;

/// A unit that writes down each of its starts, and dies after a while if it is told to; and one that never comes up.
const SET_UP: &str = r#"set -e
    printf '[Service]\nExecStart=/bin/sh -c "echo x >>/root/starts; if [ -e /root/crash ]; then sleep 2; exit 1; fi; exec sleep 1000000"\nRestart=always\nRestartSec=1s\n' >/etc/systemd/system/lab-web.service
    printf '[Service]\nExecStart=/bin/false\n' >/etc/systemd/system/lab-bad.service
    systemctl daemon-reload
    systemctl start lab-web
    systemctl start lab-bad"#;

fn run(machine: &Machine, exit: i32, unit: &str, more: &[&str]) -> String {
    let runbook = root().join("runbooks/host/rolling-restart.yaml").display().to_string();
    let unit = format!("unit={unit}");
    let said = machine.expect(exit, &[&["run", &runbook, "hosts=m1", &unit], more].concat());
    if exit == 5 {
        // A run that waits for a decision keeps its locks.
        machine.piton(&["cancel", "latest", "--why", "seen"]);
        machine.piton(&["resume", "latest"]);
    }
    said
}

#[test]
fn lab_a_unit_is_restarted_once_and_only_where_it_is_well() {
    let machine = Machine::up(env!("CARGO_BIN_EXE_piton-under-test"), 512, &[]);
    machine.by_hand(SET_UP);
    let starts = || machine.by_hand("wc -l </root/starts");
    let health = "health=echo 不好; test -e '/root/all well'";
    for (unit, more, says) in [
        ("nowhere.service", &[][..], "there is no unit nowhere.service on this host (not-found)"),
        ("lab-bad.service", &[], "lab-bad.service has failed on this host"),
        ("lab-web.service", &[health], "lab-web.service runs, but the host is not well: 不好"),
    ] {
        let said = run(&machine, 5, unit, more);
        assert!(said.contains(says), "{says}: {said}");
    }
    let said = run(&machine, 5, "lab-bad.service", &["mend=true"]);
    assert!(said.contains("restart[m1] waits for a decision"), "{said}");
    assert_eq!(starts(), "1");

    machine.by_hand("touch '/root/all well'");
    let said = run(&machine, 0, "lab-web.service", &["settle=1s", health]);
    assert!(said.contains("lab-web.service runs as it was restarted"), "{said}");
    assert_eq!(starts(), "2");

    machine.by_hand("echo '# changed' >>/etc/systemd/system/lab-web.service");
    let said = run(&machine, 5, "lab-web.service", &[]);
    assert!(said.contains("Say reload=true"), "{said}");
    run(&machine, 0, "lab-web.service", &["settle=0s", "reload=true"]);
    assert_eq!(
        (starts().as_str(), machine.by_hand("systemctl show -p NeedDaemonReload lab-web").as_str()),
        ("3", "NeedDaemonReload=no")
    );

    // It comes up, and dies three seconds later.
    machine.by_hand("touch /root/crash");
    let said = run(&machine, 5, "lab-web.service", &["settle=20s"]);
    assert!(said.contains("healthy[m1] waits for a decision") && said.contains("lab-web.service"), "{said}");
    machine.by_hand("rm /root/crash; systemctl stop lab-web");
    let said = run(&machine, 0, "lab-web.service", &[]);
    assert!(said.contains("does not run on this host, and is left alone"), "{said}");
    assert_eq!(machine.by_hand("systemctl show -p ActiveState lab-web"), "ActiveState=inactive");
}
