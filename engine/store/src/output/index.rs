//! When the bytes of a file came: records of a time and an offset, both little-endian 64-bit, in order.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use piton_core::time::Timestamp;

/// Bytes of a record.
const RECORD: u64 = 16;
/// A new record is made after this many milliseconds …
const EVERY_MS: i64 = 100;
/// … or bytes, whichever comes first.
const EVERY_BYTES: u64 = 64 * 1024;

/// A time, and the offset in the stream of the first byte that came then or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) at: Timestamp,
    pub(super) offset: u64,
}

/// Writes the index of one file. It helps finding; that a record is missing makes times less exact, nothing else.
#[derive(Debug)]
pub(super) struct IndexWriter {
    path: PathBuf,
    records: u64,
    last: Option<Mark>,
}

impl IndexWriter {
    /// Goes on with the index at `path`, of a file whose bytes end at `end`. Records beyond it (their bytes were lost with
    /// the power) are written over.
    pub(super) fn open(path: PathBuf, end: u64) -> io::Result<Self> {
        let marks = match Marks::open(&path) {
            Ok(marks) => marks,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path, records: 0, last: None });
            }
            Err(error) => return Err(error),
        };
        let records = marks.partition(|mark| mark.offset < end)?;
        let last = if records > 0 { Some(marks.get(records - 1)?) } else { None };
        if records < marks.count {
            OpenOptions::new().write(true).open(&path)?.set_len(records * RECORD)?;
        }
        Ok(Self { path, records, last })
    }

    /// Notes that bytes from `offset` on came at `now`, if it is time for a new record. Times never go back, whatever the
    /// clock does. A record that cannot be written is tried again with the next bytes.
    pub(super) fn note(&mut self, now: Timestamp, offset: u64) {
        let at = self.last.map_or(now, |last| last.at.max(now));
        let due = self
            .last
            .is_none_or(|last| at.0 - last.at.0 >= EVERY_MS || offset.saturating_sub(last.offset) >= EVERY_BYTES);
        if !due {
            return;
        }
        // Opened for each record: a run may have hundreds of jobs in flight, and descriptors are few.
        let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.path);
        let written = opened.and_then(|file| {
            let mut record = [0; RECORD as usize];
            record[..8].copy_from_slice(&at.0.to_le_bytes());
            record[8..].copy_from_slice(&offset.to_le_bytes());
            file.write_all_at(&record, self.records * RECORD)
        });
        if written.is_ok() {
            self.records += 1;
            self.last = Some(Mark { at, offset });
        }
    }
}

/// Reads an index without loading it.
#[derive(Debug)]
pub(super) struct Marks {
    file: File,
    count: u64,
}

impl Marks {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let count = file.metadata()?.len() / RECORD;
        Ok(Self { file, count })
    }

    /// The first mark at or after `at`.
    pub(super) fn first_since(&self, at: Timestamp) -> io::Result<Option<Mark>> {
        let before = self.partition(|mark| mark.at < at)?;
        if before < self.count { self.get(before).map(Some) } else { Ok(None) }
    }

    /// The last mark at or before `offset`.
    pub(super) fn last_upto(&self, offset: u64) -> io::Result<Option<Mark>> {
        let upto = self.partition(|mark| mark.offset <= offset)?;
        if upto > 0 { self.get(upto - 1).map(Some) } else { Ok(None) }
    }

    fn get(&self, number: u64) -> io::Result<Mark> {
        let mut record = [0; RECORD as usize];
        self.file.read_exact_at(&mut record, number * RECORD)?;
        let (mut at, mut offset) = ([0; 8], [0; 8]);
        at.copy_from_slice(&record[..8]);
        offset.copy_from_slice(&record[8..]);
        Ok(Mark { at: Timestamp(i64::from_le_bytes(at)), offset: u64::from_le_bytes(offset) })
    }

    /// How many marks, from the first, `before` is true of.
    fn partition(&self, before: impl Fn(&Mark) -> bool) -> io::Result<u64> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if before(&self.get(middle)?) { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_again_and_never_go_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.idx");
        let mut index = IndexWriter::open(path.clone(), 0).unwrap();
        for (now, offset) in [(1000, 0), (1050, 10), (1100, 20), (900, 30), (950, 20 + 65_536), (1300, 100_000)] {
            index.note(Timestamp(now), offset);
        }
        let mark = |at, offset| Some(Mark { at: Timestamp(at), offset });
        let marks = Marks::open(&path).unwrap();
        assert_eq!(marks.count, 4);
        assert_eq!(marks.first_since(Timestamp(0)).unwrap(), mark(1000, 0));
        assert_eq!(marks.first_since(Timestamp(1001)).unwrap(), mark(1100, 20));
        assert_eq!(marks.first_since(Timestamp(1301)).unwrap(), None);
        assert_eq!(marks.last_upto(19).unwrap(), mark(1000, 0));
        assert_eq!(marks.last_upto(20).unwrap(), mark(1100, 20));
        assert_eq!(marks.last_upto(u64::MAX).unwrap(), mark(1300, 100_000));

        assert_eq!(marks.last_upto(20 + 65_536).unwrap(), mark(1100, 20 + 65_536), "the clock was set back");

        // The power failed: all but the first bytes and half a record are gone.
        OpenOptions::new().append(true).open(&path).unwrap().set_len(3 * RECORD + 9).unwrap();
        let mut index = IndexWriter::open(path.clone(), 15).unwrap();
        index.note(Timestamp(5000), 15);
        assert_eq!(Marks::open(&path).unwrap().last_upto(u64::MAX).unwrap(), mark(5000, 15));
        assert_eq!(Marks::open(&path).unwrap().count, 2);
    }
}
