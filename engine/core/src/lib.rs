//! The pure middle of Piton: documents become plans, plans become runs.
//!
//! Nothing here waits, reads a file, asks a clock or rolls dice. Time and news come in as values,
//! and what follows from them goes out as values: [`run::Event`]s to be made durable and
//! [`run::Effect`]s that should be in flight. `clippy.toml` beside the manifest enforces it.

pub mod digest;
pub mod expr;
pub mod fault;
pub mod forecast;
pub mod ids;
pub mod inventory;
pub mod lock;
pub mod plan;
pub mod run;
pub mod runbook;
pub mod schedule;
pub mod schema;
pub mod testing;
pub mod time;
pub mod value;
mod yaml;
