//! What `piton` exits with, and the failures that lead there.

use piton_core::fault::Fault;
use piton_core::run::Outcome;
use piton_runner::DriveError;
use piton_runner::journal::JournalError;

/// The exit codes. Scripts depend on them: a number never gets another meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    /// Everything went as asked.
    Succeeded = 0,
    /// Something that no other code describes.
    Unexpected = 1,
    /// The command line asks for something that does not exist or makes no sense.
    Usage = 2,
    /// A document (runbook, inventory, `piton.toml`, parameters) has faults.
    Faulty = 3,
    /// The run failed, or was undone.
    Failed = 4,
    /// The run is parked: a person must decide.
    Parked = 5,
    /// The run was cancelled.
    Cancelled = 6,
    /// The store cannot be used.
    Unreachable = 7,
    /// A signal ended `piton`; the run, if there was one, goes on in the background.
    Interrupted = 130,
}

impl Code {
    /// What the outcome of a run means.
    pub(crate) fn of_outcome(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Succeeded => Self::Succeeded,
            Outcome::Failed | Outcome::Undone => Self::Failed,
            Outcome::Cancelled => Self::Cancelled,
        }
    }
}

/// Why a verb could not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line asks for something that does not exist or makes no sense.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// Documents have faults.
    #[error("{}", count(.0.len(), "fault"))]
    Faults(Vec<Fault>),
    /// The journal did not do as asked.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A run cannot be driven.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// Whoever read our output went away (`piton ls | head`): no failure at all.
    #[error("the reader of the output went away")]
    ReaderGone,
    /// Anything else.
    #[error("{message}")]
    Other {
        /// What went wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
}

impl Failure {
    /// The command line is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: None }
    }

    /// Something unexpected.
    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self::Other { message: message.into(), hint: None }
    }

    /// Adds what to do, where there is room for it.
    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        match &mut self {
            Self::Usage { hint, .. } | Self::Other { hint, .. } => *hint = Some(text.into()),
            Self::Faults(_) | Self::Journal(_) | Self::Drive(_) | Self::ReaderGone => {}
        }
        self
    }

    /// The faults, where it is faults of documents; otherwise the failure as it was.
    pub(crate) fn into_faults(self) -> Result<Vec<Fault>, Self> {
        match self {
            Self::Faults(faults) => Ok(faults),
            other
            @ (Self::Usage { .. } | Self::Journal(_) | Self::Drive(_) | Self::ReaderGone | Self::Other { .. }) => {
                Err(other)
            }
        }
    }

    /// What `piton` exits with.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Usage { .. } => Code::Usage,
            Self::Faults(_) => Code::Faulty,
            Self::Journal(error) | Self::Drive(DriveError::Journal(error)) => journal_code(error),
            Self::Drive(DriveError::Illegal { .. } | DriveError::Plan { .. }) | Self::Other { .. } => Code::Unexpected,
            Self::ReaderGone => Code::Succeeded,
        }
    }

    /// What a person can do about it.
    pub(crate) fn advice(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } | Self::Other { hint, .. } => hint.clone(),
            Self::Journal(error) | Self::Drive(DriveError::Journal(error)) => journal_advice(error),
            Self::Drive(DriveError::Illegal { run, .. } | DriveError::Plan { run, .. }) => Some(format!(
                "`piton verify {run}` tells whether its journal was changed; `piton show {run} --events` reads it"
            )),
            Self::Faults(_) | Self::ReaderGone => None,
        }
    }
}

fn journal_code(error: &JournalError) -> Code {
    match error {
        JournalError::NoSuchRun(_) => Code::Usage,
        JournalError::Full { .. }
        | JournalError::Newer { .. }
        | JournalError::Unusable { .. }
        | JournalError::Corrupt { .. } => Code::Unreachable,
        JournalError::Exists(_) | JournalError::Held { .. } | JournalError::Stale { .. } | JournalError::Gap { .. } => {
            Code::Unexpected
        }
    }
}

fn journal_advice(error: &JournalError) -> Option<String> {
    match error {
        JournalError::NoSuchRun(_) => Some("`piton ls --all` lists the runs there are".to_owned()),
        JournalError::Held { run, .. } => Some(format!("`piton watch {run}` follows it")),
        JournalError::Stale { run, .. } => {
            Some(format!("nothing is lost: the other engine goes on; `piton watch {run}` follows it"))
        }
        JournalError::Full { .. } => Some("make room there, or choose another directory with --state".to_owned()),
        JournalError::Corrupt { run, .. } => Some(format!(
            "the events before it can be read with `piton show {run} --events`; restore the state directory from a backup"
        )),
        JournalError::Unusable { .. } => {
            Some("look at the directory's owner and rights, or choose another with --state or PITON_STATE".to_owned())
        }
        JournalError::Exists(_) | JournalError::Gap { .. } | JournalError::Newer { .. } => None,
    }
}

/// `1 fault`, `2 faults`.
pub(crate) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
