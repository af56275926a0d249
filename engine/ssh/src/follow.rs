//! Follows what a job prints: two streams of plain bytes from where the output stands.

use std::sync::Arc;

use piton_core::ids::{JobId, RunId};
use piton_runner::output::{JobOutput, OutputError, Stream};
use piton_runner::transport::News;
use tokio::io::AsyncReadExt;

use crate::link::Link;
use crate::shell::{Answer, Broken, Streams};

/// How much is read at a time.
const CHUNK: usize = 128 * 1024;

/// Follows one job's output.
pub(crate) struct Follower {
    streams: Streams,
    buffers: [Vec<u8>; 2],
}

impl Follower {
    /// Begins where the output stands.
    pub(crate) async fn open(link: &Arc<Link>, run: RunId, job: &JobId, from: [u64; 2]) -> Result<Self, Broken> {
        let mut shell = link.lend().await.map_err(|error| Broken(error.why))?;
        let [at_out, at_err] = from;
        shell.send(&format!("follow {run} {} {at_out} {at_err}\n", job.file_name())).await?;
        let answer = shell.answer().await?;
        if answer != Answer::Following {
            return Err(Broken(format!("the output cannot be followed: {answer:?}")));
        }
        let streams = shell.into_streams().await?;
        Ok(Self { streams, buffers: [vec![0; CHUNK], vec![0; CHUNK]] })
    }

    /// Takes the next bytes of either stream.
    pub(crate) async fn step(&mut self, out: &mut dyn JobOutput, news: &dyn News) -> Result<(), FollowError> {
        let [for_out, for_err] = &mut self.buffers;
        let (stream, read, buffer) = tokio::select! {
            read = self.streams.out.read(for_out) => (Stream::Out, read, for_out),
            read = self.streams.err.read(for_err) => (Stream::Err, read, for_err),
        };
        match read {
            Ok(0) => Err(FollowError::Broken(Broken("the follower has ended".to_owned()))),
            Ok(len) => {
                out.write(stream, &buffer[..len]).await.map_err(FollowError::Output)?;
                news.printed(stream, &buffer[..len]);
                Ok(())
            }
            Err(error) => Err(FollowError::Broken(Broken(format!("the connection is gone: {error}")))),
        }
    }
}

/// Why following stopped.
pub(crate) enum FollowError {
    /// The connection broke.
    Broken(Broken),
    /// The output cannot be kept.
    Output(OutputError),
}
