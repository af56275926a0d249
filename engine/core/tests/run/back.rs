//! The way back is told as it is then gone.

use piton_core::run::{Effect, Event, Happened, LeftCause, Outcome, Phase, Word};
use piton_testkit::machine::{Machine, task};
use piton_testkit::plans::{any_runbook, plan};
use proptest::prelude::*;

use super::property::{any_happening, happen};

fn told(m: &Machine) -> Vec<String> {
    let back = m.run.way_back().unwrap();
    back.steps.iter().map(|b| format!("{} {:?}", m.run.graph().id(b.task), b.happened)).collect()
}

fn left(m: &Machine) -> Vec<String> {
    let back = m.run.way_back().unwrap();
    back.left.iter().map(|l| format!("{} {:?}", m.run.graph().id(l.task), l.why)).collect()
}

const MANY: &str = "runbook: x\nsteps:\n  - { id: a, run: a, undo: back }\n  - { id: b, run: b }\n  - { id: u, run: u, unless: see, undo: back }\n  - { id: c, run: c, undo: back }\n  - { id: d, run: d, undo: back }\n";

#[test]
fn it_says_what_happened_what_may_have_and_what_is_left() {
    let mut m = Machine::start(plan(MANY));
    m.exit("a[local]", 0);
    m.exit("b[local]", 0);
    m.exit("u[local]", 0);
    m.lose("c[local]");
    assert_eq!(told(&m), ["c[local] Unknown(ProcessGone)", "a[local] Done(Ran)"]);
    assert_eq!(left(&m), ["b[local] NoUndo(Done(Ran))", "u[local] AlreadyDone"]);
    m.say(Word::Skip { task: task("c[local]"), why: "seems fine".into() });
    assert_eq!(told(&m), ["d[local] GoingOn", "c[local] LeftOut", "a[local] Done(Ran)"], "it may have happened still");
    m.exit("d[local]", 1);
    assert_eq!(told(&m)[0], "d[local] Failed(Some(Exit(Exit(1))))");
    m.say(Word::Undo { why: "back".into() });
    m.exit("d[local]", 0);
    m.exit("c[local]", 1);
    let back = m.run.way_back().unwrap();
    assert_eq!((back.steps.len(), back.done.len()), (2, 1), "while it goes on, what is still ahead");
    m.say(Word::Skip { task: task("c[local]"), why: "leave it".into() });
    m.exit("a[local]", 0);
    assert_eq!(m.run.outcome(), Some(Outcome::Undone));
    assert_eq!(m.run.way_back().unwrap_err(), "the run is over: it was undone");
}

#[test]
fn what_never_began_is_not_in_it() {
    let mut m = Machine::start(plan(MANY));
    m.refuse("a[local]");
    assert_eq!(told(&m), Vec::<String>::new());
    assert_eq!(m.run.way_back().unwrap().left, vec![]);
}

#[test]
fn undo_scripts_find_parameters_outputs_and_env() {
    let yaml = "runbook: x\nparams:\n  vm: { type: name, default: web1 }\n  disk: { type: string, default: none }\nsteps:\n  - { id: a, run: a, undo: back, env: { extra: 'e-{{ vm }}' } }\n";
    let mut m =
        Machine::start(plan(&yaml.replace("undo: back, env", "on_failure: undo, undo: back, verify: look, env")));
    m.exit_with(
        "a[local]",
        serde_json::json!({"disk": "/d", "size": 5, "extra": "no", "Bad Key": "x", "nul": "a\u{0}b"}),
    );
    m.exit("a[local]", 1);
    let env = m.run.job_text(&m.job("a[local]")).unwrap().env;
    let env: Vec<String> = env.iter().map(|(n, v)| format!("{n}={v}")).collect();
    assert_eq!(env, ["disk=/d", "extra=e-web1", "size=5", "vm=web1"]);
}

const POINT: &str = "runbook: x\non_failure: undo\nsteps:\n  - { id: a, run: a, undo: back }\n  - { id: p, needs: [], run: p, unless: see, point_of_no_return: true, undo: back }\n";

#[test]
fn a_point_that_was_never_passed_stops_nothing() {
    let mut m = Machine::start(plan(&POINT.replace("needs: [], ", "").replace("unless: see, ", "")));
    m.exit("a[local]", 0);
    m.refuse("p[local]");
    assert_eq!(m.wanted(), ["carry a[local]#1.undo1"], "the host never began with it");
}

