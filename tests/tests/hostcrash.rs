//! A host dies under a running step and comes back with a new boot id: nothing is guessed, nothing is done twice.

use std::fs;
use std::process::{Command, Stdio};

use piton_tests::lab::{Lab, shown, wait_for};

/// Writes a line to `/root/log` on the host when it begins, and never ends by itself.
fn write_runbook(lab: &Lab, more: &str) {
    let text = format!(
        r#"
runbook: hang
title: A step under which the host dies
steps:
  - id: before
    hosts: hv1
    run: echo before >> /root/log
  - id: hang
    hosts: hv1
    {more}
    run: |
      echo hang >> /root/log
      if [ "$(grep -c hang /root/log)" = 1 ]; then sleep 1000; fi
  - id: after
    hosts: hv1
    run: echo after >> /root/log
"#
    );
    fs::write(lab.dir().join("hang.yaml"), text).expect("the runbook is written");
}

/// Runs the runbook; when its step hangs, lets the host die and boots it again. What `piton` exited with and said.
fn run_and_crash(lab: &Lab) -> (Option<i32>, String) {
    let runbook = lab.dir().join("hang.yaml").display().to_string();
    let child = lab.command(&["run", &runbook]).spawn().expect("piton starts");
    let log = lab.dir().join("hosts/hv1/root/log");
    let seen = || fs::read_to_string(&log).unwrap_or_default();
    wait_for(&|| format!("the step does not begin: {}", seen()), &|| seen().contains("hang").then_some(()));
    lab.script("crash", &["hv1"]);
    lab.script("up", &["hv1"]);
    let output = child.wait_with_output().expect("piton ends");
    (output.status.code(), shown(&output))
}

fn log(lab: &Lab) -> Vec<String> {
    lab.by_hand("cat /root/log").lines().map(str::to_owned).collect()
}

#[test]
fn lab_what_ran_when_the_host_died_is_unknown_and_a_person_is_asked() {
    let lab = Lab::up(env!("CARGO_BIN_EXE_piton-under-test"));
    write_runbook(&lab, "title: Nobody knows");
    let (code, said) = run_and_crash(&lab);
    assert_eq!(code, Some(5), "{said}");
    assert_eq!(log(&lab), ["before", "hang"], "{said}");
    let why = lab.expect(0, &["why", "latest", "hang[hv1]"]);
    assert!(why.contains("boot") || why.contains("rebooted") || why.contains("started anew"), "{why}");

    lab.piton(&["retry", "latest", "hang[hv1]", "--why", "looked: it had not happened"]);
    let said = lab.expect(0, &["resume", "latest"]);
    assert_eq!(log(&lab), ["before", "hang", "hang", "after"], "{said}");
}

#[test]
fn lab_a_step_that_says_so_is_repeated_after_the_host_died() {
    let lab = Lab::up(env!("CARGO_BIN_EXE_piton-under-test"));
    write_runbook(&lab, "repeat: safe");
    let (code, said) = run_and_crash(&lab);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(log(&lab), ["before", "hang", "hang", "after"], "{said}");
}

#[test]
fn lab_verify_tells_that_the_work_was_done_before_the_host_died() {
    let lab = Lab::up(env!("CARGO_BIN_EXE_piton-under-test"));
    write_runbook(&lab, "verify: grep -q hang /root/log");
    let (code, said) = run_and_crash(&lab);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(log(&lab), ["before", "hang", "after"], "{said}");
}

#[test]
fn lab_a_job_goes_on_while_the_engine_is_dead() {
    let lab = Lab::up(env!("CARGO_BIN_EXE_piton-under-test"));
    fs::write(
        lab.dir().join("long.yaml"),
        "
runbook: long
title: Ends when told
steps:
  - id: long
    hosts: hv1
    run: |
      echo begun >> /root/log
      while ! [ -e /root/go ]; do sleep 0.1; done
      echo ended
",
    )
    .expect("the runbook is written");
    let runbook = lab.dir().join("long.yaml").display().to_string();
    let mut child = lab.command(&["run", &runbook]).spawn().expect("piton starts");
    let log_file = lab.dir().join("hosts/hv1/root/log");
    wait_for(&|| "the step does not begin".to_owned(), &|| log_file.exists().then_some(()));
    child.kill().expect("the engine is killed");
    child.wait().expect("the engine is dead");
    // Nobody watches, and yet it goes on.
    lab.by_hand("touch /root/go");
    let said = lab.expect(0, &["resume", "latest"]);
    assert_eq!(log(&lab), ["begun"], "{said}");
    let printed = lab.expect(0, &["logs", "latest", "long[hv1]"]);
    assert!(printed.contains("ended"), "{printed}");
}

