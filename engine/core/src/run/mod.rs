//! The run machine: facts fold into a state, news is decided into facts, and what should be in flight is read off the state.

mod apply;
mod cause;
mod decide;
mod effect;
mod event;
mod input;
mod kept;
mod order;
mod outputs;
mod replay;
mod said;
mod say;
mod state;
mod task;
mod scope;
mod texts;

pub use apply::IllegalEvent;
pub use cause::{FailureCause, LossCause, Outcome, ParkCause, SkipCause, SuccessCause};
pub use effect::{Change, Effect, TimerId, TimerKind};
pub use event::{BootId, Event, Exit, Extent, Printed, Recorded};
pub use input::{Input, Refusal, Word, WordId};
pub use outputs::read_outputs;
pub use state::{Phase, Run};
pub use task::{At, Attempt, Probing, Stopping, Task, TaskState, Undo};
pub use texts::{JobText, PutText, TransferText, quote};
