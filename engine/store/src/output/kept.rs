//! A stream of output on its way into files.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use piton_core::digest::Digest;
use piton_core::run::Extent;
use piton_core::time::Timestamp;
use piton_runner::output::{HEAD, Stream};

use super::digest::{BLOCK, Digester};
use super::files::{self, SMALLEST_FIRST};
use super::index::IndexWriter;
use super::stretch::Stretch;
use crate::place::{make_dir, sync_dir};

/// A stream as far as it has been written.
pub(super) struct Kept {
    pub(super) position: u64,
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
    /// How many bytes of the open file were written since it was last made durable.
    unsynced: u64,
    /// Makes what came before durable, while more is written.
    settling: Option<JoinHandle<io::Result<()>>>,
}

/// Waits until what came before is durable.
fn wait_for(settling: &mut Option<JoinHandle<io::Result<()>>>) -> io::Result<()> {
    let Some(settling) = settling.take() else { return Ok(()) };
    settling.join().unwrap_or_else(|_| Err(io::Error::other("the thread that makes output durable has panicked")))
}

/// So many bytes are written, made durable and dropped from the page cache together: what a job prints by the gigabyte is
/// not to push everything else out of memory, and new pages are what makes writing slow.
const TOGETHER: u64 = 16 << 20;

impl Kept {
    pub(super) fn nowhere() -> Self {
        Self { position: 0, digest: Digester::new(), whereto: Whereto::Nowhere(Vec::new()) }
    }

    /// A stream of which nothing is kept yet.
    pub(super) fn fresh(dir: &Path, job: &str, stream: Stream, limits: Limits) -> Self {
        let files = Files::new(dir, job, stream, limits, Vec::new());
        Self { position: 0, digest: Digester::new(), whereto: Whereto::Files(files) }
    }

    pub(super) fn open(dir: &Path, job: &str, stream: Stream, limits: Limits) -> io::Result<Self> {
        let mut stretches = files::stretches(dir, job, stream)?;
        // A file with no byte of the stream says nothing: it was made in vain, or the power failed.
        while stretches.last().is_some_and(|last| last.len == 0) {
            stretches.pop();
        }
        let digest = stretches.last().map_or_else(|| Ok(Digester::new()), Stretch::digest)?;
        let files = Files::new(dir, job, stream, limits, stretches);
        Ok(Self { position: digest.len(), digest, whereto: Whereto::Files(files) })
    }

    /// Takes all of the bytes, or, with an error, none.
    pub(super) fn take(&mut self, bytes: &[u8], now: Timestamp) -> io::Result<()> {
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

    pub(super) fn head(&self) -> io::Result<(Vec<u8>, bool)> {
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

    pub(super) fn finish(&mut self) -> io::Result<Extent> {
        if let Whereto::Files(files) = &mut self.whereto {
            files.sync()?;
        }
        Ok(Extent { len: self.position, digest: Digest(self.digest.digest()) })
    }
}

impl Files {
    fn new(dir: &Path, job: &str, stream: Stream, limits: Limits, stretches: Vec<Stretch>) -> Self {
        Self {
            dir: dir.to_owned(),
            job: job.to_owned(),
            stream,
            limits,
            stretches,
            open: None,
            new_names: true,
            unsynced: 0,
            settling: None,
        }
    }

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
            self.unsynced += piece.len() as u64;
            if self.unsynced >= TOGETHER {
                wait_for(&mut self.settling)?;
                let (stretch, file, until) = (stretch.clone(), file.try_clone()?, position + piece.len() as u64);
                let len = std::mem::take(&mut self.unsynced);
                self.settling = Some(std::thread::spawn(move || stretch.settle(&file, until, len)));
            }
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
        self.unsynced = 0;
        self.open = Some((file, index));
        self.new_names = true;
        Ok(())
    }

    /// Makes durable what was written.
    fn sync(&mut self) -> io::Result<()> {
        wait_for(&mut self.settling)?;
        let Some(last) = self.stretches.last() else { return Ok(()) };
        match &self.open {
            Some((file, _)) => {
                file.sync_data()?;
                self.unsynced = 0;
            }
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

/// What a cap means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// The length of the first file.
    first: u64,
    /// The length of each further one.
    further: u64,
}

impl Limits {
    /// How many further files are kept.
    const KEPT: usize = 8;

    pub(super) fn of(cap: u64) -> Self {
        let further = (cap / 16 / BLOCK).max(1) * BLOCK;
        Self { first: (further * 8).max(SMALLEST_FIRST), further }
    }
}
