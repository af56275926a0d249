//! Taking back: in reverse order, what happened and what may have.

use piton_core::run::{FailureCause, LossCause, Outcome, Undo, Word};
use piton_testkit::machine::{Machine, task};
use piton_testkit::plans::plan;

const THREE: &str = "runbook: x\non_failure: undo\nsteps:\n  - { id: a, run: a, undo: back }\n  - { id: b, run: b }\n  - { id: c, run: c, undo: back }\n  - { id: d, run: d, undo: back }\nfinally:\n  - { id: f, run: f }\n";

fn up_to_d() -> Machine {
    let mut m = Machine::start(plan(THREE));
    for step in ["a[local]", "b[local]", "c[local]"] {
        m.exit(step, 0);
    }
    m
}

#[test]
fn it_goes_backwards_and_ends_undone() {
    let mut m = up_to_d();
    m.exit("d[local]", 1);
    for step in ["d", "c", "a"] {
        assert_eq!(m.wanted(), [format!("carry {step}[local]#1.undo1")]);
        m.crash();
        m.exit(&format!("{step}[local]"), 0);
    }
    m.exit("f[local]", 0);
    assert_eq!(m.run.outcome(), Some(Outcome::Undone));
}

#[test]
fn what_began_last_is_taken_back_first_wherever_it_stands_in_the_plan() {
    let yaml = "runbook: x\non_failure: undo\nsteps:\n  - { id: a, run: a, undo: back, locks: l }\n  - { id: b, needs: [], run: b, undo: back }\n";
    let mut m = Machine::start(plan(yaml));
    m.exit("b[local]", 0);
    m.grant(Some(task("a[local]")));
    m.exit("a[local]", 1);
    m.grant(Some(task("a[local]")));
    assert_eq!(m.wanted(), ["carry a[local]#1.undo1"]);
    m.exit("a[local]", 0);
    assert_eq!(m.wanted(), ["carry b[local]#1.undo1"]);
}

#[test]
fn what_may_have_happened_is_taken_back_too() {
    let mut m = up_to_d();
    m.lose("d[local]");
    assert_eq!(m.wanted(), ["carry d[local]#1.undo1"]);
}

#[test]
fn what_certainly_never_began_is_not() {
    let mut m = up_to_d();
    m.refuse("d[local]");
    assert_eq!(m.wanted(), ["carry c[local]#1.undo1"]);
}

#[test]
fn an_undo_that_fails_parks_and_a_person_decides() {
    let mut m = up_to_d();
    m.exit("d[local]", 1);
    m.exit("d[local]", 1);
    assert!(m.run.is_parked());
    m.say(Word::Retry { task: task("d[local]"), why: String::new() });
    assert_eq!(m.wanted(), ["carry d[local]#2.undo1"]);
    m.lose("d[local]");
    assert!(m.run.is_parked());
    m.say(Word::Skip { task: task("d[local]"), why: String::new() });
    assert_eq!(m.wanted(), ["carry c[local]#1.undo1"]);
}

#[test]
fn an_undo_that_takes_too_long_is_stopped_and_parks() {
    // What bounds the step, what bounds its undo, and when the undo has taken too long.
    for (step, undo, limit) in [
        (", timeout: 5s", "back", Some(5_000)),
        (", timeout: 5s", "{ run: back, timeout: 2m }", Some(120_000)),
        ("", "{ run: back, timeout: 1s }", Some(1_000)),
        ("", "{ run: back }", None),
        ("", "back", None),
    ] {
        let yaml = format!(
            "runbook: x\non_failure: undo\nsteps:\n  - {{ id: a, run: a, undo: {undo}{step} }}\n  - {{ id: b, run: b }}\n"
        );
        let mut m = Machine::start(plan(&yaml));
        m.exit("a[local]", 0);
        m.exit("b[local]", 1);
        let Some(limit) = limit else {
            assert_eq!(m.wanted(), ["carry a[local]#1.undo1"], "{step} {undo}: as long as it takes");
            continue;
        };
        let until = m.now.0 + limit;
        assert_eq!(m.wanted(), ["carry a[local]#1.undo1".to_owned(), format!("wake a[local] Undo at {until}")]);
        m.crash();
        m.tick();
        assert_eq!(m.wanted(), ["stop a[local]#1.undo1"], "{step} {undo}");
        m.crash();
        assert_eq!(m.wanted(), ["stop a[local]#1.undo1"], "a new engine goes on stopping it");
        m.stopped("a[local]");
        assert!(m.run.is_parked());
        assert_eq!(m.run.task(0).undo, Undo::Parked(1, FailureCause::TimedOut), "{step} {undo}");
        m.say(Word::Retry { task: task("a[local]"), why: String::new() });
        let until = m.now.0 + limit;
        assert_eq!(m.wanted(), ["carry a[local]#2.undo1".to_owned(), format!("wake a[local] Undo at {until}")]);
        m.exit("a[local]", 0);
        assert_eq!(m.run.outcome(), Some(Outcome::Undone));
    }
}

