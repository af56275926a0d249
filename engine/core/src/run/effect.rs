//! What should be in flight right now. Imperative; nothing here has happened yet.

use crate::ids::{AttemptId, JobId, TaskId};
use crate::lock::Lock;
use crate::time::Timestamp;

/// Something that should be in flight.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Have the run's secrets at hand, and report that.
    Fetch,
    /// Have the job run on its host (once), follow it, report its end.
    Carry(JobId),
    /// Have the job dead, and prove it.
    Stop(JobId),
    /// Have the attempt's files transferred.
    Transfer(AttemptId),
    /// Have the hook evaluated: what it has been answered before is told to it again, and what it asks for is reported.
    Hook(JobId),
    /// Have the hook told what it was answered.
    Answer {
        /// Which hook.
        hook: JobId,
        /// How many of its calls are answered.
        answered: u32,
    },
    /// Report when `at` has come.
    Wake {
        /// Which timer.
        timer: TimerId,
        /// When.
        at: Timestamp,
    },
    /// Report when the run (`None`) or the task has the locks that it asked for, or is refused.
    Hold(Option<TaskId>),
}

/// A timer of a task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerId {
    /// Whose.
    pub task: TaskId,
    /// What for.
    pub what: TimerKind,
    /// Which attempt asked for it.
    pub attempt: u32,
    /// Tells timers of one attempt apart.
    pub round: u32,
}

/// What a timer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimerKind {
    /// The attempt has taken too long.
    Deadline,
    /// The next attempt is due.
    Retry,
    /// The probe is to be asked again.
    Probe,
    /// A `wait for` is over.
    Wait,
    /// An undo has taken too long; `attempt` is the number of its try.
    Undo,
}

/// A change of what is wanted, so that nobody has to compare the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Now wanted.
    Begin(Effect),
    /// No longer wanted.
    Drop(Effect),
    /// These locks are asked for; to be stored together with the events that say so.
    Ask {
        /// For which task; `None`: for the run as a whole.
        task: Option<TaskId>,
        /// Which.
        locks: Vec<Lock>,
    },
    /// The locks are given back, or no longer asked for; to be stored likewise.
    Free {
        /// Those of which task; `None`: of the run as a whole.
        task: Option<TaskId>,
    },
}
