//! Drives runs. The ports say what the engine needs from outside; the driver owns one run; the executor keeps
//! in flight what the run wants.

pub mod clock;
mod driver;
mod executor;
pub mod journal;
mod mail;
pub mod observer;
pub mod output;
pub mod secrets;
pub mod transport;

pub use driver::{DriveError, Driver, End, LEASE, Ports, Stay, load, load_up_to};
