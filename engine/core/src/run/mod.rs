//! The run machine: facts fold into a state, news is decided into facts, and what should be in flight is read off the state.

mod effect;
mod event;
mod input;

pub use effect::{Change, Effect, TimerId, TimerKind};
pub use event::{
    BootId, Event, Exit, Extent, FailureCause, LossCause, Outcome, ParkCause, Printed, Recorded, SkipCause,
    SuccessCause,
};
pub use input::{Input, Refusal, Word, WordId};

/// A run's state.
#[derive(Debug, Clone)]
pub struct Run {}
