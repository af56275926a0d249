//! `piton rerun`.

use std::collections::BTreeSet;

use piton_core::ids::{StepId, TaskId};
use piton_core::plan::{Plan, TaskIndex};
use piton_core::run::{Event, Run, TakenTask};
use piton_core::runbook::Repeat;
use piton_runner::Driver;
use piton_runner::journal::{RunStatus, RunSummary};
use serde_json::json;

use crate::cli::Globals;
use crate::exit::{Code, Failure, count};
use crate::foreground::{self, Foreground};
use crate::screen::Screen;
use crate::store::Store;
use crate::{advice, background, parts, planning, secrets, select};

/// Do a run that is over again, from where it failed
///
/// Makes a new run with the same plan. What the old run finished is not done again: its results (outputs, exit statuses)
/// are taken over, and the new run's journal says so. Done again is what did not succeed, what follows from it, and all
/// steps under `finally`; with `--from` a step (or task) of your choice and what follows from it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run
    #[arg(value_name = "RUN", add = clap_complete::ArgValueCompleter::new(super::completing::runs))]
    run: String,
    /// Begin with this step, or with one task of it
    #[arg(long, value_name = "STEP")]
    from: Option<String>,
    /// Make the plan anew from the runbook and the inventory as they are now, with the same parameters
    #[arg(long)]
    replan: bool,
    /// Do again also what may have happened in the old run
    #[arg(long)]
    yes: bool,
    /// Let the run go on in the background from the start
    #[arg(long)]
    detach: bool,
    /// Only show what would be taken over and what would be done again
    #[arg(long, conflicts_with = "detach")]
    dry_run: bool,
    #[command(flatten)]
    secrets: secrets::SecretArgs,
}

/// How many tasks are named in a line.
const NAMED: usize = 8;

/// What the new run begins with.
struct Anew {
    plan: Plan,
    tasks: Vec<TakenTask>,
    /// What is done again, in the order of the plan.
    again: Vec<TaskId>,
}

pub(crate) async fn run(args: Args, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
    let store = Store::here(globals)?;
    let summary = store.find(&args.run).await?;
    let told: String = store.told.iter().map(|w| format!("{} ", advice::word(w))).collect();
    let old = match summary.status {
        RunStatus::Ended(_) => piton_runner::load(store.journal.as_ref(), summary.id).await?,
        RunStatus::Running | RunStatus::Parked => {
            return Err(Failure::usage(format!(
                "run {} is not over: what it would do could be done twice",
                summary.id
            ))
            .hint(format!("`piton {told}retry` goes on with it; `piton {told}cancel {}` ends it", summary.id)));
        }
    };
    let anew = anew(&args, globals, &old).await?;
    tell(screen, &old, &anew, args.dry_run)?;
    if args.dry_run {
        return Ok(Code::Succeeded);
    }
    if let Some(task) = maybe(&old, &anew).first()
        && !args.yes
    {
        return Err(Failure::usage(format!("{task} may have happened in run {}, and would be done again", summary.id))
            .hint(format!(
                "look at the host, then say `--yes`; `piton {told}why {} {}` tells what was found",
                summary.id,
                advice::word(&task.to_string())
            )));
    }
    let first = taken_over(&store, &summary, &old, &anew).await?;
    let id = parts::new_run_id()?;
    if args.detach {
        secrets::refuse_typed(&anew.plan)?;
    }
    let instead = args.secrets.read()?;
    let only_here = secrets::only_here(&anew.plan, &instead);
    let fetching = secrets::of(&store, &anew.plan, instead);
    secrets::ask(&anew.plan, &fetching).await?;
    let foreground = Foreground::new(&store, screen, id, &anew.plan).with_secrets(fetching, only_here);
    let (by, owner) = (parts::speaker(), parts::owner()?);
    let driver = Driver::create_with(foreground.ports.clone(), id, anew.plan.clone(), &by, &owner, vec![first]).await?;
    let mut out = screen.out();
    if screen.json {
        let taken: Vec<&TaskId> = anew.tasks.iter().map(|t| &t.task).collect();
        let (runbook, of) = (&anew.plan.runbook, old.id());
        out.json(&json!({ "run": id, "runbook": runbook, "rerun_of": of, "taken_over": taken, "again": anew.again }))?;
    } else {
        out.line(id)?;
    }
    let read = out.flush();
    if args.detach {
        driver.leave().await?;
        background::engine(&store, &[id])?;
        foreground::handed_over(&store, screen, id).await;
        return read.map(|()| Code::Succeeded);
    }
    foreground.drive(driver, &store, screen).await
}

