//! Taking what jobs print.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use piton_core::digest::Digest;
use piton_core::ids::{JobId, RunId};
use piton_core::run::{Extent, Printed};
use piton_core::time::Timestamp;
use piton_runner::clock::Clock;
use piton_runner::output::{HEAD, JobOutput, OutputError, OutputSink, Stream};

use super::digest::{BLOCK, Digester};
use super::files::{self, SMALLEST_FIRST};
use super::index::IndexWriter;
use super::stretch::Stretch;
use crate::place::{is_full, make_dir, sync_dir};

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

/// What a cap means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limits {
    /// The length of the first file.
    first: u64,
    /// The length of each further one.
    further: u64,
}

impl Limits {
    /// How many further files are kept.
    const KEPT: usize = 8;

    fn of(cap: u64) -> Self {
        let further = (cap / 16 / BLOCK).max(1) * BLOCK;
        Self { first: (further * 8).max(SMALLEST_FIRST), further }
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
            return Ok(Box::new(FileOutput { who, clock, streams: streams.map(share) }));
        }
        let (limits, name) = (self.limits, files::name_of(job));
        if !files::is_begun(&dir, &name) {
            // Nothing is there to be read, and nothing is made before there is something to keep: most jobs print nothing,
            // and another thread would cost more than the work.
            let streams = [Stream::Out, Stream::Err].map(|stream| Kept::fresh(&dir, &name, stream, limits));
            return Ok(Box::new(FileOutput { who, clock, streams: streams.map(share) }));
        }
        let opened = blocking(&who, move || {
            let open = |stream| Kept::open(&dir, &name, stream, limits);
            Ok([open(Stream::Out)?, open(Stream::Err)?])
        });
        let streams = opened.await?.map(share);
        Ok(Box::new(FileOutput { who, clock, streams }))
    }
}

/// The output of one job.
struct FileOutput {
    who: Who,
    clock: Arc<dyn Clock>,
    /// Shared with the thread that writes: a write whose future was dropped still comes to its end.
    streams: [Arc<Mutex<Kept>>; 2],
}

#[async_trait]
impl JobOutput for FileOutput {
    fn position(&self, stream: Stream) -> u64 {
        lock(&self.streams[stream as usize]).position
    }

    async fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), OutputError> {
        let (kept, now, bytes) = (Arc::clone(&self.streams[stream as usize]), self.clock.now(), bytes.to_vec());
        let wanted = Wanted::default();
        let still_wanted = Arc::clone(&wanted.0);
        blocking(&self.who, move || {
            let mut kept = lock(&kept);
            if still_wanted.load(Ordering::SeqCst) { kept.take(&bytes, now) } else { Ok(()) }
        })
        .await
    }

    async fn head(&mut self) -> Result<(Vec<u8>, bool), OutputError> {
        let kept = Arc::clone(&self.streams[Stream::Out as usize]);
        blocking(&self.who, move || lock(&kept).head()).await
    }

    async fn finish(&mut self) -> Result<Printed, OutputError> {
        let [out, err] = self.streams.each_ref().map(Arc::clone);
        if lock(&out).is_empty() && lock(&err).is_empty() {
            let extent = |kept: &Kept| Extent { len: 0, digest: Digest(kept.digest.digest()) };
            return Ok(Printed { out: Some(extent(&lock(&out))), err: Some(extent(&lock(&err))) });
        }
        blocking(&self.who, move || {
            let (out, err) = (lock(&out).finish()?, lock(&err).finish()?);
            Ok(Printed { out: Some(out), err: Some(err) })
        })
        .await
    }
}

/// Whether somebody still waits for a write. One whose future was dropped before it began is not begun any more: its
/// bytes will come again from where [`JobOutput::position`] stands. One that has begun holds the lock that `position` takes.
struct Wanted(Arc<AtomicBool>);

