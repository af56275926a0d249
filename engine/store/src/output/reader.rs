//! Reading output: any range, the last lines, what came between two times; never more in memory than asked for.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};

use piton_core::ids::{JobId, RunId};
use piton_core::time::Timestamp;
use piton_runner::output::Stream;

use super::files;
use super::index::Marks;
use super::stretch::Stretch;

/// How much is looked at in one go for line breaks.
const LOOK: u64 = 64 * 1024;

/// Reads the output of one job, also while it is being written.
#[derive(Debug, Clone)]
pub struct OutputReader {
    dir: PathBuf,
    job: String,
}

/// Which bytes of a stream there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extents {
    /// The length of the stream so far, in bytes.
    pub len: u64,
    /// The bytes that were left out of the middle because of the cap.
    pub left_out: Option<Range<u64>>,
}

/// Bytes of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Where they begin: where it was asked for, or after what was left out there.
    pub offset: u64,
    /// How many bytes before `offset` were left out, from where it was asked for.
    pub left_out: u64,
    /// The bytes; none at the end of the stream as it is now.
    pub bytes: Vec<u8>,
}

/// Whether a stream's last lines are all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamEnd {
    /// Where the lines begin.
    pub offset: u64,
    /// How many lines there are from there on, the last one also without a line break.
    pub lines: u64,
}

impl OutputReader {
    /// The output of a job. That there is none is no error: its streams are empty.
    pub fn of(state_dir: &Path, run: RunId, job: &JobId) -> Self {
        Self { dir: files::dir_of(state_dir, run), job: files::name_of(job) }
    }

    /// The output of a job by a name that [`super::jobs_with_output`] gave.
    pub fn named(state_dir: &Path, run: RunId, job: &str) -> Self {
        Self { dir: files::dir_of(state_dir, run), job: job.to_owned() }
    }

