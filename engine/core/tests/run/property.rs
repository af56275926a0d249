//! Whatever the runbook and whatever happens: what must always hold, holds.

use piton_core::ids::TaskId;
use piton_core::plan::Plan;
use piton_core::run::{Effect, Input, Word};
use piton_core::runbook::Action;
use piton_testkit::machine::{Machine, check_order};
use piton_testkit::plans::{any_growing_runbook, any_runbook, plan};
use proptest::prelude::*;

#[derive(Debug, Clone)]
pub(super) enum Happening {
    Exit(u8),
    Began,
    Lost,
    Refused,
    Tick,
    Crash,
    Say(u8),
    Grant,
    Refuse,
    Vote(u8),
}

pub(super) fn any_happening() -> impl Strategy<Value = (Happening, prop::sample::Index)> {
    let what = prop_oneof![
        12 => Just(Happening::Exit(0)),
        4 => (1..4u8).prop_map(Happening::Exit),
        2 => Just(Happening::Began),
        2 => Just(Happening::Lost),
        1 => Just(Happening::Refused),
        6 => Just(Happening::Tick),
        2 => Just(Happening::Crash),
        2 => (0..7u8).prop_map(Happening::Say),
        8 => Just(Happening::Grant),
        1 => Just(Happening::Refuse),
        6 => (0..6u8).prop_map(Happening::Vote),
    ];
    (what, any::<prop::sample::Index>())
}

fn pick<'a, T>(from: &'a [T], which: &prop::sample::Index) -> Option<&'a T> {
    if from.is_empty() { None } else { Some(which.get(from)) }
}

pub(super) fn happen(m: &mut Machine, what: &Happening, which: &prop::sample::Index) {
    let jobs: Vec<(TaskId, bool)> = m
        .run
        .wanted()
        .filter_map(|effect| match effect {
            Effect::Carry(job) => Some((job.attempt.task.clone(), false)),
            Effect::Stop(job) => Some((job.attempt.task.clone(), true)),
            Effect::Fetch
            | Effect::Transfer(_)
            | Effect::Hook(_)
            | Effect::Answer { .. }
            | Effect::Wake { .. }
            | Effect::Hold(_) => None,
        })
        .collect();
    let job = pick(&jobs, which).map(|(task, stop)| (task.to_string(), *stop));
    match (what, job) {
        (Happening::Tick, _) => {
            if m.run.wanted().any(|e| matches!(e, Effect::Wake { .. })) {
                m.tick();
            }
        }
        (Happening::Crash, _) => m.crash(),
        (Happening::Say(word), _) => {
            let parked: Vec<TaskId> = m.run.parked().map(|t| m.run.graph().id(t).clone()).collect();
            let why = String::new();
            match (word, pick(&parked, which).cloned()) {
                (0, Some(task)) => m.say(Word::Retry { task, why }),
                (1, Some(task)) => m.say(Word::Skip { task, why }),
                (2, Some(task)) => m.say(Word::Resolve { task, why, outputs: Default::default() }),
                (3, _) => m.say(Word::Undo { why }),
                (5, _) => m.say(Word::Pause { why }),
                (6, _) => m.say(Word::Resume { why }),
                (_, _) if parked.is_empty() => m.say(Word::Cancel { why }),
                (_, _) => return,
            };
        }
        (Happening::Grant, _) => {
            if let Some(task) = pick(&asked_for(m), which) {
                m.grant(task.clone());
            }
        }
        (Happening::Refuse, _) => {
            if let Some(task) = pick(&asked_for(m), which).cloned() {
                m.tell(Input::LocksRefused { task, why: "a circle".into() });
            }
        }
        (Happening::Vote(who), _) => {
            let asked: Vec<u32> = m.run.asked().collect();
            if let Some(&index) = pick(&asked, which) {
                vote(m, index, *who);
            }
        }
        (_, None) => {}
        (Happening::Lost, Some((task, _))) => drop(m.lose(&task)),
        (Happening::Exit(status), Some((task, false))) => drop(m.exit(&task, *status)),
        (Happening::Exit(_), Some((task, true))) => drop(m.stopped(&task)),
        (Happening::Began, Some((task, false))) => drop(m.began(&task, "boot")),
        (Happening::Refused, Some((task, false))) => drop(m.refuse(&task)),
        (Happening::Began | Happening::Refused, Some((_, true))) => {}
    }
}

/// Who stands in the queue for locks.
fn asked_for(m: &Machine) -> Vec<Option<TaskId>> {
    let hold = |effect: &Effect| match effect {
        Effect::Hold(task) => Some(task.clone()),
        Effect::Fetch
        | Effect::Carry(_)
        | Effect::Stop(_)
        | Effect::Transfer(_)
        | Effect::Hook(_)
        | Effect::Answer { .. }
        | Effect::Wake { .. } => None,
    };
    m.run.wanted().filter_map(hold).collect()
}

/// One of six people says yes; the sixth says no.
fn vote(m: &mut Machine, index: u32, who: u8) {
    let (task, why, groups) = (m.run.graph().id(index).clone(), String::new(), Vec::new());
    let facts = m.run.asking(index).unwrap().1.facts;
    let by = format!("voter{who}@desk");
    if who == 5 {
        m.say_as(&by, Word::Reject { task, facts, groups, why });
    } else {
        m.say_as(&by, Word::Approve { task, facts, groups, why });
    }
}

