//! `piton why`.

mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use piton_core::ids::{Part, TaskId};
use piton_core::plan::TaskIndex;
use piton_core::run::{
    At, Event, FailureCause, Hold, Phase, Probing, Recorded, Run, SkipCause, Stopping, TaskState, Undo, Word,
};
use piton_core::time::Timestamp;
use serde_json::{Value, json};

use crate::advice;
use crate::asking;
use crate::cli::Globals;
use crate::exit::{Code, Failure};
use crate::moment;
use crate::queue::Queue;
use crate::screen::{BOLD, DIM, Screen};
use crate::select;
use crate::store::Store;
use crate::tell::{Teller, task_of, told_about};
use crate::times::Times;
use crate::visible::visible;
use waiting::{Around, waiting};

/// Tell why a task ran, waits, was skipped, failed, or is unknown
///
/// The chain of causes: the facts about the task, then those about the task it waits for or was skipped for, and so on.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run
    #[arg(value_name = "RUN", add = clap_complete::ArgValueCompleter::new(super::completing::runs))]
    run: String,
    /// The task, or a step with one task
    task: String,
    /// As it was after the event with this number, or at this time: 10m (ago), 10:02, 2026-11-21T10:02:11Z
    #[arg(long, value_name = "MOMENT")]
    at: Option<String>,
}

/// How many events are read at a time.
const PAGE: usize = 2000;

/// How long a chain of causes is told.
const DEPTH: usize = 16;

/// How many tasks that one waits for are named.
const NAMED: usize = 6;

pub(crate) async fn run(args: Args, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
    let store = Store::here(globals)?;
    let summary = store.find(&args.run).await?;
    let run = moment::load(&store, summary.id, args.at.as_deref()).await?;
    let task = select::task(&run, &args.task)?;
    let around = Around {
        queue: Queue::read(&store).await?,
        now: args.at.is_none(),
        driven: summary.owner.is_some(),
        most: store.most,
    };
    let chain = chain(&run, &around, task);
    let (events, course) = events(&store, &run, &chain).await?;

    let mut out = screen.out();
    if screen.json {
        let links: Vec<Value> = chain
            .iter()
            .map(|link| {
                let id = run.graph().id(link.task);
                json!({
                    "task": id,
                    "state": run.task(link.task).state.word(),
                    "because": link.because,
                    "course": course.about(&run, link.task),
                    "events": events.get(id),
                })
            })
            .collect();
        out.json(&json!({ "run": summary.id, "chain": links }))?;
        out.flush()?;
        return Ok(Code::Succeeded);
    }
    for (depth, link) in chain.iter().enumerate() {
        let id = run.graph().id(link.task);
        if depth > 0 {
            out.line("")?;
        }
        out.line(format_args!("{} {}", out.paint(BOLD, id), visible(link.because.as_bytes())))?;
        let mut teller = Teller::new(out.color);
        for recorded in events.get(id).into_iter().flatten() {
            if let Some(line) = teller.tell(recorded, true) {
                out.line(format_args!("  {line}"))?;
            }
        }
        for note in link.notes.iter().chain(&course.about(&run, link.task)) {
            out.line(format_args!("  {}", out.paint(DIM, visible(note.as_bytes()))))?;
        }
    }
    if args.at.is_none() && run.parked().any(|parked| parked == task) {
        out.line("")?;
        for line in advice::choice_lines(&run, task, &store, out.color) {
            out.line(line)?;
        }
    }
    out.flush()?;
    Ok(Code::Succeeded)
}

/// One task in the chain.
struct Link {
    task: TaskIndex,
    because: String,
    notes: Vec<String>,
}

/// The task, then what it waits for or was left out for, and so on to the beginning.
fn chain(run: &Run, around: &Around, task: TaskIndex) -> Vec<Link> {
    let mut links = Vec::new();
    let mut seen = BTreeSet::new();
    let mut next = Some(task);
    while let Some(task) = next.filter(|&t| links.len() < DEPTH && seen.insert(t)) {
        let (link, cause) = link(run, around, task);
        links.push(link);
        next = cause;
    }
    links
}

