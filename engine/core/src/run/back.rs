//! The way back of a run as it stands: what undo would take back now, in its order, and what it would leave, and why.

use crate::ids::RunId;
use crate::plan::TaskIndex;
use crate::runbook::Action;

use super::cause::{FailureCause, LossCause, ParkCause, SuccessCause};
use super::state::{Phase, Run};
use super::task::{At, TaskState, Undo};

/// What undo would do now.
#[derive(Debug, Clone, PartialEq)]
pub struct WayBack {
    /// What is taken back, in this order.
    pub steps: Vec<Back>,
    /// What was done, or may have been, and stays as it is; in the order of the plan.
    pub left: Vec<Left>,
    /// What was taken back already; in the order of the plan.
    pub done: Vec<TaskIndex>,
    /// Tasks that are past a point of no return: behind them nothing is undone unless a person asks for it.
    pub past_return: Vec<TaskIndex>,
}

/// A task that would be taken back.
#[derive(Debug, Clone, PartialEq)]
pub struct Back {
    /// Which.
    pub task: TaskIndex,
    /// Whether there is something to take back.
    pub happened: Happened,
    /// Where taking it back stands: nothing yet, going on, or failed and waiting for a person.
    pub undo: Undo,
}

/// Whether what is to be taken back happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Happened {
    /// Yes.
    Done(SuccessCause),
    /// It began and failed: some of it may have happened.
    Failed(Option<FailureCause>),
    /// It may have happened, or not.
    Unknown(LossCause),
    /// It is going on; it is stopped first.
    GoingOn,
    /// It began before it was left out.
    LeftOut,
}

/// A task that stays as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Left {
    /// Which.
    pub task: TaskIndex,
    /// Why.
    pub why: LeftCause,
}

/// Why a task stays as it is.
#[derive(Debug, Clone, PartialEq)]
pub enum LeftCause {
    /// Its step has no `undo`; whether it happened is told beside.
    NoUndo(Happened),
    /// It was done before this run came to it.
    AlreadyDone,
    /// Another run did it.
    TakenOver(RunId),
    /// A person said so.
    ByHand,
}

impl Run {
    /// What undo would do now, or why it is refused. What comes in between changes it: a task that is going on may come
    /// to its end, or turn out never to have begun.
    pub fn way_back(&self) -> Result<WayBack, String> {
        if self.phase != Phase::Undoing {
            self.may_undo()?;
        }
        let mut seen = imbl::OrdSet::new();
        let mut steps = Vec::new();
        for &index in self.begun.iter().rev() {
            let undo = &self.task(index).undo;
            let going_on = matches!(undo, Undo::Active { .. } | Undo::Over(_) | Undo::Parked(..));
            if (going_on || self.can_undo(index)) && seen.insert(index).is_none() {
                steps.push(Back { task: index, happened: self.happened(index), undo: undo.clone() });
            }
        }
        let tasks = (0..self.graph.len()).filter(|&task| !self.graph.is_finally(task));
        let left = tasks.clone().filter_map(|task| self.why_left(task).map(|why| Left { task, why })).collect();
        let done = tasks.clone().filter(|&t| self.task(t).undo == Undo::Done).collect();
        let point = |&t: &TaskIndex| self.task(t).began.is_some() && self.step_of(t).point_of_no_return;
        Ok(WayBack { steps, left, done, past_return: tasks.filter(point).collect() })
    }

    /// Whether nobody knows if the task happened.
    pub fn is_unknown(&self, task: TaskIndex) -> bool {
        matches!(self.happened(task), Happened::Unknown(_))
    }

    /// Why the run cannot be undone, if it cannot.
    pub(super) fn may_undo(&self) -> Result<(), String> {
        match self.phase {
            Phase::Undoing => match self.parked.iter().next() {
                Some(&task) => Err(format!(
                    "the run is being undone already; {} waits for a decision (retry, resolve or skip)",
                    self.graph.id(task)
                )),
                None => Err("the run is being undone already".to_owned()),
            },
            Phase::Finally => Err("the run is in its `finally` steps; there is nothing left to undo".to_owned()),
            Phase::New | Phase::Main if self.cancelled => Err("the run is being cancelled".to_owned()),
            Phase::New | Phase::Main if !self.has_its_locks() => {
                Err("nothing was done yet: the run waits for its locks".to_owned())
            }
            Phase::New | Phase::Main => Ok(()),
            Phase::Ended(outcome) => Err(format!("the run is over: it {outcome}")),
        }
    }

    /// Whether a failure of `failing` comes too late for everything to be undone without asking: a point of no return
    /// was passed, or a task is on its way past one.
    pub(super) fn is_past_return(&self, failing: TaskIndex) -> bool {
        let on_its_way = |&t: &TaskIndex| t != failing && self.step_of(t).point_of_no_return;
        self.no_return > 0 || self.active.iter().any(on_its_way)
    }

    fn happened(&self, index: TaskIndex) -> Happened {
        match &self.task(index).state {
            TaskState::Succeeded(how) => Happened::Done(*how),
            TaskState::Skipped(_) => Happened::LeftOut,
            TaskState::Waiting | TaskState::Pausing(_) | TaskState::Parked(ParkCause::HookDiffers { .. }) => {
                Happened::Failed(None)
            }
            TaskState::Failed(FailureCause::Unknown(loss)) | TaskState::Parked(ParkCause::Unknown { loss, .. }) => {
                Happened::Unknown(loss.clone())
            }
            TaskState::Failed(cause)
            | TaskState::Parked(ParkCause::Failed(cause) | ParkCause::UndoFailed(cause) | ParkCause::NoReturn(cause)) => {
                Happened::Failed(Some(cause.clone()))
            }
            TaskState::Active(attempt) => match &attempt.at {
                At::Settle { loss } | At::Lost(loss) => Happened::Unknown(loss.clone()),
                At::Unless
                | At::Main
                | At::Hook(_)
                | At::Transfer
                | At::Wait(_)
                | At::Assert
                | At::Approval(_)
                | At::Probe(_)
                | At::Over => Happened::GoingOn,
            },
        }
    }

    fn why_left(&self, index: TaskIndex) -> Option<LeftCause> {
        let (task, step) = (self.task(index), self.step_of(index));
        let acts = match step.action {
            Action::Run(_)
            | Action::Exec(_)
            | Action::Put(_)
            | Action::Get(_)
            | Action::Transfer(_)
            | Action::Reboot(_)
            | Action::Hook(_) => !self.graph.is_source(index),
            Action::Assert(_)
            | Action::WaitFor(_)
            | Action::WaitUntil(_)
            | Action::Approve(_)
            | Action::Block
            | Action::Call(_) => false,
        };
        if let (Some(run), TaskState::Succeeded(_), true) = (task.taken, &task.state, acts) {
            return Some(LeftCause::TakenOver(run));
        }
        match (task.began, &task.undo, &step.undo) {
            (_, Undo::Left, _) => Some(LeftCause::ByHand),
            (Some(_), Undo::Not, None) if acts => Some(LeftCause::NoUndo(self.happened(index))),
            (None, Undo::Not, _) if acts && task.state == TaskState::Succeeded(SuccessCause::AlreadyDone) => {
                Some(LeftCause::AlreadyDone)
            }
            (_, Undo::Not | Undo::Active { .. } | Undo::Over(_) | Undo::Parked(..) | Undo::Done, _) => None,
        }
    }
}
