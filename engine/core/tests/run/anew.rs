//! A run that begins with another one's results, and a run that goes on with a corrected plan.

use std::collections::BTreeSet;

use piton_core::digest::Digest;
use piton_core::ids::TaskId;
use piton_core::run::{Event, Outcome, Recorded, Run, Taken, Word};
use piton_testkit::machine::{Machine, check_order, task};
use piton_testkit::plans::{any_growing_runbook, any_runbook, plan};
use proptest::prelude::*;

use super::property::{any_happening, finish, happen, list};
use super::short;

const CHAIN: &str = "runbook: x\non_failure: continue\nsteps:\n  - { id: a, hosts: [h1, h2], run: a }\n  - { id: b, hosts: [h1, h2], run: b }\n  - { id: c, hosts: [h1], run: c, when: 'steps.a.outputs.n == 1' }\n  - { id: other, needs: [], run: other }\nfinally:\n  - { id: f, run: f }\n";

fn names(tasks: &[piton_core::run::TakenTask]) -> Vec<String> {
    tasks.iter().map(|t| t.task.to_string()).collect()
}

fn half() -> Machine {
    let mut m = Machine::start(plan(CHAIN));
    m.exit_with("a[h1]", serde_json::json!({"n": 1}));
    m.exit("a[h2]", 0);
    m.exit("other[local]", 0);
    m.exit("b[h1]", 1);
    m.exit("b[h2]", 0);
    m.exit("f[local]", 0);
    assert_eq!(m.run.outcome(), Some(Outcome::Failed));
    m
}

#[test]
fn what_is_finished_is_taken_over_with_its_outputs_and_the_rest_is_done_again() {
    let old = half();
    let tasks = old.run.results(|_| false);
    assert_eq!(names(&tasks), ["a[h1]", "a[h2]", "b[h2]", "other[local]"]);
    let mut m = Machine::rerun(plan(CHAIN), &old.run, tasks);
    assert_eq!(m.wanted(), ["carry b[h1]#1.main1"]);
    m.crash();
    m.exit("b[h1]", 0);
    assert_eq!(m.wanted(), ["carry c[h1]#1.main1"], "its `when` sees the output that was taken over");
    m.exit("c[h1]", 0);
    m.exit("f[local]", 0);
    assert_eq!(m.run.outcome(), Some(Outcome::Succeeded));
    assert_eq!(m.run.task(0).taken, Some(old.run.id()));
}

#[test]
fn from_a_step_on_everything_that_follows_is_done_again() {
    let old = half();
    let of = |m: &Machine, step: &str| m.run.graph().of_step(&step.parse().unwrap());
    let a = of(&old, "a");
    assert_eq!(names(&old.run.results(|t| a.contains(&t))), ["other[local]"]);
    assert_eq!(old.run.unfinished_before(&a), None);
    let c = of(&old, "c");
    let before = old.run.unfinished_before(&c).map(|t| old.run.graph().id(t).to_string());
    assert_eq!(before.as_deref(), Some("b[h1]"), "c cannot be where it begins: b has not been done");
}

#[test]
fn what_was_taken_back_does_not_stand() {
    let yaml = "runbook: x\non_failure: undo\nsteps:\n  - { id: a, run: a }\n  - { id: b, run: b, undo: back }\n  - { id: c, run: c }\n";
    let mut old = Machine::start(plan(yaml));
    for (step, status) in [("a[local]", 0), ("b[local]", 0), ("c[local]", 1), ("b[local]", 0)] {
        old.exit(step, status);
    }
    assert_eq!(old.run.outcome(), Some(Outcome::Undone));
    assert_eq!(names(&old.run.results(|_| false)), ["a[local]"]);
}

