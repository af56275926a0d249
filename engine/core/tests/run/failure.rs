//! Failures: retry, park, go on, time out, refuse.

use piton_core::run::Outcome;
use piton_testkit::machine::Machine;
use piton_testkit::plans::plan;

use super::short;

#[test]
fn a_failure_parks_and_holds_the_rest() {
    let yaml = "runbook: x\nsteps:\n  - { id: a, run: a }\n  - { id: b, needs: [], run: b }\n  - { id: c, needs: [b], run: c }\n";
    let mut m = Machine::start(plan(yaml));
    let events = m.exit("a[local]", 3);
    assert_eq!(short(&events), ["job_exited a[local]", "attempt_failed a[local]", "task_parked a[local]"]);
    assert!(!m.run.is_parked(), "b is still going on");
    m.exit("b[local]", 0);
    assert_eq!(m.states(), ["a[local] parked", "b[local] succeeded", "c[local] waiting"]);
    assert!(m.run.is_parked());
}

#[test]
fn what_fails_at_once_holds_what_could_have_begun_beside_it() {
    let yaml = "runbook: x\nsteps:\n  - { id: a, assert: 1 == 2 }\n  - { id: b, needs: [], run: b }\n";
    let m = Machine::start(plan(yaml));
    assert_eq!(m.states(), ["a parked", "b[local] waiting"]);
    assert!(m.run.is_parked());
}

#[test]
fn continue_blocks_only_what_needs_it() {
    let yaml = "runbook: x\non_failure: continue\nsteps:\n  - { id: a, hosts: [h1, h2], run: a }\n  - { id: b, hosts: [h1, h2], run: b }\n  - { id: c, hosts: [h1, h2], run: c, barrier: true }\n";
    let mut m = Machine::start(plan(yaml));
    m.exit("a[h1]", 1);
    m.exit("a[h2]", 0);
    m.exit("b[h2]", 0);
    assert_eq!(
        m.states(),
        ["a[h1] failed", "a[h2] succeeded", "b[h1] skipped", "b[h2] succeeded", "c[h1] skipped", "c[h2] skipped"]
    );
    assert_eq!(m.run.outcome(), Some(Outcome::Failed));
}

#[test]
fn retries_wait_longer_each_time_and_then_give_up() {
    let yaml = "runbook: x\nsteps:\n  - { id: a, run: a, retry: { times: 2, delay: 1s, backoff: 3, max_delay: 2s } }\n";
    let mut m = Machine::start(plan(yaml));
    m.exit("a[local]", 1);
    assert_eq!(m.wanted(), ["wake a[local] Retry at 2000"]);
    m.tick();
    assert_eq!(m.wanted(), ["carry a[local]#2.main1"]);
    m.exit("a[local]", 1);
    assert_eq!(m.wanted(), ["wake a[local] Retry at 4000"], "3 s are cut to max_delay");
    m.tick();
    m.exit("a[local]", 1);
    assert_eq!(m.states(), ["a[local] parked"]);
    assert_eq!(m.run.task(0).attempts, 3);
}

#[test]
fn only_the_named_failures_are_retried() {
    let yaml = "runbook: x\nsteps:\n  - { id: a, run: a, retry: { times: 5, delay: 1s, on: [7, unreachable] } }\n";
    let mut m = Machine::start(plan(yaml));
    m.exit("a[local]", 7);
    assert_eq!(m.states(), ["a[local] retrying"]);
    m.tick();
    m.refuse("a[local]");
    assert_eq!(m.states(), ["a[local] retrying"]);
    m.tick();
    m.exit("a[local]", 8);
    assert_eq!(m.states(), ["a[local] parked"]);
}

#[test]
fn a_timeout_stops_the_job_and_fails_only_when_it_is_dead() {
    let yaml = "runbook: x\nsteps:\n  - { id: a, run: a, timeout: 5s }\n";
    let mut m = Machine::start(plan(yaml));
    assert_eq!(m.wanted(), ["carry a[local]#1.main1", "wake a[local] Deadline at 6000"]);
    m.tick();
    assert_eq!(m.wanted(), ["stop a[local]#1.main1"]);
    m.crash();
    assert_eq!(m.wanted(), ["stop a[local]#1.main1"], "a new engine goes on stopping it");
    m.stopped("a[local]");
    assert_eq!(m.states(), ["a[local] parked"]);
}

#[test]
fn a_job_that_ends_well_while_it_is_being_stopped_has_succeeded() {
    let yaml = "runbook: x\nsteps:\n  - { id: a, run: a, timeout: 5s }\n";
    let mut m = Machine::start(plan(yaml));
    m.tick();
    m.exit("a[local]", 0);
    assert_eq!(m.states(), ["a[local] succeeded"]);
}

#[test]
fn all_broken_assertions_are_shown() {
    let yaml = "runbook: x\nparams: { n: { type: integer, default: 3 } }\nsteps:\n  - id: a\n    assert:\n      - { that: n > 5, else: \"n is {{ n }}, which is too small\" }\n      - that: n == 3\n      - n < 0\n";
    let m = Machine::start(plan(yaml));
    let why = m.log.iter().find_map(|e| {
        if let piton_core::run::Event::TaskParked { why, .. } = &e.event { Some(why.to_string()) } else { None }
    });
    assert_eq!(why.unwrap(), "n is 3, which is too small; `n < 0` is not true");
}

#[test]
fn an_expression_without_a_value_fails_the_task_before_anything_begins() {
    let yaml = "runbook: x\nsteps:\n  - { id: a, run: a }\n  - { id: b, run: b, env: { V: \"{{ steps.a.outputs.gone }}\" } }\n";
    let mut m = Machine::start(plan(yaml));
    let events = m.exit("a[local]", 0);
    let events = short(&events);
    assert!(events.contains(&"task_unstartable b[local]".into()), "{events:?}");
    assert!(!events.contains(&"attempt_started b[local]".into()), "{events:?}");
    assert_eq!(m.states(), ["a[local] succeeded", "b[local] parked"]);
}

#[test]
fn news_that_no_longer_matters_changes_nothing() {
    let mut m = Machine::start(plan("runbook: x\nsteps:\n  - { id: a, run: a }\n  - { id: b, run: b }\n"));
    let job = m.job("a[local]");
    m.exit("a[local]", 0);
    let again = piton_core::run::Input::JobExited {
        job,
        exit: piton_core::run::Exit(1),
        printed: Default::default(),
        outputs: Ok(Default::default()),
    };
    assert_eq!(m.tell(again), []);
}
