//! Makes lines of what jobs print, in bounded memory.

use std::collections::BTreeMap;

use piton_core::ids::JobId;
use piton_runner::output::Stream;

/// How long a line may be before it is shown in pieces.
const MAX_LINE: usize = 4096;

/// The unfinished lines of all jobs that are printing.
#[derive(Debug, Default)]
pub(super) struct Lines(BTreeMap<(JobId, Stream), Vec<u8>>);

impl Lines {
    /// Takes bytes and gives every line that is complete by now, without its line break.
    pub(super) fn take(&mut self, job: &JobId, stream: Stream, bytes: &[u8], mut give: impl FnMut(&[u8])) {
        let key = (job.clone(), stream);
        let rest = self.0.entry(key).or_default();
        for part in bytes.split_inclusive(|b| *b == b'\n') {
            rest.extend_from_slice(part);
            while rest.len() > MAX_LINE && !rest[..=MAX_LINE].contains(&b'\n') {
                give(&rest[..MAX_LINE]);
                rest.drain(..MAX_LINE);
            }
            if rest.last() == Some(&b'\n') {
                rest.pop();
                give(shown_part(rest));
                rest.clear();
            }
        }
    }

    /// Gives what a job left without a line break at its end.
    pub(super) fn finish(&mut self, job: &JobId, mut give: impl FnMut(Stream, &[u8])) {
        for stream in [Stream::Out, Stream::Err] {
            if let Some(rest) = self.0.remove(&(job.clone(), stream))
                && !rest.is_empty()
            {
                give(stream, shown_part(&rest));
            }
        }
    }

    /// The unfinished line of a job, for a display that shows what it says now.
    pub(super) fn unfinished(&self, job: &JobId, stream: Stream) -> &[u8] {
        self.0.get(&(job.clone(), stream)).map_or(&[], |rest| shown_part(rest))
    }
}

/// What a terminal would show of a line that returns to its beginning again and again, as progress bars do.
fn shown_part(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.rsplit(|b| *b == b'\r').next().unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use piton_core::ids::{AttemptId, Part};

    use super::*;

    #[test]
    fn lines_are_put_together_over_pieces_and_cut_when_too_long() {
        let attempt = AttemptId { task: "a[h]".parse().unwrap(), number: 1 };
        let job = JobId { attempt, part: Part::Main, round: 1 };
        let mut lines = Lines::default();
        let mut given = Vec::new();
        for piece in [&b"one\ntw"[..], b"o\r\n10%\r20%\r", b"30%\nrest"] {
            lines.take(&job, Stream::Out, piece, |line| given.push(String::from_utf8_lossy(line).into_owned()));
        }
        lines.finish(&job, |_, line| given.push(String::from_utf8_lossy(line).into_owned()));
        assert_eq!(given, ["one", "two", "30%", "rest"]);

        let (mut pieces, mut most) = (0, 0);
        for _ in 0..100 {
            lines.take(&job, Stream::Err, &[b'x'; 1000], |line| {
                pieces += 1;
                most = most.max(line.len());
            });
        }
        assert_eq!((pieces, most), (24, MAX_LINE));
    }
}
