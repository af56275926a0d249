//! How states and causes are put into words. One place, so that every surface says the same.

use std::fmt;

use super::cause::{FailureCause, LossCause, Outcome, ParkCause, SkipCause, SuccessCause};
use super::process::Exit;
use super::state::Phase;
use super::task::{At, TaskState};

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.checked_sub(128) {
            Some(signal @ 1..=64) => write!(f, "status {} (signal {signal})", self.0),
            Some(_) | None => write!(f, "status {}", self.0),
        }
    }
}

impl fmt::Display for LossCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProcessGone => f.write_str("it began, its process is gone, and it left no exit status"),
            Self::HostRebooted => f.write_str("it began, and the host was started anew before it ended"),
            Self::FilesGone => f.write_str("it may have begun, and its files on the host are gone"),
            Self::Unreachable(why) => write!(f, "it may have begun, and the host cannot be reached: {why}"),
            Self::StillAlive(what) => write!(f, "it was to be stopped, and still lives: {what}"),
        }
    }
}

impl fmt::Display for FailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(exit) => write!(f, "it exited with {exit}"),
            Self::NotRebooted => f.write_str("the host has the boot id that it had: it did not reboot in time"),
            Self::TimedOut => f.write_str("it took longer than its timeout and was stopped"),
            Self::Unreachable(why) => write!(f, "the host cannot be reached: {why}"),
            Self::Refused(why) => write!(f, "it could not be started: {why}"),
            Self::NotVerified(Some(exit)) => write!(f, "its `verify` did not pass in time: it exited with {exit}"),
            Self::NotVerified(None) => f.write_str("its `verify` could not be asked in time"),
            Self::NeverTrue(Some(exit)) => write!(f, "`until` did not come true in time: it exited with {exit}"),
            Self::NeverTrue(None) => f.write_str("`until` could not be asked in time"),
            Self::Asserted(broken) => f.write_str(&broken.join("; ")),
            Self::Expression(why) | Self::Hook(why) => f.write_str(why),
            Self::Transfer(why) => write!(f, "the transfer failed: {why}"),
            Self::Unknown(loss) => write!(f, "its outcome is unknown: {loss}"),
            Self::NotApproved { have, need } => write!(f, "nobody approved it in time: {have} of {need} said yes"),
            Self::Rejected { by, why } if why.is_empty() => write!(f, "{by} rejected it"),
            Self::Rejected { by, why } => write!(f, "{by} rejected it: {why}"),
            Self::Deadlock(why) => f.write_str(why),
            Self::Cancelled => f.write_str("it was stopped because the run was cancelled or undone"),
        }
    }
}

impl fmt::Display for ParkCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(cause) => write!(f, "{cause}"),
            Self::Unknown { loss, looked: None } => write!(f, "outcome unknown: {loss}"),
            Self::Unknown { loss, looked: Some(looked) } => write!(f, "outcome unknown: {loss}; {looked}"),
            Self::HookDiffers { number, recorded, made } => write!(
                f,
                "evaluated again, its hook did not do what it had done before: call {number} was `{recorded}`, and now is `{made}`"
            ),
            Self::UndoFailed(cause) => write!(f, "its undo failed: {cause}"),
            Self::NoReturn(cause) => write!(f, "{cause}; the point of no return was passed, so nothing was undone"),
        }
    }
}

impl fmt::Display for SkipCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::When => f.write_str("its `when` is false"),
            Self::NeedFailed(task) => write!(f, "{task} failed, which it needs"),
            Self::TooManyFailed(task) => write!(f, "{task} failed, and that is more than its step permits"),
            Self::ByHand => f.write_str("a person said so"),
            Self::RunStopped => f.write_str("the run was stopped before its turn came"),
        }
    }
}

impl fmt::Display for SuccessCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ran => "ran",
            Self::AlreadyDone => "was done already",
            Self::FoundDone => "was found done after its outcome had been unknown",
            Self::ByHand => "was done by hand",
            Self::Approved => "was approved",
            Self::Unopposed => "was taken for approved: nobody objected in time",
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "was cancelled",
            Self::Undone => "was undone",
        })
    }
}

impl TaskState {
    /// One word for lists, and for `steps.<id>.state` in expressions.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Active(attempt) => match attempt.at {
                At::Unless => "checking",
                At::Main | At::Transfer | At::Assert | At::Hook(_) => "running",
                At::Wait(_) => "pausing",
                At::Approval(_) => "asking",
                At::Probe(_) => "verifying",
                At::Settle { .. } | At::Lost(_) => "lost",
                At::Over => "ending",
            },
            Self::Pausing(_) => "retrying",
            Self::Parked(ParkCause::Unknown { .. } | ParkCause::HookDiffers { .. }) => "unknown",
            Self::Parked(ParkCause::Failed(_) | ParkCause::UndoFailed(_) | ParkCause::NoReturn(_)) => "parked",
            Self::Succeeded(_) => "succeeded",
            Self::Skipped(_) => "skipped",
            Self::Failed(_) => "failed",
        }
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl Phase {
    /// One word for lists.
    pub fn word(self) -> &'static str {
        match self {
            Self::New | Self::Main => "running",
            Self::Undoing => "undoing",
            Self::Finally => "finishing",
            Self::Ended(Outcome::Succeeded) => "succeeded",
            Self::Ended(Outcome::Failed) => "failed",
            Self::Ended(Outcome::Cancelled) => "cancelled",
            Self::Ended(Outcome::Undone) => "undone",
        }
    }
}
