//! Gathers a report from the journal and the output files, page by page.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use piton_core::ids::{JobId, Part, TaskId};
use piton_core::plan::Plan;
use piton_core::run::{Effect, Event, Printed, Recorded, Run, TaskState, Undo};
use piton_core::time::{Timestamp, show_size};
use piton_runner::DriveError;
use piton_runner::clock::{Clock, SystemClock};
use piton_runner::journal::{JournalError, RunSummary};

use super::excerpt::Quoter;
use super::{AttemptStory, JobStory, Line, Report, Spoken, TaskStory, Trouble, Unknown};
use crate::exit::Failure;
use crate::foreground::counts;
use crate::screen::Out;
use crate::store::Store;
use crate::tell::{Teller, Tone, said, task_of, told_about};
use crate::times::Times;
use crate::verb;
use crate::visible::visible;

/// How many events are read at a time.
const PAGE: usize = 2000;

/// How many causes are told of one task.
const CAUSES: usize = 6;

/// Tells the story of a run as far as it has come.
pub(crate) async fn gather(store: &Store, summary: &RunSummary) -> Result<Report, Failure> {
    let id = summary.id;
    let json = store.journal.plan(id).await?;
    let plan = Plan::from_json(&json).map_err(|detail| DriveError::Plan { run: id, detail })?;
    let mut run = Run::new(id, Arc::new(plan));
    let mut story = Story::default();
    loop {
        let page = store.journal.read(id, run.seq() + 1, PAGE).await?;
        for recorded in &page {
            run.apply(recorded).map_err(|error| DriveError::Illegal { run: id, error })?;
            story.take(recorded);
        }
        run.take_changes();
        if page.len() < PAGE {
            break;
        }
    }
    let checked = match store.journal.verify(id).await {
        Ok(verified) => Ok(verified.head.to_string()),
        Err(error @ JournalError::Corrupt { .. }) => Err(error.to_string()),
        Err(error) => return Err(error.into()),
    };
    story.in_flight(&run);
    story.quote(&mut Quoter::new(store, id), &run);
    finish(story, &run, summary, checked)
}

fn finish(story: Story, run: &Run, summary: &RunSummary, checked: Result<String, String>) -> Result<Report, Failure> {
    let Story { mut attempts, causes, unknowns, words, timeline, engines, .. } = story;
    let times = Times::here();
    let made = SystemClock.now();
    let (created, changed) = run.times();
    let tasks: Vec<TaskStory> = (0..)
        .zip(run.tasks())
        .map(|(index, (id, task))| TaskStory {
            name: id.to_string(),
            title: visible(run.step_of(index).title.as_bytes()).into_owned(),
            step: id.step.to_string(),
            state: task.state.word(),
            detail: visible(verb::detail(run, id, task, &times).as_bytes()).into_owned(),
            tries: task.attempts,
            exit: task.exit.map(|exit| exit.0),
            began: task.started,
            ended: task.ended,
            attempts: attempts.remove(id).unwrap_or_default(),
            outputs: task
                .outputs
                .iter()
                .map(|(key, value)| (visible(key.as_bytes()).into_owned(), verb::shown_value(value)))
                .collect(),
        })
        .collect();
    let troubles = troubles(run, causes, &tasks);
    let params = run.plan().params.iter().map(|(name, value)| {
        let value = if value.is_null() { "(none)".to_owned() } else { verb::shown_value(value) };
        (name.to_string(), value)
    });
    Ok(Report {
        id: run.id().to_string(),
        runbook: run.plan().runbook.to_string(),
        title: visible(run.plan().title.as_bytes()).into_owned(),
        by: visible(summary.by.as_bytes()).into_owned(),
        state: verb::state(summary),
        outcome: run.outcome().map(|outcome| outcome.to_string()),
        parked: run.is_parked(),
        created,
        until: if run.outcome().is_some() { changed } else { made },
        made,
        digest: summary.plan.to_string(),
        events: run.seq(),
        checked,
        engines,
        counts: counts(run),
        hosts: run.plan().hosts.len(),
        params: params.collect(),
        troubles,
        unknowns,
        words,
        tasks,
        timeline,
        plan: Out::caught(|out| verb::plan_text(run, out))?,
        times,
    })
}

