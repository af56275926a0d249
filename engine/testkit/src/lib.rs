//! For tests only: a run machine on a bench, a manual clock, a journal in memory, simulated hosts.

pub mod disk;
pub mod hosts;
mod laws;
pub mod machine;

pub mod plans;
pub mod sshd;

pub use piton_sim::{clock, journal};
