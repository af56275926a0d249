//! Shows the way back: of a run as it stands, and of a whole plan.

use piton_core::ids::{AttemptId, JobId, Part};
use piton_core::plan::{Plan, TaskIndex};
use piton_core::run::{Back, Happened, JobText, LeftCause, Run, Undo, WayBack};
use piton_core::runbook::{Action, Step};
use serde_json::{Value, json};

use crate::exit::{Failure, count};
use crate::screen::{BOLD, CYAN, DIM, Out, YELLOW};
use crate::visible::{visible, visible_lines};

/// The way back of a run as it stands.
pub(crate) fn of_run(run: &Run, back: &WayBack, out: &mut Out) -> Result<(), Failure> {
    let name = |task: TaskIndex| run.graph().id(task).to_string();
    if back.steps.is_empty() {
        out.line("Nothing would be taken back.")?;
    } else {
        out.line(out.paint(BOLD, format_args!("Taken back, in this order: {}", count(back.steps.len(), "task"))))?;
    }
    for (number, step) in (1..).zip(&back.steps) {
        let certain = matches!(step.happened, Happened::Done(_));
        let what = visible(happened(&step.happened).as_bytes()).into_owned();
        let what = if certain { what } else { out.paint(YELLOW, what) };
        out.line(format_args!("{number}. {}: {what}{}", out.paint(BOLD, name(step.task)), stands(step)))?;
        script(out, &text(run, step.task), "   ")?;
    }
    if !back.done.is_empty() {
        out.line("")?;
        out.line(out.paint(BOLD, "Taken back already"))?;
        for &task in &back.done {
            out.line(format_args!("  {}", name(task)))?;
        }
    }
    if !back.left.is_empty() {
        out.line("")?;
        out.line(out.paint(BOLD, "Left as it is"))?;
        for left in &back.left {
            out.line(format_args!("  {}: {}", name(left.task), visible(why_left(&left.why).as_bytes())))?;
        }
    }
    if !back.past_return.is_empty() {
        out.line("")?;
        let points: Vec<String> = back.past_return.iter().map(|&t| name(t)).collect();
        let text =
            format!("The point of no return is passed ({}): only a person's word undoes the run.", points.join(", "));
        out.line(out.paint(YELLOW, text))?;
    }
    Ok(())
}

/// Whether something happened, in words.
fn happened(happened: &Happened) -> String {
    match happened {
        Happened::Done(how) => how.to_string(),
        Happened::Failed(Some(cause)) => format!("may have happened in part: {cause}"),
        Happened::Failed(None) => "may have happened in part: an attempt failed".to_owned(),
        Happened::Unknown(loss) => format!("may have happened: {loss}"),
        Happened::GoingOn => "is going on, and is stopped first".to_owned(),
        Happened::LeftOut => "may have happened: it had begun before it was left out".to_owned(),
    }
}

fn stands(step: &Back) -> String {
    match &step.undo {
        Undo::Not | Undo::Done | Undo::Left => String::new(),
        Undo::Active { .. } | Undo::Over(_) => "; it is being taken back now".to_owned(),
        Undo::Parked(_, cause) => {
            format!("; its undo failed and waits for a decision: {}", visible(cause.to_string().as_bytes()))
        }
    }
}

fn why_left(why: &LeftCause) -> String {
    match why {
        LeftCause::NoUndo(what) => format!("its step has no `undo` ({})", happened(what)),
        LeftCause::AlreadyDone => "it was done before this run came to it".to_owned(),
        LeftCause::TakenOver(run) => format!("run {run} did it, and this one took its result over"),
        LeftCause::ByHand => "a person said so".to_owned(),
    }
}

/// The way back of a run for programs.
pub(crate) fn as_json(run: &Run, back: &WayBack) -> Value {
    let id = |task: TaskIndex| run.graph().id(task);
    let steps = back.steps.iter().map(|step| {
        let certain = matches!(step.happened, Happened::Done(_));
        let (script, shell) =
            text(run, step.task).map_or((Value::Null, Value::Null), |t| (t.script.into(), t.shell.into()));
        json!({
            "task": id(step.task),
            "happened": if certain { "yes" } else { "maybe" },
            "detail": happened(&step.happened),
            "undo": match &step.undo {
                Undo::Not | Undo::Done | Undo::Left => "ahead",
                Undo::Active { .. } | Undo::Over(_) => "running",
                Undo::Parked(..) => "parked",
            },
            "shell": shell,
            "script": script,
        })
    });
    let left = back.left.iter().map(|left| {
        let why = match left.why {
            LeftCause::NoUndo(_) => "no_undo",
            LeftCause::AlreadyDone => "already_done",
            LeftCause::TakenOver(_) => "taken_over",
            LeftCause::ByHand => "by_hand",
        };
        json!({ "task": id(left.task), "why": why, "detail": why_left(&left.why) })
    });
    json!({
        "undo": steps.collect::<Vec<_>>(),
        "done": back.done.iter().map(|&t| id(t)).collect::<Vec<_>>(),
        "left": left.collect::<Vec<_>>(),
        "past_return": back.past_return.iter().map(|&t| id(t)).collect::<Vec<_>>(),
    })
}

/// The undo script of a task, as it would run now.
fn text(run: &Run, task: TaskIndex) -> Option<JobText> {
    let attempt = AttemptId { task: run.graph().id(task).clone(), number: 1 };
    let text = run.job_text(&JobId { attempt, part: Part::Undo, round: 1 }).ok();
    text.or_else(|| written(run.step_of(task)))
}

/// The undo script as it stands in the runbook.
fn written(step: &Step) -> Option<JobText> {
    let script = step.undo.clone()?;
    let become_user = step.become_user.clone();
    Some(JobText { shell: script.shell, script: script.text, env: Vec::new(), sealed: Vec::new(), become_user })
}

