//! What is known of a job's process: the boot that it ran under, how it ended, how much it printed.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// A host's boot id, from `/proc/sys/kernel/random/boot_id` (random(4)); new at each boot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(pub String);

/// An exit status as a POSIX shell reports it: 0 to 255, above 128 for death by signal (status − 128).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Exit(pub u8);

impl Exit {
    /// Exit status 0.
    pub fn is_success(self) -> bool {
        self.0 == 0
    }
}

/// What a job printed, as far as the journal knows it; the bytes are in the output files.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Printed {
    /// Standard output.
    pub out: Option<Extent>,
    /// Standard error.
    pub err: Option<Extent>,
}

/// Length and digest of a stream of bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// Bytes.
    pub len: u64,
    /// BLAKE3 over all of them.
    pub digest: Digest,
}
