//! `piton plan`.

use std::collections::BTreeMap;
use std::sync::Arc;

use piton_core::forecast::Forecast;
use piton_core::ids::{AttemptId, JobId, Part, RunId};
use piton_core::plan::{Plan, PlannedStep};
use piton_core::run::{Run, TransferText};
use piton_core::runbook::{Action, OnFailure, Repeat, Retry, RetryOn};
use piton_core::time::show_duration;
use piton_core::value::to_text;
use serde_json::{Value, json};

use crate::cli::Globals;
use crate::exit::{Code, Failure, count};
use crate::history;
use crate::planning::{self, Wanted};
use crate::screen::{BOLD, Out, Screen};
use crate::tell::names as names_of;
use crate::visible::visible_lines;
use crate::way_back::acts;
use crate::{asking, queue};

pub(super) use many::shares;
use moves::{reboots, transfers};
use secrets::secrets_of;
use texts::{hook, job_text, scripts};

mod many;
mod moves;
mod secrets;
mod texts;

/// Show what a run would do, on each host, and the way back
///
/// The tasks in order, the commands as they will run, what is retried, what an undo would do. Nothing is stored and no
/// host is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    wanted: Wanted,
    /// Show the way back instead: the order, the scripts, what is left as it is
    #[arg(long)]
    undo: bool,
}

pub(crate) async fn run(args: Args, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
    let planned = planning::plan(globals, &args.wanted).await?;
    if args.undo {
        return way_back(planned.plan, screen);
    }
    let expected = history::of_plan(globals, planned.project.as_ref(), &planned.plan).await;
    show(&planned.plan, planned.source.name.as_ref(), expected.as_ref(), screen)
}

fn way_back(plan: Plan, screen: &Screen) -> Result<Code, Failure> {
    let run = Run::new(RunId::from_parts(0, 0), Arc::new(plan));
    let mut out = screen.out();
    if screen.json {
        out.json(&crate::way_back::plan_json(&run))?;
    } else {
        crate::way_back::of_plan(&run, &mut out)?;
    }
    out.flush()?;
    Ok(Code::Succeeded)
}

/// Shows a plan, and how long it takes where earlier runs tell.
pub(crate) fn show(plan: &Plan, from: &str, expected: Option<&Forecast>, screen: &Screen) -> Result<Code, Failure> {
    // No event has happened to this run: it only serves to ask what its texts are.
    let run = Run::new(RunId::from_parts(0, 0), Arc::new(plan.clone()));
    let mut out = screen.out();
    if screen.json {
        let mut value = as_json(plan, &run);
        value["expected"] = history::as_json(expected);
        out.json(&value)?;
    } else {
        out.line(format_args!("{}  {}", out.paint(BOLD, &plan.runbook), plan.title))?;
        out.line(format_args!("from    {from}"))?;
        if let Some(expected) = expected {
            out.line(format_args!("takes   {}", history::line(expected)))?;
        }
        text(&run, &mut out)?;
    }
    out.flush()?;
    Ok(Code::Succeeded)
}

/// A run's plan as text: from its digest to the way back.
pub(crate) fn text(run: &Run, out: &mut Out) -> Result<(), Failure> {
    let plan = run.plan().as_ref();
    out.line(format_args!("digest  {}", plan.digest()))?;
    let hosts = count(plan.hosts.len(), "host");
    out.line(format_args!(
        "tasks   {} on {hosts}, {} at once at most, on failure {}",
        many::tasks(run),
        plan.max_parallel,
        policy(plan.on_failure)
    ))?;
    if !plan.locks.is_empty() {
        out.line(format_args!("locks   {}", names_of(&plan.locks)))?;
    }
    if !plan.params.is_empty() {
        out.line("params")?;
        for (name, value) in &plan.params {
            let value = if value.is_null() { "(none)".to_owned() } else { visible_lines(to_text(value).as_bytes()) };
            out.line(format_args!("  {name} = {}", value.replace('\n', "\n    ")))?;
        }
    }
    for (name, text) in &plan.scripts {
        out.line(format_args!("script  scripts/{name}.rhai, {} lines, stored with the run", text.lines().count()))?;
    }
    if !plan.secrets.is_empty() {
        out.line("secrets")?;
        for (name, source) in &plan.secrets {
            out.line(format_args!("  {name} from {}", visible_lines(source.to_string().as_bytes())))?;
        }
    }
    for (index, planned) in plan.steps.iter().enumerate() {
        if planned.finally && (index == 0 || !plan.steps[index - 1].finally) {
            out.line("")?;
            out.line(out.paint(BOLD, "finally"))?;
        }
        out.line("")?;
        step(out, plan, run, index, planned)?;
    }
    out.line("")?;
    summary(out, plan)
}

