//! Durable journals, leases, inbox and output files.
//!
//! A store is a directory. Any number of processes may share it:
//!
//! ```text
//! STATE/journal.db        runs, events, leases, inbox (SQLite; also -wal and -shm while open)
//! STATE/wake/…            one socket per process that waits for words
//! STATE/output/RUN/…      what jobs printed
//! STATE/schedules.json    how far schedules have come
//! ```

mod chain;
mod choice;
mod marks;
mod output;
mod place;
mod presence;
mod record;
mod request;
#[cfg(feature = "sled")]
mod sled_journal;
mod sqlite;
mod terms;
mod wake;
mod writer;

pub use choice::open_journal;
pub use marks::FileMarks;
pub use output::{
    DEFAULT_CAP, Extents, FileOutputs, Keep, OutputReader, Piece, Pruned, StreamEnd, jobs_with_output, prune,
};
#[cfg(feature = "sled")]
pub use sled_journal::SledJournal;
pub use sqlite::SqliteJournal;
