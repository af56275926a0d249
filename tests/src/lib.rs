//! End-to-end tests of Piton.

pub mod cli;
pub mod lab;
pub mod machine;
pub mod mutations;
