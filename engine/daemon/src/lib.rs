//! The service: what starts runs without anybody asking for them just then.
//!
//! It drives no run itself: it makes runs, durably, and whoever drives the runs of the state directory takes them up.

pub mod scheduler;
