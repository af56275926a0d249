//! The second channel, on which output comes while a job runs.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use piton_runner::output::{JobOutput, OutputError, Stream};
use piton_runner::transport::News;

use crate::connect::ConnectError;
use crate::files::index;
use crate::shell::{Reader, Shell};

/// How long a follower may be silent when the job is over and something is missing.
pub(crate) const STALL: Duration = Duration::from_secs(2);

/// The second channel, on which output comes while the job runs.
pub(crate) enum Follower {
    Off,
    Later(Pin<Box<tokio::time::Sleep>>),
    Opening(Pin<Box<dyn Future<Output = Result<Box<Shell>, ConnectError>> + Send>>),
    On(Box<Shell>),
}

pub(crate) enum Step {
    Due,
    Opened(Result<Box<Shell>, ConnectError>),
    Came(Stream),
    Broke,
}

impl Follower {
    pub(crate) fn again() -> Self {
        Self::Later(Box::pin(tokio::time::sleep(Duration::from_secs(1))))
    }

    /// The next thing that happens. Nothing is lost if this is dropped before it is done.
    pub(crate) async fn step(&mut self) -> Step {
        match self {
            Self::Off => std::future::pending().await,
            Self::Later(sleep) => {
                sleep.as_mut().await;
                Step::Due
            }
            Self::Opening(opening) => Step::Opened(opening.as_mut().await),
            Self::On(shell) => {
                let (got, stream) = tokio::select! {
                    got = has(&mut shell.stdout) => (got, Stream::Out),
                    got = has(&mut shell.stderr) => (got, Stream::Err),
                };
                if got { Step::Came(stream) } else { Step::Broke }
            }
        }
    }
}

/// Waits until there is something to take; false: nothing more comes.
pub(crate) async fn has(reader: &mut Reader) -> bool {
    !reader.ready().is_empty() || matches!(reader.fill().await, Ok(1..))
}

/// Takes what is ready, up to the offset `end` of the stream.
pub(crate) async fn take(
    out: &mut dyn JobOutput,
    news: &dyn News,
    stream: Stream,
    reader: &mut Reader,
    end: u64,
) -> Result<(), OutputError> {
    let room = index(end.saturating_sub(out.position(stream)));
    let bytes = reader.ready();
    let bytes = &bytes[..bytes.len().min(room)];
    out.write(stream, bytes).await?;
    news.printed(stream, bytes);
    let taken = bytes.len();
    reader.take(taken);
    Ok(())
}
