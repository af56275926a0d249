//! Locks as the run sees them: nothing begins before they are taken, and they are given back.

use piton_core::lock::Lock;
use piton_core::run::{Change, Event, Hold, Input, Outcome, Word};
use piton_testkit::machine::{Machine, check_order, task};
use piton_testkit::plans::{plan, plan_with};

use super::short;

const RUN: &str = "runbook: x\nparams: { vm: { type: name } }\nlocks: [\"vm/{{ vm }}\", { name: images, shared: true }, { name: backups, count: 3 }]\nsteps:\n  - { id: a, run: a, undo: back }\nfinally:\n  - { id: f, run: f }\n";

const STEPS: &str = "runbook: x\nsteps:\n  - { id: look, run: a }\n  - { id: act, hosts: [h1, h2], run: b, locks: \"disk/{{ host.name }}/{{ steps.look.outputs.disk }}\" }\n";

#[test]
fn nothing_of_a_run_begins_before_it_has_its_locks() {
    let mut m = Machine::start(plan_with(RUN, &[("vm", "web1")]));
    let lock = |name: &str, most| Lock { name: name.into(), most };
    let locks = [lock("backups", 3), lock("images", Lock::SHARED), lock("vm/web1", 1)];
    assert_eq!(m.run.plan().locks, locks);
    let last = m.log.last().map(|e| e.event.clone());
    assert_eq!(last, Some(Event::LocksAsked { task: None, locks: locks.to_vec() }));
    assert_eq!(m.wanted(), ["hold"]);
    assert!(!m.run.is_parked());
    assert_eq!(m.run.waits().unwrap().text, "waits for backups (3 at once), images (shared), vm/web1");
    m.crash();
    assert_eq!(m.wanted(), ["hold"], "a new engine goes on waiting");
    m.grant(None);
    assert_eq!(m.wanted(), ["carry a[local]#1.main1"]);
    assert!(m.grant(None).is_empty(), "the news may come twice");
    m.exit("a[local]", 0);
    m.exit("f[local]", 0);
    assert_eq!(m.run.outcome(), Some(Outcome::Succeeded));
}

#[test]
fn a_run_that_is_cancelled_in_the_queue_leaves_it_and_does_nothing() {
    let mut m = Machine::start(plan_with(RUN, &[("vm", "web1")]));
    let undo = m.say(Word::Undo { why: String::new() });
    let Event::WordTaken { refused, .. } = &undo[0] else { panic!("{undo:?}") };
    assert_eq!(refused.as_deref(), Some("nothing was done yet: the run waits for its locks"));
    let events = m.say(Word::Cancel { why: String::new() });
    assert_eq!(short(&events), ["word_taken", "cancel_started", "finally_started", "run_ended"]);
    assert_eq!(m.run.outcome(), Some(Outcome::Cancelled));
    assert!(m.grant(None).is_empty(), "what comes too late is nothing to it");
}

#[test]
fn a_paused_run_keeps_its_place_in_the_queue() {
    let mut m = Machine::start(plan_with(RUN, &[("vm", "web1")]));
    m.say(Word::Pause { why: String::new() });
    assert_eq!(m.wanted(), ["hold"]);
    m.grant(None);
    assert!(m.run.is_parked());
    m.crash();
    m.say(Word::Resume { why: String::new() });
    assert_eq!(m.wanted(), ["carry a[local]#1.main1"]);
}

#[test]
fn each_task_asks_for_its_own_locks_and_gives_them_back_when_it_is_settled() {
    let mut m = Machine::start(plan(STEPS));
    m.exit_with("look[local]", serde_json::json!({ "disk": "sda" }));
    assert_eq!(m.wanted(), ["hold act[h1]", "hold act[h2]"]);
    assert_eq!(m.run.waits().unwrap().text, "waits for disk/h1/sda");
    m.crash();
    m.grant(Some(task("act[h2]")));
    assert_eq!(m.wanted(), ["carry act[h2]#1.main1", "hold act[h1]"]);
    assert_eq!(m.run.waits(), None, "something runs");

    let free = |m: &mut Machine, input: Input| {
        let mut run = m.run.clone();
        run.take_changes();
        for event in m.run.decide(&input, m.now) {
            let recorded = piton_core::run::Recorded { seq: run.seq() + 1, at: m.now, event };
            run.apply(&recorded).unwrap();
        }
        run.take_changes().into_iter().filter(|change| matches!(change, Change::Free { .. })).count()
    };
    let job = m.job("act[h2]");
    let exited = |status| Input::JobExited {
        job: job.clone(),
        exit: piton_core::run::Exit(status),
        printed: Default::default(),
        outputs: Ok(Default::default()),
    };
    assert_eq!(free(&mut m, exited(1)), 0, "a task that waits for a decision keeps its locks");
    assert_eq!(free(&mut m, exited(0)), 1);
    m.exit("act[h2]", 1);
    assert!(!m.run.is_parked(), "h1 stands in the queue");
    m.grant(Some(task("act[h1]")));
    assert!(m.run.is_parked(), "and begins nothing while a decision is waited for");
    m.say(Word::Retry { task: task("act[h2]"), why: String::new() });
    assert_eq!(m.wanted(), ["carry act[h1]#1.main1", "carry act[h2]#2.main1"], "it has its locks still");
}