/// What has gone wrong, in the order of the tasks.
fn troubles(run: &Run, mut causes: BTreeMap<TaskId, Vec<String>>, tasks: &[TaskStory]) -> Vec<Trouble> {
    let ends = run.tasks().zip(tasks);
    ends.filter_map(|((id, task), story)| {
        let mut causes = causes.remove(id).unwrap_or_default();
        let bad = matches!(task.state, TaskState::Failed(_) | TaskState::Parked(_));
        if causes.is_empty() && !bad && !matches!(task.undo, Undo::Parked(..)) {
            return None;
        }
        let more = causes.len().saturating_sub(CAUSES);
        causes.truncate(CAUSES);
        if more > 0 {
            causes.push(format!("and {more} more"));
        }
        let detail = if story.detail.is_empty() { String::new() } else { format!(": {}", story.detail) };
        Some(Trouble { task: story.name.clone(), causes, end: format!("{}{detail}", story.state) })
    })
    .collect()
}

/// What the facts amount to that a run's state does not keep.
struct Story {
    teller: Teller,
    attempts: BTreeMap<TaskId, Vec<AttemptStory>>,
    causes: BTreeMap<TaskId, Vec<String>>,
    unknowns: Vec<Unknown>,
    /// The unknown outcome of a task that is not settled yet.
    open: BTreeMap<TaskId, usize>,
    words: Vec<Spoken>,
    timeline: Vec<Line>,
    engines: u32,
}

impl Default for Story {
    fn default() -> Self {
        Self {
            teller: Teller::new(false),
            attempts: BTreeMap::new(),
            causes: BTreeMap::new(),
            unknowns: Vec::new(),
            open: BTreeMap::new(),
            words: Vec::new(),
            timeline: Vec::new(),
            engines: 0,
        }
    }
}

impl Story {
    fn take(&mut self, recorded: &Recorded<Event>) {
        let (task, text, tone) = self.teller.words(recorded);
        let text = visible(text.as_bytes()).into_owned();
        self.settle(recorded, &text);
        self.attempt(recorded);
        if let Event::EngineTook { .. } = &recorded.event {
            self.engines += 1;
        }
        if let (Some(task), Tone::Bad) = (task, tone) {
            self.causes.entry(task.clone()).or_default().push(text.clone());
        }
        if let Event::WordTaken { by, word, refused, .. } = &recorded.event {
            let (said, why) = said(word);
            self.words.push(Spoken {
                at: recorded.at,
                by: visible(by.as_bytes()).into_owned(),
                said: visible(said.as_bytes()).into_owned(),
                why: visible(why.as_bytes()).into_owned(),
                refused: refused.as_ref().map(|why| visible(why.as_bytes()).into_owned()),
            });
        }
        let whole = matches!(recorded.event, Event::RunCreated { .. } | Event::RunEnded { .. });
        if tone != Tone::Detail || whole {
            let task = task.map(TaskId::to_string);
            self.timeline.push(Line { seq: recorded.seq, at: recorded.at, task, text, tone });
        }
    }

    /// Unknown outcomes, and what settled them.
    fn settle(&mut self, recorded: &Recorded<Event>, text: &str) {
        if let Event::JobLost { job, why } = &recorded.event
            && !job.part.only_looks()
        {
            let task = job.attempt.task.clone();
            self.open.insert(task.clone(), self.unknowns.len());
            let found = visible(why.to_string().as_bytes()).into_owned();
            self.unknowns.push(Unknown { at: recorded.at, task: task.to_string(), found, settled: Vec::new() });
            return;
        }
        let word = if let Event::WordTaken { word, refused: None, .. } = &recorded.event { Some(word) } else { None };
        let Some(task) = word.and_then(told_about).or_else(|| task_of(&recorded.event)) else { return };
        let Some(unknown) = self.open.get(task).and_then(|&index| self.unknowns.get_mut(index)) else { return };
        let told = word.is_some()
            || matches!(
                recorded.event,
                Event::RetryScheduled { .. }
                    | Event::TaskParked { .. }
                    | Event::TaskSucceeded { .. }
                    | Event::TaskFailed { .. }
                    | Event::TaskSkipped { .. }
                    | Event::TaskUndone { .. }
                    | Event::UndoSkipped { .. }
            );
        if told {
            unknown.settled.push(text.to_owned());
        }
        if told && !matches!(recorded.event, Event::TaskParked { .. } | Event::WordTaken { .. }) {
            self.open.remove(task);
        }
    }

