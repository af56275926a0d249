//! Puts facts into words, one line each.

use std::collections::HashMap;
use std::time::Duration;

use anstyle::Style;
use piton_core::ids::{Part, TaskId};
use piton_core::lock::Lock;
use piton_core::plan::Item;
use piton_core::run::{CallKind, Event, FailureCause, ParkCause, Recorded, SkipCause, SuccessCause, Word};
use piton_core::time::{Timestamp, show_size};
use piton_core::value::to_text;

use crate::exit::count;
use crate::screen::{CYAN, DIM, GREEN, RED, YELLOW, paint};
use crate::times::{Times, took};
use crate::visible::visible;

/// Tells a run's facts in order.
pub(crate) struct Teller {
    times: Times,
    color: bool,
    started: HashMap<TaskId, Timestamp>,
    created: Option<Timestamp>,
}

/// How much a line matters, and how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Only for those who want more.
    Detail,
    /// It went on.
    Plain,
    /// Something came to a good end.
    Good,
    /// Something did not.
    Bad,
    /// A person is asked.
    Ask,
    /// A person spoke.
    Act,
}

impl Teller {
    pub(crate) fn new(color: bool) -> Self {
        Self { times: Times::here(), color, started: HashMap::new(), created: None }
    }

    /// These tasks began before the facts that are told.
    pub(crate) fn seed(&mut self, running: Vec<(TaskId, Timestamp)>) {
        self.started.extend(running);
    }

    /// The line for a fact, where it is worth one; with `all`, every fact is.
    pub(crate) fn tell(&mut self, recorded: &Recorded<Event>, all: bool) -> Option<String> {
        let (about, text, tone) = self.words(recorded);
        if tone == Tone::Detail && !all {
            return None;
        }
        let style = match tone {
            Tone::Detail => DIM,
            Tone::Plain => Style::new(),
            Tone::Good => GREEN,
            Tone::Bad => RED,
            Tone::Ask => YELLOW,
            Tone::Act => CYAN,
        };
        let time = paint(self.color, DIM, self.times.clock(recorded.at));
        let about = about.map(|task| format!("{task} ")).unwrap_or_default();
        let text = visible(text.as_bytes()).into_owned();
        Some(format!("{time} {about}{}", paint(self.color, style, text)))
    }

