//! Batches, how many may fail, how many may be under way.

use piton_core::run::{Outcome, Word};
use piton_testkit::machine::{Machine, check_order, task};
use piton_testkit::plans::plan;

fn hosts(count: usize) -> String {
    (0..count).map(|h| format!("h{h:02}")).collect::<Vec<_>>().join(", ")
}

fn rolling(count: usize, modifiers: &str) -> Machine {
    let hosts = hosts(count);
    let yaml = format!(
        "runbook: x\nsteps:\n  - id: roll\n    hosts: [{hosts}]\n    {modifiers}\n    steps:\n      - {{ id: drain, run: drain, undo: fill }}\n      - {{ id: upgrade, run: upgrade, undo: downgrade, verify: healthy }}\n  - {{ id: after, hosts: [{hosts}], run: after }}\n"
    );
    Machine::start(plan(&yaml))
}

/// Lets everything in flight end well; gives the hosts whose `drain` was in flight.
fn round(m: &mut Machine) -> Vec<String> {
    let mut drained = Vec::new();
    for job in m.jobs() {
        if job.attempt.task.step.as_str() == "drain" {
            drained.extend(job.attempt.task.host.as_ref().map(ToString::to_string));
        }
        m.exit(&job.attempt.task.to_string(), 0);
    }
    drained
}

#[test]
fn a_batch_begins_when_the_one_before_has_passed() {
    let mut m = rolling(40, "batch: [1, 5, \"20%\"]");
    let mut batches = Vec::new();
    while m.run.outcome().is_none() {
        let drained = round(&mut m);
        if !drained.is_empty() {
            batches.push(drained.len());
        }
        m.crash();
    }
    assert_eq!(batches, [1, 5, 8, 8, 8, 8, 2]);
    check_order(m.run.plan(), &m.log);
}

#[test]
fn a_failing_batch_stops_the_following_ones() {
    for (policy, state, outcome) in [
        ("stop", "parked", None),
        ("continue", "failed", Some(Outcome::Failed)),
        ("undo", "failed", Some(Outcome::Undone)),
    ] {
        let mut m = rolling(6, &format!("batch: 2\n    on_failure: {policy}"));
        for _ in 0..3 {
            round(&mut m);
        }
        assert_eq!(m.jobs().len(), 2, "{:?}", m.states());
        m.exit("drain[h02]", 9);
        while !m.jobs().is_empty() {
            round(&mut m);
        }
        let states = m.states();
        assert!(states.contains(&format!("drain[h02] {state}")), "{policy}: {states:?}");
        assert!(!states.iter().any(|s| s.starts_with("drain[h04] succeeded")), "{policy}: {states:?}");
        assert!(!states.iter().any(|s| s.starts_with("after") && s.ends_with("succeeded")), "{policy}: {states:?}");
        assert_eq!(m.run.outcome(), outcome, "{policy}");
        if policy == "stop" {
            m.say(Word::Skip { task: task("drain[h02]"), why: String::new() });
            while m.run.outcome().is_none() {
                round(&mut m);
            }
            assert_eq!(m.run.outcome(), Some(Outcome::Succeeded));
        }
    }
}

#[test]
fn what_is_tolerated_keeps_only_its_own_host_back() {
    let mut m = rolling(6, "batch: 3\n    max_failures: 1");
    m.exit("drain[h01]", 9);
    while m.run.outcome().is_none() {
        assert!(!m.run.is_parked(), "{:?}", m.states());
        round(&mut m);
        m.crash();
    }
    let states = m.states();
    for state in ["drain[h01] failed", "upgrade[h01] skipped", "after[h01] skipped", "after[h05] succeeded"] {
        assert!(states.contains(&state.to_owned()), "{state}: {states:?}");
    }
    assert_eq!(m.run.outcome(), Some(Outcome::Failed), "a host failed, and that is not forgotten");
}