impl Default for Wanted {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

fn share(kept: Kept) -> Arc<Mutex<Kept>> {
    Arc::new(Mutex::new(kept))
}

/// A thread that panicked in the middle of a write left nothing half done that counts: the position moves last.
fn lock(kept: &Mutex<Kept>) -> std::sync::MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whose output, and where: for errors.
#[derive(Debug, Clone)]
struct Who {
    job: String,
    place: PathBuf,
}

async fn blocking<T: Send + 'static>(
    who: &Who,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, OutputError> {
    let done = tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    done.map_err(|error| OutputError {
        job: who.job.clone(),
        place: who.place.display().to_string(),
        detail: error.to_string(),
        full: is_full(&error),
    })
}

/// A stream as far as it has come.
struct Kept {
    position: u64,
    digest: Digester,
    whereto: Whereto,
}

enum Whereto {
    /// Into memory, and only the first bytes (`no_log`).
    Nowhere(Vec<u8>),
    Files(Files),
}

/// The files of a stream.
struct Files {
    dir: PathBuf,
    job: String,
    stream: Stream,
    limits: Limits,
    stretches: Vec<Stretch>,
    /// The last of them, and its index.
    open: Option<(File, IndexWriter)>,
    /// Whether the directory has names that are not yet durable.
    new_names: bool,
}

impl Kept {
    fn nowhere() -> Self {
        Self { position: 0, digest: Digester::new(), whereto: Whereto::Nowhere(Vec::new()) }
    }

    /// A stream of which nothing is kept yet.
    fn fresh(dir: &Path, job: &str, stream: Stream, limits: Limits) -> Self {
        let stretches = Vec::new();
        let files =
            Files { dir: dir.to_owned(), job: job.to_owned(), stream, limits, stretches, open: None, new_names: true };
        Self { position: 0, digest: Digester::new(), whereto: Whereto::Files(files) }
    }

    fn is_empty(&self) -> bool {
        self.position == 0
    }

    fn open(dir: &Path, job: &str, stream: Stream, limits: Limits) -> io::Result<Self> {
        let mut stretches = files::stretches(dir, job, stream)?;
        // A file with no byte of the stream says nothing: it was made in vain, or the power failed.
        while stretches.last().is_some_and(|last| last.len == 0) {
            stretches.pop();
        }
        let digest = stretches.last().map_or_else(|| Ok(Digester::new()), Stretch::digest)?;
        let files =
            Files { dir: dir.to_owned(), job: job.to_owned(), stream, limits, stretches, open: None, new_names: true };
        Ok(Self { position: digest.len(), digest, whereto: Whereto::Files(files) })
    }

    /// Takes all of the bytes, or, with an error, none.
    fn take(&mut self, bytes: &[u8], now: Timestamp) -> io::Result<()> {
        match &mut self.whereto {
            Whereto::Nowhere(head) => {
                let room = HEAD.saturating_sub(head.len());
                head.extend_from_slice(&bytes[..room.min(bytes.len())]);
                self.digest.update(bytes);
            }
            // The digest follows only when all is written; what it needs in between it computes on a copy.
            Whereto::Files(files) => self.digest = files.write(self.digest.clone(), bytes, now)?,
        }
        self.position = self.digest.len();
        Ok(())
    }

    fn head(&self) -> io::Result<(Vec<u8>, bool)> {
        let head = match &self.whereto {
            Whereto::Nowhere(head) => head.clone(),
            Whereto::Files(files) => match files.stretches.first() {
                Some(first) if first.start == 0 => {
                    let len = HEAD.min(usize::try_from(self.position.min(first.len)).unwrap_or(HEAD));
                    let mut head = vec![0; len];
                    let read = first.read_at(&File::open(&first.path)?, 0, &mut head)?;
                    head.truncate(read);
                    head
                }
                Some(_) | None => Vec::new(),
            },
        };
        let all = head.len() as u64 == self.position;
        Ok((head, all))
    }