#[test]
fn an_undo_that_ends_well_while_it_is_being_stopped_has_taken_it_back() {
    let yaml = "runbook: x\non_failure: undo\nsteps:\n  - { id: a, run: a, undo: back, timeout: 5s }\n";
    let mut m = Machine::start(plan(yaml));
    m.exit("a[local]", 1);
    m.tick();
    m.exit("a[local]", 0);
    assert_eq!(m.run.outcome(), Some(Outcome::Undone));
}

#[test]
fn an_undo_that_cannot_be_stopped_is_unknown() {
    let yaml = "runbook: x\non_failure: undo\nsteps:\n  - { id: a, run: a, undo: back, timeout: 5s }\n";
    let mut m = Machine::start(plan(yaml));
    m.exit("a[local]", 1);
    m.tick();
    m.lose("a[local]");
    assert!(m.run.is_parked());
    let loss = FailureCause::Unknown(LossCause::ProcessGone);
    assert_eq!(m.run.task(0).undo, Undo::Parked(1, loss));
}

#[test]
fn others_in_flight_come_to_their_end_first() {
    let yaml = "runbook: x\non_failure: undo\nsteps:\n  - { id: a, run: a, undo: back }\n  - { id: b, needs: [], run: b, undo: back }\n";
    let mut m = Machine::start(plan(yaml));
    m.exit("b[local]", 1);
    assert_eq!(m.wanted(), ["carry a[local]#1.main1"]);
    m.exit("a[local]", 0);
    assert_eq!(m.wanted(), ["carry b[local]#1.undo1"]);
}

#[test]
fn after_the_point_of_no_return_it_parks_instead() {
    let yaml = "runbook: x\non_failure: undo\nsteps:\n  - { id: a, run: a, undo: back }\n  - { id: b, run: b, point_of_no_return: true }\n  - { id: c, run: c }\n";
    let mut m = Machine::start(plan(yaml));
    m.exit("a[local]", 0);
    m.exit("b[local]", 0);
    m.exit("c[local]", 1);
    assert_eq!(m.states(), ["a[local] succeeded", "b[local] succeeded", "c[local] parked"]);
    m.say(Word::Undo { why: "I know what I do".into() });
    assert_eq!(m.wanted(), ["carry a[local]#1.undo1"]);
}

#[test]
fn behind_the_point_of_no_return_a_loss_parks_as_well() {
    let yaml = "runbook: x\non_failure: undo\nsteps:\n  - { id: a, run: a, undo: back }\n  - { id: b, run: b, point_of_no_return: true }\n  - { id: c, run: c }\n";
    let mut m = Machine::start(plan(yaml));
    m.exit("a[local]", 0);
    m.exit("b[local]", 0);
    m.lose("c[local]");
    assert_eq!(m.states(), ["a[local] succeeded", "b[local] succeeded", "c[local] unknown"]);
    assert!(m.run.is_parked());
    // The point itself: whether it was passed is what nobody knows.
    let mut m = Machine::start(plan(yaml));
    m.exit("a[local]", 0);
    m.lose("b[local]");
    assert_eq!(m.states(), ["a[local] succeeded", "b[local] unknown", "c[local] waiting"]);
    assert!(m.run.is_parked());
}

#[test]
fn a_person_can_ask_for_it_while_the_run_goes_on() {
    let yaml = "runbook: x\nsteps:\n  - { id: a, run: a, undo: back }\n  - { id: b, run: b, undo: back }\n";
    let mut m = Machine::start(plan(yaml));
    m.exit("a[local]", 0);
    m.say(Word::Undo { why: "wrong host".into() });
    assert_eq!(m.wanted(), ["stop b[local]#1.main1"]);
    m.stopped("b[local]");
    assert_eq!(m.wanted(), ["carry b[local]#1.undo1"]);
}

#[test]
fn a_cancel_ends_it() {
    let mut m = up_to_d();
    m.exit("d[local]", 1);
    m.say(Word::Cancel { why: String::new() });
    assert_eq!(m.wanted(), ["stop d[local]#1.undo1"]);
    m.stopped("d[local]");
    m.exit("f[local]", 0);
    assert_eq!(m.run.outcome(), Some(Outcome::Cancelled));
}
