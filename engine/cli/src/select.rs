//! Which task somebody means.

use piton_core::ids::{BadName, TaskId};
use piton_core::plan::TaskIndex;
use piton_core::run::Run;

use crate::exit::Failure;

/// The task that `wanted` means: its name, or its step's if that has one task only.
pub(crate) fn task(run: &Run, wanted: &str) -> Result<TaskIndex, Failure> {
    // `move[guest 7]`: an item can have a name that no host can.
    let by_item = || wanted.replacen('[', "[/", 1).parse::<TaskId>();
    let id: TaskId = wanted.parse().or_else(|bad| by_item().map_err(|_| bad)).map_err(|bad: BadName| {
        Failure::usage(format!("`{}` is not a task: {}", wanted.escape_debug(), bad.rule()))
            .hint(format!("`piton show {}` lists the tasks", run.id()))
    })?;
    if let Some(index) = run.graph().find(&id) {
        return Ok(index);
    }
    let tasks = run.graph().of_step(&id.step);
    if let (None, None, [one]) = (&id.host, &id.item, tasks.as_slice()) {
        return Ok(*one);
    }
    // `migrate[web1]`, where only one task of the step is for this item.
    let named = id.host.as_ref().filter(|_| id.item.is_none()).map(|name| name.as_str());
    let item = named.or(id.item.as_ref().filter(|_| id.host.is_none()).map(|name| name.as_str()));
    let for_item = |t: &&TaskIndex| item.is_some() && run.graph().id(**t).item.as_ref().map(|i| i.as_str()) == item;
    if let [one] = tasks.iter().filter(for_item).collect::<Vec<_>>().as_slice() {
        return Ok(**one);
    }
    let failure = Failure::usage(format!("run {} has no task {id}", run.id()));
    if tasks.is_empty() {
        return Err(failure.hint(format!("`piton show {}` lists its tasks", run.id())));
    }
    let names: Vec<String> = tasks.into_iter().take(8).map(|t| run.graph().id(t).to_string()).collect();
    Err(failure.hint(format!("step {} has {}", id.step, names.join(", "))))
}

/// The tasks that `wanted` means: one task, or all of a step.
pub(crate) fn tasks(run: &Run, wanted: &str) -> Result<Vec<TaskIndex>, Failure> {
    let step = wanted.parse::<TaskId>().ok().filter(|id| id.host.is_none() && id.item.is_none());
    let all: Vec<TaskIndex> = step.map(|id| run.graph().of_step(&id.step)).unwrap_or_default();
    if all.is_empty() { Ok(vec![task(run, wanted)?]) } else { Ok(all) }
}

/// The parked tasks that people mean: by name, by pattern (`copy[*]`), or all of them. What is named and does not wait
/// for a decision is given, too: whoever drives the run says why it cannot be done.
pub(crate) fn parked(run: &Run, wanted: &[String], all: bool) -> Result<Vec<TaskId>, Failure> {
    let id = |index: TaskIndex| run.graph().id(index).clone();
    let mut found: Vec<TaskId> = if all { run.parked().map(id).collect() } else { Vec::new() };
    if all && found.is_empty() {
        return Err(Failure::usage("no task waits for a decision")
            .hint(format!("`piton show {}` tells where each task stands", run.id())));
    }
    for wanted in wanted {
        let named = if wanted.contains('*') {
            let fits = |index: &TaskIndex| matches(wanted, &run.graph().id(*index).to_string());
            let waiting: Vec<TaskId> = run.parked().filter(fits).map(id).collect();
            if waiting.is_empty() {
                let shown = wanted.chars().take(60).collect::<String>();
                let known = (0..run.graph().len()).filter(fits).count();
                return Err(Failure::usage(match known {
                    0 => format!("no task of run {} is called `{}`", run.id(), shown.escape_debug()),
                    1 => format!("the one task that is called `{}` does not wait for a decision", shown.escape_debug()),
                    known => format!("none of the {known} tasks that are called `{shown}` waits for a decision"),
                })
                .hint(format!("`piton show {}` tells where each task stands", run.id())));
            }
            waiting
        } else {
            vec![id(task(run, wanted)?)]
        };
        found.extend(named);
    }
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|task| seen.insert(task.clone()));
    Ok(found)
}

/// Whether a text is as a pattern says: `*` stands for any characters, everything else for itself.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_anything_and_brackets_for_themselves() {
        for (pattern, text, is) in [
            ("copy[*]", "copy[hv1]", true),
            ("copy[*]", "copy", false),
            ("copy[*]", "copy2[hv1]", false),
            ("*[hv1]", "copy[hv1]", true),
            ("c*y[h*1]", "copy[hv1]", true),
            ("c*y[h*1]", "copy[hv2]", false),
            ("*", "anything", true),
            ("a*a", "a", false),
            ("copy", "copy", true),
            ("copy", "copy2", false),
            ("**b*", "abc", true),
        ] {
            assert_eq!(matches(pattern, text), is, "{pattern} {text}");
        }
    }
}
