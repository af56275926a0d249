//! End-to-end tests of Piton.

pub mod cli;
pub mod hosts;
pub mod lab;
pub mod machine;
pub mod mutations;
