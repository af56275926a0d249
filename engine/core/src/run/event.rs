//! The facts of a run. Past tense, never changed, one journal entry each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::ids::{JobId, ParamName, RunId, RunbookName, TaskId};
use crate::lock::Lock;
use crate::plan::Item;
use crate::time::Timestamp;
use crate::value::{Map, Value};

use super::cause::{FailureCause, LossCause, Outcome, ParkCause, SkipCause, SuccessCause};
use super::hook::HookCall;
use super::input::{Word, WordId};
use super::process::{BootId, Exit, Printed};
use super::taken::TakenTask;

/// An entry of the journal: what, when, and its place in the run, counted from 1 without gaps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded<E> {
    /// Its place in the run, from 1.
    pub seq: u64,
    /// When the engine wrote it down.
    pub at: Timestamp,
    /// The fact.
    pub event: E,
}

/// A fact about a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// Somebody asked for the run.
    RunCreated {
        /// Who: `user@machine`.
        by: String,
        /// The runbook's name.
        runbook: RunbookName,
        /// The digest of the plan, which is stored beside the journal.
        plan: Digest,
    },
    /// The run begins where another one, which is over, came to: these results of it stand.
    TakenOver {
        /// The run that they are from.
        from: RunId,
        /// The digest of its plan when they came about.
        plan: Digest,
        /// The number of its last event then.
        seq: u64,
        /// The last link of its journal's chain then: the results are those, and no others.
        head: Digest,
        /// What stands.
        tasks: Vec<TakenTask>,
    },
    /// The run goes on with a corrected plan; what happened before happened under the one before.
    PlanReplaced {
        /// Who wanted it.
        by: String,
        /// The reason given.
        why: String,
        /// The digest of `text`.
        plan: Digest,
        /// The plan as [`crate::plan::Plan::to_json`] gives it: both plans are kept, and the chain covers both.
        text: String,
    },
    /// An engine has taken the run over and drives it from here on.
    EngineTook {
        /// `machine:pid:nonce`.
        engine: String,
        /// The fencing number of its lease.
        fence: u64,
    },
    /// The engine has the run's secrets, fetched anew.
    SecretsFetched {
        /// What they can be recognized by, made with a key that is not in the journal; empty where there is none.
        marks: BTreeMap<ParamName, String>,
        /// Those that are not what they were when they were last fetched.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changed: Vec<ParamName>,
    },
    /// Secrets cannot be had: the run stands still until a person sees to it.
    SecretsMissing {
        /// Which, and why.
        missing: BTreeMap<ParamName, String>,
    },
    /// The task will not be done.
    TaskSkipped {
        /// Which.
        task: TaskId,
        /// Why.
        why: SkipCause,
    },
    /// The items of a step became known: from here on it has a task for each.
    StepExpanded {
        /// The task that found them out.
        task: TaskId,
        /// The items, in order.
        items: Vec<Item>,
    },
    /// A called runbook begins.
    CallEntered {
        /// The task that calls it.
        task: TaskId,
        /// The values of its parameters.
        params: BTreeMap<ParamName, Value>,
    },
    /// The task could not begin: its `when`, `env` or another expression has no value.
    TaskUnstartable {
        /// Which.
        task: TaskId,
    },
    /// An attempt may begin: from here on its job may exist on the host.
    AttemptStarted {
        /// Which task.
        task: TaskId,
        /// The attempt's number, from 1.
        attempt: u32,
        /// When it has taken too long.
        deadline: Option<Timestamp>,
    },
    /// A job was seen to have begun (written for jobs that do not end at once).
    JobStarted {
        /// Which.
        job: JobId,
        /// The host's boot id at that time.
        boot: BootId,
    },
    /// A job came to its end and its exit status is known.
    JobExited {
        /// Which.
        job: JobId,
        /// How.
        exit: Exit,
        /// What it printed.
        printed: Printed,
        /// What it put out by name; only for the main part.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        outputs: Map<String, Value>,
    },
    /// A job was begun, or may have been, and nobody will ever know how it ended.
    JobLost {
        /// Which.
        job: JobId,
        /// What was found.
        why: LossCause,
    },
    /// A job was stopped on purpose, and it is proven that nothing of it lives.
    JobStopped {
        /// Which.
        job: JobId,
        /// Its exit status, where it left one.
        exit: Option<Exit>,
        /// What it printed.
        printed: Printed,
    },
    /// A file transfer came to its end.
    Transferred {
        /// Which task.
        task: TaskId,
        /// The attempt's number.
        attempt: u32,
        /// How many bytes the files have.
        bytes: u64,
        /// The digest of the file (of the sorted list of digests, for a directory).
        digest: Digest,
    },
    /// The hook after the action may begin. (The one before it begins with the attempt, the action itself when its turn comes.)
    HookStarted {
        /// Which.
        hook: JobId,
    },
    /// A hook asked for something: from here on the job that does it may exist.
    HookCalled {
        /// Which hook.
        hook: JobId,
        /// What it asked for.
        call: HookCall,
    },
    /// A hook came to its end.
    HookEnded {
        /// Which.
        hook: JobId,
        /// What it put out by name.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        outputs: Map<String, Value>,
        /// What it logged.
        #[serde(default)]
        printed: Printed,
        /// Why it ended badly, if it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<String>,
    },
    /// A file transfer has come so far; written now and then, for those who look on.
    TransferProgressed {
        /// Which task.
        task: TaskId,
        /// The attempt's number.
        attempt: u32,
        /// How many bytes of `total` have arrived or were there.
        moved: u64,
        /// How many bytes there are to move.
        total: u64,
        /// How many seconds it will go on at the present pace, where that can be told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        left: Option<u64>,
    },
    /// The attempt took longer than its `timeout`; it is being stopped.
    AttemptTimedOut {
        /// Which task.
        task: TaskId,
        /// The attempt's number.
        attempt: u32,
    },
    /// The attempt did not do what it should.
    AttemptFailed {
        /// Which task.
        task: TaskId,
        /// The attempt's number.
        attempt: u32,
        /// Why.
        cause: FailureCause,
    },
    /// The next attempt will be made at `at`.
    RetryScheduled {
        /// Which task.
        task: TaskId,
        /// When.
        at: Timestamp,
        /// Whether it is made because the last one was lost and its step says `repeat: safe`.
        repeat: bool,
    },
    /// `verify` or `until` said no; it will be asked again at `at`.
    ProbeScheduled {
        /// Which task.
        task: TaskId,
        /// When.
        at: Timestamp,
    },
    /// `verify` or `until` is being asked again.
    ProbeStarted {
        /// Which task.
        task: TaskId,
    },
    /// A `wait for` began.
    WaitStarted {
        /// Which task.
        task: TaskId,
        /// When it is over.
        until: Timestamp,
    },
    /// The task is done.
    TaskSucceeded {
        /// Which.
        task: TaskId,
        /// How it came to be done.
        how: SuccessCause,
    },
    /// The task failed for good, and the run goes on without it.
    TaskFailed {
        /// Which.
        task: TaskId,
        /// Why.
        cause: FailureCause,
    },
    /// Only a person can decide how the task goes on.
    TaskParked {
        /// Which.
        task: TaskId,
        /// Why.
        why: ParkCause,
    },
    /// A person's word was taken up, and followed or refused.
    WordTaken {
        /// Its number in the inbox.
        id: WordId,
        /// Who said it.
        by: String,
        /// What.
        word: Word,
        /// The reason why it was not followed; `None` if it was.
        refused: Option<String>,
    },
    /// A person says that the parked task was done by hand; its `verify`, if it has one, is being asked.
    ResolveStarted {
        /// Which.
        task: TaskId,
        /// Outputs that it would have had.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        outputs: Map<String, Value>,
    },
    /// A person put the task back to be tried again.
    TaskReleased {
        /// Which.
        task: TaskId,
    },
    /// People are asked.
    ApprovalAsked {
        /// For which task.
        task: TaskId,
        /// The attempt's number.
        attempt: u32,
        /// What they are asked, with the values of that time.
        text: String,
        /// What a vote must name; see [`super::Asking::facts`].
        facts: Digest,
        /// How many must say yes.
        need: u32,
        /// Who may, in words.
        who: String,
        /// How long they have.
        until: Option<Timestamp>,
    },
    /// A vote was counted.
    Voted {
        /// For which task.
        task: TaskId,
        /// The attempt's number.
        attempt: u32,
        /// Whose.
        by: String,
        /// Whether it was a yes.
        yes: bool,
        /// How many more are needed.
        missing: u32,
    },
    /// The run, or a task of it, stands in the queue for locks.
    LocksAsked {
        /// Which task; `None`: the run as a whole.
        task: Option<TaskId>,
        /// For which.
        locks: Vec<Lock>,
    },
    /// The run or task has its locks. They are given back when the run is over or the task settled.
    LocksTaken {
        /// Which task; `None`: the run as a whole.
        task: Option<TaskId>,
    },
    /// To wait for the locks would be to wait for ever.
    LocksRefused {
        /// Which task.
        task: TaskId,
        /// Who waits for whom.
        why: String,
    },
    /// Nothing new begins until the run is resumed.
    RunPaused {
        /// Who said so.
        by: String,
        /// The reason given.
        why: String,
    },
    /// The run goes on after a pause.
    RunResumed,
    /// The run is being cancelled: nothing new starts, what runs is stopped.
    CancelStarted,
    /// What was done is being taken back.
    UndoStarted {
        /// The task whose failure asked for it; `None`: a person did.
        because: Option<TaskId>,
    },
    /// The undo of a task may begin: from here on its undo job may exist on the host.
    UndoAttemptStarted {
        /// Which task.
        task: TaskId,
        /// The number of this try, from 1.
        attempt: u32,
        /// When it has taken too long.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
    },
    /// The undo took longer than it may; it is being stopped.
    UndoTimedOut {
        /// Of which task.
        task: TaskId,
        /// The number of the try.
        attempt: u32,
    },
    /// The task was taken back.
    TaskUndone {
        /// Which.
        task: TaskId,
    },
    /// The task is left as it is: a person said so, or undo stops here.
    UndoSkipped {
        /// Which task.
        task: TaskId,
    },
    /// The steps under `finally` may begin.
    FinallyStarted,
    /// The run is over.
    RunEnded {
        /// How.
        outcome: Outcome,
    },
}