#[test]
fn one_more_than_is_tolerated_and_nothing_new_of_the_step_begins() {
    // Of 10 hosts, 25% are 2.
    for (policy, outcome) in [("stop", None), ("continue", Some(Outcome::Failed))] {
        let mut m =
            rolling(10, &format!("batch: 5\n    max_failures: 25%\n    max_parallel: 3\n    on_failure: {policy}"));
        m.exit("drain[h00]", 1);
        m.exit("drain[h01]", 1);
        assert_eq!(m.jobs().len(), 3, "the places of failed hosts are free: {:?}", m.wanted());
        m.exit("drain[h02]", 1);
        let drains = |m: &Machine| m.jobs().iter().filter(|j| j.attempt.task.step.as_str() == "drain").count();
        assert_eq!(drains(&m), 2, "{:?}", m.wanted());
        while !m.jobs().is_empty() {
            round(&mut m);
            assert_eq!(drains(&m), 0, "{:?}", m.wanted());
        }
        assert_eq!(m.run.outcome(), outcome, "{:?}", m.states());
    }
}

#[test]
fn too_many_failures_take_everything_back() {
    let mut m = rolling(4, "max_failures: 1\n    on_failure: undo");
    m.exit("drain[h00]", 1);
    m.exit("drain[h01]", 0);
    m.exit("upgrade[h01]", 0);
    m.exit("drain[h02]", 1);
    let mut undone = Vec::new();
    while m.run.outcome().is_none() {
        let job = m.jobs().first().cloned().unwrap();
        if job.part == piton_core::ids::Part::Undo {
            undone.push(job.attempt.task.to_string());
        }
        m.exit(&job.attempt.task.to_string(), 0);
    }
    assert_eq!(m.run.outcome(), Some(Outcome::Undone));
    assert_eq!(undone, ["upgrade[h01]", "drain[h03]", "drain[h02]", "drain[h01]", "drain[h00]"]);
}

#[test]
fn a_step_has_no_more_under_way_than_it_may_and_others_pass_by() {
    let yaml = "runbook: x\nsteps:\n  - { id: a, hosts: [h1, h2, h3, h4], run: a, max_parallel: 2 }\n  - { id: b, needs: [], hosts: [h1, h2, h3], run: b }\n";
    let mut m = Machine::start(plan(yaml));
    let mains =
        |m: &Machine| m.wanted().iter().map(|w| w.replace("carry ", "").replace("#1.main1", "")).collect::<Vec<_>>();
    assert_eq!(mains(&m), ["a[h1]", "a[h2]", "b[h1]", "b[h2]", "b[h3]"]);
    m.exit("a[h2]", 0);
    m.crash();
    assert_eq!(mains(&m), ["a[h1]", "a[h3]", "b[h1]", "b[h2]", "b[h3]"]);
}

#[test]
fn an_item_of_a_block_keeps_its_place_until_all_of_it_is_done() {
    let yaml = "runbook: x\nsteps:\n  - id: g\n    for_each: [v1, v2, v3, v4]\n    max_parallel: 2\n    steps:\n      - { id: a, run: a }\n      - { id: b, run: b, when: 'item != \"v2\"' }\n      - { id: c, run: c }\n";
    let mut m = Machine::start(plan(yaml));
    let mut log = Vec::new();
    while let Some(job) = m.jobs().last().cloned() {
        let items: std::collections::BTreeSet<String> =
            m.jobs().iter().map(|job| job.attempt.task.item.as_ref().unwrap().to_string()).collect();
        assert!(items.len() <= 2, "{items:?}");
        log.push(job.attempt.task.to_string());
        m.crash();
        m.exit(&job.attempt.task.to_string(), 0);
    }
    assert_eq!(m.run.outcome(), Some(Outcome::Succeeded));
    assert_eq!(log.len(), 11);
    check_order(m.run.plan(), &m.log);
}

#[test]
fn items_go_in_batches_too() {
    let yaml = "runbook: x\nsteps:\n  - { id: l, run: l }\n  - id: g\n    for_each: steps.l.outputs.all\n    batch: [1, 2]\n    steps:\n      - { id: a, run: a }\n      - { id: b, run: b }\n";
    let mut m = Machine::start(plan(yaml));
    m.exit_with("l[local]", serde_json::json!({ "all": [1, 2, 3, 4] }));
    assert_eq!(m.wanted(), ["carry a[local/1]#1.main1"]);
    m.exit("a[local/1]", 0);
    assert_eq!(m.wanted(), ["carry b[local/1]#1.main1"]);
    m.crash();
    m.exit("b[local/1]", 0);
    assert_eq!(m.wanted(), ["carry a[local/2]#1.main1", "carry a[local/3]#1.main1"]);
}
