//! The network to a host is gone for twenty seconds in the middle of a step: the step goes on, and so does its output.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use piton_tests::lab::{Lab, shown, wait_for};

const TALK: &str = r#"
runbook: talk
title: A step that prints a line each tenth of a second for forty seconds
steps:
  - id: talk
    hosts: hv1
    run: |
      echo began >> /root/log
      i=0
      while [ $i -lt 400 ]; do echo "line $i"; i=$((i + 1)); sleep 0.1; done
"#;

/// Sets the host's only way to the rest of the world up or down.
fn link(lab: &Lab, state: &str) {
    let number = fs::read_to_string(lab.dir().join("number")).expect("the lab's number");
    let prefix = format!("plab{}-", number.trim());
    let links: Vec<String> = fs::read_dir("/sys/class/net")
        .expect("there are links")
        .map(|entry| entry.expect("a link").file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(&prefix))
        .collect();
    assert_eq!(links.len(), 1, "{links:?}");
    let set = Command::new("ip").args(["link", "set", &links[0], state]).status().expect("ip is installed");
    assert!(set.success());
}

#[test]
fn lab_a_network_that_is_gone_for_twenty_seconds_loses_nothing() {
    let lab = Lab::up(env!("CARGO_BIN_EXE_piton-under-test"));
    fs::write(lab.dir().join("talk.yaml"), TALK).expect("the runbook is written");
    let runbook = lab.dir().join("talk.yaml").display().to_string();
    let child = lab.command(&["run", &runbook]).spawn().expect("piton starts");
    let logs = || lab.piton(&["logs", "latest", "talk[hv1]", "--raw"]);
    let lines = || String::from_utf8_lossy(&logs().stdout).lines().count();
    wait_for(&|| format!("no output comes: {}", shown(&logs())), &|| (lines() > 20).then_some(()));

    link(&lab, "down");
    // The outage is a span of time by its nature.
    let until = Instant::now() + Duration::from_secs(20);
    wait_for(&|| "twenty seconds do not pass".to_owned(), &|| (Instant::now() >= until).then_some(()));
    link(&lab, "up");

    let output = child.wait_with_output().expect("piton ends");
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let expected: String = (0..400).map(|line| format!("line {line}\n")).collect();
    assert_eq!(String::from_utf8_lossy(&logs().stdout), expected, "complete, in order, nothing twice");
    assert_eq!(lab.by_hand("cat /root/log"), "began");
}
