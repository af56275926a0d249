//! What people are asked, who may say, who did, and how long they have, in words.

use piton_core::plan::TaskIndex;
use piton_core::run::Run;
use piton_core::runbook::{Approve, OnTimeout};
use piton_core::time::show_duration;
use serde_json::{Value, json};

use crate::exit::count;
use crate::times::{Times, iso};
use crate::visible::visible_lines;

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

/// An approval as the plan knows it, as lines.
pub(crate) fn planned(approve: &Approve) -> [String; 2] {
    let prompt = visible_lines(approve.prompt.source().as_bytes()).replace('\n', "\n            ");
    let many = count(usize::try_from(approve.count).unwrap_or(usize::MAX), "approval");
    let until = match (approve.timeout, approve.on_timeout) {
        (None, _) => "as long as it takes".to_owned(),
        (Some(time), OnTimeout::Fail) => format!("fails after {}", show_duration(time)),
        (Some(time), OnTimeout::Approve) => format!("approved after {} if nobody objects", show_duration(time)),
    };
    [format!("   approve  {prompt}"), format!("   asks for {many} by {}; {until}", approve.electorate())]
}
