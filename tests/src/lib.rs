//! End-to-end tests of Piton.

pub mod lab;
pub mod cli;
