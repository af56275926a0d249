//! The names that people and the journal use: runs, steps, hosts, tasks, attempts, jobs.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// One execution of a plan. Shown as a ULID, so ids sort by the time of creation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(ulid::Ulid);

impl RunId {
    /// Makes an id from milliseconds since the epoch and 80 random bits, both given by the caller.
    pub fn from_parts(unix_ms: u64, random: u128) -> Self {
        Self(ulid::Ulid::from_parts(unix_ms, random))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunId({})", self.0)
    }
}

impl FromStr for RunId {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        ulid::Ulid::from_string(text)
            .map(Self)
            .map_err(|_| BadName::new("run id", text, "26 characters of Crockford base 32"))
    }
}

impl TryFrom<String> for RunId {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.to_string()
    }
}

/// A name that does not have the form it must have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}: {rule}")]
pub struct BadName {
    what: &'static str,
    text: String,
    rule: &'static str,
}

impl BadName {
    fn new(what: &'static str, text: &str, rule: &'static str) -> Self {
        let mut text: String = text.chars().take(80).collect();
        text = text.escape_debug().to_string();
        Self { what, text, rule }
    }

    /// The rule that the name breaks, in words.
    pub fn rule(&self) -> &'static str {
        self.rule
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the name, or says which rule it breaks.
            pub fn new(text: &str) -> Result<Self, BadName> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.into())) } else { Err(BadName::new($what, text, $rule)) }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

fn word(text: &str, max: usize, first: fn(char) -> bool, rest: fn(char) -> bool) -> bool {
    text.len() <= max && text.starts_with(first) && text.chars().all(rest)
}