    /// How long a stream is, and what of it was left out.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn extents(&self, stream: Stream) -> io::Result<Extents> {
        Ok(extents(&self.stretches(stream)?))
    }

    /// Bytes from `offset` on, at most `max`. For following: read at the offset where the last piece ended.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn read(&self, stream: Stream, offset: u64, max: usize) -> io::Result<Piece> {
        self.again(stream, |stretches| {
            let Some(stretch) = stretches.iter().find(|stretch| stretch.end() > offset) else {
                return Ok(Piece { offset, left_out: 0, bytes: Vec::new() });
            };
            let begin = offset.max(stretch.start);
            let want = usize::try_from(stretch.end() - begin).unwrap_or(usize::MAX).min(max);
            let mut bytes = vec![0; want];
            let read = stretch.read_at(&File::open(&stretch.path)?, begin, &mut bytes)?;
            bytes.truncate(read);
            Ok(Piece { offset: begin, left_out: begin - offset, bytes })
        })
    }

    /// Where the last `lines` lines begin. It never goes back beyond bytes that were left out.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn tail(&self, stream: Stream, lines: u64) -> io::Result<StreamEnd> {
        let extents = self.extents(stream)?;
        let begin = extents.left_out.map_or(0, |gone| gone.end);
        if lines == 0 || extents.len == begin {
            return Ok(StreamEnd { offset: extents.len, lines: 0 });
        }
        let (mut found, mut end) = (1, extents.len);
        let last = self.exactly(stream, end - 1..end)?;
        if last == b"\n" {
            end -= 1;
        }
        while end > begin {
            let from = end.saturating_sub(LOOK).max(begin);
            let bytes = self.exactly(stream, from..end)?;
            for (at, _) in bytes.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
                if found == lines {
                    return Ok(StreamEnd { offset: from + at as u64 + 1, lines: found });
                }
                found += 1;
            }
            end = from;
        }
        Ok(StreamEnd { offset: begin, lines: found })
    }

    /// The lines that began to come at `from` or later and before `until`. Times are exact to some 100 ms.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn between(&self, stream: Stream, from: Timestamp, until: Timestamp) -> io::Result<Range<u64>> {
        let begin = self.line_at(stream, self.offset_at(stream, from)?)?;
        let end = self.line_at(stream, self.offset_at(stream, until)?)?;
        Ok(begin..end.max(begin))
    }

    /// When the byte at `offset` came, exact to some 100 ms; `None` if it was not kept.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn time_of(&self, stream: Stream, offset: u64) -> io::Result<Option<Timestamp>> {
        self.again(stream, |stretches| {
            let Some(stretch) = stretches.iter().find(|s| s.start <= offset && offset < s.end()) else {
                return Ok(None);
            };
            let mark = marks_of(stretch)?.map(|marks| marks.last_upto(offset)).transpose()?;
            Ok(mark.flatten().map(|mark| mark.at))
        })
    }

    /// The first byte that came at `at` or later; the end of the stream if none did.
    fn offset_at(&self, stream: Stream, at: Timestamp) -> io::Result<u64> {
        self.again(stream, |stretches| {
            for stretch in stretches {
                let mark = marks_of(stretch)?.map(|marks| marks.first_since(at)).transpose()?;
                if let Some(mark) = mark.flatten().filter(|mark| mark.offset < stretch.end()) {
                    return Ok(mark.offset);
                }
            }
            Ok(extents(stretches).len)
        })
    }

    /// The first beginning of a line at `offset` or after it.
    fn line_at(&self, stream: Stream, offset: u64) -> io::Result<u64> {
        if offset == 0 {
            return Ok(0);
        }
        let mut looked = offset - 1;
        loop {
            let piece = self.read(stream, looked, LOOK as usize)?;
            if piece.bytes.is_empty() {
                return Ok(looked.max(offset));
            }
            if piece.left_out > 0 {
                // What came before the first byte after a gap is unknown: a line begins there.
                return Ok(piece.offset.max(offset));
            }
            if let Some(at) = piece.bytes.iter().position(|byte| *byte == b'\n') {
                return Ok(piece.offset + at as u64 + 1);
            }
            looked = piece.offset + piece.bytes.len() as u64;
        }
    }

    /// The bytes of a range that was there a moment ago; fewer if the writer has removed its beginning since.
    fn exactly(&self, stream: Stream, range: Range<u64>) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut offset = range.start;
        while offset < range.end {
            let want = usize::try_from(range.end - offset).unwrap_or(usize::MAX);
            let piece = self.read(stream, offset, want)?;
            if piece.left_out > 0 {
                bytes.clear();
            }
            if piece.bytes.is_empty() {
                break;
            }
            offset = piece.offset + piece.bytes.len() as u64;
            bytes.extend_from_slice(&piece.bytes);
        }
        Ok(bytes)
    }

    fn stretches(&self, stream: Stream) -> io::Result<Vec<Stretch>> {
        files::stretches(&self.dir, &self.job, stream)
    }

    /// Looks at the stretches; once more if one of them was removed in the meantime.
    fn again<T>(&self, stream: Stream, look: impl Fn(&[Stretch]) -> io::Result<T>) -> io::Result<T> {
        match look(&self.stretches(stream)?) {
            Err(error) if error.kind() == ErrorKind::NotFound => look(&self.stretches(stream)?),
            looked => looked,
        }
    }
}

fn extents(stretches: &[Stretch]) -> Extents {
    let len = stretches.last().map_or(0, Stretch::end);
    let mut end = 0;
    let mut left_out = None;
    for stretch in stretches {
        if stretch.start > end {
            left_out = Some(end..stretch.start);
        }
        end = stretch.end();
    }
    Extents { len, left_out }
}

fn marks_of(stretch: &Stretch) -> io::Result<Option<Marks>> {
    match Marks::open(&files::index_of(&stretch.path)) {
        Ok(marks) => Ok(Some(marks)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
