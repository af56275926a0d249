//! What people say to a run, and why it may not be followed.

use crate::ids::TaskId;
use crate::plan::TaskIndex;

use super::approval::Vote;
use super::cause::{SkipCause, SuccessCause};
use super::decide::Draft;
use super::event::Event;
use super::input::{Word, WordId};
use super::state::Phase;
use super::task::{At, TaskState, Undo};

impl Draft {
    /// Follows a word, or writes down why not.
    pub(super) fn said(&mut self, id: WordId, by: &str, word: &Word) {
        if self.run.last_word >= Some(id) {
            return;
        }
        let follows = self.follows(by, word);
        let refused = follows.as_ref().err().cloned();
        self.push(Event::WordTaken { id, by: by.to_owned(), word: word.clone(), refused: refused.clone() });
        for event in follows.into_iter().flatten() {
            self.push(event);
        }
        if let Word::Resolve { task, .. } = word
            && let Some(index) = self.run.graph.find(task)
            && matches!(&self.run.task(index).state, TaskState::Active(a) if a.at == At::Over)
        {
            self.push(Event::TaskSucceeded { task: task.clone(), how: SuccessCause::ByHand });
        }
        if let (Some(vote), None) = (vote_of(word), refused) {
            self.counted(by, vote);
        }
    }

    /// The facts that follow from a word, or why it is refused.
    fn follows(&self, by: &str, word: &Word) -> Result<Vec<Event>, String> {
        if let Phase::Ended(outcome) = self.run.phase {
            return Err(format!("the run is over: it {outcome}"));
        }
        match word {
            Word::Cancel { .. } if self.run.cancelled && self.run.phase != Phase::Finally => {
                Err("the run is being cancelled already".to_owned())
            }
            Word::Cancel { .. } if self.run.abandoned => Err("the run is being cancelled already".to_owned()),
            Word::Cancel { .. } => Ok(vec![Event::CancelStarted]),
            Word::Undo { .. } => self.run.may_undo().map(|()| vec![Event::UndoStarted { because: None }]),
            Word::Pause { .. } if self.run.paused.is_some() => Err("the run is paused already".to_owned()),
            Word::Pause { why } => Ok(vec![Event::RunPaused { by: by.to_owned(), why: why.clone() }]),
            Word::Resume { .. } if self.run.paused.is_none() => Err("the run is not paused".to_owned()),
            Word::Resume { .. } => Ok(vec![Event::RunResumed]),
            Word::Approve { .. } | Word::Reject { .. } => match vote_of(word) {
                Some(vote) => self.vote(by, vote),
                None => Ok(Vec::new()),
            },
            Word::Retry { task, .. } => match self.parked(task)? {
                (_, Undo::Parked(..)) if self.run.paused.is_some() => Err(PAUSED.to_owned()),
                (_, Undo::Parked(0, _)) => Ok(vec![Event::TaskReleased { task: task.clone() }]),
                (index, Undo::Parked(number, _)) => Ok(vec![self.run.undo_begins(index, number + 1, self.now)]),
                (_, Undo::Not | Undo::Active { .. } | Undo::Over(_) | Undo::Done | Undo::Left) => {
                    Ok(vec![Event::TaskReleased { task: task.clone() }])
                }
            },
            Word::Skip { task, .. } => match self.parked(task)? {
                (_, Undo::Parked(..)) => Ok(vec![Event::UndoSkipped { task: task.clone() }]),
                (index, _) if self.run.is_approval(index) => Err(no_way_round(task, "skipped")),
                (_, Undo::Not | Undo::Active { .. } | Undo::Over(_) | Undo::Done | Undo::Left) => {
                    Ok(vec![Event::TaskSkipped { task: task.clone(), why: SkipCause::ByHand }])
                }
            },
            Word::Resolve { task, outputs, .. } => match self.parked(task)? {
                (index, Undo::Not) if self.run.graph.is_source(index) || self.run.step_of(index).call().is_some() => {
                    Err(format!("{task} has nothing to do by hand: put right what it reads and `retry`, or `skip` it"))
                }
                (_, Undo::Parked(..)) => Ok(vec![Event::TaskUndone { task: task.clone() }]),
                (index, _) if self.run.is_approval(index) => Err(no_way_round(task, "resolved")),
                (index, _) if self.run.paused.is_some() && self.run.step_of(index).verify.is_some() => {
                    Err(PAUSED.to_owned())
                }
                (_, Undo::Not | Undo::Active { .. } | Undo::Over(_) | Undo::Done | Undo::Left) => {
                    Ok(vec![Event::ResolveStarted { task: task.clone(), outputs: outputs.clone() }])
                }
            },
        }
    }

    /// The task of this name, or which ones there are.
    pub(super) fn task_named(&self, task: &TaskId) -> Result<TaskIndex, String> {
        self.run.graph.find(task).ok_or_else(|| match self.run.graph.of_step(&task.step) {
            none if none.is_empty() => format!("the run has no task {task}"),
            some => {
                let names: Vec<String> = some.into_iter().map(|t| self.run.graph.id(t).to_string()).take(8).collect();
                format!("the run has no task {task}; step {} has {}", task.step, names.join(", "))
            }
        })
    }

    fn parked(&self, task: &TaskId) -> Result<(TaskIndex, Undo), String> {
        let index = self.task_named(task)?;
        if self.run.cancelled {
            return Err("the run is being cancelled".to_owned());
        }
        if !self.run.parked.contains(&index) {
            let state = &self.run.task(index).state;
            return Err(format!("{task} does not wait for a decision: it is {state}; {}", self.instead(state)));
        }
        Ok((index, self.run.task(index).undo.clone()))
    }

    /// What a person can do about a task that waits for no decision.
    fn instead(&self, state: &TaskState) -> &'static str {
        match (state, self.run.phase) {
            (_, Phase::Undoing) => "the run is being undone, `cancel` stops that",
            (TaskState::Waiting, _) => "its turn has not come, `why` tells what it waits for",
            (TaskState::Active(_) | TaskState::Pausing(_), _) => {
                "`cancel` stops the run, `undo` also takes back what was done"
            }
            (TaskState::Succeeded(_), _) => {
                "`undo` takes back what was done; when the run is over, `rerun --from` does it again"
            }
            (TaskState::Parked(_) | TaskState::Skipped(_) | TaskState::Failed(_), _) => {
                "when the run is over, `rerun` does it again in a new run"
            }
        }
    }
}

const PAUSED: &str = "the run is paused: nothing new begins before `piton resume`";

/// An approval that could be skipped by whoever is in a hurry would be none.
fn no_way_round(task: &TaskId, done: &str) -> String {
    format!("{task} is an approval, which cannot be {done}; `piton retry` has it asked again")
}

fn vote_of(word: &Word) -> Option<Vote<'_>> {
    match word {
        Word::Approve { task, facts, groups, .. } => Some(Vote { task, facts: *facts, groups, no: None }),
        Word::Reject { task, facts, groups, why } => Some(Vote { task, facts: *facts, groups, no: Some(why) }),
        Word::Cancel { .. }
        | Word::Retry { .. }
        | Word::Skip { .. }
        | Word::Resolve { .. }
        | Word::Undo { .. }
        | Word::Pause { .. }
        | Word::Resume { .. } => None,
    }
}
