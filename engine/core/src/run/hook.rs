//! A hook in an attempt: what it has asked for so far, and what it was answered.
//!
//! A hook is evaluated outside of the core. After a crash it is evaluated again from the beginning; what it asked for
//! before is answered from here, in order, so that it comes to the same place without anything being done twice.

use std::sync::Arc;

use imbl::Vector;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::ids::{HostName, JobId, Part};
use crate::plan::TaskIndex;
use crate::runbook::{Action, Hook, HookCode};
use crate::value::{Map, Value};

use super::state::Run;
use super::task::{At, Task, TaskState};

/// Something that a hook asked for: its place among the calls, and what it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HookCall {
    /// Its place among the calls of this hook, from 1.
    pub number: u32,
    /// Which of the attempt's [`Part::Call`] jobs carries it out; 0: none does.
    #[serde(default)]
    pub round: u32,
    /// What kind of call.
    pub kind: CallKind,
    /// On which host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// The user that its job becomes.
    #[serde(default, rename = "become", skip_serializing_if = "Option::is_none")]
    pub become_user: Option<String>,
    /// Whether it may be done again when nobody knows whether it happened.
    #[serde(default)]
    pub safe: bool,
    /// The call for people: its script, words, path or text, cut to a few hundred characters; no environment.
    pub shown: String,
    /// Where in the scripts it was asked for, as `file:line:column`; empty where that is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub at: String,
    /// The digest of everything that makes the call what it is; where it was asked for has no part in it.
    pub digest: Digest,
    /// What the hook was answered, once that is known; never null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Value>,
}

/// What kind of thing a hook asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    /// A script on a host.
    Run,
    /// A program and its words on a host.
    Exec,
    /// The content of a small file of a host.
    Read,
    /// A small file on a host gets new content.
    Write,
    /// What time it is; answered by the engine that writes the call down.
    Now,
    /// People are to be told something; nothing is answered.
    Notify,
}

impl CallKind {
    /// Whether a host has to do something for it.
    pub fn is_job(self) -> bool {
        match self {
            Self::Run | Self::Exec | Self::Read | Self::Write => true,
            Self::Now | Self::Notify => false,
        }
    }

    /// One word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Exec => "exec",
            Self::Read => "read",
            Self::Write => "write",
            Self::Now => "now",
            Self::Notify => "notify",
        }
    }
}

impl HookCall {
    /// The call with its number and place, in one line: `call 2 (scripts/a.rhai:3:10): hv1 run: virsh list`.
    pub fn numbered(&self) -> String {
        let at = if self.at.is_empty() { String::new() } else { format!(" ({})", self.at) };
        format!("call {}{at}: {self}", self.number)
    }
}

/// The call in one line: `hv1 run: virsh list`.
impl std::fmt::Display for HookCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(host) = &self.host {
            write!(f, "{host} ")?;
        }
        f.write_str(self.kind.word())?;
        if let Some(user) = &self.become_user {
            write!(f, " as {user}")?;
        }
        let text = self.shown.trim();
        if text.is_empty() { Ok(()) } else { write!(f, ": {}", text.replace('\n', "; ")) }
    }
}

/// How far a hook has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Hooking {
    /// Which of the step's hooks: [`Part::Before`], [`Part::Main`] or [`Part::After`].
    pub part: Part,
    /// What it asked for, in order. Only the last one can be without an answer.
    pub calls: Vector<Arc<HookCall>>,
    /// How often the last call was done again because nobody knew whether it had happened.
    pub repeated: u32,
}

impl Hooking {
    pub(super) fn new(part: Part) -> Self {
        Self { part, calls: Vector::new(), repeated: 0 }
    }

    /// The call that has no answer yet.
    pub fn open(&self) -> Option<&HookCall> {
        self.calls.last().map(Arc::as_ref).filter(|call| call.answer.is_none())
    }

