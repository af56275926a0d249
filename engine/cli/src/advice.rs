//! What a person can do now about a run that waits for them, as commands to copy.

use std::collections::BTreeMap;

use piton_core::ids::ParamName;
use piton_core::plan::TaskIndex;
use piton_core::run::{At, Attempt, Held, ParkCause, Phase, Run, TaskState, Undo};
use piton_core::runbook::Action;
use serde_json::{Value, json};

use crate::asking;
use crate::screen::{BOLD, DIM, YELLOW, paint};
use crate::store::Store;
use crate::times::Times;
use crate::visible::{visible, visible_lines};

/// One thing that a person can do.
pub(crate) struct Choice {
    /// What it means.
    pub meaning: &'static str,
    /// The command.
    pub command: String,
}

/// Why a task waits for a person.
pub(crate) fn reason(run: &Run, task: TaskIndex) -> String {
    let task = run.task(task);
    match (&task.undo, &task.state) {
        (Undo::Parked(_, cause), _) => format!("its undo failed: {cause}"),
        (_, TaskState::Parked(why)) => why.to_string(),
        (_, TaskState::Active(Attempt { at: At::Approval(Some(asking)), .. })) => asking.text.clone(),
        (_, state) => state.to_string(),
    }
}

/// What a person can do about a parked task.
pub(crate) fn choices(run: &Run, index: TaskIndex, store: &Store) -> Vec<Choice> {
    let (id, task) = (run.graph().id(index), run.task(index));
    let name = word(&id.to_string());
    let told: String = store.told.iter().map(|w| format!("{} ", word(w))).collect();
    let say = |meaning, rest: String| Choice { meaning, command: format!("piton {told}{rest}") };
    let number = run.id();
    if run.asking(index).is_some() {
        return vec![
            say("yes", format!("approve {number} {name} --why TEXT")),
            say("no: the step fails", format!("reject {number} {name} --why TEXT")),
            say("stop here; `finally` still runs", format!("cancel {number}")),
        ];
    }
    if let Action::Approve(_) = run.step_of(index).action {
        let mut choices = vec![say("ask again", format!("retry {number} {name}"))];
        if run.phase() == Phase::Main {
            choices.push(say("take back what was done", format!("undo {number} --why TEXT")));
        }
        choices.push(say("stop here; `finally` still runs", format!("cancel {number}")));
        return choices;
    }
    let undoing = matches!(task.undo, Undo::Parked(..));
    let part = if undoing { " --part undo" } else { "" };
    let mut choices = vec![say("look at what it printed", format!("logs {number} {name}{part}"))];
    if undoing {
        choices.push(say("try to take it back again", format!("retry {number} {name}")));
        choices.push(say("it was taken back by hand", format!("resolve {number} {name} --why TEXT")));
        choices.push(say("leave it as it is", format!("skip {number} {name} --why TEXT")));
    } else {
        let unknown = matches!(task.state, TaskState::Parked(ParkCause::Unknown { .. }));
        let again = if unknown { "do it again, whether or not it happened" } else { "try it again" };
        choices.push(say(again, format!("retry {number} {name}")));
        let verified = run.step_of(index).verify.is_some();
        let by_hand = if verified { "it was done by hand; its `verify` must pass" } else { "it was done by hand" };
        choices.push(say(by_hand, format!("resolve {number} {name} --why TEXT")));
        choices.push(say("go on without it", format!("skip {number} {name} --why TEXT")));
        if run.phase() == Phase::Main {
            choices.push(say("take back what was done", format!("undo {number} --why TEXT")));
        }
    }
    choices.push(say("stop here; `finally` still runs", format!("cancel {number}")));
    choices
}

