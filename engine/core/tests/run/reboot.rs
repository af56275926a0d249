//! A host that is to start anew: done when it answers with another boot id, and never because something else ended well.

use piton_core::run::{Event, FailureCause, Input, LossCause, ParkCause};
use piton_testkit::machine::Machine;
use piton_testkit::plans::plan;

fn with(modifiers: &str) -> Machine {
    Machine::start(plan(&format!(
        "runbook: x\nsteps:\n  - {{ id: a, hosts: h, reboot: {{ timeout: 5m, message: bye }}{modifiers} }}\n  - {{ id: b, hosts: h, run: b }}\n"
    )))
}

fn back(m: &mut Machine) -> Vec<Event> {
    let job = m.job("a[h]");
    m.tell(Input::JobLost { job, why: LossCause::HostRebooted })
}

fn parked(m: &Machine) -> ParkCause {
    let parked = m.log.iter().rev().find_map(|recorded| {
        if let Event::TaskParked { why, .. } = &recorded.event { Some(why.clone()) } else { None }
    });
    parked.unwrap()
}

#[test]
fn that_its_host_was_started_anew_is_what_it_is_for() {
    let mut m = with("");
    m.began("a[h]", "first");
    m.crash();
    back(&mut m);
    assert_eq!(m.states(), ["a[h] succeeded", "b[h] running"]);
}

#[test]
fn it_is_verified_afterwards_if_the_step_says_so() {
    let mut m = with(", verify: look");
    back(&mut m);
    m.crash();
    assert_eq!(m.wanted()[0], "carry a[h]#1.verify1");
    m.exit("a[h]", 0);
    assert_eq!(m.states(), ["a[h] succeeded", "b[h] running"]);
}

#[test]
fn the_text_is_constant_and_the_message_a_value() {
    let m = with("");
    let text = m.run.job_text(&m.job("a[h]")).unwrap();
    assert!(!text.script.contains("bye"));
    assert!(text.env.contains(&("PITON_MESSAGE".into(), "bye".into())), "{:?}", text.env);
}

#[test]
fn the_same_boot_id_after_the_time_is_a_failure_whatever_ended_well() {
    for end in ["stopped", "exited"] {
        let mut m = with("");
        m.tick();
        assert_eq!(m.wanted(), ["stop a[h]#1.main1"]);
        m.crash();
        if end == "stopped" {
            m.stopped("a[h]")
        } else {
            m.exit("a[h]", 0)
        };
        assert_eq!(parked(&m), ParkCause::Failed(FailureCause::NotRebooted), "{end}");
    }
    let mut m = with("");
    m.exit("a[h]", 0);
    assert_eq!(parked(&m), ParkCause::Failed(FailureCause::NotRebooted), "nobody waited for it");
    let mut m = with(", retry: { times: 1, on: [timeout] }");
    m.tick();
    m.stopped("a[h]");
    m.tick();
    assert_eq!(m.wanted()[0], "carry a[h]#2.main1");
}

#[test]
fn a_command_that_fails_is_a_failure_at_once() {
    let mut m = with("");
    m.exit("a[h]", 1);
    assert!(matches!(parked(&m), ParkCause::Failed(FailureCause::Exit(_))));
}

#[test]
fn a_host_that_is_back_when_it_is_to_be_stopped_is_back() {
    let mut m = with("");
    m.tick();
    back(&mut m);
    assert_eq!(m.states(), ["a[h] succeeded", "b[h] running"]);
}

#[test]
fn a_host_that_stays_away_leaves_it_unknown() {
    let mut m = with("");
    m.tick();
    let job = m.job("a[h]");
    m.tell(Input::JobLost { job, why: LossCause::Unreachable("no route".into()) });
    assert_eq!(m.states(), ["a[h] unknown", "b[h] waiting"]);
}

#[test]
fn another_job_that_a_reboot_ended_is_lost_as_ever() {
    let mut m = Machine::start(plan("runbook: x\nsteps:\n  - { id: a, hosts: h, run: x }\n"));
    back(&mut m);
    assert_eq!(m.states(), ["a[h] unknown"]);
}

#[test]
fn what_waits_until_something_comes_true_waits_through_a_reboot() {
    let mut m = Machine::start(plan(
        "runbook: x\nsteps:\n  - { id: a, hosts: h, wait: { until: look, within: 10m, every: 5s } }\n",
    ));
    back(&mut m);
    m.crash();
    m.tick();
    m.refuse("a[h]");
    m.tick();
    m.exit("a[h]", 0);
    assert_eq!(m.states(), ["a[h] succeeded"]);
}
