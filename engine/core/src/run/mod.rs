//! The run machine: facts fold into a state, news is decided into facts, and what should be in flight is read off the state.

mod apply;
mod back;
mod decide;
mod effect;
mod event;
mod input;
mod kept;
mod onto;
mod outputs;
mod replay;
mod said;
mod say;
mod state;
mod taken;
mod texts;

pub use apply::IllegalEvent;
pub use back::{Back, Happened, Left, LeftCause, WayBack};
pub use effect::{Change, Effect, TimerId, TimerKind};
pub use event::{
    BootId, Event, Exit, Extent, FailureCause, LossCause, Outcome, ParkCause, Printed, Recorded, SkipCause,
    SuccessCause,
};
pub use input::{Input, Refusal, Word, WordId};
pub use onto::{Obstacle, Onto};
pub use outputs::read_outputs;
pub use state::{At, Attempt, Phase, Probing, Run, Stopping, Task, TaskState, Undo};
pub use taken::{Taken, TakenTask};
pub use texts::{JobText, PutText, TransferText, quote};
