//! What a step has hosts and the engine do: its scripts and its hooks, as they stand in the plan.

use piton_core::ids::{AttemptId, HostName, JobId, Part, TaskId};
use piton_core::plan::TaskIndex;
use piton_core::run::{JobText, Run};
use piton_core::runbook::{Action, Hook, HookCode};

use crate::exit::Failure;
use crate::screen::{CYAN, DIM, Out};
use crate::visible::{visible, visible_lines};

use super::names;

/// A hook: the function that is called with what, or its text.
pub(super) fn hook(out: &mut Out, label: &str, hook: &Hook) -> Result<(), Failure> {
    match &hook.code {
        HookCode::Function { .. } => {
            let args: Vec<&str> = hook.args.iter().map(|arg| arg.source()).collect();
            let call = format!("{}({})", hook.short(), args.join(", "));
            out.line(format_args!(
                "   {}  {}",
                out.paint(CYAN, format_args!("{label:7}")),
                visible_lines(call.as_bytes())
            ))?;
        }
        HookCode::Text(text) => {
            out.line(format_args!("   {} [rhai]", out.paint(CYAN, label)))?;
            for line in visible_lines(text.trim_end().as_bytes()).lines() {
                out.line(format_args!("     {} {line}", out.paint(DIM, "|")))?;
            }
        }
    }
    Ok(())
}

/// The script of one part, once for all hosts and items that get the same.
pub(super) fn scripts(out: &mut Out, run: &Run, index: usize, part: Part, label: &str) -> Result<(), Failure> {
    let mut same: Vec<(Result<JobText, String>, Vec<String>)> = Vec::new();
    for task in run.graph().tasks_of(index) {
        // The environment may differ from host to host; it is shown as it is written.
        let text = job_text(run, task, part).map(|text| JobText { env: Vec::new(), sealed: Vec::new(), ..text });
        let place = place_of(run.graph().id(task));
        match same.iter_mut().find(|(known, _)| *known == text) {
            Some((_, with)) => with.push(place),
            None => same.push((text, vec![place])),
        }
    }
    if same.is_empty() {
        same.push((Err("its items are not known yet".to_owned()), Vec::new()));
    }
    let several = same.len() > 1;
    for (text, on) in same {
        let on = if several { format!(" on {}", names(&on)) } else { String::new() };
        let text = match text {
            Ok(text) => text,
            // Only what depends on outputs has no value yet: the script itself is constant.
            Err(why) => match written(run, index, part) {
                Some(text) => text,
                None => {
                    out.line(format_args!("   {label}{on}: known when it runs ({why})"))?;
                    continue;
                }
            },
        };
        let shell = if text.shell == "sh" { String::new() } else { format!(" [{}]", text.shell) };
        out.line(format_args!("   {}{shell}{on}", out.paint(CYAN, label)))?;
        for line in visible_lines(text.script.trim_end().as_bytes()).lines() {
            out.line(format_args!("     {} {line}", out.paint(DIM, "|")))?;
        }
    }
    Ok(())
}

pub(super) fn job_text(run: &Run, task: TaskIndex, part: Part) -> Result<JobText, String> {
    let attempt = AttemptId { task: run.graph().id(task).clone(), number: 1 };
    run.job_text(&JobId { attempt, part, round: 1 })
}

/// Where a task is done and for what: `hv1`, `hv1/web1`.
fn place_of(id: &TaskId) -> String {
    let host = id.host.as_ref().map_or(HostName::LOCAL, HostName::as_str);
    match &id.item {
        Some(item) => visible(format!("{host}/{item}").as_bytes()).into_owned(),
        None => host.to_owned(),
    }
}

/// The script as it stands in the runbook, where it does.
fn written(run: &Run, index: usize, part: Part) -> Option<JobText> {
    let step = &run.plan().steps[index].step;
    let script = match (part, &step.action) {
        (Part::Unless, _) => step.unless.as_ref(),
        (Part::Undo, _) => step.undo.as_ref(),
        (Part::Verify, _) => step.probe().map(|p| &p.script),
        (Part::Main, Action::Run(script)) => Some(script),
        (
            Part::Main,
            Action::Exec(_)
            | Action::Hook(_)
            | Action::Put(_)
            | Action::Get(_)
            | Action::Transfer(_)
            | Action::Reboot(_)
            | Action::Assert(_)
            | Action::WaitFor(_)
            | Action::WaitUntil(_)
            | Action::Approve(_)
            | Action::Block
            | Action::Call(_),
        )
        | (Part::Before | Part::After | Part::Call, _) => None,
    }?;
    let (shell, script) = (script.shell.clone(), script.text.clone());
    Some(JobText { shell, script, env: Vec::new(), sealed: Vec::new(), become_user: step.become_user.clone() })
}
