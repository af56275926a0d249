//! A runbook: what somebody wrote, checked. The form on paper is in `syntax`, what needs all steps to check in `check`,
//! values of parameters in `values`.

mod approve;
mod calls;
mod check;
mod hook;
mod many;
mod moving;
mod secret;
mod syntax;
mod values;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::expr::{Expr, Template};
use crate::fault::Span;
use crate::ids::{EnvName, ParamName, RunbookName, StepId};
use crate::value::Value;

pub use approve::{Approve, OnTimeout, Voter};
pub use calls::{Library, check_calls};
pub use hook::{Hook, HookCode, Lines};
pub use many::{Argument, Call, ForEach, Given, Share};
pub use moving::{Get, Manner, Put, PutSource, Reboot, Transfer};
pub use secret::{Piece, Sealed, SecretSource, speaks_of};
pub(crate) use syntax::words;
pub use syntax::{MAX_STEPS, parse};
pub(crate) use values::read_computed;
pub use values::{check_value, keep_value, read_argument, read_params, read_value};

/// A checked runbook. It has no faults of its own; what depends on parameters and inventory comes with the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Runbook {
    /// Equals the file's name.
    pub name: RunbookName,
    /// One line for lists.
    pub title: String,
    /// When to use it, what it touches, what it cannot undo.
    pub about: String,
    /// In the order of the document.
    pub params: Vec<Param>,
    /// What happens when a task fails, unless its step says otherwise; `None`: nothing is said, which means `stop`,
    /// or what the calling runbook says.
    pub on_failure: Option<OnFailure>,
    /// How many tasks may be in flight at once.
    pub max_parallel: u32,
    /// What the run must have for itself, from before its first task until it is over.
    pub locks: Vec<LockWanted>,
    /// In the order of the document; the steps of a block follow it.
    pub steps: Vec<Step>,
    /// Steps that run when the others have come to an end, however that was.
    pub finally: Vec<Step>,
    /// What it gives to a runbook that calls it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<ParamName, Template>,
}

/// A lock that a run or a step must have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LockWanted {
    /// Its name.
    pub name: Template,
    /// How many may hold it at once; see [`crate::lock::Lock::most`].
    pub most: u32,
    /// Where it was written; nothing that a plan keeps.
    #[serde(skip)]
    pub span: Span,
}

/// How many tasks of a run are in flight at once, where the runbook does not say.
pub const DEFAULT_MAX_PARALLEL: u32 = 256;

/// A declared parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Param {
    /// Its name in expressions and in the environment.
    pub name: ParamName,
    /// What values it takes.
    pub kind: ParamKind,
    /// For the person who fills it in.
    pub help: String,
    /// Used when no value is given; already of the right type.
    pub default: Option<Value>,
    /// Whether a run cannot start without a value (true where there is no default, unless said otherwise).
    pub required: bool,
    /// Smallest value (numbers), size in bytes, seconds (durations), or length (strings, lists).
    pub min: Option<f64>,
    /// Largest, likewise.
    pub max: Option<f64>,
    /// A regular expression the whole text must match.
    pub pattern: Option<String>,
    /// Where a secret comes from, unless whoever starts the run says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<SecretSource>,
    /// Where it was written.
    pub span: Span,
}

/// The types of parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParamKind {
    /// Any text without NUL.
    String,
    /// A name such as libvirt, LVM and systemd take: letters of any script, digits, `.`, `_`, `-`, `@`, `+`, `:`; not beginning with `-`.
    Name,
    /// A host of the inventory.
    Host,
    /// Hosts, groups and patterns of the inventory; the value is the list of hosts.
    Hosts,
    /// A whole number of 64 bits.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Like `90s`, `5m`, `1h30m`, `2d`; the value is in seconds.
    Duration,
    /// Like `512`, `10M`, `20GiB`; the value is in bytes.
    Size,
    /// An absolute path.
    Path,
    /// One of `choices`.
    Enum(Vec<String>),
    /// A list of texts without line breaks.
    List,
    /// A text that nobody may see. It has no value in the plan, only a [`SecretSource`]; expressions do not see it.
    Secret,
}

/// What happens when a task fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Start nothing new, park, and ask a person.
    #[default]
    Stop,
    /// Take back, in reverse order, what happened and what may have happened.
    Undo,
    /// What needs the failed task is blocked, the rest goes on.
    Continue,
}

