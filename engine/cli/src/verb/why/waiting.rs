//! Why a task has not begun.

use std::num::NonZeroU32;

use piton_core::plan::TaskIndex;
use piton_core::run::{Hold, Phase, Run, TaskState};

use super::NAMED;
use crate::advice;
use crate::queue::Queue;

/// What keeps a task waiting and stands in no run.
pub(super) struct Around {
    pub(super) queue: Queue,
    /// Whether it is asked how the run stands now.
    pub(super) now: bool,
    /// Whether an engine drives the run.
    pub(super) driven: bool,
    /// How many tasks the project's `piton.toml` lets an engine have under way.
    pub(super) most: Option<NonZeroU32>,
}

impl Around {
    /// Why a task has not begun that nothing in its run keeps back.
    fn keeps(&self) -> String {
        let limit = match self.most {
            Some(most) => format!("`max_parallel` in piton.toml is {most}, unless the engine was told otherwise"),
            None => "`--max-parallel`".to_owned(),
        };
        match (self.now, self.driven) {
            (true, true) => format!("waits for its turn: the engine has no room for more tasks of its runs ({limit})"),
            (true, false) => "waits for an engine to go on with the run".to_owned(),
            (false, _) => "waited for its turn: no engine had room for it".to_owned(),
        }
    }
}

/// Why a task has not begun, and on account of which other one.
pub(super) fn waiting(
    run: &Run,
    around: &Around,
    task: TaskIndex,
    before: &[TaskIndex],
) -> (String, Option<TaskIndex>) {
    if let Some(failed) = run.blamed(task) {
        return (format!("cannot start: {} failed, which it needs", run.graph().id(failed)), Some(failed));
    }
    match run.phase() {
        Phase::Ended(outcome) => return (format!("never began: the run {outcome}"), None),
        Phase::Undoing => return ("will not start: the run is being undone".to_owned(), None),
        Phase::New | Phase::Main | Phase::Finally => {}
    }
    let settled = |t: &TaskIndex| match run.task(*t).state {
        TaskState::Succeeded(_) | TaskState::Skipped(_) | TaskState::Failed(_) => true,
        TaskState::Waiting | TaskState::Active(_) | TaskState::Pausing(_) | TaskState::Parked(_) => false,
    };
    let open: Vec<TaskIndex> = before.iter().copied().filter(|t| !settled(t)).collect();
    // What keeps the others is seen first.
    let first = open.iter().copied().max_by_key(|&t| match run.task(t).state {
        TaskState::Parked(_) => 3,
        TaskState::Pausing(_) => 2,
        TaskState::Active(_) => 1,
        TaskState::Waiting | TaskState::Succeeded(_) | TaskState::Skipped(_) | TaskState::Failed(_) => 0,
    });
    if let Some(first) = first {
        let names: Vec<String> = open.iter().take(NAMED).map(|&t| run.graph().id(t).to_string()).collect();
        let more = open.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        return (format!("waits for {}{more}", names.join(", ")), Some(first));
    }
    if let Hold::Asked(_) = run.task(task).hold {
        return (format!("waits for locks: {}", around.queue.tells(run.id(), Some(run.graph().id(task)))), None);
    }
    if let Hold::Asked(_) = run.hold() {
        return (format!("waits for the locks of the run: {}", around.queue.tells(run.id(), None)), None);
    }
    if let Some(pause) = run.paused() {
        return (format!("does not start because {} paused the run", pause.by), None);
    }
    if let Phase::New = run.phase() {
        return ("waits for an engine to begin the run".to_owned(), None);
    }
    if let Phase::Main = run.phase()
        && run.plan().steps[run.graph().step(task)].finally
    {
        return ("waits for the other steps to come to an end: it stands under `finally`".to_owned(), None);
    }
    if let Some((name, why)) = advice::missing(run).first_key_value() {
        return (format!("does not start because the secret `{name}` cannot be had: {why}"), None);
    }
    if let Some(parked) = run.parked().next() {
        let id = run.graph().id(parked);
        return (format!("does not start because the run stands still: {id} waits for a decision"), Some(parked));
    }
    if let Some(step) = run.kept_by(task) {
        let planned = &run.plan().steps[step].step;
        let most = planned.max_parallel.unwrap_or_default();
        return (format!("waits for its turn: {} may have {most} under way at once", planned.id), None);
    }
    let most = run.plan().max_parallel;
    if run.under_way() >= most {
        return (format!("waits for its turn: the run may have {most} under way at once"), None);
    }
    (around.keeps(), None)
}
