//! Compares what happened with what was expected.

use crate::fault::{Fault, Span};
use crate::ids::TaskId;
use crate::run::{Event, Outcome, ParkCause, Phase, Recorded, Run, SuccessCause, TaskState};
use crate::value::Value;

use super::{Condition, End, TaskEnd, Test, World, means};

/// How many tasks of a path are shown.
const SHOWN: usize = 40;

impl Test {
    /// Everything that is not as expected at the end of a run in which nothing was made to go wrong.
    pub fn judge(&self, run: &Run, log: &[Recorded<Event>], world: &World, before: &World) -> Vec<Fault> {
        let mut found = Vec::new();
        let end = end_of(run);
        if end != self.expect.ends {
            let message = format!("expected of the run: {}; there is: {}", self.expect.ends.word(), end.word());
            found.push(self.fault(self.expect.ends_span, message).hint(why(run)));
        }
        self.judge_path(log, &mut found);
        self.judge_tasks(run, &mut found);
        self.judge_undone(log, &mut found);
        self.judge_outputs(run, &mut found);
        found.extend(self.judge_state(world, before));
        found
    }

    /// Everything about the hosts' states that is not as expected at the end.
    pub fn judge_state(&self, world: &World, before: &World) -> Vec<Fault> {
        let mut found = Vec::new();
        for (host, wanted, span) in &self.expect.state {
            let there = Value::Object(world.state(host));
            for difference in differences(wanted, Some(&there), host.as_str()) {
                found.push(self.fault(*span, difference));
            }
        }
        found.extend(self.broken(&self.expect.that, world, before));
        found
    }

    /// The conditions that do not hold.
    pub fn broken(&self, conditions: &[Condition], world: &World, before: &World) -> Vec<Fault> {
        if conditions.is_empty() {
            return Vec::new();
        }
        let scope = world.scope(before);
        let mut found = Vec::new();
        for condition in conditions {
            let message = match condition.that.is_true(&scope) {
                Ok(true) => continue,
                Ok(false) => match condition.otherwise.as_ref().map(|text| text.render(&scope)) {
                    Some(Ok(text)) => text,
                    Some(Err(error)) => format!("`{}` is not true ({error})", condition.that.source()),
                    None => format!("`{}` is not true", condition.that.source()),
                },
                Err(error) => error.to_string(),
            };
            found.push(self.fault(condition.span, message).hint(format!("the hosts are {}", world.to_value())));
        }
        found
    }

    fn judge_path(&self, log: &[Recorded<Event>], found: &mut Vec<Fault>) {
        let begun = begun(log);
        if let Some((groups, span)) = &self.expect.path
            && let Some(why) = off_path(groups, &begun)
        {
            let wanted: Vec<String> = groups.iter().map(|group| group.join(" and ")).collect();
            let message = format!("expected that these begin: {}; {why}", wanted.join(", then "));
            found.push(self.fault(*span, message).hint(format!("these began: {}", list(&begun))));
        }
        let Some((order, span)) = &self.expect.order else { return };
        let place = |pattern: &String| begun.iter().position(|task| means(pattern, task));
        for pattern in order.iter().filter(|pattern| place(pattern).is_none()) {
            let message = format!("expected that {pattern} begins, it did not");
            found.push(self.fault(*span, message).hint(format!("these began: {}", list(&begun))));
        }
        for pair in order.windows(2) {
            let [one, two] = pair else { continue };
            if let (Some(first), Some(second)) = (place(one), place(two))
                && first > second
            {
                let message = format!("expected that {one} begins before {two}, it began after it");
                found.push(self.fault(*span, message).hint(format!("these began: {}", list(&begun))));
            }
        }
    }

    fn judge_tasks(&self, run: &Run, found: &mut Vec<Fault>) {
        for (pattern, wanted, span) in &self.expect.tasks {
            let mut any = false;
            for (id, task) in run.tasks().filter(|(id, _)| means(pattern, id)) {
                any = true;
                let there = task_end(&task.state);
                if there != Some(*wanted) {
                    let is = there.map_or_else(|| task.state.word(), TaskEnd::word);
                    let message = format!("expected of {id}: {}; there is: {is}", wanted.word());
                    found.push(self.fault(*span, message).hint(format!("{id}: {}", task.state)));
                }
            }
            if !any {
                found.push(self.fault(*span, format!("there is no task {pattern}")));
            }
        }
    }

    fn judge_undone(&self, log: &[Recorded<Event>], found: &mut Vec<Fault>) {
        let Some((wanted, span)) = &self.expect.undone else { return };
        let undone: Vec<&TaskId> = log
            .iter()
            .filter_map(|e| if let Event::TaskUndone { task } = &e.event { Some(task) } else { None })
            .collect();
        let groups: Vec<Vec<String>> = wanted.iter().map(|pattern| vec![pattern.clone()]).collect();
        if let Some(why) = off_path(&groups, &undone) {
            let message = format!("expected that these are undone, in this order: {}; {why}", wanted.join(", "));
            found.push(self.fault(*span, message).hint(format!("these were undone: {}", list(&undone))));
        }
    }

