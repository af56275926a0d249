//! What a run as a whole waits for, for lists of runs.

use serde::{Deserialize, Serialize};

use crate::lock::Lock;
use crate::time::Timestamp;

use super::effect::Effect;
use super::hold::Hold;
use super::state::Run;
use super::task::TaskState;

/// What a run as a whole waits for while nothing of it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// What kind of thing.
    pub kind: WaitKind,
    /// What, in one line.
    pub text: String,
    /// Until when it waits at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Kinds of things that a run waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitKind {
    /// It is paused.
    Paused,
    /// People are asked.
    Approval,
    /// Locks that others hold.
    Locks,
}

impl WaitKind {
    /// One word for lists.
    pub fn word(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Approval => "approval",
            Self::Locks => "locked",
        }
    }
}

impl Run {
    /// What the run as a whole waits for; `None` while something of it runs, or it waits for a decision, or is over.
    pub fn waits(&self) -> Option<Waits> {
        if self.outcome().is_some() {
            return None;
        }
        if let Some(pause) = &self.paused {
            let why = if pause.why.is_empty() { String::new() } else { format!(": {}", pause.why) };
            return Some(Waits { kind: WaitKind::Paused, text: format!("paused by {}{why}", pause.by), until: None });
        }
        if let Hold::Asked(locks) = &self.hold {
            return Some(waits_for_locks(locks));
        }
        if let Some(&index) = self.asking.iter().next().filter(|_| self.waits_for_people())
            && let Some((approve, asking)) = self.asking(index)
        {
            let text = format!(
                "{} has {} of {}; who may: {}",
                self.graph.id(index),
                asking.yes.len(),
                approve.count,
                approve.electorate()
            );
            return Some(Waits { kind: WaitKind::Approval, text, until: self.deadline(index) });
        }
        let queues_only = self.wanted.iter().all(|effect| matches!(effect, Effect::Hold(_)));
        let first = self.queueing.iter().next().filter(|_| queues_only)?;
        match &self.task(*first).hold {
            Hold::Asked(locks) => Some(waits_for_locks(locks)),
            Hold::No | Hold::Taken(_) => None,
        }
    }

    /// When an attempt has taken too long.
    pub fn deadline(&self, task: crate::plan::TaskIndex) -> Option<Timestamp> {
        match &self.task(task).state {
            TaskState::Active(attempt) => attempt.deadline,
            TaskState::Waiting
            | TaskState::Pausing(_)
            | TaskState::Parked(_)
            | TaskState::Succeeded(_)
            | TaskState::Skipped(_)
            | TaskState::Failed(_) => None,
        }
    }
}

fn waits_for_locks(locks: &[Lock]) -> Waits {
    let names: Vec<String> = locks.iter().map(Lock::to_string).collect();
    Waits { kind: WaitKind::Locks, text: format!("waits for {}", names.join(", ")), until: None }
}
