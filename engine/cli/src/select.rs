//! Which task somebody means.

use piton_core::ids::TaskId;
use piton_core::plan::TaskIndex;
use piton_core::run::Run;

use crate::exit::Failure;

/// The task that `wanted` means: its name, or its step's if that has one task only.
pub(crate) fn task(run: &Run, wanted: &str) -> Result<TaskIndex, Failure> {
    let id: TaskId = wanted.parse().map_err(|bad: piton_core::ids::BadName| {
        Failure::usage(format!("`{}` is not a task: {}", wanted.escape_debug(), bad.rule()))
            .hint(format!("`piton show {}` lists the tasks", run.id()))
    })?;
    if let Some(index) = run.graph().find(&id) {
        return Ok(index);
    }
    let tasks = run.graph().of_step(&id.step);
    if id.host.is_none() && tasks.len() == 1 {
        return Ok(tasks.start);
    }
    let failure = Failure::usage(format!("run {} has no task {id}", run.id()));
    if tasks.is_empty() {
        return Err(failure.hint(format!("`piton show {}` lists its tasks", run.id())));
    }
    let names: Vec<String> = tasks.take(8).map(|t| run.graph().id(t).to_string()).collect();
    Err(failure.hint(format!("step {} has {}", id.step, names.join(", "))))
}

/// The tasks that `wanted` means: one task, or all of a step.
pub(crate) fn tasks(run: &Run, wanted: &str) -> Result<Vec<TaskIndex>, Failure> {
    let step = wanted.parse::<TaskId>().ok().filter(|id| id.host.is_none());
    let all: Vec<TaskIndex> = step.map(|id| run.graph().of_step(&id.step).collect()).unwrap_or_default();
    if all.is_empty() { Ok(vec![task(run, wanted)?]) } else { Ok(all) }
}
