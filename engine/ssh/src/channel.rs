//! One stream each way to a shell on a host, whatever carries it.

use std::any::Any;

use piton_core::run::Refusal;
use tokio::io::{AsyncRead, AsyncWrite};

/// A started shell: what it reads, prints and complains, and what keeps it alive.
pub(crate) struct Channel {
    pub(crate) stdin: Box<dyn AsyncWrite + Send + Sync + Unpin>,
    pub(crate) stdout: Box<dyn AsyncRead + Send + Sync + Unpin>,
    pub(crate) stderr: Box<dyn AsyncRead + Send + Sync + Unpin>,
    /// Given up when the channel is: the child, its session, its place on the connection.
    pub(crate) held: Box<dyn Any + Send + Sync>,
}

/// Why a host cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(crate) struct Unreachable {
    pub(crate) why: String,
    /// Trying again will not help: somebody has to change something first.
    pub(crate) definite: bool,
}

impl Unreachable {
    pub(crate) fn for_now(why: impl Into<String>) -> Self {
        Self { why: why.into(), definite: false }
    }

    pub(crate) fn for_good(why: impl Into<String>) -> Self {
        Self { why: why.into(), definite: true }
    }
}

impl From<Unreachable> for Refusal {
    fn from(error: Unreachable) -> Self {
        Self::Unreachable(error.why)
    }
}
