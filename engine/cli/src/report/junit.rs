//! A report as JUnit XML, as CI servers read it: the run is a test suite, each task a test case.
//!
//! There is no standard. This is what the schema of the Jenkins xUnit plugin (`junit-10.xsd`) takes, and GitLab, GitHub
//! actions and Azure read: a task that failed or was parked is a `failure`, one whose outcome is unknown an `error`, one
//! that was left out or has not come to its end `skipped`.

use std::fmt::Write;

use askama::Template;
use piton_core::time::Timestamp;

use super::{Report, TaskStory};
use crate::exit::Failure;
use crate::parts;
use crate::times::iso;

#[derive(Template)]
#[template(path = "report.xml", whitespace = "minimize")]
struct Page<'r> {
    report: &'r Report,
    machine: String,
}

pub(super) fn render(report: &Report) -> Result<String, Failure> {
    let page = Page { report, machine: parts::machine() };
    page.render().map_err(|error| Failure::other(format!("the report cannot be written as XML: {error}")))
}

impl Page<'_> {
    fn count(&self, kind: &str) -> usize {
        self.report.tasks.iter().filter(|task| verdict(task) == kind).count()
    }

    fn seconds(&self, from: Timestamp, to: Timestamp) -> String {
        format!("{:.3}", to.since(from).as_secs_f64())
    }

    fn task_seconds(&self, task: &TaskStory) -> String {
        let span = task.began.map(|began| (began, task.ended.unwrap_or(self.report.until)));
        span.map_or_else(|| "0".to_owned(), |(began, ended)| self.seconds(began, ended))
    }

    /// ISO 8601 without a zone, as the schema wants it; the time is UTC.
    fn timestamp(&self) -> String {
        iso(self.report.created).chars().take(19).collect()
    }

    /// Attempts and what they printed to one stream.
    fn printed(&self, task: &TaskStory, stream: &str) -> String {
        let mut text = String::new();
        for attempt in &task.attempts {
            for job in &attempt.jobs {
                for excerpt in job.excerpts.iter().filter(|excerpt| excerpt.stream == stream) {
                    let between = excerpt.between.as_ref().map(|b| format!("[… {b} …]\n")).unwrap_or_default();
                    let (head, tail) = (&excerpt.head, &excerpt.tail);
                    // Writing to a string cannot fail.
                    let _infallible = writeln!(text, "[{}, {}]\n{head}{between}{tail}", attempt.name(), job.line());
                }
            }
        }
        text
    }

    fn message(&self, task: &TaskStory) -> String {
        super::legal(if task.detail.is_empty() { task.state } else { &task.detail })
    }

    /// What went wrong with the task, in order.
    fn causes(&self, task: &TaskStory) -> String {
        let causes = self.report.troubles.iter().find(|trouble| trouble.task == task.name);
        super::legal(&causes.map(|trouble| trouble.causes.join("\n")).unwrap_or_default())
    }
}

/// `passed`, `failed`, `error` or `skipped`.
fn verdict(task: &TaskStory) -> &'static str {
    match task.state {
        "succeeded" => "passed",
        "failed" | "parked" => "failed",
        "unknown" => "error",
        _ => "skipped",
    }
}