name!(
    /// A runbook's name; equals its file's name.
    RunbookName, "runbook name", "a lower-case letter, then lower-case letters, digits, `-` or `_`, 64 at most",
    |t| word(t, 64, |c| c.is_ascii_lowercase(), |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
);
name!(
    /// The `id` of a step, unique in its runbook. In a plan, the step of a runbook that was called has the id of the
    /// call before its own: `move/copy`.
    StepId, "step id", "a lower-case letter, then lower-case letters, digits, `-` or `_`, 64 at most",
    |t| t.len() <= 1024 && t.split('/').all(|t| {
        word(t, 64, |c| c.is_ascii_lowercase(), |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
    })
);
name!(
    /// The name of a `for_each` item, unique in its step: any text for people to read, within limits.
    ItemName, "name of an item", "one line of text without control characters, 128 bytes at most, no space at its ends",
    |t| !t.is_empty() && t.len() <= 128 && t.trim() == t && !t.chars().any(char::is_control)
);
name!(
    /// The name of a parameter; also the name of the environment variable that carries it.
    ParamName, "parameter name", "a lower-case letter, then lower-case letters, digits or `_`, 64 at most",
    |t| word(t, 64, |c| c.is_ascii_lowercase(), |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
);
name!(
    /// The name of an environment variable (POSIX.1-2017, 8.1), not one of Piton's own (`PITON_…`).
    EnvName, "environment variable", "a letter or `_`, then letters, digits or `_`, not beginning with `PITON_`",
    |t| word(t, 255, |c| c.is_ascii_alphabetic() || c == '_', |c| c.is_ascii_alphanumeric() || c == '_')
        && !t.starts_with("PITON_")
);
name!(
    /// The name of a host in the inventory, or one that the user's ssh config knows.
    ///
    /// It never begins with `-`: ssh has no `--` before the destination.
    HostName, "host name", "letters, digits, `.`, `_` or `-`, not beginning with `-` or `.`, 253 at most",
    |t| word(t, 253, |c| c.is_ascii_alphanumeric() || c == '_', |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
);
name!(
    /// The name of a group of hosts in the inventory.
    GroupName, "group name", "letters, digits, `_` or `-`, beginning with a letter or `_`, 64 at most",
    |t| word(t, 64, |c| c.is_ascii_alphabetic() || c == '_', |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
);
name!(
    /// The name of a window.
    WindowName, "window name", "a lower-case letter, then lower-case letters, digits, `-` or `_`, 64 at most",
    |t| word(t, 64, |c| c.is_ascii_lowercase(), |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
);
name!(
    /// The name of a schedule, unique in its project.
    ScheduleName, "schedule name", "a lower-case letter, then lower-case letters, digits, `-` or `_`, 64 at most",
    |t| word(t, 64, |c| c.is_ascii_lowercase(), |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
);

impl HostName {
    /// The machine the engine itself runs on; reached without ssh.
    pub const LOCAL: &'static str = "local";

    /// Whether this is the machine the engine itself runs on.
    pub fn is_local(&self) -> bool {
        self.as_str() == Self::LOCAL
    }
}

impl StepId {
    /// Whether a document may say it: without the id of a call before it.
    pub fn is_plain(&self) -> bool {
        !self.0.contains('/')
    }

    /// As its document says it: without the ids of the calls before it.
    pub fn last(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

/// One step on one host, for one item: what a person points at. Shown as `copy[hv1]`, `copy[hv1/web1]` for an item,
/// `fits` where no host is involved, and `fits[/web1]` for an item where no host is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskId {
    /// The step.
    pub step: StepId,
    /// The host, where the step has hosts.
    pub host: Option<HostName>,
    /// The item, under `for_each`.
    pub item: Option<ItemName>,
}

impl TaskId {
    /// The task of a step on a host, or on none.
    pub fn new(step: StepId, host: Option<HostName>) -> Self {
        Self { step, host, item: None }
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, &self.item) {
            (Some(host), None) => write!(f, "{}[{host}]", self.step),
            (Some(host), Some(item)) => write!(f, "{}[{host}/{item}]", self.step),
            (None, Some(item)) => write!(f, "{}[/{item}]", self.step),
            (None, None) => write!(f, "{}", self.step),
        }
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TaskId {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        match text.strip_suffix(']').and_then(|t| t.split_once('[')) {
            Some((step, place)) => {
                // No host has a slash in its name, so what follows the first one is the item, whatever it holds.
                let (host, item) = place.split_once('/').map_or((place, None), |(host, item)| (host, Some(item)));
                let host = if host.is_empty() && item.is_some() { None } else { Some(host.parse()?) };
                Ok(Self { step: step.parse()?, host, item: item.map(str::parse).transpose()? })
            }
            None => Ok(Self { step: text.parse()?, host: None, item: None }),
        }
    }
}

impl TryFrom<String> for TaskId {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<TaskId> for String {
    fn from(task: TaskId) -> Self {
        task.to_string()
    }
}

/// One try at a task, numbered from 1. Shown as `copy[hv1]#2`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    /// The task.
    pub task: TaskId,
    /// Its number, from 1.
    pub number: u32,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.task, self.number)
    }
}

impl fmt::Debug for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which of a step's scripts a job carries out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// `unless`: exit 0 means that the work is already done.
    Unless,
    /// The step's action itself: the only part that may never start twice.
    Main,
    /// `verify`, or the script of `wait until`: may be asked again and again.
    Verify,
    /// `undo`.
    Undo,
    /// The hook before the action: no job, but it prints.
    Before,
    /// The hook after the action: no job, but it prints.
    After,
    /// What a hook has a host do; numbered through the attempt.
    Call,
}

impl Part {
    /// Whether the part only looks, so that running it again does no harm.
    pub fn only_looks(self) -> bool {
        match self {
            Self::Unless | Self::Verify => true,
            Self::Main | Self::Undo | Self::Before | Self::After | Self::Call => false,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Unless => "unless",
            Self::Main => "main",
            Self::Verify => "verify",
            Self::Undo => "undo",
            Self::Before => "before",
            Self::After => "after",
            Self::Call => "call",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The process on a host that carries out one part of an attempt.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId {
    /// The attempt it belongs to.
    pub attempt: AttemptId,
    /// Which script it is.
    pub part: Part,
    /// How often this part was begun before in this attempt, plus one.
    pub round: u32,
}

impl JobId {
    /// The name of the job's files on the host: only letters, digits, `.`, `_`, `-` and `@`, so that it needs
    /// no quoting in any shell. Unique within a run, also where two inventory names mean one machine.
    ///
    /// An item can be any text: what is harmless of its beginning is there for people, its digest keeps it apart.
    pub fn file_name(&self) -> String {
        let task = &self.attempt.task;
        let host = task.host.as_ref().map_or(HostName::LOCAL, HostName::as_str);
        let step = task.step.as_str().replace('/', ".");
        let item = task.item.as_ref().map(|item| {
            let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
            let head: String = item.as_str().chars().take(24).map(plain).collect();
            let digest = crate::digest::Digest::of(item.as_str().as_bytes()).to_string();
            format!("@{head}-{}", digest.get(..20).unwrap_or_default())
        });
        let item = item.unwrap_or_default();
        format!("{step}@{host}{item}.{}.{}{}", self.attempt.number, self.part, self.round)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}{}", self.attempt, self.part, self.round)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_shell_or_ssh_could_misread_are_refused() {
        for bad in ["-oProxyCommand=x", "", ".hidden", "a b", "a;b", "a\n", "$(x)", "ü"] {
            assert!(HostName::new(bad).is_err(), "{bad:?}");
        }
        for good in ["hv1", "10.0.0.11", "db-1.example.org", "_x"] {
            assert!(HostName::new(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_task_reads_back_as_it_is_shown() {
        for text in ["copy[hv1]", "fits", "a-b[10.0.0.1]", "a[hv1/web1]", "a[/b]", "move/copy[hv1/a/b]", "a[h/x]y[z]"] {
            assert_eq!(text.parse::<TaskId>().unwrap().to_string(), text);
        }
        for bad in ["copy[", "copy[]", "[x]", "copy]x[", "Copy", "a[h/]", "a[/]", "a//b", "/a", "a/", "a[h/ x]"] {
            assert!(bad.parse::<TaskId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_jobs_files_have_a_harmless_name_whatever_its_item_is_called() {
        let name = |item: &str| {
            let task = TaskId { item: Some(ItemName::new(item).unwrap()), ..TaskId::new("a/b".parse().unwrap(), None) };
            JobId { attempt: AttemptId { task, number: 1 }, part: Part::Main, round: 1 }.file_name()
        };
        let items =
            ["web1", "web 1", "web-1", "../../etc/passwd", "$(reboot)", "'; rm -rf / #", "名前", &"x".repeat(128)];
        let names: std::collections::BTreeSet<String> = items.iter().map(|i| name(i)).collect();
        assert_eq!(names.len(), items.len(), "{names:?}");
        for name in names {
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "._-@".contains(c)), "{name}");
            assert!(name.len() < 100 && !name.contains(".."), "{name}");
        }
        for bad in ["", " a", "a\nb", "a\0b", &"x".repeat(129)] {
            assert!(ItemName::new(bad).is_err(), "{bad:?}");
        }
    }
}
