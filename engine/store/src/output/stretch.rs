//! A file that holds a stretch of a stream: the first bytes bare, further stretches after a header.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::digest::Digester;
use super::files::index_of;

/// Further stretches begin with this, the number of chaining values (one byte), and those values, padded to this length.
const MAGIC: &[u8; 8] = b"PITNout1";
const HEADER: u64 = 4096;

/// A stretch of a stream in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) path: PathBuf,
    /// Where in the stream it begins.
    pub(super) start: u64,
    /// How many bytes of the stream it holds.
    pub(super) len: u64,
    /// How many bytes of the file stand before them.
    header: u64,
}

impl Stretch {
    /// The first bytes of a stream; `None` if there is no file.
    pub(super) fn first(path: PathBuf) -> io::Result<Option<Self>> {
        Ok(length(&path)?.map(|len| Self { path, start: 0, len, header: 0 }))
    }

    /// A further stretch; `None` if there is no file.
    pub(super) fn further(path: PathBuf, start: u64) -> io::Result<Option<Self>> {
        let header = HEADER;
        Ok(length(&path)?.map(|len| Self { path, start, len: len.saturating_sub(header), header }))
    }

    /// Where in the stream it ends.
    pub(super) fn end(&self) -> u64 {
        self.start + self.len
    }

    /// Makes the file of the first bytes.
    pub(super) fn create_first(path: PathBuf) -> io::Result<(Self, File)> {
        let file = options().create(true).truncate(false).open(&path)?;
        Ok((Self { path, start: 0, len: 0, header: 0 }, file))
    }

    /// Makes the file of a further stretch, which appears with its header or not at all.
    pub(super) fn create_further(path: PathBuf, start: u64, digest: &[[u8; 32]]) -> io::Result<(Self, File)> {
        let mut header = Vec::with_capacity(HEADER as usize);
        header.extend_from_slice(MAGIC);
        header.push(u8::try_from(digest.len()).map_err(io::Error::other)?);
        digest.iter().for_each(|value| header.extend_from_slice(value));
        header.resize(HEADER as usize, 0);
        let mut unfinished = path.clone().into_os_string();
        unfinished.push(".new");
        let mut file = options().create(true).truncate(true).open(&unfinished)?;
        file.write_all(&header)?;
        file.sync_data()?;
        std::fs::rename(&unfinished, &path)?;
        Ok((Self { path, start, len: 0, header: HEADER }, file))
    }

    /// Opens the file for writing on.
    pub(super) fn reopen(&self) -> io::Result<File> {
        options().open(&self.path)
    }

    /// Writes at an offset of the stream.
    pub(super) fn write_at(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        file.write_all_at(bytes, self.header + (offset - self.start))
    }

    /// Makes durable what was written, and has the page cache give up the `len` bytes up to an offset of the stream
    /// (posix_fadvise(2)).
    pub(super) fn settle(&self, file: &File, until: u64, len: u64) -> io::Result<()> {
        file.sync_data()?;
        let from = self.header + until.saturating_sub(self.start).saturating_sub(len);
        // It is only advice: a file system that does not take it keeps its pages.
        let _advised = rustix::fs::fadvise(file, from, NonZeroU64::new(len), rustix::fs::Advice::DontNeed);
        Ok(())
    }

    /// Reads at an offset of the stream, up to the end of the file or of `into`.
    pub(super) fn read_at(&self, file: &File, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        while read < into.len() {
            match file.read_at(&mut into[read..], self.header + (offset - self.start) + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    /// The digest of the stream up to the end of this stretch: from its header, and its bytes read once more.
    pub(super) fn digest(&self) -> io::Result<Digester> {
        let file = File::open(&self.path)?;
        let mut digester = if self.header == 0 { Digester::new() } else { self.suspended(&file)? };
        let mut buffer = vec![0; 256 * 1024];
        let mut offset = self.start;
        while offset < self.end() {
            let want = buffer.len().min(usize::try_from(self.end() - offset).unwrap_or(usize::MAX));
            let read = self.read_at(&file, offset, &mut buffer[..want])?;
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            digester.update(&buffer[..read]);
            offset += read as u64;
        }
        Ok(digester)
    }

    fn suspended(&self, file: &File) -> io::Result<Digester> {
        let damaged =
            || io::Error::new(ErrorKind::InvalidData, format!("{}: its header is damaged", self.path.display()));
        let mut header = vec![0; HEADER as usize];
        file.read_exact_at(&mut header, 0)?;
        let values = header.strip_prefix(MAGIC).and_then(|rest| {
            let (count, rest) = rest.split_first()?;
            rest.get(..usize::from(*count) * 32)
        });
        let values: Vec<[u8; 32]> =
            values.ok_or_else(damaged)?.chunks_exact(32).filter_map(|value| value.try_into().ok()).collect();
        Digester::resume(self.start, &values).ok_or_else(damaged)
    }

    /// Removes the file and its index.
    pub(super) fn remove(&self) -> io::Result<()> {
        for path in [index_of(&self.path), self.path.clone()] {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

fn length(path: &Path) -> io::Result<Option<u64>> {
    match std::fs::metadata(path) {
        Ok(meta) => Ok(Some(meta.len())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
