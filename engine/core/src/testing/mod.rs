//! Tests of runbooks: what simulated hosts are and answer, and what a run is expected to do with them.
//!
//! A test file is read with [`parse`]; [`Test::reply`] says what a script does on a simulated host, [`Test::judge`]
//! compares what happened with what was expected. All of it is pure: whoever plays a test brings the clock and the engine.

mod answer;
mod judge;
mod model;
mod syntax;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::expr::{Expr, Template};
use crate::fault::{Source, Span};
use crate::ids::{HostName, Part, RunbookName, TaskId};
use crate::inventory::Inventory;
use crate::value::{Map, Value};

pub use answer::{Change, Question, Reply, Unanswered, part_word};
pub use judge::{end_of, task_end, why};
pub use model::Model;
pub use syntax::parse;
pub(crate) use syntax::words;
pub use world::World;

/// A checked test file.
#[derive(Debug, Clone)]
pub struct TestFile {
    /// The runbook that is tested; also the name of the file, before `.test.yaml`.
    pub runbook: RunbookName,
    /// Where that was written.
    pub runbook_span: Span,
    /// In the order of the document; what is said for the whole file is in each of them.
    pub tests: Vec<Test>,
}

/// One test: a world, what is asked of it, and what must come of it.
#[derive(Debug, Clone)]
pub struct Test {
    /// For people, and to choose it by.
    pub name: String,
    /// Where it was written.
    pub span: Span,
    /// The document, for the places of faults.
    pub source: Source,
    /// Values for the runbook's parameters, as they would be written on the command line.
    pub params: BTreeMap<String, String>,
    /// What the runbook's secrets are here; one that is not named has a text of its own.
    pub secrets: BTreeMap<String, String>,
    /// The hosts there are, and the groups they form.
    pub inventory: Inventory,
    /// The state that each host begins with.
    pub states: BTreeMap<HostName, Map<String, Value>>,
    /// What scripts do; the first that fits a script answers it.
    pub answers: Vec<Answer>,
    /// What scripts do that no answer fits.
    pub model: Option<Arc<Model>>,
    /// What must hold at every moment.
    pub always: Vec<Condition>,
    /// What must hold whenever a run has been undone.
    pub undone: Vec<Condition>,
    /// What people say, in this order.
    pub says: Vec<Say>,
    /// Which faults are left out.
    pub faults: Faults,
    /// What must come of it when nothing goes wrong.
    pub expect: Expect,
}

/// What some scripts do on simulated hosts.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Where it was written.
    pub span: Span,
    /// The steps or tasks whose scripts it answers; empty: any.
    pub steps: Vec<String>,
    /// The parts of a step that it answers.
    pub parts: Vec<Part>,
    /// The hosts on which it answers; empty: any.
    pub hosts: Vec<String>,
    /// Found in the text of the script.
    pub script: Option<regex::Regex>,
    /// Only in this attempt.
    pub attempt: Option<u32>,
    /// Only when asked for this time in the attempt.
    pub round: Option<u32>,
    /// Only where this is true.
    pub when: Option<Expr>,
    /// What becomes of the script.
    pub ends: Ends,
    /// What it prints on standard output.
    pub stdout: Option<Template>,
    /// What it prints on standard error.
    pub stderr: Option<Template>,
    /// What it writes to `$PITON_OUTPUT`.
    pub outputs: Vec<(String, Tree)>,
    /// What changes in the state of its host: a JSON merge patch (RFC 7396).
    pub set: Option<Tree>,
    /// What changes on other hosts.
    pub elsewhere: Vec<(HostName, Tree)>,
    /// What changes on its host some time after it has begun.
    pub later: Option<(Duration, Tree)>,
    /// How long it takes.
    pub takes: Option<Duration>,
}

/// What becomes of a script.
#[derive(Debug, Clone)]
pub enum Ends {
    /// It exits with this status.
    Exit(u8),
    /// It exits with 0 where this is true, with 1 where it is not.
    Passes(Expr),
    /// It never ends.
    Hangs,
}

/// A value in which every text is a template.
#[derive(Debug, Clone)]
pub enum Tree {
    /// Anything but text, lists and maps.
    Plain(Value),
    /// A text.
    Text(Template),
    /// A list.
    List(Vec<Self>),
    /// A map.
    Map(Vec<(Template, Self)>),
}

/// Something that must hold.
#[derive(Debug, Clone)]
pub struct Condition {
    /// Must be true.
    pub that: Expr,
    /// What to say if it is not.
    pub otherwise: Option<Template>,
    /// Where it was written.
    pub span: Span,
}

/// Something that a person says.
#[derive(Debug, Clone)]
pub struct Say {
    /// What.
    pub what: Said,
    /// About which task, or (for `undo` and `cancel`) when that task has begun; `None`: when the run waits for a person.
    pub at: Option<TaskId>,
    /// Who.
    pub by: String,
    /// Why.
    pub why: String,
    /// The outputs that a task done by hand would have had.
    pub outputs: Map<String, Value>,
    /// Where it was written.
    pub span: Span,
}

