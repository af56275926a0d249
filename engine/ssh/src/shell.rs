//! A warm shell: the wrapper running on a host, asked one thing after another.

use std::time::Duration;

use piton_core::run::{BootId, Exit, LossCause};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::channel::{Channel, Unreachable};

/// How long the wrapper may take to begin, through banners and slow profiles.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// The longest line that the wrapper answers.
const MAX_LINE: u64 = 64 * 1024;

/// How much output comes back with the answer itself.
const MAX_INLINE: u64 = 400 * 1024;

/// The connection broke, or what comes over it is not ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Broken(pub(crate) String);

/// What the wrapper answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The job has begun.
    Started,
    /// It was claimed before.
    Exists,
    /// The host cannot start it.
    Refused(String),
    /// It ended.
    Exited(Ended),
    /// It goes on.
    Running,
    /// Nobody ever claimed it there.
    Absent { uptime: u64 },
    /// It began, and its end is not known.
    Lost(LossCause),
    /// Nothing of it lives.
    Dead,
    /// Something of it cannot be ended.
    Alive(String),
    /// What the host is.
    Pong { uptime: u64, system: String },
    /// The follower has begun.
    Following,
    /// Done.
    Done,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    /// How many bytes it printed on stdout and stderr.
    pub(crate) printed: [u64; 2],
    /// The bytes that came with the answer: `$PITON_OUTPUT`, or how many there are if they are too many.
    pub(crate) outputs: Result<Vec<u8>, u64>,
    /// All that it printed, if that is little.
    pub(crate) inline: Option<[Vec<u8>; 2]>,
}

/// The wrapper running on a host.
pub(crate) struct Shell {
    stdin: Box<dyn tokio::io::AsyncWrite + Send + Sync + Unpin>,
    stdout: BufReader<Box<dyn tokio::io::AsyncRead + Send + Sync + Unpin>>,
    stderr: Box<dyn tokio::io::AsyncRead + Send + Sync + Unpin>,
    held: Box<dyn std::any::Any + Send + Sync>,
    word: String,
    pub(crate) boot: BootId,
}

/// The three streams of a shell that has become a follower.
pub(crate) struct Streams {
    pub(crate) out: BufReader<Box<dyn tokio::io::AsyncRead + Send + Sync + Unpin>>,
    pub(crate) err: BufReader<Box<dyn tokio::io::AsyncRead + Send + Sync + Unpin>>,
    /// Closing it ends the follower on the host.
    pub(crate) _stdin: Box<dyn tokio::io::AsyncWrite + Send + Sync + Unpin>,
    pub(crate) _held: Box<dyn std::any::Any + Send + Sync>,
}

impl Shell {
    /// Begins the conversation: whatever a profile or banner prints before the first answer is passed over.
    pub(crate) async fn greet(channel: Channel, boot_file: &str) -> Result<Self, Unreachable> {
        let Channel { stdin, stdout, stderr, held } = channel;
        let word = random_word();
        let stdout = BufReader::with_capacity(64 * 1024, stdout);
        let mut shell = Self { stdin, stdout, stderr, held, word, boot: BootId(String::new()) };
        let greeting = format!("{} ! {boot_file}\n", shell.word);
        let ready = tokio::time::timeout(READY_WITHIN, async {
            shell.send(&greeting).await?;
            shell.words().await
        });
        match ready.await {
            Ok(Ok(words)) => match words.as_slice() {
                [ready, boot] if ready == "ready" => {
                    shell.boot = BootId(boot.clone());
                    Ok(shell)
                }
                other => Err(Unreachable::for_now(format!("the shell there answers `{}`", other.join(" ")))),
            },
            Ok(Err(broken)) => {
                let said = shell.complaint().await;
                Err(Unreachable::for_now(if said.is_empty() { broken.0 } else { format!("{broken}: {said}") }))
            }
            Err(_late) => Err(Unreachable::for_now(format!(
                "its shell does not begin within {} s: does the login shell ask something, or replace itself?",
                READY_WITHIN.as_secs()
            ))),
        }
    }

    /// Sends a request; the answer is read with [`Shell::answer`].
    pub(crate) async fn send(&mut self, text: &str) -> Result<(), Broken> {
        let sent = async {
            self.stdin.write_all(text.as_bytes()).await?;
            self.stdin.flush().await
        };
        sent.await.map_err(|error| Broken(format!("the connection is gone: {error}")))
    }

    /// The line that ends a text that is sent; no text can hold it.
    pub(crate) fn end_of_text(&self) -> &str {
        &self.word
    }