fn link(run: &Run, around: &Around, task: TaskIndex) -> (Link, Option<TaskIndex>) {
    let state = &run.task(task).state;
    let before = run.graph().before(task);
    let mut notes = Vec::new();
    let mut cause = None;
    if let Some((because, cause)) = taking_back(run, task) {
        return (Link { task, because, notes }, cause);
    }
    let clock = |at: Timestamp| Times::here().clock(at);
    let because = match state {
        TaskState::Waiting => {
            let (because, on) = waiting(run, around, task, &before);
            cause = on;
            because
        }
        TaskState::Active(attempt) => match (&attempt.at, attempt.stopping) {
            (_, Some(Stopping::TimedOut)) => "took longer than its timeout and is being stopped".to_owned(),
            (_, Some(Stopping::Cancelled)) => "is being stopped".to_owned(),
            (At::Unless, None) => "is being looked at: `unless` tells whether it is done already".to_owned(),
            (At::Wait(Some(until)), None) => format!("waits until {}", clock(*until)),
            (At::Probe(Probing { next: Some(next), .. }), None) => {
                format!("is not as it should be yet; it is asked again at {}", clock(*next))
            }
            (At::Probe(Probing { next: None, .. }), None) => "is being asked whether it is as it should be".to_owned(),
            (At::Hook(hooking), None) => {
                let which =
                    if hooking.part == Part::Main { "hook".to_owned() } else { format!("{} hook", hooking.part) };
                match hooking.open() {
                    Some(call) => format!("is at its {which}, which waits for {}", call.numbered()),
                    None => format!("is at its {which}"),
                }
            }
            (At::Settle { loss } | At::Lost(loss), None) => format!("is being looked for: {loss}"),
            (At::Main | At::Transfer | At::Approval(_) | At::Wait(None) | At::Assert | At::Over, None) => {
                match asking::line(run, task, &Times::here()) {
                    Some(line) => format!("waits for approval: {line}"),
                    None => "is running".to_owned(),
                }
            }
        },
        TaskState::Pausing(at) => format!("failed and will be tried again at {}", clock(*at)),
        TaskState::Parked(why) => format!("waits for a decision: {why}"),
        TaskState::Succeeded(how) => match run.task(task).taken {
            Some(from) => format!("was done by run {from} (it {how}), and this run took its result over"),
            None => format!("succeeded: it {how}"),
        },
        TaskState::Failed(why) => format!("failed: {why}"),
        TaskState::Skipped(why) => {
            if let SkipCause::NeedFailed(needed) | SkipCause::TooManyFailed(needed) = why {
                cause = run.graph().find(needed);
            }
            match (why, &run.step_of(task).when) {
                (SkipCause::When, Some(when)) => format!("was skipped: its `when` is false: {}", when.source()),
                (SkipCause::RunStopped, _) if run.is_cancelled() => {
                    "was skipped: the run was cancelled before its turn came".to_owned()
                }
                (why, _) => format!("was skipped: {why}"),
            }
        }
    };
    let began = match state {
        _taken if run.task(task).taken.is_some() => false,
        TaskState::Waiting | TaskState::Skipped(_) => false,
        TaskState::Active(_)
        | TaskState::Pausing(_)
        | TaskState::Parked(_)
        | TaskState::Succeeded(_)
        | TaskState::Failed(_) => true,
    };
    if began {
        notes.push(if before.is_empty() {
            "It could start because it needs nothing.".to_owned()
        } else {
            let needed: Vec<String> =
                before.iter().take(NAMED).map(|&t| format!("{} ({})", run.graph().id(t), run.task(t).state)).collect();
            let more = before.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("It could start because of {}{more}.", needed.join(", "))
        });
    }
    // A task for an item is there because of the task that found its items.
    let family = run.plan().family(run.graph().step(task));
    let source = family.and_then(|family| run.graph().source(family)).filter(|&source| source != task);
    (Link { task, because, notes }, cause.or(source))
}