    /// A fact as text, without its time: the task that it is about, what happened, and how much it matters.
    pub(crate) fn words<'e>(&mut self, recorded: &'e Recorded<Event>) -> (Option<&'e TaskId>, String, Tone) {
        let about = task_of(&recorded.event);
        let (text, tone) = match &recorded.event {
            Event::RunCreated { by, runbook, .. } => {
                self.created = Some(recorded.at);
                (format!("{by} asked for {runbook}"), Tone::Detail)
            }
            Event::TakenOver { from, tasks, .. } => {
                let results = count(tasks.len(), "result");
                (format!("{results} of run {from} taken over"), Tone::Act)
            }
            Event::PlanReplaced { by, why, plan, .. } => {
                let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
                (format!("{by} has the run go on with another plan{why}: {plan}"), Tone::Act)
            }
            Event::EngineTook { engine, fence: 1 } => (format!("engine {engine} drives the run"), Tone::Detail),
            Event::EngineTook { engine, .. } => (format!("engine {engine} took the run over"), Tone::Plain),
            Event::SecretsFetched { changed, .. } if changed.is_empty() => {
                ("the secrets were fetched".to_owned(), Tone::Detail)
            }
            Event::SecretsFetched { changed, .. } => {
                let names: Vec<String> = changed.iter().map(|name| format!("`{name}`")).collect();
                let text = format!(
                    "{} changed since this run last had it: what begins now gets the new one, and nothing more is kept of \
                     what runs already",
                    names.join(", ")
                );
                (text, Tone::Ask)
            }
            Event::SecretsMissing { missing } => {
                let why: Vec<String> = missing.iter().map(|(name, why)| format!("`{name}`: {why}")).collect();
                (format!("waits for its secrets: {}", why.join("; ")), Tone::Ask)
            }
            Event::TaskSkipped { why: SkipCause::ByHand, .. } => ("skipped by hand".to_owned(), Tone::Act),
            Event::TaskSkipped { why, .. } => (format!("skipped: {why}"), Tone::Plain),
            Event::StepExpanded { items, .. } => (found(items), Tone::Plain),
            Event::CallEntered { params, .. } => {
                let given = params.iter().filter(|(_, value)| !value.is_null());
                let given: Vec<String> = given.map(|(name, value)| format!("{name}={}", to_text(value))).collect();
                (format!("calls its runbook with {}", given.join(" ")), Tone::Detail)
            }
            Event::TaskUnstartable { .. } => ("cannot start".to_owned(), Tone::Detail),
            Event::AttemptStarted { task, attempt, .. } => {
                self.started.entry(task.clone()).or_insert(recorded.at);
                let which = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
                (format!("started{which}"), Tone::Plain)
            }
            Event::JobStarted { job, boot } => {
                (format!("{} {} runs (boot {})", job.part, job.round, boot.0), Tone::Detail)
            }
            Event::JobExited { job, exit, .. } => {
                (format!("{} {} exited with {exit}", job.part, job.round), Tone::Detail)
            }
            Event::JobLost { job, why } => (format!("{} {} is lost: {why}", job.part, job.round), Tone::Bad),
            Event::JobStopped { job, .. } => (format!("{} {} was stopped", job.part, job.round), Tone::Detail),
            Event::Transferred { bytes, .. } => (format!("moved {}", show_size(*bytes)), Tone::Detail),
            Event::HookStarted { .. } => ("the hook after it began".to_owned(), Tone::Detail),
            Event::HookCalled { call, .. } => match call.kind {
                CallKind::Notify => (format!("notifies: {}", call.shown), Tone::Act),
                CallKind::Run | CallKind::Exec | CallKind::Read | CallKind::Write | CallKind::Now => {
                    (call.numbered(), Tone::Detail)
                }
            },
            Event::HookEnded { hook, failure, .. } => {
                let which = if hook.part == Part::Main { "hook".to_owned() } else { format!("{} hook", hook.part) };
                let how = if failure.is_some() { "failed" } else { "ended" };
                (format!("{which} {how}"), Tone::Detail)
            }
            Event::TransferProgressed { moved, total, left, .. } => (moved_so_far(*moved, *total, *left), Tone::Detail),
            Event::AttemptTimedOut { .. } => {
                ("takes longer than its timeout and is being stopped".to_owned(), Tone::Bad)
            }
            Event::AttemptFailed { attempt, cause, .. } => {
                let which = if *attempt > 1 { format!("attempt {attempt} ") } else { String::new() };
                (format!("{which}failed: {cause}"), Tone::Bad)
            }
            Event::RetryScheduled { at, repeat, .. } => {
                let why = if *repeat { "repeated, which its step allows," } else { "tried again" };
                (format!("will be {why} at {}", self.times.clock(*at)), Tone::Plain)
            }
            Event::ProbeScheduled { at, .. } => (format!("is asked again at {}", self.times.clock(*at)), Tone::Detail),
            Event::ProbeStarted { .. } => ("is asked again".to_owned(), Tone::Detail),
            Event::WaitStarted { until, .. } => (format!("waits until {}", self.times.clock(*until)), Tone::Plain),
            Event::TaskSucceeded { task, how } => {
                let started = self.started.get(task).copied();
                let span = started.map(|s| format!(" in {}", took(recorded.at.since(s)))).unwrap_or_default();
                match how {
                    SuccessCause::Ran => (format!("succeeded{span}"), Tone::Good),
                    SuccessCause::AlreadyDone
                    | SuccessCause::FoundDone
                    | SuccessCause::ByHand
                    | SuccessCause::Approved
                    | SuccessCause::Unopposed => (how.to_string(), Tone::Good),
                }
            }
            Event::TaskFailed { cause: FailureCause::Cancelled, .. } => ("is left as it is".to_owned(), Tone::Detail),
            Event::TaskFailed { .. } => ("is given up; the run goes on without it".to_owned(), Tone::Bad),
            Event::TaskParked { why, .. } => match why {
                ParkCause::Failed(_) => ("waits for a decision".to_owned(), Tone::Ask),
                ParkCause::Unknown { .. }
                | ParkCause::HookDiffers { .. }
                | ParkCause::UndoFailed(_)
                | ParkCause::NoReturn(_) => (format!("waits for a decision: {why}"), Tone::Ask),
            },
            Event::WordTaken { by, word, refused, .. } => {
                let (said, why) = said(word);
                let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
                match refused {
                    None => (format!("{by} says {said}{why}"), Tone::Act),
                    Some(reason) => (format!("{by} says {said}{why}, which is refused: {reason}"), Tone::Bad),
                }
            }
            Event::ResolveStarted { .. } => ("was done by hand, it is said".to_owned(), Tone::Detail),
            Event::TaskReleased { .. } => ("is put back to be tried again".to_owned(), Tone::Detail),
            Event::ApprovalAsked { text, need, who, until, .. } => {
                let many = if *need == 1 { "approval".to_owned() } else { format!("{need} approvals") };
                let until = until.map(|at| format!(", until {}", self.times.clock(at))).unwrap_or_default();
                (format!("waits for {many} ({who}{until}): {text}"), Tone::Ask)
            }
            Event::Voted { missing: 0, .. } | Event::Voted { yes: false, .. } => {
                ("was voted on".to_owned(), Tone::Detail)
            }
            Event::Voted { missing, .. } => (format!("needs {missing} more to approve"), Tone::Plain),
            Event::LocksAsked { locks, .. } => (format!("{} for {}", queued(about), names(locks)), Tone::Detail),
            Event::LocksTaken { task: None } => ("the run has its locks".to_owned(), Tone::Detail),
            Event::LocksTaken { task: Some(_) } => ("has its locks".to_owned(), Tone::Detail),
            Event::LocksRefused { why, .. } => (format!("cannot have its locks: {why}"), Tone::Bad),
            Event::RunPaused { .. } => ("the run is paused: nothing new begins".to_owned(), Tone::Act),
            Event::RunResumed => ("the run goes on".to_owned(), Tone::Act),
            Event::CancelStarted => ("the run is being cancelled".to_owned(), Tone::Act),
            Event::UndoStarted { because: None } => ("what was done is being taken back".to_owned(), Tone::Act),
            Event::UndoStarted { because: Some(task) } => {
                (format!("what was done is being taken back, because {task} failed"), Tone::Act)
            }
            Event::UndoAttemptStarted { attempt, .. } => {
                let which = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
                (format!("undo started{which}"), Tone::Plain)
            }
            Event::UndoTimedOut { .. } => {
                ("takes longer to take back than it may, and that is being stopped".to_owned(), Tone::Bad)
            }
            Event::TaskUndone { .. } => ("was taken back".to_owned(), Tone::Good),
            Event::UndoSkipped { .. } => ("is left as it is".to_owned(), Tone::Plain),
            Event::FinallyStarted => ("the steps under `finally` begin".to_owned(), Tone::Detail),
            Event::RunEnded { outcome } => {
                let span = self.created.map(|c| format!(" after {}", took(recorded.at.since(c)))).unwrap_or_default();
                (format!("the run {outcome}{span}"), Tone::Detail)
            }
        };
        (about, text, tone)
    }
}

