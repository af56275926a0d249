//! The transport against the real thing: shells on this machine, a real sshd, a real sudo.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod becoming;
mod common;
mod files;
mod local;
mod moving;
mod reboot;
mod ssh;
