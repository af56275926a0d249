//! Rebuilds a run from its journal.

use std::sync::Arc;

use crate::ids::RunId;
use crate::plan::Plan;

use super::apply::IllegalEvent;
use super::event::{Event, Recorded};
use super::state::Run;

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
}
