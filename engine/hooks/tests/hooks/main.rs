//! Hooks as whoever writes them sees them, and as the engine does when it dies.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod bench;
mod checked;
mod crashes;
mod documented;
mod functions;
mod library;
mod limits;
mod markup;
