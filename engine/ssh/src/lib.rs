//! Jobs on hosts: commands that survive the controller, over plain OpenSSH or on the engine's own machine.
//!
//! Invariants:
//!
//! - A job starts at most once, whoever asks and however often: its claim on the host can be created by one only.
//! - A request that was cut short does nothing: the host acts when the whole of it has been read.
//! - The connection only follows. Nothing of a job hangs on a channel: its input is `/dev/null`, its output are files.
//! - A value reaches a command in its environment, never on a command line and never within a script.
//! - The host needs a POSIX `sh` and what every Linux has; nothing of ours is installed there.

mod carry;
mod ciphers;
mod collect;
mod connect;
mod files;
mod follow;
mod get;
mod hosts;
mod moving;
mod options;
mod outage;
mod pool;
mod put;
mod script;
mod shell;
mod stop;

pub use hosts::Hosts;
pub use options::Options;
pub use script::quote;
