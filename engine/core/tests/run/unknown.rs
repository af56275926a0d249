//! An unknown outcome is a state, never a guess.

use piton_core::run::{Event, Input, LossCause};
use piton_testkit::machine::Machine;
use piton_testkit::plans::plan;

fn with(modifiers: &str) -> Machine {
    Machine::start(plan(&format!("runbook: x\nsteps:\n  - {{ id: a, run: a{modifiers} }}\n  - {{ id: b, run: b }}\n")))
}

#[test]
fn without_a_way_to_tell_it_parks() {
    let mut m = with("");
    m.lose("a[local]");
    assert_eq!(m.states(), ["a[local] unknown", "b[local] waiting"]);
    assert!(m.run.is_parked());
}

#[test]
fn however_a_job_is_lost_its_outcome_is_unknown() {
    for why in [
        LossCause::ProcessGone,
        LossCause::HostRebooted,
        LossCause::FilesGone,
        LossCause::Unreachable("no route".into()),
        LossCause::StillAlive("pid 7".into()),
    ] {
        let mut m = with(", retry: { times: 2, delay: 1s }");
        let job = m.job("a[local]");
        m.tell(Input::JobLost { job, why: why.clone() });
        assert_eq!(m.states(), ["a[local] unknown", "b[local] waiting"], "{why:?}");
        assert!(m.run.is_parked(), "{why:?}: neither tried again nor taken for done");
        m.crash();
    }
}

#[test]
fn repeat_safe_makes_a_new_attempt_with_another_name() {
    let mut m = with(", repeat: safe");
    m.lose("a[local]");
    m.tick();
    assert_eq!(m.wanted(), ["carry a[local]#2.main1"]);
}

#[test]
fn a_step_that_is_lost_again_and_again_is_not_repeated_for_ever() {
    let mut m = with(", repeat: safe");
    for _ in 0..3 {
        m.lose("a[local]");
        m.tick();
    }
    m.lose("a[local]");
    assert_eq!(m.states(), ["a[local] unknown", "b[local] waiting"]);
}

#[test]
fn verify_decides_that_it_happened() {
    let mut m = with(", verify: look, unless: see");
    m.exit("a[local]", 1);
    m.lose("a[local]");
    assert_eq!(m.wanted(), ["carry a[local]#1.verify2"], "verify says more than unless");
    m.exit("a[local]", 0);
    assert_eq!(m.states(), ["a[local] succeeded", "b[local] running"]);
}

#[test]
fn unless_that_says_no_does_not_permit_a_second_time_by_itself() {
    let mut m = with(", unless: see");
    m.exit("a[local]", 1);
    m.lose("a[local]");
    assert_eq!(m.wanted(), ["carry a[local]#1.unless2"]);
    m.crash();
    m.exit("a[local]", 1);
    assert_eq!(m.states(), ["a[local] unknown", "b[local] waiting"]);
    let Some(Event::TaskParked { why, .. }) = m.log.last().map(|e| &e.event) else { panic!("{:?}", m.log.last()) };
    assert_eq!(
        why.to_string(),
        "outcome unknown: it began, its process is gone, and it left no exit status; `unless` exited with 1"
    );
}

#[test]
fn a_probe_that_cannot_be_asked_leaves_it_unknown() {
    let mut m = with(", verify: look");
    m.lose("a[local]");
    m.lose("a[local]");
    assert_eq!(m.states(), ["a[local] unknown", "b[local] waiting"]);
}

#[test]
fn a_lost_probe_is_no_lost_action() {
    let mut m = with(", verify: { run: look, within: 10s, every: 1s }");
    m.exit("a[local]", 0);
    m.lose("a[local]");
    assert_eq!(m.states(), ["a[local] verifying", "b[local] waiting"]);
    m.tick();
    m.exit("a[local]", 0);
    assert_eq!(m.states(), ["a[local] succeeded", "b[local] running"]);
}

#[test]
fn a_refusal_is_a_failure_and_not_unknown() {
    let mut m = with("");
    m.refuse("a[local]");
    assert_eq!(m.states(), ["a[local] parked", "b[local] waiting"]);
}

#[test]
fn what_cannot_be_stopped_is_unknown() {
    let mut m = with(", timeout: 5s");
    m.tick();
    let job = m.job("a[local]");
    m.tell(Input::JobLost { job, why: LossCause::StillAlive("pid 7".into()) });
    assert_eq!(m.states(), ["a[local] unknown", "b[local] waiting"]);
}

#[test]
fn under_continue_the_rest_goes_on_beside_it() {
    let yaml = "runbook: x\non_failure: continue\nsteps:\n  - { id: a, run: a }\n  - { id: b, needs: [], run: b }\n  - { id: c, needs: [b], run: c }\n";
    let mut m = Machine::start(plan(yaml));
    m.lose("a[local]");
    m.exit("b[local]", 0);
    assert_eq!(m.states(), ["a[local] unknown", "b[local] succeeded", "c[local] running"]);
}
