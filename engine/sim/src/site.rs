//! Where something can go wrong, and what a script finds in its environment there.

use piton_core::ids::{Part, TaskId};
use piton_core::testing::FaultKind;
use piton_runner::transport::JobSpec;
use secrecy::ExposeSecret as _;

/// The run's working directory on every simulated host.
const WORK: &str = "/piton/work";

/// A fault that is to happen at one place.
#[derive(Debug, Clone)]
pub(crate) struct Planted {
    pub(crate) at: String,
    pub(crate) kind: FaultKind,
}

/// Something that was done on a host, and where something can go wrong therefore.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// Names it, the same in every run of the test.
    pub(crate) key: String,
    /// Whose work it was, where that is known.
    pub(crate) task: Option<TaskId>,
    pub(crate) part: Part,
    /// In words.
    pub(crate) what: String,
    /// Whether it had an effect.
    pub(crate) effect: bool,
    /// Whether it is a transfer.
    pub(crate) transfer: bool,
}

/// The job's environment, with what a transport adds to it.
pub(crate) fn environment(spec: &JobSpec) -> Vec<(String, String)> {
    let attempt = &spec.id.attempt;
    let mut env = spec.env.clone();
    env.extend(spec.secrets.iter().map(|(name, text)| (name.clone(), text.expose_secret().to_owned())));
    env.extend(
        [
            ("PITON_RUN", spec.run.to_string()),
            ("PITON_TASK", attempt.task.to_string()),
            ("PITON_ATTEMPT", attempt.number.to_string()),
            ("PITON_HOST", spec.host.to_string()),
            ("PITON_JOB", spec.id.file_name()),
            ("PITON_WORK", WORK.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    env
}