/// What a person can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// Yes to what the task asks.
    Approve,
    /// No to what the task asks.
    Reject,
    /// Try the task again.
    Retry,
    /// Go on without it.
    Skip,
    /// It was done by hand.
    Resolve,
    /// Take back what was done.
    Undo,
    /// Stop everything.
    Cancel,
}

/// Which faults are left out.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// All of them.
    pub off: bool,
    /// Some of them.
    pub except: Vec<Exception>,
}

/// Faults that are left out, and why.
#[derive(Debug, Clone)]
pub struct Exception {
    /// At these steps or tasks.
    pub at: Vec<String>,
    /// These kinds; empty: all.
    pub kinds: Vec<FaultKind>,
    /// Why that is right.
    pub why: String,
}

/// A way in which a step can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// It exits with 1 and has done nothing.
    Fails,
    /// It exits with 1 and has done its work, or part of it.
    FailsAfter,
    /// It exits with 0 and has done nothing.
    Silent,
    /// It hangs until its `timeout`, having done nothing.
    TimesOut,
    /// It does its work and hangs until its `timeout`.
    TimesOutAfter,
    /// Its process vanishes without a status, having done nothing.
    Lost,
    /// Its process vanishes without a status, having done its work.
    LostAfter,
    /// Its host cannot be reached when it is to begin.
    Unreachable,
    /// Its host cannot be reached from then on.
    Gone,
    /// The engine dies at a position of the journal.
    Crash,
}

impl FaultKind {
    /// All of them, with the words for them.
    pub const ALL: [(&'static str, Self); 10] = [
        ("fails", Self::Fails),
        ("fails-after", Self::FailsAfter),
        ("silent", Self::Silent),
        ("times-out", Self::TimesOut),
        ("times-out-after", Self::TimesOutAfter),
        ("lost", Self::Lost),
        ("lost-after", Self::LostAfter),
        ("unreachable", Self::Unreachable),
        ("gone", Self::Gone),
        ("crash", Self::Crash),
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }
}

/// What must come of a run when nothing goes wrong.
#[derive(Debug, Clone)]
pub struct Expect {
    /// How it ends.
    pub ends: End,
    /// Where that was written; the test itself where it was not.
    pub ends_span: Span,
    /// The tasks that began, in this order; within one group in any order.
    pub path: Option<(Vec<Vec<String>>, Span)>,
    /// These begin in this order; others may begin between them.
    pub order: Option<(Vec<String>, Span)>,
    /// How tasks ended.
    pub tasks: Vec<(String, TaskEnd, Span)>,
    /// The tasks that are taken back, in this order.
    pub undone: Option<(Vec<String>, Span)>,
    /// What tasks put out.
    pub outputs: Vec<(String, Map<String, Value>, Span)>,
    /// What is in the states of hosts at the end; what is not named may be anything, `null` is what must not be there.
    pub state: Vec<(HostName, Value, Span)>,
    /// What holds at the end.
    pub that: Vec<Condition>,
}

/// How a run ends, or stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Everything is done.
    Succeeded,
    /// At least one task failed.
    Failed,
    /// What had been done was taken back.
    Undone,
    /// A person cancelled it.
    Cancelled,
    /// It waits for a person.
    Parked,
}

impl End {
    /// All of them, with the words for them.
    pub const ALL: [(&'static str, Self); 5] = [
        ("succeeded", Self::Succeeded),
        ("failed", Self::Failed),
        ("undone", Self::Undone),
        ("cancelled", Self::Cancelled),
        ("parked", Self::Parked),
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, end)| *end == self).map_or("", |(word, _)| word)
    }
}

/// How a task ended, or where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskEnd {
    /// Its action ran and passed.
    Ran,
    /// `unless` said that it was done already.
    Satisfied,
    /// Its outcome was unknown, and it was found done.
    Found,
    /// A person did it.
    ByHand,
    /// It was left out.
    Skipped,
    /// It failed, and the run went on without it.
    Failed,
    /// It waits for a person after a failure.
    Parked,
    /// It waits for a person because nobody knows whether it happened.
    Unknown,
    /// It never began.
    NotReached,
}

impl TaskEnd {
    /// All of them, with the words for them.
    pub const ALL: [(&'static str, Self); 9] = [
        ("ran", Self::Ran),
        ("satisfied", Self::Satisfied),
        ("found", Self::Found),
        ("by-hand", Self::ByHand),
        ("skipped", Self::Skipped),
        ("failed", Self::Failed),
        ("parked", Self::Parked),
        ("unknown", Self::Unknown),
        ("not-reached", Self::NotReached),
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, end)| *end == self).map_or("", |(word, _)| word)
    }
}

/// Whether `pattern` (a step, a task, or either with `*` for any letters) means this task.
pub fn means(pattern: &str, task: &TaskId) -> bool {
    fn fits(pattern: &str, text: &str) -> bool {
        let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
        let Some(mut left) = text.strip_prefix(head) else { return false };
        let mut pieces: Vec<&str> = rest.split('*').collect();
        let last = pieces.pop().unwrap_or_default();
        for piece in pieces {
            let Some(at) = left.find(piece) else { return false };
            left = &left[at + piece.len()..];
        }
        left.ends_with(last)
    }
    fits(pattern, task.step.as_str()) || fits(pattern, &task.to_string())
}

#[cfg(test)]
mod tests;
