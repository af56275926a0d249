//! Jobs on hosts: sessions, the job wrapper, file transfer.
//!
//! A job is a process on a host that outlives the connection; the connection only follows. `wrapper.sh` is the half
//! that runs on the host, the rest of this crate is the half that talks to it. The engine's own machine is a host like
//! any other: the same wrapper, without ssh.

mod carry;
mod channel;
mod exchange;
mod files;
mod follow;
mod hosts;
mod link;
mod local;
mod remote;
mod shell;
mod wrapper;

pub use hosts::{Hosts, Options};