/// A run to which all of this happened, gone to its end.
pub(super) fn played(plan: &Plan, happenings: &[(Happening, prop::sample::Index)]) -> Machine {
    let mut m = Machine::start(plan.clone());
    for (what, which) in happenings {
        if m.run.outcome().is_none() {
            happen(&mut m, what, which);
        }
    }
    finish(&mut m);
    check_order(plan, &m.log);
    m
}

/// Lets everything that is still open come to its end, with a person who skips what is parked.
pub(super) fn finish(m: &mut Machine) {
    for _ in 0..2_000 {
        if m.run.outcome().is_some() {
            return;
        }
        if m.run.paused().is_some() {
            m.say(Word::Resume { why: String::new() });
            continue;
        }
        if let Some(task) = asked_for(m).first() {
            m.grant(task.clone());
            continue;
        }
        let asked = m.run.asked().next();
        if let Some(index) = asked {
            (0..5).for_each(|who| {
                if m.run.asking(index).is_some() {
                    vote(m, index, who);
                }
            });
            continue;
        }
        let index = m.run.parked().next();
        let effect = m.run.wanted().next().cloned();
        if m.run.is_parked()
            && let Some(index) = index
        {
            let task = m.run.graph().id(index).clone();
            let why = String::new();
            match &m.run.step_of(index).action {
                // An approval cannot be skipped.
                Action::Approve(_) => m.say(Word::Retry { task, why }),
                Action::Run(_)
                | Action::Exec(_)
                | Action::Put(_)
                | Action::Get(_)
                | Action::Transfer(_)
                | Action::Reboot(_)
                | Action::Hook(_)
                | Action::Assert(_)
                | Action::WaitFor(_)
                | Action::WaitUntil(_)
                | Action::Block
                | Action::Call(_) => m.say(Word::Skip { task, why }),
            };
        } else if let Some(effect) = effect {
            match effect {
                Effect::Carry(job) => drop(m.exit(&job.attempt.task.to_string(), 0)),
                Effect::Stop(job) => drop(m.stopped(&job.attempt.task.to_string())),
                Effect::Wake { .. } => drop(m.tick()),
                Effect::Fetch | Effect::Transfer(_) | Effect::Hook(_) | Effect::Answer { .. } | Effect::Hold(_) => {
                    unreachable!("the generator makes none")
                }
            }
        }
    }
    panic!("the run does not come to an end: {:?}", m.states());
}

/// The first step puts out a list, so that others have items to find out.
pub(super) fn list(m: &mut Machine) {
    let job = m.run.wanted().find_map(|effect| match effect {
        Effect::Carry(job) if job.attempt.task.step.as_str() == "list" => Some(job.attempt.task.to_string()),
        Effect::Carry(_)
        | Effect::Stop(_)
        | Effect::Transfer(_)
        | Effect::Wake { .. }
        | Effect::Fetch
        | Effect::Hook(_)
        | Effect::Answer { .. }
        | Effect::Hold(_) => None,
    });
    if let Some(task) = job {
        m.exit_with(&task, serde_json::json!({ "all": ["x", "y", "../z w", "4"] }));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// `Machine` itself checks after each piece of news that the changes add up to what is wanted, that a run never
    /// stands still without a reason, and at each crash that replay gives the same state.
    #[test]
    fn every_run_keeps_the_laws_and_comes_to_an_end(
        yaml in any_runbook(),
        happenings in prop::collection::vec(any_happening(), 0..60),
    ) {
        played(&plan(&yaml), &happenings).crash();
    }

    /// A journal cut anywhere replays, and what is wanted then can be gone on with.
    #[test]
    fn a_log_cut_anywhere_can_be_gone_on_with(
        yaml in any_runbook(),
        happenings in prop::collection::vec(any_happening(), 0..40),
        cut in any::<prop::sample::Index>(),
    ) {
        let plan = plan(&yaml);
        let mut m = Machine::start(plan.clone());
        let mut ends = vec![m.log.len()];
        for (what, which) in &happenings {
            if m.run.outcome().is_none() {
                happen(&mut m, what, which);
                ends.push(m.log.len());
            }
        }
        // Appends are atomic, so a cut falls between them.
        let end = *cut.get(&ends);
        let mut other = Machine::from_log(plan.clone(), m.log[..end].to_vec());
        if other.run.outcome().is_none() {
            finish(&mut other);
        }
        check_order(&plan, &other.log);
    }

    /// The same with steps that are many: what grows, goes in batches and has limits. `check_order` also counts anew that
    /// no limit is passed.
    #[test]
    fn growing_runs_keep_the_laws_and_come_to_an_end(
        yaml in any_growing_runbook(),
        happenings in prop::collection::vec(any_happening(), 0..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let plan = plan(&yaml);
        let mut m = Machine::start(plan.clone());
        list(&mut m);
        let mut ends = vec![m.log.len()];
        for (what, which) in &happenings {
            if m.run.outcome().is_none() {
                happen(&mut m, what, which);
                ends.push(m.log.len());
            }
        }
        m.crash();
        let mut other = Machine::from_log(plan.clone(), m.log[..*cut.get(&ends)].to_vec());
        finish(&mut m);
        check_order(&plan, &m.log);
        m.crash();
        if other.run.outcome().is_none() {
            finish(&mut other);
        }
        check_order(&plan, &other.log);
    }
}