/// The parked tasks with reasons and choices, as lines.
pub(crate) fn lines(run: &Run, store: &Store, color: bool) -> Vec<String> {
    const SHOWN: usize = 10;
    let parked: Vec<TaskIndex> = run.parked().collect();
    let mut lines = missing_lines(run, store, color);
    for &task in parked.iter().take(SHOWN) {
        let id = paint(color, BOLD, run.graph().id(task));
        let why = reason(run, task);
        lines.push(format!("{id} {} {}", paint(color, YELLOW, "waits for a decision:"), visible(why.as_bytes())));
        lines.extend(choice_lines(run, task, store, color));
    }
    for task in run.asked().take(SHOWN) {
        let Some((_, asked)) = run.asking(task) else { continue };
        let id = paint(color, BOLD, run.graph().id(task));
        lines.push(format!(
            "{id} {} {}",
            paint(color, YELLOW, "waits for approval:"),
            visible_lines(asked.text.as_bytes()).replace('\n', "\n  ")
        ));
        lines.extend(asking::line(run, task, &Times::here()).map(|line| format!("  {line}")));
        lines.extend(choice_lines(run, task, store, color));
    }
    if let Some(pause) = run.paused() {
        let why = if pause.why.is_empty() { String::new() } else { format!(": {}", pause.why) };
        let told = format!("{}{why}", pause.by);
        lines.push(format!("{} {}", paint(color, YELLOW, "The run is paused by"), visible(told.as_bytes())));
        let told: String = store.told.iter().map(|w| format!("{} ", word(w))).collect();
        lines.push(format!("  piton {told}resume {}  {}", run.id(), paint(color, DIM, "# go on")));
    }
    if parked.len() > SHOWN {
        lines.push(format!("and {} more tasks; `piton show {}` lists them", parked.len() - SHOWN, run.id()));
    }
    lines
}

/// What a person can do about a parked task, as lines.
pub(crate) fn choice_lines(run: &Run, task: TaskIndex, store: &Store, color: bool) -> Vec<String> {
    let choices = choices(run, task, store);
    let width = choices.iter().map(|c| c.command.chars().count()).max().unwrap_or(0);
    let line =
        |Choice { meaning, command }| format!("  {command:width$}  {}", paint(color, DIM, format_args!("# {meaning}")));
    choices.into_iter().map(line).collect()
}

/// What a person can do about secrets that cannot be had.
fn missing_lines(run: &Run, store: &Store, color: bool) -> Vec<String> {
    let missing = missing(run);
    let mut lines: Vec<String> = Vec::new();
    for (name, why) in missing {
        let secret = paint(color, BOLD, format_args!("the secret {name}"));
        let why = visible(why.as_bytes()).into_owned();
        lines.push(format!("{secret} {} {why}", paint(color, YELLOW, "cannot be had:")));
    }
    if let Some((name, _)) = missing.first_key_value() {
        let told: String = store.told.iter().map(|w| format!("{} ", word(w))).collect();
        let elsewhere = format!("piton {told}resume {} --secret {name}=SOURCE", run.id());
        let width = elsewhere.chars().count();
        let resume = format!("piton {told}resume {}", run.id());
        for (command, meaning) in [(resume, "try to get it again"), (elsewhere, "get it from elsewhere this time")] {
            lines.push(format!("  {command:width$}  {}", paint(color, DIM, format_args!("# {meaning}"))));
        }
    }
    lines
}

/// The secrets that cannot be had, and why.
pub(crate) fn missing(run: &Run) -> &BTreeMap<ParamName, String> {
    static NONE: BTreeMap<ParamName, String> = BTreeMap::new();
    match &run.secrets().held {
        Held::Missing(missing) if run.outcome().is_none() => missing,
        Held::Missing(_) | Held::Nothing | Held::Awaited | Held::Fetched => &NONE,
    }
}

/// The parked tasks for programs.
pub(crate) fn as_json(run: &Run, store: &Store) -> Vec<Value> {
    let told: String = store.told.iter().map(|w| format!("{} ", word(w))).collect();
    let resume = format!("piton {told}resume {}", run.id());
    let secrets = missing(run).iter().map(|(name, why)| json!({ "secret": name, "why": why, "commands": [resume] }));
    let tasks = run.parked().chain(run.asked()).map(|task| {
        let commands: Vec<String> = choices(run, task, store).into_iter().map(|c| c.command).collect();
        json!({ "task": run.graph().id(task), "why": reason(run, task), "commands": commands })
    });
    secrets.chain(tasks).collect()
}

/// A word of a command line, quoted only where a shell needs it.
pub(crate) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { piton_core::run::quote(text) }
}