#[test]
fn results_are_taken_over_only_at_the_beginning_and_once() {
    let old = half();
    let tasks = old.run.results(|_| false);
    let twice: Vec<_> = tasks.iter().chain(&tasks[..1]).cloned().collect();
    let finally = piton_core::run::TakenTask { task: task("f[local]"), ..tasks[0].clone() };
    let unknown = piton_core::run::TakenTask { task: task("zz"), ..tasks[0].clone() };
    for (tasks, says) in
        [(twice, "taken over twice"), (vec![finally], "under `finally`"), (vec![unknown], "no task zz")]
    {
        let fresh = Machine::start(plan(CHAIN));
        let mut run = Run::replay(fresh.run.id(), fresh.run.plan().clone(), &fresh.log[..1]).unwrap();
        let event =
            Event::TakenOver { from: old.run.id(), plan: Digest::of(b""), seq: 9, head: Digest::of(b""), tasks };
        let error = run.apply(&Recorded { seq: 2, at: fresh.now, event }).unwrap_err();
        assert!(error.why.contains(says), "{error}");
    }
    let fresh = Machine::start(plan(CHAIN));
    let (mut run, seq, waiting) = (fresh.run.clone(), fresh.run.seq() + 1, tasks[2..3].to_vec());
    assert_eq!(waiting[0].task, task("b[h2]"), "its turn has not come");
    let event =
        Event::TakenOver { from: old.run.id(), plan: Digest::of(b""), seq: 9, head: Digest::of(b""), tasks: waiting };
    let error = run.apply(&Recorded { seq, at: fresh.now, event }).unwrap_err();
    assert!(error.why.contains("before anything else happens"), "{error}");
    let mut late = half();
    let event = Event::TakenOver { from: old.run.id(), plan: Digest::of(b""), seq: 9, head: Digest::of(b""), tasks };
    let seq = late.run.seq() + 1;
    assert!(late.run.apply(&Recorded { seq, at: late.now, event }).is_err());
}

const FIVE: &str = "runbook: x\nsteps:\n  - { id: a, run: a, undo: back }\n  - { id: b, run: bad, tags: [x] }\n  - { id: c, run: c }\n  - { id: d, run: d }\n";

fn parked_at_b() -> Machine {
    let mut m = Machine::start(plan(FIVE));
    m.exit("a[local]", 0);
    m.exit("b[local]", 1);
    m
}

#[test]
fn a_failed_step_is_corrected_and_the_run_goes_on() {
    let mut m = parked_at_b();
    let new = plan(
        &FIVE
            .replace("bad", "good")
            .replace("  - { id: d, run: d }\n", "  - { id: e, run: e }\n  - { id: d2, run: d }\n"),
    );
    let onto = m.run.onto(&new);
    assert_eq!(onto.obstacles, vec![]);
    assert_eq!(
        serde_json::to_value(&onto).unwrap(),
        serde_json::json!({
            "diff": {
                "plan": [],
                "added": ["e", "d2"],
                "removed": ["d"],
                "changed": [{"step": "b", "fields": [{"field": "run.text", "before": "bad", "after": "good"}]}],
            },
            "obstacles": [],
            "corrected": ["b[local]"],
        })
    );
    assert_eq!(short(&m.replan(&new)), ["plan_replaced"]);
    m.crash();
    m.say(Word::Retry { task: task("b[local]"), why: String::new() });
    assert_eq!(m.run.job_text(&m.job("b[local]")).unwrap().script, "good");
    assert_eq!(m.wanted(), ["carry b[local]#2.main1"], "it is another attempt, not the same again");
    for step in ["b", "c", "e", "d2"] {
        m.exit(&format!("{step}[local]"), 0);
    }
    m.crash();
    assert_eq!(m.run.outcome(), Some(Outcome::Succeeded));
    assert_eq!(m.run.plan().steps[1].step.id.as_str(), "b");
}

