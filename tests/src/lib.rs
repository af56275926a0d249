//! End-to-end tests of Piton.