    fn judge_outputs(&self, run: &Run, found: &mut Vec<Fault>) {
        for (pattern, wanted, span) in &self.expect.outputs {
            let mut any = false;
            for (id, task) in run.tasks().filter(|(id, _)| means(pattern, id)) {
                any = true;
                let there = Value::Object(task.outputs.as_ref().clone());
                let wanted = Value::Object(wanted.clone());
                for difference in differences(&wanted, Some(&there), &format!("{id}.outputs")) {
                    found.push(self.fault(*span, difference));
                }
            }
            if !any {
                found.push(self.fault(*span, format!("there is no task {pattern}")));
            }
        }
    }

    /// A fault at the test as a whole.
    pub fn complaint(&self, message: impl Into<String>) -> Fault {
        self.fault(self.span, message)
    }

    /// A fault at a place of the test's document.
    pub fn complaint_at(&self, span: Span, message: impl Into<String>) -> Fault {
        self.fault(span, message)
    }
}

/// How a run ended, or that it stands still.
pub fn end_of(run: &Run) -> End {
    match run.phase() {
        Phase::Ended(Outcome::Succeeded) => End::Succeeded,
        Phase::Ended(Outcome::Failed) => End::Failed,
        Phase::Ended(Outcome::Undone) => End::Undone,
        Phase::Ended(Outcome::Cancelled) => End::Cancelled,
        Phase::New | Phase::Main | Phase::Undoing | Phase::Finally => End::Parked,
    }
}

/// What stands in the way of a run, in words.
pub fn why(run: &Run) -> String {
    let bad = run.tasks().filter_map(|(id, task)| match &task.state {
        TaskState::Parked(cause) => Some(format!("{id}: {}: {cause}", task.state)),
        TaskState::Failed(cause) => Some(format!("{id}: {}: {cause}", task.state)),
        TaskState::Waiting
        | TaskState::Active(_)
        | TaskState::Pausing(_)
        | TaskState::Succeeded(_)
        | TaskState::Skipped(_) => None,
    });
    let bad: Vec<String> = bad.take(8).collect();
    if bad.is_empty() { "no task failed".to_owned() } else { bad.join("; ") }
}

/// The tasks that began, in the order of their first attempts.
fn begun(log: &[Recorded<Event>]) -> Vec<&TaskId> {
    log.iter()
        .filter_map(|e| if let Event::AttemptStarted { task, attempt: 1, .. } = &e.event { Some(task) } else { None })
        .collect()
}

/// What is wrong with a path, if anything is.
fn off_path(groups: &[Vec<String>], there: &[&TaskId]) -> Option<String> {
    let mut at = 0;
    for group in groups {
        let from = at;
        while there.get(at).is_some_and(|task| group.iter().any(|pattern| means(pattern, task))) {
            at += 1;
        }
        let seen = &there[from..at];
        if let Some(missing) = group.iter().find(|pattern| !seen.iter().any(|task| means(pattern, task))) {
            return Some(match there.get(at) {
                Some(instead) => format!("{missing} should have come where {instead} came"),
                None => format!("{missing} did not come"),
            });
        }
    }
    there.get(at).map(|more| format!("{more} came as well"))
}

/// How a task ended, or where it stands; `None` while something is going on.
pub fn task_end(state: &TaskState) -> Option<TaskEnd> {
    match state {
        TaskState::Succeeded(SuccessCause::Ran | SuccessCause::Approved | SuccessCause::Unopposed) => {
            Some(TaskEnd::Ran)
        }
        TaskState::Succeeded(SuccessCause::AlreadyDone) => Some(TaskEnd::Satisfied),
        TaskState::Succeeded(SuccessCause::FoundDone) => Some(TaskEnd::Found),
        TaskState::Succeeded(SuccessCause::ByHand) => Some(TaskEnd::ByHand),
        TaskState::Skipped(_) => Some(TaskEnd::Skipped),
        TaskState::Failed(_) => Some(TaskEnd::Failed),
        TaskState::Parked(ParkCause::Unknown { .. } | ParkCause::HookDiffers { .. }) => Some(TaskEnd::Unknown),
        TaskState::Parked(ParkCause::Failed(_) | ParkCause::UndoFailed(_) | ParkCause::NoReturn(_)) => {
            Some(TaskEnd::Parked)
        }
        TaskState::Waiting => Some(TaskEnd::NotReached),
        TaskState::Active(_) | TaskState::Pausing(_) => None,
    }
}

/// Where `there` is not what is wanted: maps are compared by the keys that are wanted, `null` wants nothing to be there.
fn differences(wanted: &Value, there: Option<&Value>, path: &str) -> Vec<String> {
    match (wanted, there) {
        (Value::Object(wanted), Some(Value::Object(there))) => wanted
            .iter()
            .flat_map(|(key, value)| differences(value, there.get(key), &format!("{path}.{key}")))
            .collect(),
        (Value::Null, None) => Vec::new(),
        (wanted, Some(there)) if wanted == there => Vec::new(),
        (wanted, there) => {
            let there = there.map_or_else(|| "nothing".to_owned(), Value::to_string);
            let wanted = if wanted.is_null() { "nothing".to_owned() } else { wanted.to_string() };
            vec![format!("expected in `{path}` {wanted}, there is {there}")]
        }
    }
}

fn list(tasks: &[&TaskId]) -> String {
    if tasks.is_empty() {
        return "none".to_owned();
    }
    let some: Vec<String> = tasks.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = tasks.len().saturating_sub(SHOWN);
    if more > 0 { format!("{}, and {more} more", some.join(", ")) } else { some.join(", ") }
}
