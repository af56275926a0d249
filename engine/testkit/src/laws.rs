//! What must hold of every log of a run, counted anew from its events.

use std::collections::BTreeSet;
use std::sync::Arc;

use piton_core::ids::{JobId, RunId, TaskId};
use piton_core::plan::Plan;
use piton_core::run::{Event, Hold, Recorded, Run, TaskState};

/// Checks a whole log: each attempt starts once, after everything that its task needs.
///
/// # Panics
/// If that does not hold.
pub fn check_order(plan: &Plan, log: &[Recorded<Event>]) {
    let mut run = Run::new(RunId::from_parts(0, 7), Arc::new(plan.clone()));
    let mut over: BTreeSet<TaskId> = BTreeSet::new();
    let mut started: BTreeSet<(TaskId, u32)> = BTreeSet::new();
    let mut exited: BTreeSet<JobId> = BTreeSet::new();
    let mut grown: BTreeSet<TaskId> = BTreeSet::new();
    let mut held: BTreeSet<Option<TaskId>> = BTreeSet::new();
    for recorded in log {
        run.apply(recorded).expect("the log can be replayed");
        check_limits(&run);
        match &recorded.event {
            Event::AttemptStarted { task, attempt, .. } => {
                assert!(started.insert((task.clone(), *attempt)), "{task}#{attempt} started twice");
                let index = run.graph().find(task).expect("the task is in the plan");
                assert!(plan.locks.is_empty() || held.contains(&None), "{task} started before the run had its locks");
                let free = run.step_of(index).locks.is_empty();
                assert!(free || held.contains(&Some(task.clone())), "{task} started before it had its locks");
                for before in run.graph().before(index) {
                    let before = run.graph().id(before);
                    assert!(over.contains(before), "{task} started before {before} was over");
                }
            }
            Event::TaskSucceeded { task, .. } | Event::TaskSkipped { task, .. } | Event::TaskFailed { task, .. } => {
                assert!(over.insert(task.clone()), "{task} came to its end twice");
                held.remove(&Some(task.clone()));
            }
            Event::JobExited { job, .. } => assert!(exited.insert(job.clone()), "{job} exited twice"),
            Event::UndoAttemptStarted { task, .. } => {
                let tried = started.iter().any(|(t, _)| t == task);
                assert!(tried, "{task} is undone although it never began");
                let index = run.graph().find(task).expect("the task is in the plan");
                let free = run.step_of(index).locks.is_empty();
                assert!(free || held.contains(&Some(task.clone())), "{task} is undone without its locks");
            }
            // Whoever waited for a decision gives up what it held.
            Event::UndoStarted { .. } | Event::FinallyStarted => {
                let holds = |task: &TaskId| run.graph().find(task).is_some_and(|t| run.task(t).hold != Hold::No);
                held.retain(|task| task.as_ref().is_none_or(holds));
            }
            Event::TaskUndone { task } | Event::UndoSkipped { task } => drop(held.remove(&Some(task.clone()))),
            Event::LocksTaken { task } => assert!(held.insert(task.clone()), "{task:?} took its locks twice"),
            Event::TakenOver { tasks, .. } => {
                for taken in tasks {
                    assert!(over.insert(taken.task.clone()), "{} is taken over twice", taken.task);
                }
            }
            Event::StepExpanded { task, items } => {
                assert!(grown.insert(task.clone()), "{task} was expanded twice");
                let step = run.graph().step(run.graph().find(task).expect("the task is in the plan"));
                assert_eq!(run.graph().items_of(step).map(<[_]>::len), Some(items.len()));
            }
            Event::CallEntered { task, .. } => assert!(grown.insert(task.clone()), "{task} was entered twice"),
            Event::RunCreated { .. }
            | Event::EngineTook { .. }
            | Event::SecretsFetched { .. }
            | Event::SecretsMissing { .. }
            | Event::PlanReplaced { .. }
            | Event::TaskUnstartable { .. }
            | Event::JobStarted { .. }
            | Event::JobLost { .. }
            | Event::JobStopped { .. }
            | Event::Transferred { .. }
            | Event::HookStarted { .. }
            | Event::HookCalled { .. }
            | Event::HookEnded { .. }
            | Event::TransferProgressed { .. }
            | Event::AttemptTimedOut { .. }
            | Event::AttemptFailed { .. }
            | Event::RetryScheduled { .. }
            | Event::ProbeScheduled { .. }
            | Event::ProbeStarted { .. }
            | Event::WaitStarted { .. }
            | Event::TaskParked { .. }
            | Event::WordTaken { .. }
            | Event::ResolveStarted { .. }
            | Event::TaskReleased { .. }
            | Event::ApprovalAsked { .. }
            | Event::Voted { .. }
            | Event::LocksAsked { .. }
            | Event::LocksRefused { .. }
            | Event::RunPaused { .. }
            | Event::RunResumed
            | Event::CancelStarted
            | Event::UndoTimedOut { .. }
            | Event::RunEnded { .. } => {}
        }
    }
}

/// Checks that no step has more hosts or items under way than it may, counted anew from where every task stands.
fn check_limits(run: &Run) {
    let plan = run.plan();
    for (step, planned) in plan.steps.iter().enumerate() {
        let Some(limit) = planned.step.max_parallel else { continue };
        let whole = planned.step.is_block() || planned.step.call().is_some();
        let mut under_way: BTreeSet<String> = BTreeSet::new();
        for task in plan.acting(step).into_iter().flat_map(|at| run.graph().tasks_of(at)) {
            let id = run.graph().id(task);
            let item = run.graph().item_number(task);
            let unit = match (whole, plan.family(step) == Some(step)) {
                (false, _) => id.to_string(),
                (true, true) => format!("{item:?}"),
                (true, false) => format!("{:?}@{:?}", item.filter(|_| plan.family(step).is_some()), id.host),
            };
            let open = match run.task(task).state {
                TaskState::Active(_) | TaskState::Pausing(_) | TaskState::Parked(_) => true,
                TaskState::Waiting | TaskState::Succeeded(_) | TaskState::Skipped(_) | TaskState::Failed(_) => false,
            };
            if open {
                under_way.insert(unit);
            }
        }
        let most = limit as usize;
        assert!(under_way.len() <= most, "{} has {under_way:?} under way, and may have {limit}", planned.step.id);
    }
}
