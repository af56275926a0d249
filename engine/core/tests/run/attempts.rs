//! How often a task is tried: what its step allows, anew each time a person releases it, and never again once it is left.

use std::collections::{BTreeMap, BTreeSet};

use piton_core::ids::TaskId;
use piton_core::run::{Event, FailureCause, ParkCause, Word};
use piton_testkit::machine::{Machine, task};
use piton_testkit::plans::{any_runbook, plan};
use proptest::prelude::*;

use super::property::{any_happening, played};

/// A lost attempt of a `repeat: safe` step is made again this often at most.
const MAX_REPEATS: u32 = 3;

#[test]
fn retries_are_counted_anew_for_each_release() {
    // What the step allows, how it fails, how often it is tried before a person is asked, and after each `retry`.
    for (allows, fails, tries) in [
        ("", "exit", 1),
        (", retry: { times: 1, delay: 1s }", "exit", 2),
        (", retry: { times: 3, delay: 1s }", "exit", 4),
        (", retry: { times: 3, delay: 1s, on: [9] }", "exit", 1),
        (", retry: { times: 2, delay: 1s, on: [unreachable] }", "refuse", 3),
        (", retry: { times: 2, delay: 1s, on: [1] }", "refuse", 1),
        (", retry: { times: 2, delay: 1s }", "lose", 1),
        (", repeat: safe", "lose", 1 + MAX_REPEATS),
        (", repeat: safe, retry: { times: 2, delay: 1s }", "lose", 1 + MAX_REPEATS),
    ] {
        let mut m = Machine::start(plan(&format!("runbook: x\nsteps:\n  - {{ id: a, run: a{allows} }}\n")));
        for release in 1..4 {
            let mut rounds = 0;
            while !m.run.is_parked() {
                rounds += 1;
                assert!(rounds < 20, "{allows} {fails}: it never parks");
                match fails {
                    "exit" => drop(m.exit("a[local]", 1)),
                    "refuse" => drop(m.refuse("a[local]")),
                    _lost => drop(m.lose("a[local]")),
                }
                if !m.run.is_parked() {
                    m.tick();
                }
            }
            assert_eq!(m.run.task(0).attempts, tries * release, "{allows} {fails}, {release}. time");
            m.say(Word::Retry { task: task("a[local]"), why: String::new() });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_task_is_tried_more_often_than_its_step_allows_nor_after_its_end(
        yaml in any_runbook(),
        happenings in prop::collection::vec(any_happening(), 0..80),
    ) {
        let m = played(&plan(&yaml), &happenings);
        let allowed = |task: &TaskId| {
            let step = m.run.step_of(m.run.graph().find(task).unwrap());
            1 + step.retry.as_ref().map_or(0, |r| r.times) + MAX_REPEATS
        };
        let mut tried: BTreeMap<TaskId, u32> = BTreeMap::new();
        let mut numbers: BTreeMap<TaskId, u32> = BTreeMap::new();
        let mut over: BTreeMap<TaskId, u64> = BTreeMap::new();
        let mut back: BTreeSet<TaskId> = BTreeSet::new();
        for recorded in &m.log {
            if let Event::TaskParked { task, why: ParkCause::UndoFailed(_) } = &recorded.event {
                back.insert(task.clone());
            }
            if let Event::UndoAttemptStarted { task, .. } = &recorded.event {
                back.remove(task);
            }
            if let Event::TaskReleased { task } = &recorded.event {
                tried.remove(task);
                // An undo that had not begun, for want of its lock, begins anew.
                let undo = back.remove(task);
                prop_assert!(undo || !over.contains_key(task), "{} was released after its end", task);
            }
            if let Event::AttemptStarted { task, attempt, .. } = &recorded.event {
                let count = tried.entry(task.clone()).or_default();
                *count += 1;
                prop_assert!(*count <= allowed(task), "{} was tried {} times", task, count);
                let last = numbers.insert(task.clone(), *attempt).unwrap_or(0);
                prop_assert!(*attempt > last, "attempts are numbered upwards");
                prop_assert!(!over.contains_key(task), "{} was tried after its end", task);
            }
            if let Event::TaskSkipped { task, .. } | Event::TaskSucceeded { task, .. } | Event::TaskFailed { task, .. } =
                &recorded.event
            {
                over.insert(task.clone(), recorded.seq);
            }
            // Once cancelled or being undone, nothing is tried again.
            if let Event::AttemptFailed { task, cause: FailureCause::Cancelled, .. } = &recorded.event {
                tried.insert(task.clone(), u32::MAX / 2);
            }
        }
    }
}
