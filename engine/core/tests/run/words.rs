//! What people say, and why it may be refused.

use piton_core::run::{Event, Outcome, Word};
use piton_testkit::machine::{Machine, task};
use piton_testkit::plans::plan;

use super::short;

const TWO: &str = "runbook: x\nsteps:\n  - { id: a, run: a, retry: { times: 1, delay: 1s } }\n  - { id: b, run: b, when: 'steps.a.state != \"skipped\"' }\n";

fn parked() -> Machine {
    let mut m = Machine::start(plan(TWO));
    m.exit("a[local]", 1);
    m.tick();
    m.exit("a[local]", 1);
    assert!(m.run.is_parked());
    m
}

fn refusal(events: &[Event]) -> Option<&str> {
    let Event::WordTaken { refused, .. } = &events[0] else { panic!("{events:?}") };
    refused.as_deref()
}

#[test]
fn retry_begins_a_new_attempt_with_its_own_retries() {
    let mut m = parked();
    m.say(Word::Retry { task: task("a[local]"), why: String::new() });
    assert_eq!(m.wanted(), ["carry a[local]#3.main1"]);
    m.exit("a[local]", 1);
    assert_eq!(m.states(), ["a[local] retrying", "b[local] waiting"]);
}

#[test]
fn skip_goes_on_without_it() {
    let mut m = parked();
    m.say(Word::Skip { task: task("a[local]"), why: "not needed here".into() });
    assert_eq!(m.states(), ["a[local] skipped", "b[local] skipped"]);
    assert_eq!(m.run.outcome(), Some(Outcome::Succeeded));
}

#[test]
fn resolve_without_verify_is_taken_on_trust_and_brings_outputs() {
    let mut m = parked();
    let outputs = serde_json::json!({"ip": "10.0.0.1"}).as_object().cloned().unwrap();
    m.say(Word::Resolve { task: task("a[local]"), outputs, why: "did it in the console".into() });
    assert_eq!(m.states(), ["a[local] succeeded", "b[local] running"]);
    assert_eq!(m.run.task(0).outputs["ip"], "10.0.0.1");
}

#[test]
fn resolve_with_verify_must_pass_it() {
    let yaml = "runbook: x\nsteps:\n  - { id: a, run: a, verify: look }\n";
    let mut m = Machine::start(plan(yaml));
    m.exit("a[local]", 1);
    let resolve = || Word::Resolve { task: task("a[local]"), outputs: Default::default(), why: "by hand".into() };
    m.say(resolve());
    assert_eq!(m.wanted(), ["carry a[local]#1.verify1"]);
    m.exit("a[local]", 1);
    assert!(m.run.is_parked());
    m.say(resolve());
    assert_eq!(m.wanted(), ["carry a[local]#1.verify2"]);
    m.exit("a[local]", 0);
    assert_eq!(m.run.outcome(), Some(Outcome::Succeeded));
}

#[test]
fn cancel_stops_what_runs_and_still_runs_finally() {
    let yaml = "runbook: x\nsteps:\n  - { id: a, run: a }\n  - { id: w, needs: [], wait: { for: 1h } }\n  - { id: b, run: b }\nfinally:\n  - { id: f, run: f }\n";
    let mut m = Machine::start(plan(yaml));
    m.say(Word::Cancel { why: "enough".into() });
    assert_eq!(m.wanted(), ["stop a[local]#1.main1"]);
    m.stopped("a[local]");
    assert_eq!(m.wanted(), ["carry f[local]#1.main1"]);
    m.exit("f[local]", 0);
    assert_eq!(m.run.outcome(), Some(Outcome::Cancelled));
    assert_eq!(m.states(), ["a[local] failed", "w failed", "b[local] waiting", "f[local] succeeded"]);
}

#[test]
fn a_second_cancel_leaves_finally_too() {
    let yaml = "runbook: x\nsteps:\n  - { id: a, run: a }\nfinally:\n  - { id: f, run: f }\n  - { id: g, run: g }\n";
    let mut m = Machine::start(plan(yaml));
    m.exit("a[local]", 0);
    m.say(Word::Cancel { why: String::new() });
    m.stopped("f[local]");
    assert_eq!(m.run.outcome(), Some(Outcome::Cancelled));
}

#[test]
fn a_parked_run_can_be_cancelled() {
    let mut m = parked();
    m.say(Word::Cancel { why: String::new() });
    assert_eq!(m.run.outcome(), Some(Outcome::Cancelled));
}

#[test]
fn a_pause_between_attempts_can_be_cancelled() {
    let mut m = Machine::start(plan(TWO));
    m.exit("a[local]", 1);
    m.say(Word::Cancel { why: String::new() });
    assert_eq!(m.run.outcome(), Some(Outcome::Cancelled));
}

#[test]
fn what_cannot_be_followed_is_refused_with_a_reason() {
    let mut m = Machine::start(plan(TWO));
    let events = m.say(Word::Retry { task: task("a[local]"), why: String::new() });
    assert_eq!(short(&events), ["word_taken"]);
    assert_eq!(
        refusal(&events),
        Some(
            "a[local] does not wait for a decision: it is running; `cancel` stops the run, `undo` also takes back what was done"
        )
    );
    let events = m.say(Word::Skip { task: task("a"), why: String::new() });
    assert_eq!(refusal(&events), Some("the run has no task a; step a has a[local]"));
    let mut m = parked();
    m.say(Word::Cancel { why: String::new() });
    let events = m.say(Word::Undo { why: String::new() });
    assert_eq!(refusal(&events), Some("the run is over: it was cancelled"));
}

#[test]
fn a_word_is_followed_once_however_often_it_is_delivered() {
    let mut m = parked();
    let word = piton_core::run::Input::Said {
        id: piton_core::run::WordId(9),
        by: "x".into(),
        word: Word::Retry { task: task("a[local]"), why: String::new() },
    };
    assert!(!m.tell(word.clone()).is_empty());
    assert!(m.tell(word).is_empty());
}