#[test]
fn a_corrected_plan_does_not_lead_back_over_the_point_of_no_return() {
    let yaml = "runbook: x\non_failure: undo\nsteps:\n  - { id: a, run: a, undo: back }\n  - { id: b, run: b, point_of_no_return: true }\n  - { id: c, run: bad }\n";
    let mut m = Machine::start(plan(yaml));
    for (step, status) in [("a[local]", 0), ("b[local]", 0), ("c[local]", 1)] {
        m.exit(step, status);
    }
    assert_eq!(short(&m.replan(&plan(&yaml.replace("bad", "no better")))), ["plan_replaced"]);
    m.crash();
    m.say(Word::Retry { task: task("c[local]"), why: String::new() });
    m.exit("c[local]", 1);
    assert_eq!(m.states(), ["a[local] succeeded", "b[local] succeeded", "c[local] parked"]);
    assert_eq!(m.wanted(), [""; 0], "nothing is taken back unasked");
}

#[test]
fn what_has_begun_may_not_change() {
    let obstacles = |m: &Machine, yaml: &str| -> Vec<String> {
        let onto = m.run.onto(&plan(yaml));
        onto.obstacles.iter().map(|o| format!("{}: {}", o.step.as_ref().map_or("", |s| s.as_str()), o.why)).collect()
    };
    let m = parked_at_b();
    for (from, to, says) in [
        ("run: a,", "run: aa,", vec!["a: a[local] has come to its end, and what differs is run.text"]),
        ("undo: back", "undo: forth", vec!["a: a[local] has come to its end, and what differs is undo.text"]),
        ("  - { id: a, run: a, undo: back }\n", "", vec!["a: is removed, and a[local] has come to its end"]),
        (
            "  - { id: b, run: bad, tags: [x] }\n",
            "",
            vec!["b: is removed, and b[local] has failed and waits for a person: `skip` it first"],
        ),
        ("run: bad,", "run: bad, hosts: h9,", vec!["b: b[local] has begun, and what differs is hosts"]),
        ("runbook: x", "runbook: y", vec![": it is another runbook: y, and the run is one of x"]),
        ("run: a,", "run: a, title: A, tags: [t],", vec![]),
        ("run: c", "run: c, hosts: [h1, h2]", vec![]),
    ] {
        assert!(FIVE.contains(from), "{from}");
        assert_eq!(obstacles(&m, &FIVE.replace(from, to)), says, "{from} -> {to}");
    }
    let mut unknown = Machine::start(plan(FIVE));
    unknown.exit("a[local]", 0);
    unknown.lose("b[local]");
    let why = "b: b[local] may have happened: `resolve`, `skip` or `retry` it first, and what differs is run.text";
    assert_eq!(obstacles(&unknown, &FIVE.replace("bad", "good")), [why]);
    let running = Machine::start(plan(FIVE));
    let why = "a: a[local] has begun, and what differs is run.text";
    assert_eq!(obstacles(&running, &FIVE.replace("run: a,", "run: aa,")), [why]);
    let with =
        |value: &str| FIVE.replace("steps:", &format!("params:\n  p: {{ type: string, default: {value} }}\nsteps:"));
    let m = Machine::start(plan(&with("one")));
    assert_eq!(obstacles(&m, &with("two")).len(), 1, "what has begun has begun with the value");
    assert_eq!(obstacles(&m, &with("one")), Vec::<String>::new());
}