#[test]
fn a_task_that_would_wait_for_ever_fails_and_can_be_tried_again() {
    let mut m = Machine::start(plan(STEPS));
    m.exit_with("look[local]", serde_json::json!({ "disk": "sda" }));
    let why = "a circle".to_owned();
    let events = m.tell(Input::LocksRefused { task: Some(task("act[h1]")), why });
    assert_eq!(
        short(&events),
        ["locks_refused act[h1]", "task_unstartable act[h1]", "attempt_failed act[h1]", "task_parked act[h1]"]
    );
    m.say(Word::Retry { task: task("act[h1]"), why: String::new() });
    assert_eq!(m.wanted(), ["hold act[h1]", "hold act[h2]"]);
}

#[test]
fn whoever_stands_in_the_queue_when_the_run_turns_back_leaves_it() {
    let yaml = "runbook: x\non_failure: undo\nsteps:\n  - { id: a, run: a, undo: back }\n  - { id: b, needs: [], run: b, locks: l }\n";
    let mut m = Machine::start(plan(yaml));
    assert_eq!(m.wanted(), ["carry a[local]#1.main1", "hold b[local]"]);
    m.exit("a[local]", 1);
    assert_eq!(m.wanted(), ["carry a[local]#1.undo1"]);
    m.exit("a[local]", 0);
    assert_eq!(m.run.outcome(), Some(Outcome::Undone));
}

#[test]
fn a_lock_whose_name_is_no_name_starts_nothing() {
    let mut m = Machine::start(plan(STEPS));
    m.exit_with("look[local]", serde_json::json!({ "disk": "s da" }));
    assert_eq!(m.states()[1..], ["act[h1] parked", "act[h2] waiting"]);
}

const BACK: &str = "runbook: x\non_failure: undo\nsteps:\n  - { id: a, run: a, undo: back, locks: l }\n  - { id: b, run: b, undo: back, locks: l }\n  - { id: c, run: c }\n";

/// Both are done and have given their lock back; `c` fails.
fn going_back() -> Machine {
    let mut m = Machine::start(plan(BACK));
    for step in ["a[local]", "b[local]"] {
        m.grant(Some(task(step)));
        m.exit(step, 0);
    }
    m.exit("c[local]", 1);
    m
}

#[test]
fn what_was_done_under_a_lock_is_taken_back_under_it() {
    let mut m = going_back();
    assert_eq!(m.wanted(), ["hold b[local]"], "not before it has the lock again");
    assert!(!m.run.is_parked());
    assert_eq!(m.run.waits().unwrap().text, "waits for l");
    m.crash();
    m.grant(Some(task("b[local]")));
    assert_eq!(m.wanted(), ["carry b[local]#1.undo1"]);
    m.exit("b[local]", 1);
    assert!(m.run.is_parked(), "and it keeps the lock while a person thinks");
    m.say(Word::Retry { task: task("b[local]"), why: String::new() });
    assert_eq!(m.wanted(), ["carry b[local]#2.undo1"]);
    m.exit("b[local]", 0);
    assert_eq!(m.wanted(), ["hold a[local]"]);
    assert_eq!(m.run.task(1).hold, Hold::No, "b has given it back: a does not wait for it");
    m.grant(Some(task("a[local]")));
    m.exit("a[local]", 0);
    assert_eq!(m.run.outcome(), Some(Outcome::Undone));
    check_order(m.run.plan(), &m.log);
}

#[test]
fn an_undo_that_would_wait_for_its_lock_for_ever_waits_for_a_person_instead() {
    let mut m = going_back();
    let refuse = |m: &mut Machine| m.tell(Input::LocksRefused { task: Some(task("b[local]")), why: "a circle".into() });
    let events = refuse(&mut m);
    assert_eq!(short(&events), ["locks_refused b[local]", "task_parked b[local]"]);
    assert!(m.run.is_parked());
    m.say(Word::Retry { task: task("b[local]"), why: String::new() });
    assert_eq!(m.wanted(), ["hold b[local]"], "it asks anew");
    m.crash();
    refuse(&mut m);
    m.say(Word::Skip { task: task("b[local]"), why: "left".into() });
    assert_eq!(m.wanted(), ["hold a[local]"]);
    m.say(Word::Cancel { why: String::new() });
    assert_eq!(m.run.outcome(), Some(Outcome::Cancelled), "whoever stands in the queue leaves it");
}

#[test]
fn a_parked_task_that_is_not_taken_back_keeps_its_lock_from_nobody() {
    let yaml = "runbook: x\nsteps:\n  - { id: a, run: a, undo: back, locks: l }\n  - { id: b, run: b, locks: l }\nfinally:\n  - { id: f, run: f, locks: l }\n";
    let parked = || {
        let mut m = Machine::start(plan(yaml));
        m.grant(Some(task("a[local]")));
        m.exit("a[local]", 0);
        m.grant(Some(task("b[local]")));
        m.exit("b[local]", 1);
        assert!(matches!(m.run.task(1).hold, Hold::Taken(_)));
        m
    };
    let mut m = parked();
    m.say(Word::Undo { why: "back".into() });
    assert_eq!(m.run.task(1).hold, Hold::No, "nobody takes b back: a must not wait for it");
    assert_eq!(m.wanted(), ["hold a[local]"]);
    let mut m = parked();
    m.say(Word::Cancel { why: "enough".into() });
    assert_eq!(m.run.task(1).hold, Hold::No, "nobody decides on b any more: f must not wait for it");
    assert_eq!(m.wanted(), ["hold f[local]"]);
}
