//! Batches, how many may fail, how many may be under way.

use std::collections::BTreeSet;

use piton_core::ids::JobId;
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

/// Whichever host of a batch is done first: the next batch waits for all of them.
#[test]
fn a_batch_begins_when_the_one_before_has_passed() {
    for first in [true, false] {
        let mut m = rolling(40, "batch: [1, 5, \"20%\"]");
        let batches: Vec<usize> =
            [1, 5, 8, 8, 8, 8, 2].iter().zip(0..).flat_map(|(&size, at)| std::iter::repeat_n(at, size)).collect();
        let (mut batch, mut begun) = (0, 0);
        loop {
            let jobs = m.jobs();
            let Some(job) = (if first { jobs.first() } else { jobs.last() }) else { break };
            // After every single step: whatever is in flight is in one batch, or the batches are over.
            let at: Vec<usize> =
                jobs.iter().filter(|job| job.attempt.task.step.as_str() != "after").map(place).collect();
            let of: BTreeSet<usize> = at.iter().map(|&host| batches[host]).collect();
            assert!(of.len() <= 1, "{:?}", m.wanted());
            if let Some(&now) = of.first().filter(|&&now| now != batch || begun == 0) {
                assert_eq!(at.len(), batches.iter().filter(|&&b| b == now).count(), "all of it: {:?}", m.wanted());
                (batch, begun) = (now, begun + 1);
            }
            m.exit(&job.attempt.task.to_string(), 0);
            m.crash();
        }
        assert_eq!((begun, m.run.outcome()), (7, Some(Outcome::Succeeded)));
        check_order(m.run.plan(), &m.log);
    }
}

/// The number of a job's host.
fn place(job: &JobId) -> usize {
    job.attempt.task.host.as_ref().unwrap().as_str()[1..].parse().unwrap()
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

/// Whether the host that fails is the first of its batch to be over, or the last, upon which the next batch begins.
#[test]
fn what_is_tolerated_keeps_only_its_own_host_back() {
    for (batch, order) in [("3", [1, 0, 2]), ("3", [0, 2, 1]), ("[1, 2, 3]", [0, 1, 2])] {
        for step in ["drain", "upgrade"] {
            let mut m = rolling(6, &format!("batch: {batch}\n    max_failures: 1"));
            let bad = format!("h0{}", if batch == "3" { 1 } else { 0 });
            while m.run.outcome().is_none() {
                assert!(!m.run.is_parked(), "{:?}", m.states());
                let key = |job: &JobId| order.iter().position(|&o| o == place(job) % 3);
                let job = m.jobs().into_iter().min_by_key(key).unwrap().attempt.task;
                let fails = job.host.as_ref().unwrap().as_str() == bad && job.step.as_str() == step;
                m.exit(&job.to_string(), if fails { 9 } else { 0 });
                m.crash();
            }
            let states = m.states();
            let ends = |state: &str| states.iter().filter(|s| s.ends_with(state)).count();
            let left_out = if step == "drain" { 2 } else { 1 };
            assert_eq!((ends(" failed"), ends(" skipped")), (1, left_out), "{batch} {order:?} {step}: {states:?}");
            assert_eq!(ends(" succeeded"), states.len() - 1 - left_out, "{batch} {order:?} {step}: {states:?}");
            assert!(
                states.contains(&format!("{step}[{bad}] failed")) && states.contains(&format!("after[{bad}] skipped"))
            );
            assert_eq!(m.run.outcome(), Some(Outcome::Failed), "a host failed, and that is not forgotten");
        }
    }
}

#[test]
fn one_more_than_is_tolerated_and_nothing_new_of_the_step_begins() {
    // Of 10 hosts, 25% are 2.
    for (policy, outcome) in [("stop", None), ("continue", Some(Outcome::Failed))] {
        let mut m =
            rolling(10, &format!("batch: 8\n    max_failures: 25%\n    max_parallel: 3\n    on_failure: {policy}"));
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
        let items: BTreeSet<String> =
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
