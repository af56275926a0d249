//! What makes one step many: items, shares of hosts or items, calls.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Action, Step};
use crate::expr::{Expr, Template};
use crate::fault::Span;
use crate::ids::RunbookName;
use crate::value::Value;

/// What a step is done for, once each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForEach {
    /// These, as they stand in the runbook.
    List(Vec<Value>),
    /// What this gives when the step begins, or when the plan is made if parameters are enough to know it.
    Expr(Expr),
}

/// A number, or a part of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// So many.
    Count(u32),
    /// So many of a hundred.
    Percent(u32),
}

impl Share {
    /// How many of `total` that is, rounded down.
    pub fn of(self, total: usize) -> usize {
        match self {
            Self::Count(count) => count as usize,
            Self::Percent(percent) => total.saturating_mul(percent as usize) / 100,
        }
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// Another runbook, with values for its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Which.
    pub runbook: RunbookName,
    /// Where its name stands.
    pub span: Span,
    /// The values.
    pub with: BTreeMap<String, Argument>,
}

/// A value for a parameter of a called runbook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Argument {
    /// The value.
    pub value: Given,
    /// Where it stands.
    pub span: Span,
}

/// A value as it was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Given {
    /// A text, with templates in it or not.
    Text(Template),
    /// Anything else.
    Value(Value),
}

impl Step {
    /// How many of its hosts or items may fail: without `max_failures`, none where it goes in batches.
    pub fn tolerates(&self) -> Option<Share> {
        self.max_failures.or_else(|| (!self.batch.is_empty()).then_some(Share::Count(0)))
    }

    /// Whether its hosts or items are counted.
    pub fn counts(&self) -> bool {
        self.tolerates().is_some() || self.max_parallel.is_some()
    }

    /// Whether it consists of other steps and does nothing itself.
    pub fn is_block(&self) -> bool {
        matches!(self.action, Action::Block)
    }

    /// The runbook that it calls, if it does.
    pub fn call(&self) -> Option<&Call> {
        if let Action::Call(call) = &self.action { Some(call) } else { None }
    }
}
