//! Rules: what turns an alert into a run.
//!
//! An [`Alert`] comes from a [`Source`] and is [`read`] into one form, whoever sent it. Each [`Rule`] says which alerts it is
//! about, which runbook they ask for, and with which parameters. [`decide`] says what would happen and why, as a function of
//! the rules, of what was heard and begun lately ([`Past`]), of the alert and of the time. It begins nothing.

mod alert;
mod body;
mod check;
mod decide;
mod past;
mod read;
mod settings;
mod syntax;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::expr::{Expr, Scope, Template};
use crate::fault::Span;
use crate::ids::{RuleName, SourceName};
use crate::runbook::Call;
use crate::yaml::read::shorten;

pub use alert::{Alert, AlertState};
pub use body::{BadBody, BodyPlace, MAX_ALERTS, MAX_BODY, MAX_LABELS, MAX_NAME, MAX_TEXT};
pub use check::check;
pub use decide::{Decision, Outcome, Start, Verdict, decide};
pub use past::{Past, Started};
pub use read::{Heard, read, recognise};
pub(crate) use settings::words;
pub use settings::{AlertSettings, Generic, Proof, Silence, Source, SourceKind, parse as parse_settings};
pub use syntax::parse;

/// Which alerts are answered by which runbook, and how eagerly.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Equals the file's name.
    pub name: RuleName,
    /// One line for lists.
    pub title: String,
    /// For people.
    pub about: String,
    /// Whose alerts; empty: everybody's.
    pub from: Vec<(SourceName, Span)>,
    /// Which alerts.
    pub only: Match,
    /// What counts as the same incident; without it, the alert's fingerprint.
    pub key: Option<Template>,
    /// What is run, and with which parameters.
    pub call: Call,
    /// Whether people are asked first.
    pub mode: Mode,
    /// How long after one run for an incident has begun no other is begun for the same.
    pub cool_down: Duration,
    /// How many runs the rule begins in any hour.
    pub per_hour: u32,
    /// When so many things are wrong at once that the rule keeps still.
    pub storm: Storm,
}

/// Which alerts are meant: all of what is said must hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Match {
    /// For each of these labels, the texts of which it must be one.
    pub labels: BTreeMap<String, BTreeSet<String>>,
    /// What must be true.
    pub when: Option<Expr>,
}

/// Whether people are asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The plan is made, and a person approves it.
    Propose,
    /// The run begins at once.
    Run,
}

/// So many incidents within so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storm {
    /// How many different incidents of one rule are not a storm yet.
    pub alerts: u32,
    /// Within which time.
    pub within: Duration,
}

/// What a rule does where it does not say so itself: people are asked, and little is done at once.
pub const DEFAULT_COOL_DOWN: Duration = Duration::from_secs(15 * 60);
/// How many runs a rule begins in any hour where it does not say so itself.
pub const DEFAULT_PER_HOUR: u32 = 4;
/// What a storm is to a rule that does not say so itself.
pub const DEFAULT_STORM: Storm = Storm { alerts: 10, within: Duration::from_secs(5 * 60) };

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Propose => "propose",
            Self::Run => "run",
        })
    }
}

impl Match {
    /// Why an alert is not meant; `None`: it is.
    ///
    /// An expression that cannot be evaluated (a label that the alert does not have) does not hold: a rule acts only on what it
    /// understands.
    fn refuses(&self, alert: &Alert, scope: &Scope) -> Option<String> {
        for (name, texts) in &self.labels {
            let label = shown(name);
            let Some(text) = alert.labels.get(name) else {
                return Some(format!("the alert has no label `{label}`"));
            };
            if !texts.contains(text) {
                let wanted: Vec<String> = texts.iter().map(|text| format!("`{}`", shown(text))).collect();
                return Some(format!("its label `{label}` is `{}`, not {}", shown(text), wanted.join(" or ")));
            }
        }
        match self.when.as_ref().map(|when| (when, when.is_true(scope))) {
            None | Some((_, Ok(true))) => None,
            Some((when, Ok(false))) => Some(format!("`{}` is false", plain(when.source().trim()))),
            Some((_, Err(error))) => Some(error.to_string()),
        }
    }
}

/// A text of somebody else's in a message.
fn shown(text: &str) -> String {
    shorten(text)
}

/// A whole message, in which texts of somebody else's may stand: not long, and nothing in it that a terminal would obey.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len().min(MAX_MESSAGE));
    for (at, c) in text.char_indices() {
        match c {
            _ if at >= MAX_MESSAGE => {
                plain.push('…');
                break;
            }
            '\n' => plain.push(' '),
            c if c.is_control() => plain.extend(c.escape_default()),
            c => plain.push(c),
        }
    }
    plain
}

/// The longest message about an alert, in bytes.
const MAX_MESSAGE: usize = 2_000;

#[cfg(test)]
mod tests;
