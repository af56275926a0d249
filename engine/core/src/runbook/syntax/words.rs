//! The words that fields choose from, for the schema.

use super::ON_FAILURE;
use super::param::KINDS;

/// What can happen when a task fails.
pub(crate) fn on_failure() -> Vec<&'static str> {
    ON_FAILURE.iter().map(|(word, _)| *word).collect()
}

/// Whether a lost attempt may be run again.
pub(crate) fn repeat() -> Vec<&'static str> {
    vec!["safe", "ask"]
}

/// The types of parameters.
pub(crate) fn param_types() -> Vec<&'static str> {
    KINDS.iter().map(|(word, _)| *word).collect()
}
