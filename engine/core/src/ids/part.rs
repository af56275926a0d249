//! The parts of an attempt.

use std::fmt;

use serde::{Deserialize, Serialize};

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
