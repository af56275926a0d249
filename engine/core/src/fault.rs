//! What is wrong with a document: every fault at once, each with its place and what to do.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A text that somebody wrote, and the name under which they know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The path as the user gave it.
    pub name: Arc<str>,
    /// The whole text.
    pub text: Arc<str>,
}

/// A stretch of a [`Source`], in bytes, end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Span {
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// One thing that is wrong, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// A stable code that can be searched for, such as `unknown-field`.
    pub code: FaultCode,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where; `None` where no document is to blame (a parameter from the command line).
    pub place: Option<Place>,
    /// What to do.
    pub hint: Option<String>,
}

impl Fault {
    /// A fault at a place of a document.
    pub fn at(code: FaultCode, source: &Source, span: Span, message: impl Into<String>) -> Self {
        let place = Some(Place { source: source.clone(), span });
        Self { code, message: message.into(), place, hint: None }
    }

    /// A fault that no document is to blame for.
    pub fn bare(code: FaultCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), place: None, hint: None }
    }

    /// The same fault with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same fault with `did you mean …?`, if a name of `there` comes near to `name`.
    #[must_use]
    pub fn did_you_mean<'n>(self, name: &str, there: impl IntoIterator<Item = &'n str>) -> Self {
        match nearest(name, there) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => self,
        }
    }

    /// Line and column of the beginning of a span, as [`Place::line_column`] counts them.
    pub fn line_column(source: &Source, span: Span) -> (usize, usize) {
        Place { source: source.clone(), span }.line_column()
    }
}

/// The fault in one line: code and message, after `file:line:column:` where there is a place.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            let (line, column) = place.line_column();
            write!(f, "{}:{line}:{column}: ", place.source.name)?;
        }
        write!(f, "{}: {}", self.code, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// The name that somebody probably meant: the one that needs the fewest letters changed, added, left out or swapped,
/// if those are few (one for up to five letters, then one for each three letters). Only the first 10,000 names are looked at.
pub fn nearest<'n>(name: &str, there: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let most = (name.chars().count() / 3).max(1);
    if name.len() > 100 {
        return None;
    }
    let distance = |other: &'n str| (strsim::osa_distance(name, other), other);
    let near =
        there.into_iter().take(10_000).filter(|other| other.len().abs_diff(name.len()) <= most * 4).map(distance);
    near.filter(|(changes, _)| *changes <= most).min_by_key(|(changes, _)| *changes).map(|(_, other)| other)
}

/// A stretch of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The document.
    pub source: Source,
    /// The stretch.
    pub span: Span,
}

impl Place {
    /// Line and column of the beginning, both from 1, columns in characters.
    pub fn line_column(&self) -> (usize, usize) {
        let mut start = self.span.start.min(self.source.text.len());
        while !self.source.text.is_char_boundary(start) {
            start -= 1;
        }
        let before = &self.source.text[..start];
        let line = before.bytes().filter(|&b| b == b'\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
        (line, column)
    }
}

/// The faults there are. The codes are stable: scripts and the documentation name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultCode {
    /// Not YAML at all, or YAML that is refused (duplicate keys, alias bombs).
    Syntax,
    /// A field that does not exist here.
    UnknownField,
    /// A value of another type than the field takes.
    WrongType,
    /// A field that must be there and is not.
    MissingField,
    /// A name of the wrong form.
    BadName,
    /// Two things with one name.
    Duplicate,
    /// A step needs a step that does not exist.
    UnknownNeed,
    /// Steps that need each other.
    Cycle,
    /// A runbook that is called and does not exist.
    UnknownRunbook,
    /// A window that does not exist.
    UnknownWindow,
    /// A parameter that is not declared.
    UnknownParam,
    /// A host or group that the inventory does not have.
    UnknownHost,
    /// `{{ }}` inside a script.
    TemplateInScript,
    /// A regular expression that cannot be compiled.
    BadRegex,
    /// A duration, size or number that cannot be read.
    BadValue,
    /// An expression that cannot be parsed or evaluated.
    BadExpression,
    /// A step with no action, or with more than one.
    Action,
    /// A modifier that does nothing on this action, or two that contradict each other.
    Conflict,
    /// A parameter's value that its declaration refuses, or a required one that is missing.
    BadParam,
    /// A secret where it would be seen or kept.
    SecretLeak,
    /// The document is larger than Piton takes.
    TooLarge,
    /// Something did not come out as a test expects it.
    Expectation,
}

impl fmt::Display for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Syntax => "syntax",
            Self::UnknownField => "unknown-field",
            Self::WrongType => "wrong-type",
            Self::MissingField => "missing-field",
            Self::BadName => "bad-name",
            Self::Duplicate => "duplicate",
            Self::UnknownNeed => "unknown-need",
            Self::Cycle => "cycle",
            Self::UnknownRunbook => "unknown-runbook",
            Self::UnknownWindow => "unknown-window",
            Self::UnknownParam => "unknown-param",
            Self::UnknownHost => "unknown-host",
            Self::TemplateInScript => "template-in-script",
            Self::BadRegex => "bad-regex",
            Self::BadValue => "bad-value",
            Self::BadExpression => "bad-expression",
            Self::Action => "action",
            Self::Conflict => "conflict",
            Self::BadParam => "bad-param",
            Self::SecretLeak => "secret-leak",
            Self::TooLarge => "too-large",
            Self::Expectation => "expectation",
        })
    }
}