#[test]
fn a_task_on_its_way_past_the_point_stops_the_undo_as_well() {
    let mut m = Machine::start(plan(POINT));
    m.exit("a[local]", 1);
    m.exit("p[local]", 1);
    assert_eq!(m.wanted(), ["carry p[local]#1.main1"], "it goes on, and nothing was undone behind its back");
    assert_eq!(m.states(), ["a[local] parked", "p[local] running"]);
    m.exit("p[local]", 0);
    assert!(m.run.is_parked());
    assert_eq!(m.run.way_back().unwrap().past_return.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// What the way back says is what undo then does, in that order, whatever happened before and whatever scripts say.
    #[test]
    fn undo_does_what_was_told(
        yaml in any_runbook(),
        happenings in prop::collection::vec(any_happening(), 0..40),
        answers in prop::collection::vec(0..4u8, 64),
    ) {
        let mut m = Machine::start(plan(&yaml));
        for (what, which) in &happenings {
            if m.run.phase() == Phase::Main {
                happen(&mut m, what, which);
            }
        }
        let Ok(told) = m.run.way_back() else { return Ok(()) };
        let name = |t: u32| m.run.graph().id(t).clone();
        let told_steps: Vec<_> = told.steps.iter().map(|b| name(b.task)).collect();
        let told_left: Vec<_> = told.left.iter().map(|l| name(l.task)).collect();
        // In the middle of an undo, what has begun stays in the plan until it is over.
        let begun: Vec<_> = m.log.iter().filter_map(|e| undo_began(&e.event)).collect();
        let mut answers = answers.iter().cycle();
        if m.run.phase() == Phase::Main {
            m.say(Word::Undo { why: String::new() });
        }
        for _ in 0..500 {
            if m.run.phase() != Phase::Undoing {
                break;
            }
            if let Some(parked) = m.run.is_parked().then(|| m.run.parked().next()).flatten() {
                let (task, why) = (m.run.graph().id(parked).clone(), String::new());
                m.say(match answers.next() {
                    Some(0) => Word::Skip { task, why },
                    Some(1) => Word::Resolve { task, why, outputs: Default::default() },
                    Some(_) | None => Word::Retry { task, why },
                });
                continue;
            }
            let next = m.run.wanted().next().cloned();
            match next {
                Some(Effect::Carry(job)) => drop(m.exit(&job.attempt.task.to_string(), u8::from(answers.next() == Some(&0)))),
                Some(Effect::Stop(job)) => drop(m.stopped(&job.attempt.task.to_string())),
                Some(Effect::Hold(task)) => drop(m.grant(task)),
                Some(
                    Effect::Wake { .. }
                    | Effect::Fetch
                    | Effect::Transfer(_)
                    | Effect::Hook(_)
                    | Effect::Answer { .. },
                )
                | None => break,
            }
        }
        prop_assert_ne!(m.run.phase(), Phase::Undoing);
        let mut done: Vec<_> = m.log.iter().filter_map(|e| undo_began(&e.event)).collect();
        done.drain(..begun.len());
        let expected: Vec<_> = told_steps.iter().filter(|t| !begun.contains(t)).cloned().collect();
        prop_assert_eq!(&done, &expected);
        for task in told_left {
            prop_assert!(!done.contains(&task));
        }
    }
}

fn undo_began(event: &Event) -> Option<piton_core::ids::TaskId> {
    if let Event::UndoAttemptStarted { task, attempt: 1, .. } = event { Some(task.clone()) } else { None }
}

#[test]
fn what_another_run_did_is_not_taken_back_by_this_one() {
    let plan = plan(MANY);
    let mut old = Machine::start(plan.clone());
    old.exit("a[local]", 0);
    let tasks = old.run.results(|_| false);
    let m = Machine::rerun(plan, &old.run, tasks);
    assert_eq!(told(&m), Vec::<String>::new(), "b is going on, and has no undo");
    let back = m.run.way_back().unwrap();
    assert!(matches!(back.left[0].why, LeftCause::TakenOver(run) if run == old.run.id()), "{back:?}");
    assert!(matches!(&back.left[1].why, LeftCause::NoUndo(Happened::GoingOn)), "{back:?}");
}
