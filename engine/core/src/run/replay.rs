//! Rebuilds a run from its journal.

use std::sync::Arc;

use crate::ids::{JobId, RunId};
use crate::plan::Plan;
use crate::time::Timestamp;

use super::apply::IllegalEvent;
use super::event::{Event, Recorded};
use super::process::BootId;
use super::state::Run;
use super::task::{TaskState, Undo};

impl Run {
    /// Rebuilds a run from its journal. Everything in [`Run::wanted`] may be in flight or may not:
    /// whoever drives the run looks.
    pub fn replay<'e>(
        id: RunId,
        plan: Arc<Plan>,
        events: impl IntoIterator<Item = &'e Recorded<Event>>,
    ) -> Result<Self, IllegalEvent> {
        let mut run = Self::new(id, plan);
        for event in events {
            run.apply(event)?;
            run.take_changes();
        }
        Ok(run)
    }

    /// What tells later whether a wanted job can have begun: the boot id its host had then, where known,
    /// and since when it was allowed to begin.
    pub fn job_origin(&self, job: &JobId) -> (Option<BootId>, Timestamp) {
        let Some(task) = self.graph.find(&job.attempt.task).map(|t| self.task(t)) else {
            return (None, Timestamp::default());
        };
        match (&task.undo, &task.state) {
            (Undo::Active { boot, since, .. }, _) => (boot.clone(), *since),
            (_, TaskState::Active(attempt)) => (attempt.boot.clone(), attempt.since),
            (_, _) => (None, Timestamp::default()),
        }
    }
}
