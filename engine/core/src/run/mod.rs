//! The run machine: facts fold into a state, news is decided into facts, and what should be in flight is read off the state.

mod apply;
mod approval;
mod cause;
mod decide;
mod effect;
mod event;
mod hold;
mod input;
mod kept;
mod outputs;
mod pause;
mod replay;
mod said;
mod say;
mod state;
mod task;
mod texts;
mod waits;

pub use apply::IllegalEvent;
pub use approval::Asking;
pub use cause::{FailureCause, LossCause, Outcome, ParkCause, SkipCause, SuccessCause};
pub use effect::{Change, Effect, TimerId, TimerKind};
pub use event::{BootId, Event, Exit, Extent, Printed, Recorded};
pub use hold::Hold;
pub use input::{Input, Refusal, Word, WordId};
pub use outputs::read_outputs;
pub use pause::Pause;
pub use state::{Phase, Run};
pub use task::{At, Attempt, Probing, Stopping, Task, TaskState, Undo};
pub use texts::{JobText, PutText, TransferText, quote};
pub use waits::{WaitKind, Waits};