#[test]
fn a_plan_that_does_not_fit_changes_nothing() {
    let mut m = parked_at_b();
    assert!(m.replan(&plan(&FIVE.replace("run: a,", "run: aa,"))).is_empty());
    m.say(Word::Cancel { why: String::new() });
    assert!(m.replan(&plan(FIVE)).is_empty(), "it is over");
    let m = parked_at_b();
    let mut run = m.run.clone();
    let text = plan(&FIVE.replace("run: a,", "run: aa,")).to_json();
    let event = |plan, text: &str| Event::PlanReplaced { by: "x".into(), why: String::new(), plan, text: text.into() };
    let seq = run.seq() + 1;
    let mut try_it = |event| run.apply(&Recorded { seq, at: m.now, event }).unwrap_err().why;
    assert!(try_it(event(Digest::of(text.as_bytes()), &text)).contains("has come to its end"), "apply refuses, too");
    assert!(try_it(event(Digest::of(b"other"), &text)).contains("digest"));
    assert!(!try_it(event(Digest::of(b"{}"), "{}")).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Wherever a run ended and from wherever on it is done again: what stands is not done again, everything else is in
    /// order, and the journal cut anywhere can be gone on with.
    #[test]
    fn a_rerun_does_what_is_left_and_nothing_twice(
        yaml in prop_oneof![any_runbook(), any_growing_runbook()],
        happenings in prop::collection::vec(any_happening(), 0..50),
        again in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let plan = plan(&yaml);
        let mut old = Machine::start(plan.clone());
        list(&mut old);
        for (what, which) in &happenings {
            if old.run.outcome().is_none() {
                happen(&mut old, what, which);
            }
        }
        finish(&mut old);
        let main: Vec<u32> = (0..old.run.graph().len()).filter(|&t| !old.run.graph().is_finally(t)).collect();
        let again = main.get(again.index(main.len() + 1)).copied();
        let tasks = old.run.results(|t| Some(t) == again);
        let stands: BTreeSet<TaskId> = tasks.iter().map(|t| t.task.clone()).collect();
        prop_assert!(again.is_none_or(|again| !stands.contains(old.run.graph().id(again))));
        prop_assert!(tasks.iter().all(|t| matches!(t.end, Taken::Succeeded(_) | Taken::Skipped(_))));
        let mut m = Machine::rerun(plan.clone(), &old.run, tasks.clone());
        list(&mut m);
        let mut ends = vec![m.log.len()];
        for (what, which) in happenings.iter().rev() {
            if m.run.outcome().is_none() {
                happen(&mut m, what, which);
                ends.push(m.log.len());
            }
        }
        let mut other = Machine::from_log(plan.clone(), m.log[..*cut.get(&ends)].to_vec());
        for m in [&mut m, &mut other] {
            if m.run.outcome().is_none() {
                finish(m);
            }
            check_order(&plan, &m.log);
            let started = m.log.iter().filter_map(|e| {
                if let Event::AttemptStarted { task, .. } | Event::UndoAttemptStarted { task, .. } = &e.event {
                    return Some(task.clone());
                }
                None
            });
            for task in started {
                prop_assert!(!stands.contains(&task), "{} stands and was done again", task);
            }
        }
    }

    /// A plan that says the same in another order, with a step more at its end, is no other run: it replays, and what was in
    /// flight stays so.
    #[test]
    fn a_run_goes_on_with_another_plan_wherever_it_stands(
        yaml in prop_oneof![any_runbook(), any_growing_runbook()],
        happenings in prop::collection::vec(any_happening(), 0..40),
        when in any::<prop::sample::Index>(),
    ) {
        let old = plan(&yaml);
        let new = plan(&yaml.replacen("steps:\n", "steps:\n  - { id: new, needs: [], run: new }\n", 1));
        let mut m = Machine::start(old.clone());
        list(&mut m);
        let at = when.index(happenings.len() + 1);
        let mut replaced = false;
        for (number, (what, which)) in happenings.iter().enumerate() {
            if number == at {
                let before = (m.jobs(), m.states());
                replaced = !m.replan(&new).is_empty();
                if replaced {
                    let states: Vec<String> = m.states().into_iter().filter(|s| !s.starts_with("new[")).collect();
                    let jobs = m.jobs();
                    prop_assert!(before.0.iter().all(|job| jobs.contains(job)), "{:?} {:?}", before.0, jobs);
                    prop_assert_eq!(states, before.1);
                }
            }
            if m.run.outcome().is_none() {
                happen(&mut m, what, which);
            }
        }
        m.crash();
        if m.run.outcome().is_none() {
            finish(&mut m);
        }
        m.crash();
        let ran = m.log.iter().any(|e| matches!(&e.event, Event::AttemptStarted { task, .. } if task.step.as_str() == "new"));
        prop_assert!(replaced || !ran);
        if !replaced {
            check_order(&old, &m.log);
        }
    }
}
