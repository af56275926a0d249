//! The run machine: facts fold into a state, news is decided into facts, and what should be in flight is read off the state.

mod apply;
mod back;
mod cause;
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
mod scope;
mod secrets;
mod state;
mod taken;
mod task;
mod texts;
mod turns;

pub use apply::IllegalEvent;
pub use back::{Back, Happened, Left, LeftCause, WayBack};
pub use cause::{FailureCause, LossCause, Outcome, ParkCause, SkipCause, SuccessCause};
pub use effect::{Change, Effect, TimerId, TimerKind};
pub use event::{BootId, Event, Exit, Extent, Printed, Recorded};
pub use input::{Input, Refusal, Word, WordId};
pub use onto::{Obstacle, Onto};
pub use outputs::read_outputs;
pub use secrets::{Held, Secrets};
pub use state::{Phase, Run};
pub use taken::{Taken, TakenTask};
pub use task::{At, Attempt, Probing, Stopping, Task, TaskState, Undo};
pub use texts::{JobText, PutText, TransferText, quote};
