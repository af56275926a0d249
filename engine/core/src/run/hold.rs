//! Locks that a run or a task must have: asked for, taken, given back.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::TaskId;
use crate::lock::{Lock, bad_name};
use crate::plan::TaskIndex;

use super::cause::FailureCause;
use super::decide::Draft;
use super::effect::{Change, Effect};
use super::event::Event;
use super::state::{Phase, Run};

/// How far a run or task has come with the locks that it must have.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Hold {
    /// It has none and has asked for none.
    #[default]
    No,
    /// It stands in the queue for these.
    Asked(Arc<[Lock]>),
    /// It has these.
    Taken(Arc<[Lock]>),
}

impl Run {
    /// How far the run as a whole has come with its locks.
    pub fn hold(&self) -> &Hold {
        &self.hold
    }

    /// The tasks that stand in the queue for locks.
    pub fn queueing(&self) -> impl Iterator<Item = TaskIndex> + '_ {
        self.queueing.iter().copied()
    }

    /// The locks that a task must have, by name, each once.
    pub fn locks_of(&self, task: TaskIndex) -> Result<Vec<Lock>, String> {
        let mut locks: BTreeMap<String, u32> = BTreeMap::new();
        for wanted in &self.step_of(task).locks {
            let name = self.render(task, "locks", &wanted.name)?;
            if let Some(what) = bad_name(&name) {
                return Err(format!("the name of the lock `{}` {what}", name.escape_debug()));
            }
            let most = locks.entry(name).or_insert(wanted.most);
            *most = wanted.most.min(*most);
        }
        Ok(locks.into_iter().map(|(name, most)| Lock { name, most }).collect())
    }

    pub(super) fn locks_asked(&mut self, task: Option<&TaskId>, locks: &[Lock]) -> Result<(), String> {
        let asked = Hold::Asked(locks.into());
        self.changes.push(Change::Ask { task: task.cloned(), locks: locks.to_vec() });
        let Some(task) = task else {
            if self.hold != Hold::No {
                return Err("the run has asked for its locks before".to_owned());
            }
            self.hold = asked;
            self.want(Effect::Hold(None));
            return Ok(());
        };
        let index = self.named(task)?;
        self.change(index, |t| match t.hold {
            Hold::No => {
                t.hold = asked;
                Ok(())
            }
            Hold::Asked(_) | Hold::Taken(_) => Err("it has asked for its locks before".to_owned()),
        })?;
        self.unit_begins(index);
        Ok(())
    }

    pub(super) fn locks_taken(&mut self, task: Option<&TaskId>) -> Result<(), String> {
        let Some(task) = task else {
            let Hold::Asked(locks) = &self.hold else { return Err("the run has not asked for locks".to_owned()) };
            self.hold = Hold::Taken(locks.clone());
            self.want_no_more(&Effect::Hold(None));
            return Ok(());
        };
        let index = self.named(task)?;
        self.change(index, |t| {
            let Hold::Asked(locks) = &t.hold else { return Err("it has not asked for locks".to_owned()) };
            t.hold = Hold::Taken(locks.clone());
            Ok(())
        })
    }

    pub(super) fn locks_refused(&mut self, task: &TaskId) -> Result<(), String> {
        let index = self.named(task)?;
        self.change(index, |t| {
            let Hold::Asked(_) = t.hold else { return Err("it has not asked for locks".to_owned()) };
            t.hold = Hold::No;
            Ok(())
        })
    }

    /// Whoever stands in a queue leaves it: nothing new begins.
    pub(super) fn leave_queues(&mut self) {
        if let Hold::Asked(_) = self.hold {
            self.hold = Hold::No;
            self.want_no_more(&Effect::Hold(None));
            self.changes.push(Change::Free { task: None });
        }
        for index in self.queueing.iter().copied().collect::<Vec<_>>() {
            // The closure refuses nothing, so neither does the change.
            let _infallible = self.change(index, |t| {
                t.hold = Hold::No;
                Ok(())
            });
        }
    }

    /// Whether the run may begin as far as its own locks are concerned.
    pub(super) fn has_its_locks(&self) -> bool {
        self.plan.locks.is_empty() || matches!(self.hold, Hold::Taken(_))
    }

    fn want(&mut self, effect: Effect) {
        self.wanted.insert(effect.clone());
        self.changes.push(Change::Begin(effect));
    }

    fn want_no_more(&mut self, effect: &Effect) {
        self.wanted.remove(effect);
        self.changes.push(Change::Drop(effect.clone()));
    }
}

impl Draft {
    /// Whether the task has the locks that it must have; else it asks for them, or cannot start.
    pub(in crate::run) fn may_begin(&mut self, task: TaskIndex) -> bool {
        match (&self.run.task(task).hold, self.run.step_of(task).locks.is_empty()) {
            (_, true) | (Hold::Taken(_), false) => return true,
            (Hold::Asked(_), false) => return false,
            (Hold::No, false) => {}
        }
        match self.run.locks_of(task) {
            Ok(locks) => self.push(Event::LocksAsked { task: Some(self.name(task)), locks }),
            Err(error) => self.cannot_begin(task, FailureCause::Expression(error)),
        }
        false
    }

    /// Neither the task nor, while the run is being undone, its undo can begin.
    fn cannot_begin(&mut self, task: TaskIndex, cause: FailureCause) {
        if self.run.phase == Phase::Undoing {
            self.undo_failed(task, cause);
        } else {
            self.unstartable(task, cause);
        }
    }

    /// The store says how it stands with the locks of the run or a task.
    pub(in crate::run) fn granted(&mut self, task: Option<&TaskId>, refused: Option<&str>) {
        let index = task.and_then(|task| self.run.graph.find(task));
        let hold = match index {
            Some(index) => &self.run.task(index).hold,
            None if task.is_none() => &self.run.hold,
            None => return,
        };
        let Hold::Asked(_) = hold else { return };
        match (refused, task, index) {
            (None, task, _) => self.push(Event::LocksTaken { task: task.cloned() }),
            (Some(why), Some(task), Some(index)) => {
                self.push(Event::LocksRefused { task: task.clone(), why: why.to_owned() });
                self.cannot_begin(index, FailureCause::Deadlock(why.to_owned()));
            }
            // What a run asks for as a whole it asks for first: nobody can wait for it then.
            (Some(_), _, _) => {}
        }
    }
}
