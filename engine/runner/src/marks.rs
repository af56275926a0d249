//! The marks port: up to when the starts of a schedule are decided, durably.

use async_trait::async_trait;
use piton_core::ids::ScheduleName;
use piton_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::journal::JournalError;

/// How far a schedule has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Every start up to this moment, itself included, was made or left out.
    pub decided: Timestamp,
    /// By which rule: where the schedule's window opens by another one now, nothing was missed before the change was seen.
    pub rule: String,
}

/// Keeps the marks of schedules. Every method returns only when what it did is durable.
///
/// A mark only spares work and says what was missed: that no start becomes two runs lies in the runs' ids.
#[async_trait]
pub trait Marks: Send + Sync {
    /// The mark of a schedule of a project (its directory), if it has one.
    async fn mark(&self, project: &str, schedule: &ScheduleName) -> Result<Option<Mark>, JournalError>;

    /// Sets the mark; by the same rule it never goes back.
    async fn set(&self, project: &str, schedule: &ScheduleName, mark: Mark) -> Result<(), JournalError>;
}