fn step(out: &mut Out, plan: &Plan, run: &Run, index: usize, planned: &PlannedStep) -> Result<(), Failure> {
    let step = &planned.step;
    let title = if step.title.is_empty() { String::new() } else { format!("  {}", step.title) };
    out.line(format_args!("{}. {}{title}", index + 1, out.paint(BOLD, &step.id)))?;
    if !planned.hosts.is_empty() {
        out.line(format_args!("   hosts    {}", names(&planned.hosts)))?;
    }
    if let Some(block) = planned.parent {
        out.line(format_args!("   in       {}", plan.steps[block].step.id))?;
    }
    many::times(out, run, index)?;
    let needs: Vec<String> = planned
        .needs
        .iter()
        .map(|n| {
            let id = &plan.steps[n.step].step.id;
            match (n.per_host && planned.hosts.len() > 1, n.per_item) {
                (true, false) => format!("{id} (each host for itself)"),
                (_, true) => format!("{id} (each item for itself)"),
                (false, false) => id.to_string(),
            }
        })
        .collect();
    let block = step.is_block() && run.graph().source(index).is_none();
    if block {
        return many::consists_of(out, plan, index);
    }
    out.line(format_args!("   needs    {}", if needs.is_empty() { "nothing".to_owned() } else { needs.join(", ") }))?;
    if let Some(when) = &step.when {
        out.line(format_args!("   when     {}", when.source()))?;
    }
    let words = modifiers(planned);
    if !words.is_empty() {
        out.line(format_args!("   and      {}", words.join("; ")))?;
    }
    for line in queue::planned(run, index) {
        out.line(line)?;
    }
    for (name, value) in &step.env {
        out.line(format_args!("   env      {name}={}", value.source()))?;
    }
    if let Some(before) = &step.before {
        hook(out, "before", before)?;
    }
    let secrets = secrets_of(plan, step);
    if !secrets.is_empty() {
        out.line(format_args!("   secrets  {}", secrets.join(", ")))?;
    }
    if step.unless.is_some() {
        scripts(out, run, index, Part::Unless, "unless")?;
    }
    match &step.action {
        Action::Run(_) => scripts(out, run, index, Part::Main, "run")?,
        Action::Exec(words) => {
            let plain: Vec<&str> = words.iter().map(|w| w.source()).collect();
            if run.graph().tasks_of(index).next().is_some_and(|task| job_text(run, task, Part::Main).is_ok()) {
                scripts(out, run, index, Part::Main, "exec")?;
            } else {
                out.line(format_args!("   exec     {}", plain.join(" ")))?;
            }
        }
        Action::Put(_) | Action::Get(_) | Action::Transfer(_) => transfers(out, run, index)?,
        Action::Reboot(reboot) => reboots(out, step, reboot)?,
        Action::Hook(own) => hook(out, "hook", own)?,
        Action::Assert(all) => {
            for assertion in all {
                out.line(format_args!("   assert   {}", assertion.that.source()))?;
            }
        }
        Action::WaitFor(span) => out.line(format_args!("   wait     {}", show_duration(*span)))?,
        Action::WaitUntil(_) => {}
        Action::Approve(approve) => asking::planned(approve).iter().try_for_each(|line| out.line(line))?,
        Action::Block | Action::Call(_) => many::consists_of(out, plan, index)?,
    }
    if let Some(probe) = step.probe() {
        let label = if step.verify.is_some() { "verify" } else { "until" };
        let often = if probe.within.is_zero() {
            label.to_owned()
        } else {
            format!("{label} (every {}, within {})", show_duration(probe.every), show_duration(probe.within))
        };
        scripts(out, run, index, Part::Verify, &often)?;
    }
    if let Some(after) = &step.after {
        hook(out, "after", after)?;
    }
    if step.undo.is_some() {
        scripts(out, run, index, Part::Undo, "undo")?;
    }
    Ok(())
}

