//! The words that fields of test files choose from, for the schema.

use super::SAID;
use super::answer::PARTS;
use crate::testing::{End, FaultKind, TaskEnd};

fn words<T>(all: &[(&'static str, T)]) -> Vec<&'static str> {
    all.iter().map(|(word, _)| *word).collect()
}

/// Which of a step's scripts.
pub(crate) fn parts() -> Vec<&'static str> {
    words(&PARTS)
}

/// What a person can say.
pub(crate) fn said() -> Vec<&'static str> {
    words(&SAID)
}

/// Which faults are tried.
pub(crate) fn faults() -> Vec<&'static str> {
    words(&FaultKind::ALL)
}

/// How a run ends.
pub(crate) fn outcomes() -> Vec<&'static str> {
    words(&End::ALL)
}

/// How a task ends.
pub(crate) fn ends() -> Vec<&'static str> {
    words(&TaskEnd::ALL)
}