    /// Attempts and their jobs.
    fn attempt(&mut self, recorded: &Recorded<Event>) {
        let at = recorded.at;
        let begin = |number, undo| AttemptStory {
            number,
            undo,
            began: at,
            ended: None,
            result: String::new(),
            failed: false,
            jobs: Vec::new(),
        };
        if let Event::AttemptStarted { task, attempt, .. } = &recorded.event {
            self.attempts.entry(task.clone()).or_default().push(begin(*attempt, false));
        } else if let Event::UndoAttemptStarted { task, attempt, .. } = &recorded.event {
            self.attempts.entry(task.clone()).or_default().push(begin(*attempt, true));
        } else if let Event::JobExited { job, exit, printed, .. } = &recorded.event {
            self.job(job, format!("exited with {exit}"), exit.is_success(), printed.clone());
        } else if let Event::JobStopped { job, printed, .. } = &recorded.event {
            self.job(job, "was stopped".to_owned(), false, printed.clone());
        } else if let Event::JobLost { job, why } = &recorded.event {
            self.job(job, format!("lost: {why}"), false, Printed::default());
        } else if let Event::Transferred { task, bytes, .. } = &recorded.event {
            if let Some(attempt) = self.last(task) {
                attempt.result = format!("moved {}", show_size(*bytes));
            }
        } else if let Event::AttemptFailed { task, cause, .. } = &recorded.event {
            let cause = visible(cause.to_string().as_bytes()).into_owned();
            self.close(task, at, Some(cause));
        } else if let Event::TaskSucceeded { task, .. }
        | Event::TaskParked { task, .. }
        | Event::TaskFailed { task, .. }
        | Event::TaskSkipped { task, .. }
        | Event::TaskUndone { task }
        | Event::UndoSkipped { task } = &recorded.event
        {
            self.close(task, at, None);
        }
    }

    fn last(&mut self, task: &TaskId) -> Option<&mut AttemptStory> {
        self.attempts.get_mut(task)?.last_mut().filter(|attempt| attempt.ended.is_none())
    }

    fn close(&mut self, task: &TaskId, at: Timestamp, failed: Option<String>) {
        if let Some(attempt) = self.last(task) {
            attempt.ended = Some(at);
            attempt.failed = failed.is_some();
            attempt.result = failed.unwrap_or_else(|| std::mem::take(&mut attempt.result));
        }
    }

    fn job(&mut self, id: &JobId, end: String, good: bool, printed: Printed) {
        let undo = id.part == Part::Undo;
        let attempts = self.attempts.get_mut(&id.attempt.task);
        let attempt = attempts.and_then(|all| {
            all.iter_mut().rev().find(|attempt| attempt.undo == undo && attempt.number == id.attempt.number)
        });
        let Some(attempt) = attempt else { return };
        let job = JobStory { id: id.clone(), rounds: 1, end, good, printed, excerpts: Vec::new() };
        // A question that is asked again and again is told once, with its last answer.
        match attempt.jobs.last_mut().filter(|last| last.id.part == id.part) {
            Some(last) => *last = JobStory { rounds: last.rounds + 1, ..job },
            None => attempt.jobs.push(job),
        }
    }

    /// Jobs that run while the report is made.
    fn in_flight(&mut self, run: &Run) {
        let jobs: Vec<JobId> = run
            .wanted()
            .filter_map(|effect| if let Effect::Carry(job) = effect { Some(job.clone()) } else { None })
            .collect();
        for job in jobs {
            self.job(&job, "is running".to_owned(), true, Printed::default());
        }
    }

    /// Quotes what jobs printed: first those that went wrong, because a report has only so much room.
    fn quote(&mut self, quoter: &mut Quoter<'_>, run: &Run) {
        let bad: BTreeSet<TaskId> = run
            .tasks()
            .filter(|(_, task)| matches!(task.state, TaskState::Failed(_) | TaskState::Parked(_)))
            .map(|(id, _)| id.clone())
            .collect();
        for trouble in [true, false] {
            for (task, attempts) in &mut self.attempts {
                for job in attempts.iter_mut().flat_map(|attempt| &mut attempt.jobs) {
                    let quoted = !job.id.part.only_looks() || !job.good;
                    if quoted && trouble == (bad.contains(task) || !job.good) {
                        job.excerpts = quoter.quote(&job.id, &job.printed, job.good);
                    }
                }
            }
        }
    }
}
