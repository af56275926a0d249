//! A report for programs.

use serde_json::{Value, json};

use super::{AttemptStory, Excerpt, JobStory, Report, TaskStory};
use crate::times::iso;

pub(super) fn render(report: &Report) -> Value {
    let params: serde_json::Map<String, Value> =
        report.params.iter().map(|(name, value)| (name.clone(), Value::from(value.clone()))).collect();
    json!({
        "run": report.id,
        "runbook": report.runbook,
        "title": report.title,
        "by": report.by,
        "state": report.state,
        "over": report.outcome.is_some(),
        "summary": report.summary(),
        "created": iso(report.created),
        "until": iso(report.until),
        "made": iso(report.made),
        "seconds": report.until.since(report.created).as_secs_f64(),
        "plan": { "digest": report.digest, "text": report.plan },
        "journal": {
            "events": report.events,
            "head": report.checked.as_ref().ok(),
            "damage": report.checked.as_ref().err(),
            "engines": report.engines,
        },
        "params": params,
        "states": report.states(),
        "troubles": report.troubles.iter().map(|trouble| json!({
            "task": trouble.task, "causes": trouble.causes, "end": trouble.end,
        })).collect::<Vec<_>>(),
        "unknowns": report.unknowns.iter().map(|unknown| json!({
            "at": iso(unknown.at), "task": unknown.task, "found": unknown.found, "settled": unknown.settled,
        })).collect::<Vec<_>>(),
        "words": report.words.iter().map(|word| json!({
            "at": iso(word.at), "by": word.by, "said": word.said, "why": word.why, "refused": word.refused,
        })).collect::<Vec<_>>(),
        "tasks": report.tasks.iter().map(task).collect::<Vec<_>>(),
        "timeline": report.timeline.iter().map(|line| json!({
            "seq": line.seq, "at": iso(line.at), "task": line.task, "text": line.text,
        })).collect::<Vec<_>>(),
    })
}

fn task(task: &TaskStory) -> Value {
    let outputs: serde_json::Map<String, Value> =
        task.outputs.iter().map(|(key, value)| (key.clone(), Value::from(value.clone()))).collect();
    json!({
        "task": task.name,
        "title": task.title,
        "state": task.state,
        "detail": task.detail,
        "tries": task.tries,
        "exit": task.exit,
        "began": task.began.map(iso),
        "ended": task.ended.map(iso),
        "outputs": outputs,
        "attempts": task.attempts.iter().map(attempt).collect::<Vec<_>>(),
    })
}

fn attempt(attempt: &AttemptStory) -> Value {
    json!({
        "number": attempt.number,
        "undo": attempt.undo,
        "began": iso(attempt.began),
        "ended": attempt.ended.map(iso),
        "failed": attempt.failed,
        "result": attempt.result,
        "jobs": attempt.jobs.iter().map(job).collect::<Vec<_>>(),
    })
}

fn job(job: &JobStory) -> Value {
    json!({
        "part": job.id.part,
        "rounds": job.rounds,
        "end": job.end,
        "printed": job.printed,
        "excerpts": job.excerpts.iter().map(excerpt).collect::<Vec<_>>(),
    })
}

fn excerpt(excerpt: &Excerpt) -> Value {
    json!({
        "stream": excerpt.stream,
        "bytes": excerpt.len,
        "head": excerpt.head,
        "between": excerpt.between,
        "tail": excerpt.tail,
    })
}