fn script(out: &mut Out, text: &Option<JobText>, indent: &str) -> Result<(), Failure> {
    let Some(text) = text else { return Ok(()) };
    if text.shell != "sh" || text.become_user.is_some() {
        let user = text.become_user.as_ref().map(|user| format!(" as {user}")).unwrap_or_default();
        out.line(format_args!("{indent}{}", out.paint(CYAN, format_args!("[{}{user}]", text.shell))))?;
    }
    for line in visible_lines(text.script.trim_end().as_bytes()).lines() {
        out.line(format_args!("{indent}{} {line}", out.paint(DIM, "|")))?;
    }
    Ok(())
}

/// The way back of a whole plan: what an undo at its very end would do.
pub(crate) fn of_plan(run: &Run, out: &mut Out) -> Result<(), Failure> {
    let way = PlanBack::of(run);
    if way.steps.is_empty() {
        out.line("Nothing could be taken back: no step has an `undo`.")?;
    } else {
        out.line(out.paint(BOLD, "If everything has been done, it is taken back in this order"))?;
    }
    let points: Vec<String> = way.points.iter().map(|&t| run.graph().id(t).to_string()).collect();
    let line = format!("-- once {} has begun, only a person's word undoes the run --", points.join(", "));
    for (number, one) in (0..).zip(&way.steps) {
        if !way.points.is_empty() && number == way.behind {
            out.line(out.paint(YELLOW, &line))?;
        }
        out.line(format_args!("{}. {}{}", number + 1, out.paint(BOLD, one.id(run)), one.note()))?;
        script(out, &one.text(run), "   ")?;
    }
    if !way.points.is_empty() && way.behind == way.steps.len() {
        out.line(out.paint(YELLOW, &line))?;
    }
    if !way.left.is_empty() {
        out.line("")?;
        out.line(out.paint(BOLD, "Left as it is, because its step has no `undo`"))?;
        for &task in &way.left {
            out.line(format_args!("  {}", run.graph().id(task)))?;
        }
    }
    Ok(())
}

/// The way back of a whole plan for programs.
pub(crate) fn plan_json(run: &Run) -> Value {
    let way = PlanBack::of(run);
    let id = |task: &TaskIndex| run.graph().id(*task);
    let steps = (0..).zip(&way.steps).map(|(number, one)| {
        let text = one.text(run);
        json!({
            "task": one.id(run),
            "shell": text.as_ref().map(|t| &t.shell),
            "script": text.as_ref().map(|t| &t.script),
            "behind_point": !way.points.is_empty() && number < way.behind,
        })
    });
    json!({
        "undo": steps.collect::<Vec<_>>(),
        "left": way.left.iter().map(id).collect::<Vec<_>>(),
        "no_return": way.points.iter().map(id).collect::<Vec<_>>(),
    })
}

/// The way back of a plan of which everything has been done.
struct PlanBack {
    steps: Vec<Undone>,
    left: Vec<TaskIndex>,
    /// The tasks of the first step with a point of no return.
    points: Vec<TaskIndex>,
    /// How many of `steps` stand behind that point: they come first.
    behind: usize,
}

/// Something that is taken back.
enum Undone {
    Task(TaskIndex),
    /// The tasks of this step, for items that become known only when it runs.
    Items(usize),
}

impl Undone {
    fn id(&self, run: &Run) -> String {
        match self {
            Self::Task(task) => run.graph().id(*task).to_string(),
            Self::Items(step) => run.plan().steps[*step].step.id.to_string(),
        }
    }

    fn text(&self, run: &Run) -> Option<JobText> {
        match self {
            Self::Task(task) => text(run, *task),
            Self::Items(step) => written(&run.plan().steps[*step].step),
        }
    }

    /// What is said beside its name.
    fn note(&self) -> &'static str {
        match self {
            Self::Task(_) => "",
            Self::Items(_) => ", for each item that it was done for (known when it runs)",
        }
    }
}

impl PlanBack {
    fn of(run: &Run) -> Self {
        let (plan, graph): (&Plan, _) = (run.plan(), run.graph());
        let mut way = Self { steps: Vec::new(), left: Vec::new(), points: Vec::new(), behind: 0 };
        for task in graph.one_by_one().into_iter().filter(|&task| !graph.is_finally(task)) {
            let step = graph.step(task);
            if graph.is_source(task) {
                let open = plan.acting(step).into_iter().filter(|_| graph.items_of(step).is_none());
                let open = open.filter(|&step| plan.steps[step].step.undo.is_some());
                let before = way.steps.len();
                way.steps.extend(open.map(Undone::Items));
                way.behind += if way.points.is_empty() { 0 } else { way.steps.len() - before };
                continue;
            }
            let own = &plan.steps[step].step;
            if own.point_of_no_return && way.points.is_empty() {
                way.points = graph.tasks_of(step).collect();
            }
            if own.undo.is_some() {
                way.steps.push(Undone::Task(task));
                way.behind += usize::from(!way.points.is_empty());
            } else if acts(&own.action) {
                way.left.push(task);
            }
        }
        way.steps.reverse();
        way
    }
}

/// Whether a step changes anything by itself.
pub(crate) fn acts(action: &Action) -> bool {
    match action {
        Action::Run(_)
        | Action::Exec(_)
        | Action::Put(_)
        | Action::Get(_)
        | Action::Transfer(_)
        | Action::Reboot(_)
        | Action::Hook(_) => true,
        Action::Assert(_)
        | Action::WaitFor(_)
        | Action::WaitUntil(_)
        | Action::Approve(_)
        | Action::Block
        | Action::Call(_) => false,
    }
}
