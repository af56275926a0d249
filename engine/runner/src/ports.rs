//! Everything that a driver needs from outside, in one place.

use std::sync::Arc;

use crate::clock::Clock;
use crate::hooks::Hooks;
use crate::journal::Journal;
use crate::observer::Observer;
use crate::output::OutputSink;
use crate::secrets::Secrets;
use crate::transport::Transport;

/// What a driver needs from outside.
#[derive(Clone)]
pub struct Ports {
    /// Keeps the runs.
    pub journal: Arc<dyn Journal>,
    /// Reaches the hosts.
    pub transport: Arc<dyn Transport>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Keeps what jobs print.
    pub outputs: Arc<dyn OutputSink>,
    /// Evaluates hooks.
    pub hooks: Arc<dyn Hooks>,
    /// Looks on.
    pub observer: Arc<dyn Observer>,
    /// Fetches secrets.
    pub secrets: Arc<dyn Secrets>,
}
