//! The port for whoever looks on. Observers change nothing, and must hold nothing up: they are called from the
//! engine's own tasks, so what may block (a stopped terminal) belongs behind a queue of theirs.

use piton_core::ids::{HostName, JobId, TaskId};
use piton_core::run::{Event, Recorded, Run};

use crate::output::Stream;

/// Looks on while a run is driven.
pub trait Observer: Send + Sync {
    /// A fact is durable and has been taken into the state.
    fn event(&self, run: &Run, event: &Recorded<Event>);

    /// Something worth showing that is no fact of the run.
    fn notice(&self, notice: &Notice);

    /// A job printed something. Not called for `no_log` steps.
    fn printed(&self, job: &JobId, stream: Stream, bytes: &[u8]);
}

/// Something worth showing that is no fact of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A connection was lost or could not be made; Piton goes on trying.
    Disconnected {
        /// To which host.
        host: HostName,
        /// Why.
        why: String,
    },
    /// The host is reached again.
    Connected {
        /// Which host.
        host: HostName,
    },
    /// A run or task stands in the queue for locks.
    Queued {
        /// Which task; `None`: the run as a whole.
        task: Option<TaskId>,
        /// For which, and who has them.
        what: String,
    },
    /// There is no room for the journal or for output; Piton goes on when there is.
    Full {
        /// What was said.
        why: String,
    },
}