    /// Reads the next answer.
    pub(crate) async fn answer(&mut self) -> Result<Answer, Broken> {
        let words = self.words().await?;
        let text = |from: usize| words.get(from..).unwrap_or_default().join(" ");
        let number = |at: usize| words.get(at).and_then(|w| w.parse::<u64>().ok());
        let odd = || Broken(format!("the shell there answers `{}`", text(0)));
        let verb = words.first().map(String::as_str).unwrap_or_default();
        Ok(match verb {
            "started" => Answer::Started,
            "exists" => Answer::Exists,
            "refused" => Answer::Refused(text(1)),
            "running" => Answer::Running,
            "absent" => Answer::Absent { uptime: number(2).unwrap_or(0) },
            "lost" if words.get(1).is_some_and(|w| w == "rebooted") => Answer::Lost(LossCause::HostRebooted),
            "lost" => Answer::Lost(LossCause::ProcessGone),
            "dead" => Answer::Dead,
            "alive" => Answer::Alive(text(1)),
            "pong" => Answer::Pong { uptime: number(2).ok_or_else(odd)?, system: text(3) },
            "following" => Answer::Following,
            "done" => Answer::Done,
            "exited" => {
                let (code, lens) = (number(1), (number(3), number(4), number(5)));
                let (Some(code), (Some(outputs), Some(out), Some(err))) = (code, lens) else { return Err(odd()) };
                self.ended(code, [outputs, out, err], &text(6)).await?
            }
            _other => return Err(odd()),
        })
    }

    async fn ended(&mut self, code: u64, lens: [u64; 3], kind: &str) -> Result<Answer, Broken> {
        // ksh reports death by a signal as 256 + its number, every other shell as 128 + it.
        let code = if code > 255 { code.saturating_sub(128) } else { code };
        let exit = Exit(u8::try_from(code).unwrap_or(u8::MAX));
        let [outputs, out, err] = lens;
        let mut inline = None;
        let outputs = match kind {
            "inline" => {
                let outputs = self.exactly(outputs).await?;
                inline = Some([self.exactly(out).await?, self.exactly(err).await?]);
                Ok(outputs)
            }
            "outputs" => Ok(self.exactly(outputs).await?),
            _none => Err(outputs),
        };
        Ok(Answer::Exited(Ended { exit, printed: [out, err], outputs, inline }))
    }

    /// Reads exactly this many bytes; a host that announces more than it may is not believed.
    async fn exactly(&mut self, len: u64) -> Result<Vec<u8>, Broken> {
        if len > MAX_INLINE {
            return Err(Broken(format!("the shell there wants to send {len} bytes at once")));
        }
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        self.stdout.read_exact(&mut bytes).await.map_err(|error| Broken(format!("the connection is gone: {error}")))?;
        Ok(bytes)
    }

    /// The words of the next line that is an answer.
    async fn words(&mut self) -> Result<Vec<String>, Broken> {
        loop {
            let mut line = Vec::new();
            let mut limited = (&mut self.stdout).take(MAX_LINE);
            let read = limited.read_until(b'\n', &mut line).await;
            if read.map_err(|error| Broken(format!("the connection is gone: {error}")))? == 0 {
                return Err(Broken("the connection is gone".to_owned()));
            }
            let line = String::from_utf8_lossy(&line);
            let mut words = line.split_whitespace();
            if words.next() == Some(&self.word) {
                return Ok(words.map(str::to_owned).collect());
            }
        }
    }

    /// What the shell complained of, shortened; for messages.
    async fn complaint(&mut self) -> String {
        let mut said = vec![0; 2048];
        let read = tokio::time::timeout(Duration::from_millis(200), self.stderr.read(&mut said)).await;
        said.truncate(read.ok().and_then(Result::ok).unwrap_or(0));
        let text = String::from_utf8_lossy(&said);
        text.split_whitespace().collect::<Vec<_>>().join(" ").chars().filter(|c| !c.is_control()).take(300).collect()
    }

    /// Turns into the two streams that a follower gives, both from their first byte on.
    pub(crate) async fn into_streams(self) -> Result<Streams, Broken> {
        let mut err = BufReader::with_capacity(64 * 1024, self.stderr);
        loop {
            let mut line = Vec::new();
            let read = (&mut err).take(MAX_LINE).read_until(b'\n', &mut line).await;
            if read.map_err(|error| Broken(format!("the connection is gone: {error}")))? == 0 {
                return Err(Broken("the connection is gone".to_owned()));
            }
            if String::from_utf8_lossy(&line).trim_end() == self.word {
                break;
            }
        }
        Ok(Streams { out: self.stdout, err, _stdin: self.stdin, _held: self.held })
    }
}

/// 128 random bits as hex: what a host prints cannot be taken for an answer.
fn random_word() -> String {
    use std::hash::{BuildHasher, Hasher};
    // Each `RandomState` has keys of its own from the system's random numbers.
    let half = || std::collections::hash_map::RandomState::new().build_hasher().finish();
    format!("piton{:016x}{:016x}", half(), half())
}
