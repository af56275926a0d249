//! The head and tail of what a job printed. A report is bounded, whatever was printed.

use std::io;

use piton_core::ids::{JobId, RunId};
use piton_core::run::{Extent, Printed};
use piton_core::time::show_size;
use piton_runner::output::Stream;
use piton_store::OutputReader;

use crate::store::Store;
use crate::visible;

/// Head and tail of a stream, made harmless to terminals and legal in XML.
pub(crate) struct Excerpt {
    /// `stdout` or `stderr`.
    pub stream: &'static str,
    /// How many bytes the stream has.
    pub len: u64,
    pub head: String,
    /// What stands between head and tail; nothing where the two are all of it.
    pub between: Option<String>,
    pub tail: String,
}

/// How many bytes of head and tail are shown of a job that went wrong, and of one that did not.
const BAD: (u64, u64) = (2 * 1024, 8 * 1024);
const GOOD: (u64, u64) = (1024, 2 * 1024);

/// How many bytes a report quotes in all.
const BUDGET: u64 = 4 << 20;

/// Quotes what jobs printed until there is no room in the report.
pub(super) struct Quoter<'s> {
    store: &'s Store,
    run: RunId,
    left: u64,
}

impl<'s> Quoter<'s> {
    pub(super) fn new(store: &'s Store, run: RunId) -> Self {
        Self { store, run, left: BUDGET }
    }

    /// What the job printed, both streams.
    pub(super) fn quote(&mut self, job: &JobId, printed: &Printed, good: bool) -> Vec<Excerpt> {
        let reader = OutputReader::of(&self.store.dir, self.run, job);
        [(Stream::Out, "stdout", &printed.out), (Stream::Err, "stderr", &printed.err)]
            .into_iter()
            .filter_map(|(stream, name, extent)| self.stream(&reader, job, (stream, name), extent.as_ref(), good))
            .collect()
    }

    fn stream(
        &mut self,
        reader: &OutputReader,
        job: &JobId,
        (stream, name): (Stream, &'static str),
        known: Option<&Extent>,
        good: bool,
    ) -> Option<Excerpt> {
        let said = known.map_or(0, |extent| extent.len);
        let note = |len, note: String| {
            Some(Excerpt { stream: name, len, head: String::new(), between: Some(note), tail: String::new() })
        };
        let kept = match reader.extents(stream) {
            Ok(extents) => extents.len,
            Err(error) => return note(said, format!("{} that cannot be read: {error}", show_size(said))),
        };
        match (kept, said) {
            (0, 0) => return None,
            (0, said) => return note(said, format!("{} that were not kept", show_size(said))),
            (_, _) => {}
        }
        let (head, tail) = if good { GOOD } else { BAD };
        let cost = (head + tail).min(kept);
        if self.left < cost {
            let task = &job.attempt.task;
            let command = format!("piton logs {} {}", self.run, crate::advice::word(&task.to_string()));
            return note(kept, format!("{}: `{command}` shows it", show_size(kept)));
        }
        self.left -= cost;
        match ends(reader, stream, kept, head, tail) {
            Ok((head, between, tail)) => Some(Excerpt { stream: name, len: kept, head, between, tail }),
            Err(error) => note(kept, format!("{} that cannot be read: {error}", show_size(kept))),
        }
    }
}

fn ends(
    reader: &OutputReader,
    stream: Stream,
    len: u64,
    head: u64,
    tail: u64,
) -> io::Result<(String, Option<String>, String)> {
    if len <= head + tail {
        let (all, gone) = range(reader, stream, 0, len)?;
        let between = (gone > 0).then(|| format!("{} that were not kept", show_size(gone)));
        return Ok((String::new(), between, quoted(&all)));
    }
    let (mut first, _) = range(reader, stream, 0, head)?;
    if let Some(end) = first.iter().rposition(|byte| *byte == b'\n') {
        first.truncate(end + 1);
    }
    let begin = len - tail;
    let (mut last, _) = range(reader, stream, begin, len)?;
    if let Some(line) = last.iter().position(|byte| *byte == b'\n').filter(|line| line + 1 < last.len()) {
        last.drain(..=line);
    }
    let shown = (first.len() + last.len()) as u64;
    let between = format!("{} left out", show_size(len.saturating_sub(shown)));
    Ok((quoted(&first), Some(between), quoted(&last)))
}

/// The bytes that were kept of a range, and how many were not.
fn range(reader: &OutputReader, stream: Stream, from: u64, to: u64) -> io::Result<(Vec<u8>, u64)> {
    let (mut bytes, mut gone, mut at) = (Vec::new(), 0, from);
    while at < to {
        let piece = reader.read(stream, at, usize::try_from(to - at).unwrap_or(usize::MAX))?;
        if piece.bytes.is_empty() || piece.offset >= to {
            break;
        }
        gone += piece.left_out;
        at = piece.offset + piece.bytes.len() as u64;
        bytes.extend_from_slice(&piece.bytes);
    }
    bytes.truncate(usize::try_from(to - from).unwrap_or(usize::MAX));
    Ok((bytes, gone))
}

/// Text that any form can hold: no control characters, nor what XML 1.0 (2.2, Char) cannot even escape.
fn quoted(bytes: &[u8]) -> String {
    super::legal(&visible::visible_lines(bytes))
}
