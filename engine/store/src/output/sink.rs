//! Taking what jobs print.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use piton_core::digest::Digest;
use piton_core::ids::{JobId, RunId};
use piton_core::run::{Extent, Printed};
use piton_runner::clock::Clock;
use piton_runner::output::{JobOutput, OutputError, OutputSink, Stream};

use super::files;
use super::flow::Flow;
use super::kept::{Kept, Limits};
use crate::place::is_full;

/// How many bytes of a stream are kept, unless said otherwise: 1 GiB.
pub const DEFAULT_CAP: u64 = 1 << 30;

/// An [`OutputSink`] that keeps output in files under the state directory.
///
/// Of each stream the first half of the cap and about the last half are kept. Lengths and digests are those of all bytes.
/// The same bytes may be written again at the same position, also by another process: files are written at offsets,
/// never appended to or cut.
pub struct FileOutputs {
    state: PathBuf,
    clock: Arc<dyn Clock>,
    limits: Limits,
}

impl std::fmt::Debug for FileOutputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileOutputs").field("state", &self.state).field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl FileOutputs {
    /// Keeps output under `state_dir`/output, at most `cap` bytes of each stream ([`DEFAULT_CAP`]; less than 1 MiB is taken
    /// as 1 MiB). `clock` gives the times at which output came.
    pub fn new(state_dir: &Path, clock: Arc<dyn Clock>, cap: u64) -> Self {
        // The working directory may be another one later.
        let state = std::path::absolute(state_dir).unwrap_or_else(|_| state_dir.to_owned());
        Self { state, clock, limits: Limits::of(cap) }
    }
}

#[async_trait]
impl OutputSink for FileOutputs {
    async fn open(&self, run: RunId, job: &JobId, keep: bool) -> Result<Box<dyn JobOutput>, OutputError> {
        let dir = files::dir_of(&self.state, run);
        let who = Who { job: job.to_string(), place: dir.clone() };
        let clock = Arc::clone(&self.clock);
        if !keep {
            let streams = [Kept::nowhere(), Kept::nowhere()];
            return Ok(Box::new(FileOutput { who, clock, streams: streams.map(Flow::new) }));
        }
        let (limits, name) = (self.limits, files::name_of(job));
        if !files::is_begun(&dir, &name) {
            // Nothing is there to be read, and nothing is made before there is something to keep: most jobs print nothing,
            // and another thread would cost more than the work.
            let streams = [Stream::Out, Stream::Err].map(|stream| Kept::fresh(&dir, &name, stream, limits));
            return Ok(Box::new(FileOutput { who, clock, streams: streams.map(Flow::new) }));
        }
        let opened = blocking(&who, move || {
            let open = |stream| Kept::open(&dir, &name, stream, limits);
            Ok([open(Stream::Out)?, open(Stream::Err)?])
        });
        let streams = opened.await?.map(Flow::new);
        Ok(Box::new(FileOutput { who, clock, streams }))
    }
}

/// The output of one job.
struct FileOutput {
    who: Who,
    clock: Arc<dyn Clock>,
    /// Shared with the thread that writes.
    streams: [Arc<Flow>; 2],
}

#[async_trait]
impl JobOutput for FileOutput {
    fn position(&self, stream: Stream) -> u64 {
        self.streams[stream as usize].position()
    }

    async fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), OutputError> {
        let now = self.clock.now();
        self.streams[stream as usize].take(bytes, now).await.map_err(|error| self.who.failed(&error))
    }

    async fn head(&mut self) -> Result<(Vec<u8>, bool), OutputError> {
        let out = Arc::clone(&self.streams[Stream::Out as usize]);
        out.settle().await.map_err(|error| self.who.failed(&error))?;
        blocking(&self.who, move || out.kept().head()).await
    }

    async fn finish(&mut self) -> Result<Printed, OutputError> {
        let [out, err] = self.streams.each_ref().map(Arc::clone);
        for flow in [&out, &err] {
            flow.settle().await.map_err(|error| self.who.failed(&error))?;
        }
        if out.position() == 0 && err.position() == 0 {
            let nothing = Extent { len: 0, digest: Digest::of(b"") };
            return Ok(Printed { out: Some(nothing.clone()), err: Some(nothing) });
        }
        blocking(&self.who, move || {
            let (out, err) = (out.kept().finish()?, err.kept().finish()?);
            Ok(Printed { out: Some(out), err: Some(err) })
        })
        .await
    }
}

/// Whose output, and where: for errors.
#[derive(Debug, Clone)]
struct Who {
    job: String,
    place: PathBuf,
}

impl Who {
    fn failed(&self, error: &io::Error) -> OutputError {
        OutputError {
            job: self.job.clone(),
            place: self.place.display().to_string(),
            detail: error.to_string(),
            full: is_full(error),
        }
    }
}

async fn blocking<T: Send + 'static>(
    who: &Who,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, OutputError> {
    let done = tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    done.map_err(|error| who.failed(&error))
}