    fn finish(&mut self) -> io::Result<Extent> {
        if let Whereto::Files(files) = &mut self.whereto {
            files.sync()?;
        }
        Ok(Extent { len: self.position, digest: Digest(self.digest.digest()) })
    }
}

impl Files {
    /// Writes bytes at the position of `digest` and gives the digest after them. What an error leaves behind is written over
    /// by the next try, or is counted by the next opening: it is what the stream holds there.
    fn write(&mut self, mut digest: Digester, mut bytes: &[u8], now: Timestamp) -> io::Result<Digester> {
        while !bytes.is_empty() {
            let position = digest.len();
            let room = self.room_at(&digest)?;
            let (piece, rest) = bytes.split_at(bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
            let (Some(stretch), Some((file, index))) = (self.stretches.last_mut(), &mut self.open) else {
                return Err(io::Error::other("no file is open"));
            };
            stretch.write_at(file, position, piece)?;
            stretch.len = stretch.len.max(position + piece.len() as u64 - stretch.start);
            index.note(now, position);
            digest.update(piece);
            bytes = rest;
        }
        while self.further() > Limits::KEPT {
            let oldest = usize::from(self.stretches.first().is_some_and(|first| first.start == 0));
            self.stretches[oldest].remove()?;
            self.stretches.remove(oldest);
        }
        Ok(digest)
    }

    fn further(&self) -> usize {
        self.stretches.iter().filter(|stretch| stretch.start > 0).count()
    }

    /// Has the file open that the next byte belongs into, and says how many bytes it takes.
    fn room_at(&mut self, digest: &Digester) -> io::Result<u64> {
        let position = digest.len();
        // A try that failed may have gone further than this position.
        while self.stretches.last().is_some_and(|last| last.start > position) {
            self.stretches.pop();
            self.open = None;
        }
        let end = match self.stretches.last() {
            None => self.limits.first,
            Some(last) => {
                let limit = if last.start == 0 { self.limits.first } else { self.limits.further };
                // The cap may have been another when the file was made: it goes on to where a digest can be suspended.
                last.start + limit.max((position - last.start).next_multiple_of(BLOCK))
            }
        };
        if position < end {
            self.open_last(position)?;
            return Ok(end - position);
        }
        let state = digest.suspend().ok_or_else(|| io::Error::other("a file ends where no digest can be suspended"))?;
        // A further file says that what stands before it is there: that must be durable first.
        self.sync()?;
        let path = files::further(&self.dir, &self.job, self.stream, position);
        let (stretch, file) = Stretch::create_further(path, position, &state)?;
        self.adopt(stretch, file, position)?;
        Ok(self.limits.further)
    }

    fn open_last(&mut self, position: u64) -> io::Result<()> {
        if self.open.is_some() {
            return Ok(());
        }
        match self.stretches.last() {
            Some(last) => {
                let index = IndexWriter::open(files::index_of(&last.path), position)?;
                self.open = Some((last.reopen()?, index));
                Ok(())
            }
            None => {
                make_dir(&self.dir)?;
                let (stretch, file) = Stretch::create_first(files::first(&self.dir, &self.job, self.stream))?;
                self.adopt(stretch, file, position)
            }
        }
    }

    fn adopt(&mut self, stretch: Stretch, file: File, position: u64) -> io::Result<()> {
        let index = IndexWriter::open(files::index_of(&stretch.path), position)?;
        self.stretches.push(stretch);
        self.open = Some((file, index));
        self.new_names = true;
        Ok(())
    }

    /// Makes durable what was written.
    fn sync(&mut self) -> io::Result<()> {
        let Some(last) = self.stretches.last() else { return Ok(()) };
        match &self.open {
            Some((file, _)) => file.sync_data()?,
            // Written before a crash, by an engine that could not sync it any more.
            None => last.reopen()?.sync_data()?,
        }
        if self.new_names {
            sync_dir(&self.dir)?;
            self.new_names = false;
        }
        Ok(())
    }
}
