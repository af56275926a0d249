//! A report as one HTML page that needs nothing else: no script, no font, no picture from anywhere. The template escapes
//! every value (askama does so for `.html`); colours follow what the reader's system prefers.

use askama::Template;
use piton_core::time::{Timestamp, show_size};

use super::{AttemptStory, Report, TaskStory};
use crate::exit::Failure;
use crate::tell::Tone;
use crate::times::took;

#[derive(Template)]
#[template(path = "report.html", whitespace = "minimize")]
struct Page<'r> {
    report: &'r Report,
    style: &'static str,
}

pub(super) fn render(report: &Report) -> Result<String, Failure> {
    let page = Page { report, style: include_str!("../../templates/report.css") };
    page.render().map_err(|error| Failure::other(format!("the report cannot be written as HTML: {error}")))
}

impl Page<'_> {
    fn date(&self, at: &Timestamp) -> String {
        self.report.times.date(*at)
    }

    fn clock(&self, at: &Timestamp) -> String {
        self.report.times.clock(*at)
    }

    fn zone(&self) -> String {
        self.report.times.zone(self.report.created)
    }

    fn span(&self) -> String {
        took(self.report.until.since(self.report.created))
    }

    /// The date, where it is another one than that of the line before.
    fn new_day(&self, index: &usize) -> Option<String> {
        let day = |index: usize| {
            let date = self.report.timeline.get(index).map(|line| self.report.times.date(line.at))?;
            date.split_once(' ').map(|(day, _)| day.to_owned())
        };
        let today = day(*index)?;
        let before = index.checked_sub(1).and_then(day);
        (before.as_ref() != Some(&today)).then_some(today)
    }

    /// Where the task's time stands in that of the run, as CSS: percentages from the left and in width.
    fn bar(&self, task: &TaskStory) -> Option<String> {
        let began = task.began?;
        let ended = task.ended.unwrap_or(self.report.until);
        let whole = self.report.until.since(self.report.created).as_secs_f64().max(0.001);
        let part = |at: Timestamp| (at.since(self.report.created).as_secs_f64() / whole * 100.0).clamp(0.0, 100.0);
        let (left, right) = (part(began), part(ended));
        Some(format!("left:{left:.2}%;width:{:.2}%", (right - left).max(0.4)))
    }

    fn attempt_end(&self, attempt: &AttemptStory) -> String {
        match attempt.ended {
            Some(ended) => format!("took {}", took(ended.since(attempt.began))),
            None => "goes on".to_owned(),
        }
    }

    fn size(&self, bytes: &u64) -> String {
        show_size(*bytes)
    }

    fn tone(&self, tone: &Tone) -> &'static str {
        match tone {
            Tone::Detail => "detail",
            Tone::Plain => "plain",
            Tone::Good => "good",
            Tone::Bad => "bad",
            Tone::Ask => "ask",
            Tone::Act => "act",
        }
    }
}

/// The colour of a state, as a class.
fn class(state: &str) -> &'static str {
    match state {
        "succeeded" => "good",
        "failed" | "undone" | "cancelled" => "bad",
        "parked" | "unknown" | "adrift" => "ask",
        "skipped" | "waiting" => "detail",
        _ => "act",
    }
}