#[test]
fn lab_a_host_that_is_down_can_be_waited_for_by_hand() {
    let lab = Lab::up(env!("CARGO_BIN_EXE_piton-under-test"));
    lab.script("crash", &["hv1"]);
    let up = Command::new("ssh")
        .arg("-F")
        .arg(lab.dir().join("ssh_config"))
        .args(["hv1", "true"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("ssh starts");
    assert!(!up.success(), "a dead host must not answer");
    let before = fs::read_to_string(lab.dir().join("hosts/hv1/boot_id")).expect("there is a boot id");
    lab.script("up", &["hv1"]);
    assert_ne!(lab.by_hand("cat /proc/sys/kernel/random/boot_id"), before.trim());
}

/// A runbook that has the host start anew with this command, and a step after it.
fn write_reboot(lab: &Lab, timeout: &str, command: &str) -> String {
    let text = format!(
        r#"
runbook: anew
title: The host starts anew
steps:
  - id: before
    hosts: hv1
    run: echo before >> /root/log
  - id: anew
    hosts: hv1
    reboot: {{ message: planned, timeout: {timeout}, command: "echo rebooting >> /root/log; {command}" }}
  - id: seen
    hosts: hv1
    wait: {{ until: "test -e /root/ready", within: 1m, every: 1s }}
  - id: after
    hosts: hv1
    run: echo "after $(cat /proc/sys/kernel/random/boot_id)" >> /root/log
"#
    );
    let path = lab.dir().join("anew.yaml");
    fs::write(&path, text).expect("the runbook is written");
    path.display().to_string()
}

/// Pid 1 of these hosts ends with TERM, and with it everything that runs there: only `up` brings it back.
const GO_DOWN: &str = "kill -TERM 1";

/// Waits until the host is down, and boots it again.
fn boot_again(lab: &Lab) {
    let log = lab.dir().join("hosts/hv1/root/log");
    let seen = || fs::read_to_string(&log).unwrap_or_default();
    wait_for(&|| format!("the step does not begin: {}", seen()), &|| seen().contains("rebooting").then_some(()));
    lab.script("crash", &["hv1"]);
    lab.script("up", &["hv1"]);
    lab.by_hand("touch /root/ready");
}

#[test]
fn lab_a_reboot_is_done_when_the_host_answers_with_another_boot_id() {
    let lab = Lab::up(env!("CARGO_BIN_EXE_piton-under-test"));
    let runbook = write_reboot(&lab, "2m", GO_DOWN);
    let child = lab.command(&["run", &runbook]).spawn().expect("piton starts");
    boot_again(&lab);
    let output = child.wait_with_output().expect("piton ends");
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let boot = lab.by_hand("cat /proc/sys/kernel/random/boot_id");
    assert_eq!(log(&lab), ["before", "rebooting", &format!("after {boot}")], "{}", shown(&output));
}

#[test]
fn lab_an_engine_killed_during_a_reboot_does_not_reboot_again() {
    let lab = Lab::up(env!("CARGO_BIN_EXE_piton-under-test"));
    let runbook = write_reboot(&lab, "2m", GO_DOWN);
    let mut child = lab.command(&["run", &runbook]).spawn().expect("piton starts");
    let log_file = lab.dir().join("hosts/hv1/root/log");
    let rebooting = || fs::read_to_string(&log_file).is_ok_and(|log| log.contains("rebooting")).then_some(());
    wait_for(&|| "the step does not begin".to_owned(), &rebooting);
    child.kill().expect("the engine is killed");
    child.wait().expect("the engine is dead");
    boot_again(&lab);
    let said = lab.expect(0, &["resume", "latest"]);
    let boot = lab.by_hand("cat /proc/sys/kernel/random/boot_id");
    assert_eq!(log(&lab), ["before", "rebooting", &format!("after {boot}")], "{said}");
}

#[test]
fn lab_a_host_that_keeps_its_boot_id_has_not_rebooted() {
    let lab = Lab::up(env!("CARGO_BIN_EXE_piton-under-test"));
    let runbook = write_reboot(&lab, "3s", "true");
    let said = lab.expect(5, &["run", &runbook]);
    assert!(said.contains("it did not reboot in time"), "{said}");
    assert_eq!(log(&lab), ["before", "rebooting"], "{said}");
}
