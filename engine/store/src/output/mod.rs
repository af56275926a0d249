//! What jobs print, in files: any size in constant memory, with an index of times, a cap, and exact lengths and digests.
//!
//! ```text
//! STATE/output/RUN/JOB.out               the first bytes of standard output (all of it, below the cap)
//! STATE/output/RUN/JOB.out.idx           when they came
//! STATE/output/RUN/JOB.out.OFFSET        a further stretch that begins at OFFSET (20 digits), once the cap is near
//! STATE/output/RUN/JOB.out.OFFSET.idx    when it came
//! STATE/output/RUN/JOB.err…              likewise, standard error
//! ```
//!
//! Files are made when the first byte comes, and nothing but them says how far a stream has come: after a crash the
//! position is what the files hold. Of a stream that outgrows its cap the oldest stretches are removed; each stretch
//! begins with the state of the digest at its offset, so that the digest over *all* bytes goes on exactly.

mod digest;
mod files;
mod flow;
mod index;
mod kept;
mod reader;
mod retention;
mod sink;
mod stretch;

pub use files::jobs_with_output;
pub use reader::{Extents, OutputReader, Piece, StreamEnd};
pub use retention::{Keep, Pruned, prune};
pub use sink::{DEFAULT_CAP, FileOutputs};