/// One entry under `steps:` or `finally:`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Unique among `steps` and `finally` together.
    pub id: StepId,
    /// For people; may be empty.
    pub title: String,
    /// What it does.
    pub action: Action,
    /// Names, groups, patterns, or templates that give them; `None`: the engine's own machine for what needs a machine.
    pub hosts: Option<Vec<Template>>,
    /// The steps it waits for; the default (the step above) is already filled in.
    pub needs: Vec<StepId>,
    /// Wait for all tasks of the needed steps, also where both run on the same hosts.
    pub barrier: bool,
    /// Skip where this is false.
    pub when: Option<Expr>,
    /// Called before the action, and before `unless` is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Hook>,
    /// Called when the action was done and `verify` passed; the task is done when it has ended well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Hook>,
    /// Exit 0: already done, nothing to do.
    pub unless: Option<Script>,
    /// Must pass after the action.
    pub verify: Option<Probe>,
    /// How to take it back.
    pub undo: Option<Script>,
    /// How long taking it back may take; else as long as an attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_timeout: Option<Duration>,
    /// Whether a lost attempt may be run again.
    pub repeat: Repeat,
    /// Whether a failed attempt is tried again.
    pub retry: Option<Retry>,
    /// Bounds connecting, starting and running of one attempt.
    pub timeout: Option<Duration>,
    /// How long an attempt usually takes, as long as no run has shown it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Duration>,
    /// The user to become on the host, through `sudo -n`.
    #[serde(rename = "become")]
    pub become_user: Option<String>,
    /// Further environment variables.
    pub env: BTreeMap<EnvName, Template>,
    /// What to read out of the output, besides `$PITON_OUTPUT`.
    pub outputs: BTreeMap<ParamName, OutputRule>,
    /// Overrides the runbook's.
    pub on_failure: Option<OnFailure>,
    /// Once this has begun, nothing is undone automatically.
    pub point_of_no_return: bool,
    /// Keep no output of it.
    pub no_log: bool,
    /// What each of its tasks must have for itself, from before it begins until it is settled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<LockWanted>,
    /// For selecting and for people.
    pub tags: Vec<String>,
    /// The block or call that it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<StepId>,
    /// Once for each of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<ForEach>,
    /// The sizes of the batches that its hosts or items go in; empty: all at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batch: Vec<Share>,
    /// How many of its hosts or items may fail before the step counts as failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_failures: Option<Share>,
    /// How many of its hosts or items may be under way at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// Where it was written.
    pub span: Span,
}

impl Step {
    /// Whether anything of it is a hook.
    pub fn has_hook(&self) -> bool {
        self.hooks().next().is_some()
    }

    /// Its hooks: before the action, the action itself, after it.
    pub fn hooks(&self) -> impl Iterator<Item = &Hook> {
        let action = if let Action::Hook(hook) = &self.action { Some(hook) } else { None };
        self.before.iter().chain(action).chain(&self.after)
    }

    /// The script that is asked after the action, or that the action consists of.
    pub fn probe(&self) -> Option<&Probe> {
        match (&self.verify, &self.action) {
            (Some(verify), _) => Some(verify),
            (None, Action::WaitUntil(until)) => Some(until),
            (
                None,
                Action::Run(_)
                | Action::Exec(_)
                | Action::Put(_)
                | Action::Get(_)
                | Action::Hook(_)
                | Action::Transfer(_)
                | Action::Reboot(_)
                | Action::Assert(_)
                | Action::WaitFor(_)
                | Action::Approve(_)
                | Action::Block
                | Action::Call(_),
            ) => None,
        }
    }

    /// How long taking it back may take.
    pub fn undo_limit(&self) -> Option<Duration> {
        self.undo_timeout.or(self.timeout)
    }

    /// How long an attempt may take.
    pub fn time_limit(&self) -> Option<Duration> {
        match &self.action {
            Action::Approve(approve) => approve.timeout,
            Action::Run(_)
            | Action::Exec(_)
            | Action::Put(_)
            | Action::Get(_)
            | Action::Transfer(_)
            | Action::Reboot(_)
            | Action::Hook(_)
            | Action::Assert(_)
            | Action::WaitFor(_)
            | Action::WaitUntil(_)
            | Action::Block
            | Action::Call(_) => self.timeout,
        }
    }
}

/// What a step does: exactly one of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A script on each host.
    Run(Script),
    /// A program and its words, no shell; each template stays one word.
    Exec(Vec<Template>),
    /// A file or directory to the host.
    Put(Put),
    /// A file or directory from the host.
    Get(Get),
    /// A function in Rhai, which may call hosts.
    Hook(Hook),
    /// A file from one host to another.
    Transfer(Transfer),
    /// The host starts anew, and is waited for.
    Reboot(Reboot),
    /// Conditions; all are evaluated, all failures shown.
    Assert(Vec<Assertion>),
    /// Time passes.
    WaitFor(Duration),
    /// A script is asked until it exits 0.
    WaitUntil(Probe),
    /// People decide whether the run goes on.
    Approve(Approve),
    /// Nothing by itself: the steps whose parent it is are its work.
    Block,
    /// Another runbook, whose steps stand in it.
    Call(Call),
}

/// A constant text for an interpreter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// The text as written.
    pub text: String,
    /// The interpreter: a program name or an absolute path, `sh` by default.
    pub shell: String,
}

/// A script that is asked again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Exit 0 means yes.
    pub script: Script,
    /// How long to go on asking, from the first time.
    pub within: Duration,
    /// The pause between two questions.
    pub every: Duration,
}

/// Whether a lost attempt may be run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// Yes: doing it twice is as good as once.
    Safe,
    /// No: a person decides.
    #[default]
    Ask,
}

/// Whether and how a failed attempt is tried again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    /// How many further attempts.
    pub times: u32,
    /// The pause before the first of them.
    pub delay: Duration,
    /// What the pause is multiplied by each time; 1 or more.
    pub backoff: f64,
    /// The longest pause.
    pub max_delay: Duration,
    /// Which failures; empty: every one.
    pub on: Vec<RetryOn>,
}

/// A kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryOn {
    /// The script exited with this status.
    Exit(u8),
    /// The attempt took longer than its timeout.
    Timeout,
    /// The host could not be reached, and the attempt did not begin.
    Unreachable,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assertion {
    /// Must be true.
    pub that: Expr,
    /// What to say if it is not.
    pub otherwise: Option<Template>,
}

/// How to read a value out of what a script printed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputRule {
    /// The first group (or the whole match) of a regular expression over stdout.
    Match(String),
    /// A JSON pointer (RFC 6901) into stdout read as JSON.
    Json(String),
    /// Stdout without trailing line breaks.
    Text,
}
