//! What people say to a run, and why it may not be followed.

use crate::ids::TaskId;
use crate::plan::TaskIndex;

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
        let follows = self.follows(word);
        let refused = follows.as_ref().err().cloned();
        self.push(Event::WordTaken { id, by: by.to_owned(), word: word.clone(), refused });
        for event in follows.into_iter().flatten() {
            self.push(event);
        }
        if let Word::Resolve { task, .. } = word
            && let Some(index) = self.run.graph.find(task)
            && matches!(&self.run.task(index).state, TaskState::Active(a) if a.at == At::Over)
        {
            self.push(Event::TaskSucceeded { task: task.clone(), how: SuccessCause::ByHand });
        }
    }

    /// The facts that follow from a word, or why it is refused.
    fn follows(&self, word: &Word) -> Result<Vec<Event>, String> {
        if let Phase::Ended(outcome) = self.run.phase {
            return Err(format!("the run is over: it {outcome}"));
        }
        match word {
            Word::Cancel { .. } if self.run.cancelled && self.run.phase != Phase::Finally => {
                Err("the run is being cancelled already".to_owned())
            }
            Word::Cancel { .. } if self.run.abandoned => Err("the run is being cancelled already".to_owned()),
            Word::Cancel { .. } => Ok(vec![Event::CancelStarted]),
            Word::Undo { .. } => self.undo(),
            Word::Retry { task, .. } => match self.parked(task)? {
                (_, Undo::Parked(number, _)) => {
                    Ok(vec![Event::UndoAttemptStarted { task: task.clone(), attempt: number + 1 }])
                }
                (_, Undo::Not | Undo::Active { .. } | Undo::Over(_) | Undo::Done | Undo::Left) => {
                    Ok(vec![Event::TaskReleased { task: task.clone() }])
                }
            },
            Word::Skip { task, .. } => match self.parked(task)? {
                (_, Undo::Parked(..)) => Ok(vec![Event::UndoSkipped { task: task.clone() }]),
                (_, Undo::Not | Undo::Active { .. } | Undo::Over(_) | Undo::Done | Undo::Left) => {
                    Ok(vec![Event::TaskSkipped { task: task.clone(), why: SkipCause::ByHand }])
                }
            },
            Word::Resolve { task, outputs, .. } => match self.parked(task)? {
                (_, Undo::Parked(..)) => Ok(vec![Event::TaskUndone { task: task.clone() }]),
                (_, Undo::Not | Undo::Active { .. } | Undo::Over(_) | Undo::Done | Undo::Left) => {
                    Ok(vec![Event::ResolveStarted { task: task.clone(), outputs: outputs.clone() }])
                }
            },
        }
    }

    fn undo(&self) -> Result<Vec<Event>, String> {
        match self.run.phase {
            Phase::Undoing => Err("the run is being undone already".to_owned()),
            Phase::Finally => Err("the run is in its `finally` steps; there is nothing left to undo".to_owned()),
            Phase::New | Phase::Main if self.run.cancelled => Err("the run is being cancelled".to_owned()),
            Phase::New | Phase::Main => Ok(vec![Event::UndoStarted { because: None }]),
            Phase::Ended(outcome) => Err(format!("the run is over: it {outcome}")),
        }
    }

    fn parked(&self, task: &TaskId) -> Result<(TaskIndex, Undo), String> {
        let Some(index) = self.run.graph.find(task) else {
            return Err(match self.run.graph.of_step(&task.step) {
                none if none.is_empty() => format!("the run has no task {task}"),
                some => {
                    let names: Vec<String> = some.into_iter().map(|t| self.run.graph.id(t).to_string()).take(8).collect();
                    format!("the run has no task {task}; step {} has {}", task.step, names.join(", "))
                }
            });
        };
        if self.run.cancelled {
            return Err("the run is being cancelled".to_owned());
        }
        if !self.run.parked.contains(&index) {
            return Err(format!("{task} does not wait for a decision: it is {}", self.run.task(index).state));
        }
        Ok((index, self.run.task(index).undo.clone()))
    }
}