/// Where taking a task back stands, if the run is or was undone, and on account of which other task it waits.
fn taking_back(run: &Run, task: TaskIndex) -> Option<(String, Option<TaskIndex>)> {
    Some(match &run.task(task).undo {
        Undo::Parked(_, cause) => (format!("waits for a decision: its undo failed: {cause}"), None),
        Undo::Active { .. } | Undo::Over(_) => ("is being taken back".to_owned(), None),
        Undo::Done => ("was taken back".to_owned(), None),
        Undo::Left => ("is left as it is: a person said so".to_owned(), None),
        Undo::Not if run.phase() == Phase::Undoing && run.can_undo(task) => {
            let ahead = run.way_back().ok()?.steps.first()?.task;
            if let Hold::Asked(locks) = &run.task(task).hold {
                let names: Vec<String> = locks.iter().map(ToString::to_string).collect();
                (format!("is taken back as soon as it has its locks: {}", names.join(", ")), None)
            } else if ahead == task {
                ("is taken back next".to_owned(), None)
            } else {
                (format!("will be taken back after {}", run.graph().id(ahead)), Some(ahead))
            }
        }
        Undo::Not => return None,
    })
}

/// What turned the run from its course, in words.
#[derive(Default)]
struct Course {
    undone: Option<String>,
    cancelled: Option<String>,
}

impl Course {
    /// Takes a fact in: who or what had the run undone or cancelled.
    fn see(&mut self, event: &Event) {
        let by_word = |by: &str, why: &str| if why.is_empty() { by.to_owned() } else { format!("{by} ({why})") };
        if let Event::UndoStarted { because: Some(task) } = event {
            self.undone = Some(format!("{task} failed"));
        }
        let Event::WordTaken { by, word, refused: None, .. } = event else { return };
        if let Word::Undo { why } = word {
            self.undone = Some(format!("{} said so", by_word(by, why)));
        }
        if let Word::Cancel { why } = word {
            self.cancelled = Some(format!("{} said so", by_word(by, why)));
        }
    }

    /// What of it concerns a task.
    fn about(&self, run: &Run, task: TaskIndex) -> Option<String> {
        let stopped = match &run.task(task).state {
            TaskState::Skipped(SkipCause::RunStopped) | TaskState::Failed(FailureCause::Cancelled) => true,
            TaskState::Active(attempt) => attempt.stopping == Some(Stopping::Cancelled),
            TaskState::Waiting => run.is_cancelled() || run.phase() == Phase::Undoing || run.outcome().is_some(),
            TaskState::Pausing(_)
            | TaskState::Parked(_)
            | TaskState::Succeeded(_)
            | TaskState::Skipped(_)
            | TaskState::Failed(_) => false,
        };
        let undone = self.undone.as_ref().filter(|_| stopped || taking_back(run, task).is_some());
        let undone = undone.map(|why| format!("The run was undone because {why}."));
        undone.or_else(|| {
            let cancelled = self.cancelled.as_ref().filter(|_| stopped);
            cancelled.map(|why| format!("The run was cancelled because {why}."))
        })
    }
}

/// The facts about the tasks of the chain.
async fn events(
    store: &Store,
    run: &Run,
    chain: &[Link],
) -> Result<(BTreeMap<TaskId, Vec<Recorded<Event>>>, Course), Failure> {
    let wanted: BTreeSet<&TaskId> = chain.iter().map(|link| run.graph().id(link.task)).collect();
    let mut found: BTreeMap<TaskId, Vec<Recorded<Event>>> = BTreeMap::new();
    let mut next = 1;
    let mut course = Course::default();
    loop {
        let page = store.journal.read(run.id(), next, PAGE).await?;
        let full = page.len() == PAGE;
        for recorded in page.into_iter().take_while(|recorded| recorded.seq <= run.seq()) {
            next = recorded.seq + 1;
            course.see(&recorded.event);
            let said = if let Event::WordTaken { word, .. } = &recorded.event { told_about(word) } else { None };
            let about = said.or_else(|| task_of(&recorded.event));
            if let Some(task) = about.filter(|task| wanted.contains(task)).cloned() {
                found.entry(task).or_default().push(recorded);
            }
        }
        if !full || next > run.seq() {
            return Ok((found, course));
        }
    }
}