    /// How many calls were answered.
    pub fn answered(&self) -> u32 {
        let open = usize::from(self.open().is_some());
        u32::try_from(self.calls.len() - open).unwrap_or(u32::MAX)
    }
}

/// What evaluating a hook begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct HookText {
    /// What is called.
    pub code: HookCode,
    /// With what.
    pub args: Vec<Value>,
    /// The variables it sees: `params`, `host` and `item` (where there is one), `run`.
    pub facts: Map<String, Value>,
    /// The user that its jobs become, unless it says otherwise.
    pub become_user: Option<String>,
}

impl Run {
    /// The hook that a task is at, if any; the id also names what it prints.
    pub(super) fn hook_of(&self, index: TaskIndex, task: &Task) -> Option<JobId> {
        let TaskState::Active(attempt) = &task.state else { return None };
        let At::Hook(hooking) = &attempt.at else { return None };
        let attempt = crate::ids::AttemptId { task: self.graph.id(index).clone(), number: task.attempts };
        Some(JobId { attempt, part: hooking.part, round: 1 })
    }

    /// How far the hook has come, if its task is at it.
    pub fn hooking(&self, hook: &JobId) -> Option<&Hooking> {
        let index = self.graph.find(&hook.attempt.task)?;
        let task = self.task(index);
        if task.attempts != hook.attempt.number {
            return None;
        }
        match &task.state {
            TaskState::Active(attempt) => match &attempt.at {
                At::Hook(hooking) if hooking.part == hook.part => Some(hooking),
                At::Hook(_)
                | At::Unless
                | At::Main
                | At::Transfer
                | At::Wait(_)
                | At::Assert
                | At::Approval(_)
                | At::Probe(_)
                | At::Settle { .. }
                | At::Lost(_)
                | At::Over => None,
            },
            TaskState::Waiting
            | TaskState::Pausing(_)
            | TaskState::Parked(_)
            | TaskState::Succeeded(_)
            | TaskState::Skipped(_)
            | TaskState::Failed(_) => None,
        }
    }

    /// The call that a [`Part::Call`] job carries out, while it does.
    pub fn call_of(&self, job: &JobId) -> Option<(JobId, &HookCall)> {
        let index = self.graph.find(&job.attempt.task)?;
        let hook = self.hook_of(index, self.task(index))?;
        let call = self.hooking(&hook)?.open()?;
        (job.part == Part::Call && call.round == job.round && hook.attempt == job.attempt).then_some((hook, call))
    }

    /// What evaluating a hook begins with, or why that cannot be told.
    pub fn hook_text(&self, hook: &JobId) -> Result<HookText, String> {
        let name = &hook.attempt.task;
        let task = self.graph.find(name).ok_or_else(|| format!("the plan has no task {name}"))?;
        let code = self.hook_at(task, hook.part).ok_or_else(|| format!("step {} has no such hook", name.step))?;
        Ok(HookText {
            code: code.code.clone(),
            args: self.hook_args(task, code)?,
            facts: self.facts(task),
            become_user: self.step_of(task).become_user.clone(),
        })
    }

    /// Everything that the task's hooks could have a host run: which secrets its scripts speak of is seen here.
    pub(super) fn hook_words(&self, task: TaskIndex) -> String {
        let own = self.step_of(task).hooks().filter_map(|hook| match &hook.code {
            HookCode::Text(text) => Some(text.as_str()),
            HookCode::Function { .. } => None,
        });
        let all: Vec<&str> = own.chain(self.plan.scripts.values().map(String::as_str)).collect();
        all.join("\n")
    }

    pub(super) fn hook_at(&self, task: TaskIndex, part: Part) -> Option<&Hook> {
        let step = self.step_of(task);
        match (part, &step.action) {
            (Part::Before, _) => step.before.as_ref(),
            (Part::After, _) => step.after.as_ref(),
            (Part::Main, Action::Hook(hook)) => Some(hook),
            (Part::Main | Part::Unless | Part::Verify | Part::Undo | Part::Call, _) => None,
        }
    }
}
