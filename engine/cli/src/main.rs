//! The piton binary.
fn main() {}
