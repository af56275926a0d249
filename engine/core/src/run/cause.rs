//! Why things are as they are: why a task was left out, failed, waits, how it came to be done, how a run ended.

use serde::{Deserialize, Serialize};

use crate::ids::TaskId;

use super::process::Exit;

/// Why a task is not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipCause {
    /// Its `when` was false.
    When,
    /// A task that it needs failed, or was itself left out for that reason.
    NeedFailed(TaskId),
    /// More of its step's hosts or items failed than `max_failures` permits; this one was too much.
    TooManyFailed(TaskId),
    /// A person said so.
    ByHand,
    /// The run was cancelled or undone before its turn came.
    RunStopped,
}

/// What was found of a job whose end nobody will know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossCause {
    /// Its files are there, no exit status, and no process of it lives.
    ProcessGone,
    /// The host was started anew since the job began.
    HostRebooted,
    /// Its files are gone although it had begun, or may have.
    FilesGone,
    /// The host could not be reached for as long as Piton goes on trying.
    Unreachable(String),
    /// It was to be stopped, and something of it is still alive.
    StillAlive(String),
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureCause {
    /// The script exited with this status.
    Exit(Exit),
    /// It took longer than its `timeout` and was stopped.
    TimedOut,
    /// The host did not come back with a new boot id in time.
    NotRebooted,
    /// The host could not be reached, or refused us; the attempt never began.
    Unreachable(String),
    /// The host could not start the job (disk full, `sudo` missing, no such shell); the attempt never began.
    Refused(String),
    /// `verify` did not pass in time.
    NotVerified(Option<Exit>),
    /// `until` did not come true in time.
    NeverTrue(Option<Exit>),
    /// These assertions did not hold.
    Asserted(Vec<String>),
    /// An expression has no value here, or an output cannot be read.
    Expression(String),
    /// A hook ended badly, or could not be evaluated.
    Hook(String),
    /// A file could not be transferred.
    Transfer(String),
    /// The outcome is unknown, and the run goes on as after a failure.
    Unknown(LossCause),
    /// Not enough people approved it in time.
    NotApproved {
        /// How many did.
        have: u32,
        /// How many had to.
        need: u32,
    },
    /// Somebody rejected it.
    Rejected {
        /// Who.
        by: String,
        /// The reason given.
        why: String,
    },
    /// To wait for its locks would have been to wait for ever.
    Deadlock(String),
    /// Stopped because the run was cancelled.
    Cancelled,
}

/// How a task came to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuccessCause {
    /// Its action ran and passed.
    Ran,
    /// `unless` said that it was done already.
    AlreadyDone,
    /// Its outcome was unknown, and `unless` or `verify` found it done.
    FoundDone,
    /// A person did it by hand.
    ByHand,
    /// Enough people approved it.
    Approved,
    /// Nobody rejected it in time, and its step takes that for a yes.
    Unopposed,
}

/// Why a task waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkCause {
    /// It failed, and `on_failure` is `stop`.
    Failed(FailureCause),
    /// It is not known whether it happened.
    Unknown {
        /// What was found of its job.
        loss: LossCause,
        /// What `unless` or `verify` said afterwards, if the step has them.
        looked: Option<String>,
    },
    /// A hook that was evaluated again after a crash asked for something else than the journal has: what it goes on
    /// to do would not be what was begun.
    HookDiffers {
        /// Which of its calls, from 1.
        number: u32,
        /// The call in the journal.
        recorded: String,
        /// The call that was made now.
        made: String,
    },
    /// Its undo failed.
    UndoFailed(FailureCause),
    /// It cannot be undone automatically: the point of no return was passed.
    NoReturn(FailureCause),
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every task succeeded or was skipped as the runbook wants it.
    Succeeded,
    /// At least one task failed.
    Failed,
    /// A person cancelled it.
    Cancelled,
    /// What had been done was taken back.
    Undone,
}
