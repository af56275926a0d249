//! Plays runbooks on simulated hosts, with the driver and executor that real runs have: what is tested is what runs.
//!
//! Time does not pass; when nothing can go on, the clock jumps to the next moment for which somebody waits.
//! The same test always gives the same result.

pub mod clock;
mod effects;
mod faults;
mod file;
mod hosts;
pub mod journal;
mod output;
mod play;
mod secrets;
mod site;
mod turns;
mod world;

pub use faults::{Verdict, test};
pub use play::Staged;