fn modifiers(planned: &PlannedStep) -> Vec<String> {
    let step = &planned.step;
    let mut words = Vec::new();
    words.extend(step.become_user.as_ref().map(|user| format!("becomes {user}")));
    words.extend(step.timeout.map(|t| format!("stopped after {}", show_duration(t))));
    words.extend(step.retry.as_ref().map(retries));
    if step.repeat == Repeat::Safe {
        words.push("repeated if its outcome is lost".to_owned());
    }
    words.extend(step.on_failure.map(|p| format!("on failure {}", policy(p))));
    if step.point_of_no_return {
        words.push("point of no return: nothing is undone automatically from here on".to_owned());
    }
    if step.no_log {
        words.push("its output is not kept".to_owned());
    }
    if !step.tags.is_empty() {
        words.push(format!("tags {}", step.tags.join(", ")));
    }
    words
}

fn retries(retry: &Retry) -> String {
    let on: Vec<String> = retry
        .on
        .iter()
        .map(|on| match on {
            RetryOn::Exit(status) => format!("exit {status}"),
            RetryOn::Timeout => "timeout".to_owned(),
            RetryOn::Unreachable => "unreachable".to_owned(),
        })
        .collect();
    let on = if on.is_empty() { String::new() } else { format!(" on {}", on.join(", ")) };
    format!("tried again {} times{on}, first after {}", retry.times, show_duration(retry.delay))
}

fn policy(policy: OnFailure) -> &'static str {
    match policy {
        OnFailure::Stop => "stop and ask",
        OnFailure::Undo => "undo",
        OnFailure::Continue => "continue",
    }
}

/// What an undo would do, in its order.
fn summary(out: &mut Out, plan: &Plan) -> Result<(), Failure> {
    let main = (0..plan.steps.len()).filter(|&at| !plan.steps[at].finally);
    let acting: Vec<usize> = main.filter(|&at| acts(&plan.steps[at].step.action)).collect();
    let id = |at: &usize| plan.steps[*at].step.id.to_string();
    let has_undo = |at: &&usize| plan.steps[**at].step.undo.is_some();
    let way = many::way_back(plan, &acting.iter().rev().filter(has_undo).copied().collect::<Vec<_>>());
    let none: Vec<String> = acting.iter().filter(|at| !has_undo(at)).map(id).collect();
    let no_return = acting.iter().find(|&&at| plan.steps[at].step.point_of_no_return).map(id);
    out.line(format_args!("way back  {}", if way.is_empty() { "none".to_owned() } else { way.join(", then ") }))?;
    if !none.is_empty() {
        out.line(format_args!("no undo   {}", none.join(", ")))?;
    }
    if let Some(step) = no_return {
        out.line(format_args!("no return once {step} has begun"))?;
    }
    Ok(())
}

/// Host names, the first ones if they are many.
fn names<T: ToString>(hosts: &[T]) -> String {
    const SHOWN: usize = 12;
    let some: Vec<String> = hosts.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = hosts.len().saturating_sub(SHOWN);
    if more > 0 { format!("{} and {more} more", some.join(", ")) } else { some.join(", ") }
}

fn as_json(plan: &Plan, run: &Run) -> Value {
    let tasks: Vec<Value> = run
        .graph()
        .in_order()
        .into_iter()
        .map(|task| {
            let needs: Vec<String> =
                run.graph().before(task).into_iter().map(|t| run.graph().id(t).to_string()).collect();
            let attempt = AttemptId { task: run.graph().id(task).clone(), number: 1 };
            let text = run.job_text(&JobId { attempt, part: Part::Main, round: 1 });
            let mut value = json!({ "task": run.graph().id(task), "needs": needs });
            if let Some(item) = run.graph().item(plan, task) {
                value["item"] = item.value.clone();
            }
            if let Action::Hook(hook) = &run.step_of(task).action {
                value["hook"] = json!(hook.code);
            }
            if let Ok(TransferText::Transfer { from_host, from, to, manner, .. }) = run.transfer_text(task) {
                value["transfer"] = json!({ "from_host": from_host, "from": from, "to": to, "manner": manner });
            }
            if let Ok(text) = text {
                value["shell"] = Value::from(text.shell);
                value["script"] = Value::from(text.script);
                let secrets: Vec<&str> = text.sealed.iter().map(|(name, _)| name.as_str()).collect();
                if !secrets.is_empty() {
                    value["secrets"] = json!(secrets);
                }
                value["env"] = json!(text.env.into_iter().collect::<BTreeMap<String, String>>());
            }
            value
        })
        .collect();
    json!({ "digest": plan.digest(), "plan": plan, "tasks": tasks, "batches": many::batches_json(run), "unknown": many::unknown(run) })
}
