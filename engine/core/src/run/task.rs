//! Where one task stands.

use std::sync::Arc;

use crate::ids::RunId;
use crate::time::Timestamp;
use crate::value::{Map, Value};

use super::approval::Asking;
use super::cause::{FailureCause, LossCause, ParkCause, SkipCause, SuccessCause};
use super::hold::Hold;
use super::hook::Hooking;
use super::process::{BootId, Exit, Printed};

/// One step on one host.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Task {
    /// Where it stands.
    pub state: TaskState,
    /// How many attempts were started.
    pub attempts: u32,
    /// How many of them had been started when a person last released it: the retries count from here.
    pub released: u32,
    /// How many lost attempts were repeated since then.
    pub repeated: u32,
    /// How many probes (`unless`, `verify`, `until`) were made in the last attempt; their jobs are told apart by it.
    pub probes: u32,
    /// How many jobs its hooks have asked for in the last attempt; they are numbered by it.
    pub calls: u32,
    /// In which attempt its action first began, or may have.
    pub began: Option<u32>,
    /// The exit status of the last main job.
    pub exit: Option<Exit>,
    /// What the last main job printed.
    pub printed: Printed,
    /// Its outputs.
    pub outputs: Arc<Map<String, Value>>,
    /// When its first attempt started.
    pub started: Option<Timestamp>,
    /// When it came to its end.
    pub ended: Option<Timestamp>,
    /// The locks that it must have.
    pub hold: Hold,
    /// How far taking it back has come.
    pub undo: Undo,
    /// The run whose result stands for it: this one did nothing about it.
    pub taken: Option<RunId>,
}

/// Where a task stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum TaskState {
    /// For the tasks it needs, or for its turn.
    #[default]
    Waiting,
    /// An attempt is going on.
    Active(Attempt),
    /// An attempt failed; the next starts at the given time.
    Pausing(Timestamp),
    /// Only a person can decide.
    Parked(ParkCause),
    /// Done.
    Succeeded(SuccessCause),
    /// Not done, and the run goes on as if it were not there.
    Skipped(SkipCause),
    /// Failed for good.
    Failed(FailureCause),
}

/// An attempt that is going on.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// What it is at.
    pub at: At,
    /// When it has taken too long.
    pub deadline: Option<Timestamp>,
    /// Why it is being stopped, if it is.
    pub stopping: Option<Stopping>,
    /// When it was allowed to begin.
    pub since: Timestamp,
    /// The boot id of its host, once a job was seen to begin there.
    pub boot: Option<BootId>,
}

/// What an attempt is at.
#[derive(Debug, Clone, PartialEq)]
pub enum At {
    /// Asking `unless`.
    Unless,
    /// The action, as a job.
    Main,
    /// The action, as a file transfer.
    Transfer,
    /// A hook: the action itself, or before or after it.
    Hook(Hooking),
    /// `wait for` until then; no time yet: it is about to begin.
    Wait(Option<Timestamp>),
    /// Evaluating assertions, which is over at once.
    Assert,
    /// People are asked; no question yet: they are about to be.
    Approval(Option<Asking>),
    /// Asking `verify` or `until`.
    Probe(Probing),
    /// The job is lost; `verify` or `unless` is asked whether it happened.
    Settle {
        /// What was found of the job.
        loss: LossCause,
    },
    /// The job is lost and nothing tells whether it happened; what to do about it is about to be decided.
    Lost(LossCause),
    /// What it was at is over; what follows is about to be decided.
    Over,
}

/// `verify` or `until` being asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Probing {
    /// When it was asked first.
    pub since: Timestamp,
    /// When it will be asked again; `None`: it is being asked.
    pub next: Option<Timestamp>,
    /// Whether a person says that the task was done by hand.
    pub by_hand: bool,
}

/// Why an attempt is being stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopping {
    /// It took longer than its `timeout`.
    TimedOut,
    /// The run was cancelled, or is being undone.
    Cancelled,
}

/// How far taking a task back has come.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Undo {
    /// Nothing was done about it.
    #[default]
    Not,
    /// The undo script is being run.
    Active {
        /// For which time, from 1.
        number: u32,
        /// When it was allowed to begin.
        since: Timestamp,
        /// The boot id of its host, once it was seen to begin.
        boot: Option<BootId>,
        /// When it has taken too long.
        deadline: Option<Timestamp>,
        /// Why it is being stopped, if it is.
        stopping: Option<Stopping>,
    },
    /// The undo script ended or was lost; what follows is about to be decided.
    Over(u32),
    /// It failed, and a person must decide; 0: it could not begin.
    Parked(u32, FailureCause),
    /// Taken back.
    Done,
    /// Left as it is.
    Left,
}
