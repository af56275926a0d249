//! What moves files, and what has a host start anew.

use serde::{Deserialize, Serialize};

use crate::expr::Template;

/// A file from one host to another. Its task runs on the host that gets it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    /// The host that has the file; known when the plan is made.
    pub from_host: Template,
    /// The path there; absolute.
    pub from: Template,
    /// The host that gets it, known when the plan is made; `None`: each of the step's `hosts`.
    pub to_host: Option<Template>,
    /// The path there; absolute.
    pub to: Template,
    /// Permission bits; `None`: those of the source.
    pub mode: Option<u32>,
    /// `user` or `user:group`; `None`: as the source has it, where the target lets us.
    pub owner: Option<String>,
    /// How it is moved.
    pub manner: Manner,
    /// At most so many bytes in a second, where the plan or an output says it: a size, and 0 for no bound. It counts more than
    /// the manner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Template>,
}

/// How the bytes of a large file are moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manner {
    /// Holes stay holes, and are not sent.
    pub sparse: bool,
    /// What arrived is read again and compared with what was sent, by SHA-256.
    pub checksum: bool,
    /// At most so many bytes in a second.
    pub rate: Option<u64>,
}

impl Default for Manner {
    fn default() -> Self {
        Self { sparse: true, checksum: true, rate: None }
    }
}

/// The host starts anew, and is waited for until it answers with another boot id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reboot {
    /// What is said to those who are logged in.
    pub message: Template,
    /// The script that has the host start anew; `None`: shutdown(8), or reboot(8) where that is not there.
    pub command: Option<String>,
}

/// A file or directory to the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Put {
    /// Where the bytes come from.
    pub source: PutSource,
    /// The path on the host; absolute.
    pub to: Template,
    /// Permission bits, such as 0o644.
    pub mode: Option<u32>,
    /// `user` or `user:group`.
    pub owner: Option<String>,
    /// Whether there may be secrets in the text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
    /// How it is moved, if it is large.
    #[serde(default)]
    pub manner: Manner,
}

/// Where the bytes of a `put` come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PutSource {
    /// A path on the engine's machine, relative to the runbook's project.
    File(Template),
    /// The text itself; templates allowed.
    Content(Template),
}

/// A file or directory from the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Get {
    /// The path on the host; absolute.
    pub from: Template,
    /// The path on the engine's machine, relative to the project; `{{ host }}` keeps hosts apart.
    pub to: Template,
    /// How it is moved, if it is large.
    #[serde(default)]
    pub manner: Manner,
}
