//! Plays a test as it is, and then again for everything that can go wrong in it.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use piton_core::fault::Fault;
use piton_core::ids::Part;
use piton_core::plan::Plan;
use piton_core::run::{Outcome, TaskState};
use piton_core::runbook::Step;
use piton_core::testing::{End, Exception, FaultKind, means};

use crate::journal::Trouble;
use crate::play::{Played, Scenario, Staged, play};
use crate::site::{Planted, Site};

/// What a test came to.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// What is not as it should be; empty: the test passed.
    pub complaints: Vec<Fault>,
    /// How often the test was played: once, and once for each fault.
    pub plays: usize,
    /// How many events the journal held at the end of the first play.
    pub events: u64,
    /// How long the run took in simulated time, in milliseconds.
    pub simulated_ms: u64,
}

/// Plays the test; with `faults` also with everything that can go wrong.
///
/// # Errors
/// When the engine itself could not go on, which no test should be able to bring about.
pub fn test(staged: &Staged, faults: bool) -> Result<Verdict, String> {
    // Whoever calls may have a runtime of their own, which ours must not meet.
    std::thread::scope(|scope| scope.spawn(|| all_of(staged, faults)).join())
        .unwrap_or_else(|_| Err("the simulation broke off".to_owned()))
}

fn all_of(staged: &Staged, faults: bool) -> Result<Verdict, String> {
    let first = play(staged, &Scenario::default())?;
    let mut complaints = first.unanswered.clone();
    if complaints.is_empty() {
        complaints.extend(first.complaints.clone());
        complaints.extend(staged.test.judge(&first.run, &first.log, &first.world, &first.before));
    }
    let (created, changed) = first.run.times();
    let mut verdict = Verdict {
        complaints,
        plays: 1,
        events: first.run.seq(),
        simulated_ms: u64::try_from(changed.since(created).as_millis()).unwrap_or(u64::MAX),
    };
    if faults && verdict.complaints.is_empty() && !staged.test.faults.off {
        let troubles = troubles(staged, &first);
        verdict.plays += troubles.len();
        verdict.complaints = each(staged, &first, &troubles)?;
    }
    Ok(verdict)
}

/// One thing that goes wrong, in words and as it is played.
struct Variant {
    what: String,
    scenario: Scenario,
}

fn troubles(staged: &Staged, first: &Played) -> Vec<Variant> {
    let except = &staged.test.faults.except;
    let mut all = Vec::new();
    for site in &first.sites {
        for kind in kinds(&staged.plan, site) {
            if except.iter().any(|exception| leaves_out(exception, site, kind)) {
                continue;
            }
            let planted = Some(Planted { at: site.key.clone(), kind });
            let what = format!("when {} {}", site.what, story(kind));
            all.push(Variant { what, scenario: Scenario { planted, crash: None, take_back: true } });
        }
    }
    let no_crash = |e: &Exception| e.at.iter().any(|at| at == "*") && e.kinds.contains(&FaultKind::Crash);
    if !except.iter().any(no_crash) {
        for append in 0..first.appends {
            for (trouble, when) in [(Trouble::DieBefore, "before"), (Trouble::DieAfter, "after")] {
                let what = format!("when the engine dies just {when} journal entry {} is durable", append + 1);
                let crash = Some((append, trouble));
                all.push(Variant { what, scenario: Scenario { planted: None, crash, take_back: false } });
            }
        }
    }
    all
}

/// What can go wrong there.
fn kinds(plan: &Plan, site: &Site) -> Vec<FaultKind> {
    if site.transfer {
        return vec![FaultKind::Fails, FaultKind::FailsAfter, FaultKind::Unreachable, FaultKind::Gone];
    }
    let step = site.task.as_ref().and_then(|task| plan.steps.iter().find(|p| p.step.id == task.step));
    let undo = site.part == Part::Undo;
    let limit = |step: &Step| if undo { step.undo_limit() } else { step.timeout };
    let timeout = step.is_some_and(|planned| limit(&planned.step).is_some());
    let mut kinds = vec![FaultKind::Fails, FaultKind::Lost, FaultKind::Unreachable, FaultKind::Gone];
    if timeout {
        kinds.push(FaultKind::TimesOut);
    }
    if site.effect {
        kinds.extend([FaultKind::FailsAfter, FaultKind::LostAfter]);
        if !undo {
            kinds.push(FaultKind::Silent);
        }
        if timeout {
            kinds.push(FaultKind::TimesOutAfter);
        }
    }
    kinds.sort_unstable();
    kinds
}

