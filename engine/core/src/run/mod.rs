//! The run machine: facts fold into a state, news is decided into facts, and what should be in flight is read off the state.

mod apply;
mod decide;
mod effect;
mod event;
mod input;
mod kept;
mod outputs;
mod replay;
mod said;
mod say;
mod secrets;
mod state;
mod texts;

pub use apply::IllegalEvent;
pub use effect::{Change, Effect, TimerId, TimerKind};
pub use event::{
    BootId, Event, Exit, Extent, FailureCause, LossCause, Outcome, ParkCause, Printed, Recorded, SkipCause,
    SuccessCause,
};
pub use input::{Input, Refusal, Word, WordId};
pub use outputs::read_outputs;
pub use secrets::{Held, Secrets};
pub use state::{At, Attempt, Phase, Probing, Run, Stopping, Task, TaskState, Undo};
pub use texts::{JobText, PutText, TransferText, quote};
