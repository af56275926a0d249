//! What people are asked, who may say, who did, and how long they have, in words.

use piton_core::plan::TaskIndex;
use piton_core::run::Run;
use serde_json::{Value, json};

use crate::times::{Times, iso};

/// Where an approval stands, in one line; `None` for a task that asks nobody.
pub(crate) fn line(run: &Run, task: TaskIndex, times: &Times) -> Option<String> {
    let (approve, asking) = run.asking(task)?;
    let voters = asking.yes.iter().cloned().collect::<Vec<_>>().join(", ");
    let voters = if voters.is_empty() { String::new() } else { format!(" by {voters}") };
    let until = run.deadline(task).map(|at| format!("; until {}", times.date(at))).unwrap_or_default();
    let (have, need, who) = (asking.yes.len(), approve.count, approve.electorate());
    Some(format!("{have} of {need} approved{voters}; who may: {who}{until}"))
}

/// All that is asked just now, for programs.
pub(crate) fn as_json(run: &Run) -> Value {
    let one = |task| {
        let (approve, asking) = run.asking(task)?;
        Some(json!({
            "task": run.graph().id(task),
            "text": asking.text,
            "facts": asking.facts,
            "who": approve.who,
            "not_requester": approve.not_requester,
            "count": approve.count,
            "approved": asking.yes.iter().collect::<Vec<_>>(),
            "until": run.deadline(task).map(iso),
        }))
    };
    run.asked().filter_map(one).collect()
}