fn leaves_out(exception: &Exception, site: &Site, kind: FaultKind) -> bool {
    let here = exception.at.iter().any(|at| match &site.task {
        Some(task) => means(at, task),
        None => at == "*" || site.what.contains(at.as_str()),
    });
    here && (exception.kinds.is_empty() || exception.kinds.contains(&kind))
}

fn story(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Fails => "fails, having done nothing",
        FaultKind::FailsAfter => "fails, having done its work",
        FaultKind::Silent => "exits with 0, having done nothing",
        FaultKind::TimesOut => "hangs until its timeout, having done nothing",
        FaultKind::TimesOutAfter => "does its work and hangs until its timeout",
        FaultKind::Lost => "is lost, having done nothing",
        FaultKind::LostAfter => "is lost, having done its work",
        FaultKind::Unreachable => "does not reach its host",
        FaultKind::Gone => "finds its host gone for good",
        FaultKind::Crash => "sees the engine die",
    }
}

/// Plays every variant, on all processors, and gathers what is wrong in the order of the variants.
fn each(staged: &Staged, first: &Played, variants: &[Variant]) -> Result<Vec<Fault>, String> {
    let next = AtomicUsize::new(0);
    let found: Mutex<BTreeMap<usize, Result<Vec<Fault>, String>>> = Mutex::default();
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get).min(variants.len().max(1));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(variant) = variants.get(number) else { return };
                    let result = play(staged, &variant.scenario)
                        .map(|played| examine(staged, first, &played, variant.scenario.crash.is_some()))
                        .map_err(|error| format!("{}: {error}", variant.what));
                    found.lock().unwrap_or_else(PoisonError::into_inner).insert(number, result);
                }
            });
        }
    });
    let mut all = Vec::new();
    for (number, result) in found.into_inner().unwrap_or_else(PoisonError::into_inner) {
        all.extend(result?.into_iter().map(|fault| (variants[number].what.as_str(), fault)));
    }
    Ok(together(all))
}

/// What is wrong with a run in which something went wrong.
fn examine(staged: &Staged, first: &Played, played: &Played, crashed: bool) -> Vec<Fault> {
    let test = &staged.test;
    if !played.unanswered.is_empty() {
        return played.unanswered.clone();
    }
    let mut found = played.complaints.clone();
    if !found.is_empty() {
        return found;
    }
    if played.run.outcome() == Some(Outcome::Succeeded) && test.expect.ends == End::Succeeded {
        found.extend(test.judge_state(&played.world, &played.before).into_iter().map(|fault| {
            let message = format!("the run says that it succeeded, but {}", fault.message);
            Fault { message, ..fault }
        }));
    }
    if crashed && found.is_empty() {
        found.extend(unlike(first, played).map(|why| test.complaint(why)));
    }
    found
}

/// The first way in which a run whose engine died differs from the one whose engine did not.
fn unlike(first: &Played, played: &Played) -> Option<String> {
    if first.run.outcome() != played.run.outcome() {
        let word = |played: &Played| piton_core::testing::end_of(&played.run).word();
        return Some(format!("the run is {} instead of {}", word(played), word(first)));
    }
    let tasks = first.run.tasks().zip(played.run.tasks());
    for ((id, one), (_, other)) in tasks {
        let at_rest = |state: &TaskState| !matches!(state, TaskState::Pausing(_) | TaskState::Active(_));
        if one.state != other.state && at_rest(&one.state) {
            return Some(format!("{id} is {} instead of {}", other.state, one.state));
        }
    }
    (first.world != played.world)
        .then(|| format!("the hosts are {} instead of {}", played.world.to_value(), first.world.to_value()))
}

/// The same complaint under several faults is told once, with how many there are.
fn together(all: Vec<(&str, Fault)>) -> Vec<Fault> {
    let mut kept: Vec<(String, Fault, usize)> = Vec::new();
    for (what, fault) in all {
        let place = fault.place.as_ref().map(|place| place.span);
        let same = |other: &Fault| other.place.as_ref().map(|p| p.span) == place;
        match kept.iter_mut().find(|(_, other, _)| same(other) && plain(&other.message) == plain(&fault.message)) {
            Some((_, _, more)) => *more += 1,
            None => kept.push((what.to_owned(), fault, 0)),
        }
    }
    kept.into_iter()
        .map(|(what, fault, more)| {
            let others = match more {
                0 => String::new(),
                1 => " (and once more with another fault)".to_owned(),
                many => format!(" (and {many} times more with other faults)"),
            };
            let message = format!("{what}: {}{others}", fault.message);
            Fault { message, ..fault }
        })
        .collect()
}

/// A message without what differs from fault to fault: when it happened.
fn plain(message: &str) -> &str {
    message.split(" (after ").next().unwrap_or(message)
}