/// What is taken over and what is done again.
async fn anew(args: &Args, globals: &Globals, old: &Run) -> Result<Anew, Failure> {
    let from: Vec<TaskIndex> =
        args.from.as_deref().map(|step| select::tasks(old, step)).transpose()?.unwrap_or_default();
    let name = |task: TaskIndex| old.graph().id(task);
    if let Some(&task) = from.iter().find(|&&task| old.graph().is_finally(task)) {
        return Err(Failure::usage(format!("{} stands under `finally`, which is done again in any case", name(task))));
    }
    if let Some(open) = old.unfinished_before(&from) {
        let state = &old.task(open).state;
        return Err(Failure::usage(format!(
            "the run cannot begin there: {} comes before, and it has not been done (it is {state})",
            name(open)
        ))
        .hint(format!(
            "`--from {}` begins with it, and does what follows from it again",
            advice::word(&name(open).to_string())
        )));
    }
    let chosen: BTreeSet<TaskIndex> = from.into_iter().collect();
    let mut tasks = old.results(|task| chosen.contains(&task));
    let plan = if args.replan {
        let plan = planning::again(globals, old.plan(), None).await?;
        same_so_far(old, &plan, &mut tasks)?;
        plan
    } else {
        old.plan().as_ref().clone()
    };
    let taken: BTreeSet<&TaskId> = tasks.iter().map(|t| &t.task).collect();
    let graph = piton_core::run::graph_with(&plan, &tasks);
    let main = graph.in_order().into_iter().filter(|&task| !graph.is_finally(task));
    let again: Vec<TaskId> = main.map(|t| graph.id(t)).filter(|id| !taken.contains(id)).cloned().collect();
    if again.is_empty() {
        return Err(Failure::usage(format!("everything of run {} has been done", old.id()))
            .hint("`--from STEP` does a step, and what follows from it, again"));
    }
    Ok(Anew { plan, tasks, again })
}

/// Results stand only for steps that are the same in the new plan; those of steps that are gone are not needed.
fn same_so_far(old: &Run, new: &Plan, tasks: &mut Vec<TakenTask>) -> Result<(), Failure> {
    let diff = old.plan().diff(new);
    tasks.retain(|task| !diff.removed.contains(&task.task.step));
    let differs = diff.changed.iter().find_map(|change| {
        let fields: Vec<&str> = change.fields.iter().filter(|f| !f.is_wording()).map(|f| f.field.as_str()).collect();
        let within = |id: &StepId| {
            let step = old.graph().step_named(id);
            step.is_some_and(|step| old.plan().around(step).any(|at| old.plan().steps[at].step.id == change.step))
        };
        let taken = tasks.iter().find(|task| within(&task.task.step))?;
        (!fields.is_empty()).then(|| (taken.task.clone(), fields.join(", ")))
    });
    // Items that are gone are needed no more either.
    let graph = piton_core::run::graph_with(new, tasks);
    tasks.retain(|task| graph.find(&task.task).is_some());
    match differs {
        None => Ok(()),
        Some((task, fields)) => Err(Failure::usage(format!(
            "the result of {task} cannot be taken over: its step is another one now ({fields})"
        ))
        .hint(format!("`--from {}` does it again, and what follows from it", task.step))),
    }
}

/// The fact that the new run begins with. The old run's journal is checked first: nothing else is taken over than what
/// was written there.
async fn taken_over(store: &Store, summary: &RunSummary, old: &Run, anew: &Anew) -> Result<Event, Failure> {
    let verified = store.journal.verify(old.id()).await?;
    Ok(Event::TakenOver {
        from: old.id(),
        plan: old.plan_digest().unwrap_or(summary.plan),
        seq: verified.events,
        head: verified.head,
        tasks: anew.tasks.clone(),
    })
}

fn tell(screen: &Screen, old: &Run, anew: &Anew, only: bool) -> Result<(), Failure> {
    let taken: Vec<&TaskId> = anew.tasks.iter().map(|t| &t.task).collect();
    let maybe = maybe(old, anew);
    if only && screen.json {
        let mut out = screen.out();
        out.json(
            &json!({ "rerun_of": old.id(), "taken_over": taken, "again": anew.again, "may_have_happened": maybe }),
        )?;
        return out.flush();
    }
    let lines = [
        ("taken over:", names(&taken)),
        ("done again:", names(&anew.again.iter().collect::<Vec<_>>())),
        ("may have happened in the old run:", names(&maybe)),
    ];
    let mut lines = lines.into_iter().filter(|(_, names)| !names.is_empty());
    if only {
        let mut out = screen.out();
        lines.try_for_each(|(what, names)| out.line(format_args!("{what} {names}")))?;
        return out.flush();
    }
    lines.for_each(|(what, names)| screen.note(format_args!("{what} {names}")));
    Ok(())
}

/// What is done again although it may have happened, and its step does not allow that without asking.
fn maybe<'a>(old: &Run, anew: &'a Anew) -> Vec<&'a TaskId> {
    let asks = |task: TaskIndex| old.is_unknown(task) && old.step_of(task).repeat == Repeat::Ask;
    anew.again.iter().filter(|id| old.graph().find(id).is_some_and(asks)).collect()
}

fn names(ids: &[&TaskId]) -> String {
    let some: Vec<String> = ids.iter().take(NAMED).map(ToString::to_string).collect();
    match ids.len().saturating_sub(NAMED) {
        0 => some.join(", "),
        more => format!("{} and {}", some.join(", "), count(more, "more task")),
    }
}
