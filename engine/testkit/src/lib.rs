//! For tests only: a run machine on a bench, a manual clock, a journal in memory, simulated hosts.

pub mod clock;
pub mod hosts;
pub mod journal;
pub mod machine;

pub mod plans;
pub mod sshd;
