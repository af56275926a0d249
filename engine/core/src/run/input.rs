//! News from outside, which may be refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::ids::{AttemptId, JobId, ParamName, TaskId};
use crate::value::{Map, Value};

use super::cause::LossCause;
use super::effect::TimerId;
use super::hook::HookCall;
use super::process::{BootId, Exit, Printed};

/// News about a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// An engine took the run over.
    Took {
        /// `machine:pid:nonce`.
        engine: String,
        /// The fencing number of its lease.
        fence: u64,
    },
    /// The engine may have room for more tasks.
    Room,
    /// The run's secrets were fetched.
    SecretsFetched {
        /// What they can be recognized by: `key:digest`; empty where that cannot be told.
        marks: BTreeMap<ParamName, String>,
    },
    /// Secrets cannot be had.
    SecretsMissing {
        /// Which, and why.
        missing: BTreeMap<ParamName, String>,
    },
    /// A job was seen to have begun.
    JobStarted {
        /// Which.
        job: JobId,
        /// The host's boot id.
        boot: BootId,
    },
    /// A job ended.
    JobExited {
        /// Which.
        job: JobId,
        /// How.
        exit: Exit,
        /// What it printed.
        printed: Printed,
        /// Its outputs, or why they cannot be read.
        outputs: Result<Map<String, Value>, String>,
    },
    /// Nobody will know how a job ended.
    JobLost {
        /// Which.
        job: JobId,
        /// What was found.
        why: LossCause,
    },
    /// A job certainly did not begin: the host cannot be reached, or refused it.
    JobRefused {
        /// Which.
        job: JobId,
        /// Why not.
        why: Refusal,
    },
    /// A job that was to be stopped is dead, and it is proven.
    JobStopped {
        /// Which.
        job: JobId,
        /// Its exit status, where it left one.
        exit: Option<Exit>,
        /// What it printed.
        printed: Printed,
    },
    /// A hook asks for something that it has not asked for before; `round` and `answer` are given to it.
    HookCalled {
        /// Which hook.
        hook: JobId,
        /// What it asks for.
        call: HookCall,
    },
    /// A hook that was evaluated again asked for something else than what stands in the journal.
    HookDiffered {
        /// Which hook.
        hook: JobId,
        /// Which of its calls, from 1.
        number: u32,
        /// What stands in the journal.
        recorded: String,
        /// What it asked for.
        made: String,
    },
    /// A hook came to its end.
    HookEnded {
        /// Which.
        hook: JobId,
        /// Its outputs, or why it ended badly.
        end: Result<Map<String, Value>, String>,
        /// What it logged.
        printed: Printed,
    },
    /// A file transfer is complete.
    Transferred {
        /// Which attempt.
        attempt: AttemptId,
        /// Bytes of the files.
        bytes: u64,
        /// Their digest.
        digest: Digest,
    },
    /// A file transfer has come so far.
    TransferProgressed {
        /// Which attempt.
        attempt: AttemptId,
        /// How many bytes of `total` have arrived or were there.
        moved: u64,
        /// How many bytes there are to move.
        total: u64,
        /// How many seconds it will go on at the present pace, where that can be told.
        left: Option<u64>,
    },
    /// A file transfer failed, or was stopped.
    TransferFailed {
        /// Which attempt.
        attempt: AttemptId,
        /// Why.
        why: Refusal,
    },
    /// A point in time that [`super::Run::wanted`] asked for has come.
    TimerFired(TimerId),
    /// The run (`None`) or the task has the locks that it asked for.
    LocksTaken(Option<TaskId>),
    /// It would wait for them for ever.
    LocksRefused {
        /// Which task; `None`: the run as a whole.
        task: Option<TaskId>,
        /// Who waits for whom.
        why: String,
    },
    /// The run is to go on with a corrected plan.
    Replanned {
        /// Who wants it.
        by: String,
        /// The reason given.
        why: String,
        /// The plan as [`crate::plan::Plan::to_json`] gives it.
        text: String,
    },
    /// Somebody said something.
    Said {
        /// Its number in the inbox.
        id: WordId,
        /// Who.
        by: String,
        /// What.
        word: Word,
    },
}

/// Why a job or transfer certainly did not begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The host could not be reached or did not let us in.
    Unreachable(String),
    /// The host was reached and could not do it.
    Refused(String),
}

/// The number of a word in a run's inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WordId(pub u64);

/// What people say to a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum Word {
    /// Stop everything; `finally` still runs.
    Cancel {
        /// The reason given.
        why: String,
    },
    /// Try the parked task again (or, while undoing, its undo).
    Retry {
        /// Which.
        task: TaskId,
        /// The reason given.
        why: String,
    },
    /// Go on as if the parked task were not there (or, while undoing, leave it as it is).
    Skip {
        /// Which.
        task: TaskId,
        /// The reason given.
        why: String,
    },
    /// The parked task was done by hand; its `verify` must pass.
    Resolve {
        /// Which.
        task: TaskId,
        /// Outputs that it would have had.
        outputs: Map<String, Value>,
        /// The reason given.
        why: String,
    },
    /// Take back what was done.
    Undo {
        /// The reason given.
        why: String,
    },
    /// Yes to what a task asks.
    Approve {
        /// Which.
        task: TaskId,
        /// What was shown; see [`super::Asking::facts`].
        facts: Digest,
        /// The groups of who says so, as their machine knows them.
        #[serde(default)]
        groups: Vec<String>,
        /// The reason given.
        why: String,
    },
    /// No to what a task asks.
    Reject {
        /// Which.
        task: TaskId,
        /// What was shown; see [`super::Asking::facts`].
        facts: Digest,
        /// The groups of who says so, as their machine knows them.
        #[serde(default)]
        groups: Vec<String>,
        /// The reason given.
        why: String,
    },
    /// Begin nothing new.
    Pause {
        /// The reason given.
        why: String,
    },
    /// Go on after a pause.
    Resume {
        /// The reason given.
        why: String,
    },
}