/// The items of a step, the first ones if they are many.
fn found(items: &[Item]) -> String {
    const SHOWN: usize = 8;
    let some: Vec<&str> = items.iter().take(SHOWN).map(|item| item.name.as_str()).collect();
    let more = items.len().saturating_sub(SHOWN);
    match (items.len(), more) {
        (0, _) => "has no items: there is nothing to do".to_owned(),
        (_, 0) => format!("has {}: {}", count(items.len(), "item"), some.join(", ")),
        (_, more) => format!("has {}: {} and {more} more", count(items.len(), "item"), some.join(", ")),
    }
}

/// How far a transfer has come, in words.
pub(crate) fn moved_so_far(moved: u64, total: u64, left: Option<u64>) -> String {
    let left = left.map(|seconds| format!(", {} left", took(Duration::from_secs(seconds)))).unwrap_or_default();
    format!("{} of {} moved{left}", show_size(moved), show_size(total))
}

fn queued(task: Option<&TaskId>) -> &'static str {
    if task.is_some() { "stands in the queue" } else { "the run stands in the queue" }
}

/// Locks by name.
pub(crate) fn names(locks: &[Lock]) -> String {
    locks.iter().map(Lock::to_string).collect::<Vec<_>>().join(", ")
}

/// A word, and the reason given for it.
pub(crate) fn said(word: &Word) -> (String, &str) {
    match word {
        Word::Cancel { why } => ("cancel".to_owned(), why),
        Word::Retry { task, why } => (format!("retry {task}"), why),
        Word::Skip { task, why } => (format!("skip {task}"), why),
        Word::Resolve { task, why, .. } => (format!("resolve {task}"), why),
        Word::Undo { why } => ("undo".to_owned(), why),
        Word::Approve { task, why, .. } => (format!("approve {task}"), why),
        Word::Reject { task, why, .. } => (format!("reject {task}"), why),
        Word::Pause { why } => ("pause".to_owned(), why),
        Word::Resume { why } => ("resume".to_owned(), why),
    }
}

