//! A run told for somebody who was not there: what a report holds. How it is gathered is in `gather`, what jobs
//! printed in `excerpt`; the forms that it takes have a file each.

mod excerpt;
mod gather;
mod html;
mod json;
mod junit;
mod markdown;

use std::collections::BTreeMap;

use piton_core::time::Timestamp;

use crate::exit::Failure;
use crate::tell::Tone;
use crate::times::{Times, took};

pub(crate) use excerpt::Excerpt;
pub(crate) use gather::gather;

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// For tickets, wikis and mail
    #[default]
    Markdown,
    /// One page that needs nothing else
    Html,
    /// For programs
    Json,
    /// For CI servers: each task is a test case
    Junit,
}

/// Everything that is told about a run.
pub(crate) struct Report {
    pub id: String,
    pub runbook: String,
    pub title: String,
    pub by: String,
    /// One word for where it stands.
    pub state: &'static str,
    /// How it ended, in words; `None` where it has not.
    pub outcome: Option<String>,
    /// Whether it waits for a person.
    pub parked: bool,
    pub created: Timestamp,
    /// Its end, or the time of the report.
    pub until: Timestamp,
    /// When the report was made.
    pub made: Timestamp,
    pub digest: String,
    pub events: u64,
    /// What came of checking the hash chain.
    pub checked: Result<String, String>,
    /// How many engines have driven it.
    pub engines: u32,
    /// `3 succeeded, 1 failed`
    pub counts: String,
    pub hosts: usize,
    pub params: Vec<(String, String)>,
    pub troubles: Vec<Trouble>,
    pub unknowns: Vec<Unknown>,
    pub words: Vec<Spoken>,
    pub tasks: Vec<TaskStory>,
    pub timeline: Vec<Line>,
    /// The plan as `piton plan` shows it.
    pub plan: String,
    pub times: Times,
}

/// A task that did not simply succeed.
pub(crate) struct Trouble {
    pub task: String,
    /// What went wrong, in order.
    pub causes: Vec<String>,
    /// Where the task stands.
    pub end: String,
}

/// A job whose end nobody saw.
pub(crate) struct Unknown {
    pub at: Timestamp,
    pub task: String,
    /// What was found of it.
    pub found: String,
    /// How it was settled, in order; nothing if it is not.
    pub settled: Vec<String>,
}

/// What a person said to the run.
pub(crate) struct Spoken {
    pub at: Timestamp,
    pub by: String,
    pub said: String,
    pub why: String,
    /// Why it was not followed, if it was not.
    pub refused: Option<String>,
}

/// One step on one host.
pub(crate) struct TaskStory {
    pub name: String,
    pub title: String,
    pub step: String,
    pub state: &'static str,
    pub detail: String,
    pub tries: u32,
    pub exit: Option<u8>,
    pub began: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    pub attempts: Vec<AttemptStory>,
    pub outputs: Vec<(String, String)>,
}

/// One try at a task, or at taking it back.
pub(crate) struct AttemptStory {
    pub number: u32,
    pub undo: bool,
    pub began: Timestamp,
    pub ended: Option<Timestamp>,
    /// What came of it.
    pub result: String,
    pub failed: bool,
    pub jobs: Vec<JobStory>,
}

/// A process on a host.
pub(crate) struct JobStory {
    pub id: piton_core::ids::JobId,
    /// How often it was asked (for what only looks).
    pub rounds: u32,
    pub end: String,
    pub good: bool,
    pub printed: piton_core::run::Printed,
    pub excerpts: Vec<Excerpt>,
}

/// A fact on the timeline.
pub(crate) struct Line {
    pub seq: u64,
    pub at: Timestamp,
    pub task: Option<String>,
    pub text: String,
    pub tone: Tone,
}

impl Report {
    /// The report in a form.
    pub(crate) fn rendered(&self, format: Format) -> Result<String, Failure> {
        match format {
            Format::Markdown => Ok(markdown::render(self)),
            Format::Html => html::render(self),
            Format::Json => Ok(format!("{}\n", json::render(self))),
            Format::Junit => junit::render(self),
        }
    }

    /// The whole in two or three sentences.
    pub(crate) fn summary(&self) -> String {
        let asked = format!("{} asked for {} at {}.", self.by, self.runbook, self.times.date(self.created));
        let span = took(self.until.since(self.created));
        let end = match (&self.outcome, self.parked) {
            (Some(outcome), _) => format!("The run {outcome} after {span}: {}.", self.counts),
            (None, true) => format!("It waits for a person to decide ({} so far): {}.", span, self.counts),
            (None, false) => format!("It is still going on, for {span} so far: {}.", self.counts),
        };
        let people = match self.words.len() {
            0 => String::new(),
            1 => " A person stepped in once.".to_owned(),
            many => format!(" People stepped in {many} times."),
        };
        format!("{asked} {end}{people}")
    }

    /// How long the task took, where it has begun and ended.
    pub(crate) fn took(&self, task: &TaskStory) -> String {
        task.began.zip(task.ended).map(|(began, ended)| took(ended.since(began))).unwrap_or_default()
    }

    /// How many tasks stand in each state.
    pub(crate) fn states(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for task in &self.tasks {
            *counts.entry(task.state).or_default() += 1;
        }
        counts
    }
}

impl AttemptStory {
    /// `attempt 2`, `undo`, `undo, try 2`
    pub(crate) fn name(&self) -> String {
        match (self.undo, self.number) {
            (false, number) => format!("attempt {number}"),
            (true, 1) => "undo".to_owned(),
            (true, number) => format!("undo, try {number}"),
        }
    }
}

impl JobStory {
    /// `run: exited with status 1`, `verify: exited with status 0 (asked 3 times)`
    pub(crate) fn line(&self) -> String {
        use piton_core::ids::Part;
        let part = match self.id.part {
            Part::Main => "action",
            Part::Unless => "unless",
            Part::Verify => "verify",
            Part::Undo => "undo",
            Part::Before => "before",
            Part::After => "after",
            Part::Call => "call of a hook",
        };
        let often = if self.rounds > 1 { format!(" (asked {} times)", self.rounds) } else { String::new() };
        format!("{part}: {}{often}", self.end)
    }
}

/// Text without the characters that XML 1.0 cannot hold at all; control characters are pictures already.
fn legal(text: &str) -> String {
    text.chars().map(|c| if matches!(c, '\u{fffe}' | '\u{ffff}') { '\u{fffd}' } else { c }).collect()
}
