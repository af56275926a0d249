//! The words that fields choose from.

use crate::schedule::Missed;

/// What becomes of missed starts.
pub(super) const MISSED: [(&str, Missed); 3] = [("skip", Missed::Skip), ("once", Missed::Once), ("each", Missed::Each)];

/// The same, for the schema.
pub(crate) fn missed() -> Vec<&'static str> {
    MISSED.iter().map(|(word, _)| *word).collect()
}
