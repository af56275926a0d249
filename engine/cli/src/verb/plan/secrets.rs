//! Which secrets a step gets to see.

use piton_core::expr::Template;
use piton_core::ids::ParamName;
use piton_core::plan::Plan;
use piton_core::runbook::{Action, HookCode, Put, PutSource, Step, speaks_of};

/// The secrets that a step's scripts get, or the file that it puts.
pub(super) fn secrets_of<'p>(plan: &'p Plan, step: &Step) -> Vec<&'p str> {
    let named = |template: &Template, name: &str| template.roots().contains(name) || template.params().contains(name);
    let main = match &step.action {
        Action::Run(script) => Some(script.text.as_str()),
        Action::WaitUntil(probe) => Some(probe.script.text.as_str()),
        Action::Reboot(reboot) => reboot.command.as_deref(),
        Action::Exec(_)
        | Action::Put(_)
        | Action::Get(_)
        | Action::Transfer(_)
        | Action::Hook(_)
        | Action::Assert(_)
        | Action::WaitFor(_)
        | Action::Approve(_)
        | Action::Block
        | Action::Call(_) => None,
    };
    let verify = step.verify.as_ref().map(|probe| probe.script.text.as_str());
    let others = [&step.unless, &step.undo].into_iter().flatten().map(|script| script.text.as_str());
    // Which of the scripts' functions a hook comes to is not known: it may come to each.
    let files = step.has_hook().then(|| plan.scripts.values().map(String::as_str)).into_iter().flatten();
    let hooks = step.hooks().filter_map(|hook| match &hook.code {
        HookCode::Text(text) => Some(text.as_str()),
        HookCode::Function { .. } => None,
    });
    let scripts: Vec<&str> = main.into_iter().chain(verify).chain(others).chain(files).chain(hooks).collect();
    let content = match &step.action {
        Action::Put(Put { source: PutSource::Content(text), secret: true, .. }) => Some(text),
        Action::Put(_)
        | Action::Run(_)
        | Action::Exec(_)
        | Action::Get(_)
        | Action::Transfer(_)
        | Action::Hook(_)
        | Action::Reboot(_)
        | Action::Assert(_)
        | Action::WaitFor(_)
        | Action::WaitUntil(_)
        | Action::Approve(_)
        | Action::Block
        | Action::Call(_) => None,
    };
    let gets = |name: &str| {
        scripts.iter().any(|script| speaks_of(script, name))
            || step.env.values().chain(content).any(|template| named(template, name))
    };
    plan.secrets.keys().map(ParamName::as_str).filter(|name| gets(name)).collect()
}