/// The task that a fact is about, where it is about one.
pub(crate) fn task_of(event: &Event) -> Option<&TaskId> {
    match event {
        Event::TaskSkipped { task, .. }
        | Event::TaskUnstartable { task }
        | Event::StepExpanded { task, .. }
        | Event::CallEntered { task, .. }
        | Event::AttemptStarted { task, .. }
        | Event::Transferred { task, .. }
        | Event::TransferProgressed { task, .. }
        | Event::AttemptTimedOut { task, .. }
        | Event::AttemptFailed { task, .. }
        | Event::RetryScheduled { task, .. }
        | Event::ProbeScheduled { task, .. }
        | Event::ProbeStarted { task }
        | Event::WaitStarted { task, .. }
        | Event::TaskSucceeded { task, .. }
        | Event::TaskFailed { task, .. }
        | Event::TaskParked { task, .. }
        | Event::ResolveStarted { task, .. }
        | Event::TaskReleased { task }
        | Event::UndoAttemptStarted { task, .. }
        | Event::UndoTimedOut { task, .. }
        | Event::TaskUndone { task }
        | Event::UndoSkipped { task }
        | Event::ApprovalAsked { task, .. }
        | Event::Voted { task, .. }
        | Event::LocksRefused { task, .. } => Some(task),
        Event::LocksAsked { task, .. } | Event::LocksTaken { task } => task.as_ref(),
        Event::JobStarted { job, .. }
        | Event::JobExited { job, .. }
        | Event::JobLost { job, .. }
        | Event::JobStopped { job, .. } => Some(&job.attempt.task),
        Event::HookStarted { hook } | Event::HookCalled { hook, .. } | Event::HookEnded { hook, .. } => {
            Some(&hook.attempt.task)
        }
        Event::RunCreated { .. }
        | Event::TakenOver { .. }
        | Event::PlanReplaced { .. }
        | Event::EngineTook { .. }
        | Event::SecretsFetched { .. }
        | Event::SecretsMissing { .. }
        | Event::WordTaken { .. }
        | Event::RunPaused { .. }
        | Event::RunResumed
        | Event::CancelStarted
        | Event::UndoStarted { .. }
        | Event::FinallyStarted
        | Event::RunEnded { .. } => None,
    }
}

/// The task that a word is about, where it is about one.
pub(crate) fn told_about(word: &Word) -> Option<&TaskId> {
    match word {
        Word::Retry { task, .. }
        | Word::Skip { task, .. }
        | Word::Resolve { task, .. }
        | Word::Approve { task, .. }
        | Word::Reject { task, .. } => Some(task),
        Word::Cancel { .. } | Word::Undo { .. } | Word::Pause { .. } | Word::Resume { .. } => None,
    }
}
