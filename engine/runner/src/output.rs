//! The port for what jobs print: streamed to files, never into the journal.

use async_trait::async_trait;
use piton_core::ids::{JobId, RunId};
use piton_core::run::Printed;

/// Opens the output of jobs.
#[async_trait]
pub trait OutputSink: Send + Sync {
    /// Opens the output of a job for writing at its end; creates it if it is not there. After a crash the end is where the
    /// bytes that were kept end: perhaps before what [`JobOutput::position`] last said, never beyond what was given.
    /// With `keep: false` nothing reaches the disk (`no_log`); only lengths, digests and a bounded head are held.
    async fn open(&self, run: RunId, job: &JobId, keep: bool) -> Result<Box<dyn JobOutput>, OutputError>;
}

/// The output of one job, as far as it has come.
#[async_trait]
pub trait JobOutput: Send {
    /// How many bytes of the stream have been taken (written, about to be, or dropped by the cap): where following goes on.
    fn position(&self, stream: Stream) -> u64;

    /// Takes the next bytes of a stream: all of them, or, with an error, none. An error may be about bytes that were taken
    /// before: then the position went back to where writing failed, and the bytes from there on can be given again. If the
    /// future is dropped, the position tells whether they were taken.
    async fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), OutputError>;

    /// The first bytes of standard output, at most [`HEAD`], for `outputs` that are read from it;
    /// the flag says whether that is all of it.
    async fn head(&mut self) -> Result<(Vec<u8>, bool), OutputError>;

    /// Makes what was taken durable and says what it was: length and digest of all bytes taken, also of those that were
    /// not kept. Writing may go on afterwards.
    async fn finish(&mut self) -> Result<Printed, OutputError>;
}

/// How much of standard output can be searched for `outputs`.
pub const HEAD: usize = 1 << 20;

/// One of a job's two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Output could not be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("output of {job} cannot be kept in {place}: {detail}")]
pub struct OutputError {
    /// Which job.
    pub job: String,
    /// Where.
    pub place: String,
    /// What the system said.
    pub detail: String,
    /// Whether there was no room: writing may be tried again later.
    pub full: bool,
}
