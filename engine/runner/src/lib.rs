//! Drives runs. The ports say what the engine needs from outside; the driver owns one run; the executor keeps
//! in flight what the run wants.

pub mod clock;
mod driver;
mod executor;
pub mod hooks;
pub mod journal;
mod mail;
pub mod marks;
pub mod observer;
pub mod output;
mod ports;
mod room;
pub mod secrets;
pub mod transport;

pub use driver::{DriveError, Driver, End, LEASE, Stay, load, load_up_to};
pub use ports::Ports;
pub use room::Room;
