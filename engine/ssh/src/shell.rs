//! One warm shell: requests go in, answers and raw bytes come out.

use std::io;
use std::time::{Duration, Instant};

use piton_core::run::BootId;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// A shell on a host that has said hello and waits for requests.
pub(crate) struct Shell {
    /// The host's boot id. It cannot change while the shell lives.
    pub(crate) boot: BootId,
    uptime: u64,
    greeted: Instant,
    mark: String,
    stdin: Box<dyn AsyncWrite + Send + Sync + Unpin>,
    pub(crate) stdout: Reader,
    pub(crate) stderr: Reader,
    /// What the shell occupies; given back when it is dropped.
    _held: Box<dyn Send + Sync>,
}

/// The three ends of a channel.
pub(crate) struct Ends {
    pub(crate) stdin: Box<dyn AsyncWrite + Send + Sync + Unpin>,
    pub(crate) stdout: Box<dyn AsyncRead + Send + Sync + Unpin>,
    pub(crate) stderr: Box<dyn AsyncRead + Send + Sync + Unpin>,
    pub(crate) held: Box<dyn Send + Sync>,
}

impl Shell {
    /// Waits for the shell to say hello, past whatever the login shell prints.
    pub(crate) async fn greet(ends: Ends, nonce: &str, limit: Duration) -> io::Result<Box<Self>> {
        let mark = format!("@{nonce}");
        let mut stdout = Reader::new(ends.stdout);
        let mut stderr = Reader::new(ends.stderr);
        let told = tokio::time::timeout(limit, async {
            let found = tokio::join!(stdout.line_with(&mark), stderr.line_with(&mark));
            found.0.and_then(|line| found.1.map(|_| line))
        });
        let line = match told.await {
            Ok(Ok(line)) => line,
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let said = [stderr.said.trim(), stdout.said.trim()].join(" ");
                let said = if said.trim().is_empty() { "nothing".to_owned() } else { format!("`{said}`") };
                return Err(io::Error::other(format!("the login shell ended and said {said}")));
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                let said = [stderr.said.trim(), stdout.said.trim()].join(" ");
                return Err(io::Error::other(format!(
                    "no shell within {} seconds of logging in; so far it said `{said}`",
                    limit.as_secs()
                )));
            }
        };
        let hello = Answer::new(&line, &mark);
        if hello.word() != "hello" {
            return Err(io::Error::other(format!("the shell on the host said {line:?} instead of hello")));
        }
        Ok(Box::new(Self {
            boot: BootId(hello.field("boot").to_owned()),
            uptime: hello.number("uptime"),
            greeted: Instant::now(),
            mark,
            stdin: ends.stdin,
            stdout,
            stderr,
            _held: ends.held,
        }))
    }

    /// How long the host has been up at least, in seconds.
    pub(crate) fn uptime(&self) -> u64 {
        self.uptime + self.greeted.elapsed().as_secs()
    }

    /// Sends a request.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<()> {
        self.stdin.write_all(request).await?;
        self.stdin.flush().await
    }

    /// The next answer. Nothing is lost if this is dropped before it is done.
    pub(crate) async fn answer(&mut self) -> io::Result<Answer> {
        let line = self.stdout.line_with(&self.mark).await?;
        Ok(Answer::new(&line, &self.mark))
    }

    /// The next answer on standard error.
    pub(crate) async fn answer_on_stderr(&mut self) -> io::Result<Answer> {
        let line = self.stderr.line_with(&self.mark).await?;
        Ok(Answer::new(&line, &self.mark))
    }

    /// Whether bytes that should be of a file end with the words that a script says instead of going on; those words then.
    pub(crate) fn refusal_in(&self, bytes: &[u8]) -> Option<String> {
        let tail = bytes.get(bytes.len().saturating_sub(REFUSAL)..)?;
        let text = String::from_utf8_lossy(tail);
        let said = text.rsplit_once(&format!("{} refused ", self.mark))?.1;
        Some(said.strip_suffix('\n')?.to_owned())
    }

    /// Whether the shell is there and silent, as one must be that waits for a request.
    pub(crate) fn is_waiting(&mut self) -> bool {
        use futures_util::FutureExt as _;
        self.stdout.ready().is_empty() && self.stdout.fill().now_or_never().is_none()
    }
}

/// Tells our lines from whatever else is printed. It need not be secret.
pub(crate) fn nonce() -> String {
    use std::hash::{BuildHasher as _, Hasher as _};
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let random = std::hash::RandomState::new().build_hasher().finish();
    format!("piton-{random:016x}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// One answer: a word and what belongs to it.
#[derive(Debug, Clone)]
pub(crate) struct Answer(String);

impl Answer {
    fn new(line: &str, mark: &str) -> Self {
        Self(line.strip_prefix(mark).unwrap_or(line).trim().to_owned())
    }

    /// The first word.
    pub(crate) fn word(&self) -> &str {
        self.0.split(' ').next().unwrap_or_default()
    }

    /// All behind the first word.
    pub(crate) fn rest(&self) -> &str {
        self.0.split_once(' ').map_or("", |(_, rest)| rest)
    }

    /// The value of `name=value`; empty if it is not there.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.0.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
    }

    /// The value of `name=number`; 0 if it is not there.
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.field(name).parse().unwrap_or(0)
    }
}

/// Reads lines and raw bytes from one stream.
pub(crate) struct Reader {
    io: Box<dyn AsyncRead + Send + Sync + Unpin>,
    buffer: Vec<u8>,
    at: usize,
    /// The beginning of what was passed over.
    said: String,
}

/// Reads are this large: 1 GiB of output is 8192 of them.
const CHUNK: usize = 128 * 1024;
/// How long a refusal can be.
const REFUSAL: usize = 4096;
/// So much is kept of what a login shell prints, for the message when it does nothing else.
const NOISE: usize = 400;

impl Reader {
    fn new(io: Box<dyn AsyncRead + Send + Sync + Unpin>) -> Self {
        Self { io, buffer: Vec::new(), at: 0, said: String::new() }
    }

    /// What has come and was not taken.
    pub(crate) fn ready(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or_default()
    }

    /// Takes bytes that are ready.
    pub(crate) fn take(&mut self, count: usize) {
        self.at = (self.at + count).min(self.buffer.len());
    }

    /// Waits for more; 0 means that there is no more. Nothing is lost if this is dropped before it is done.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        if self.at == self.buffer.len() {
            self.buffer.clear();
            self.at = 0;
        } else if self.at > CHUNK {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        self.buffer.reserve(CHUNK);
        self.io.read_buf(&mut self.buffer).await
    }

    /// The next line, without its end.
    pub(crate) async fn line(&mut self) -> io::Result<String> {
        self.line_with("").await
    }

    /// The next line that holds `mark`, from there on. What stands before it is passed over.
    async fn line_with(&mut self, mark: &str) -> io::Result<String> {
        loop {
            while let Some(end) = self.ready().iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&self.ready()[..end]).into_owned();
                self.take(end + 1);
                if let Some(begin) = line.find(mark) {
                    return Ok(line[begin..].to_owned());
                }
                self.pass_over(&line);
            }
            if self.fill().await? == 0 {
                let line = String::from_utf8_lossy(self.ready()).into_owned();
                self.pass_over(&line);
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn pass_over(&mut self, line: &str) {
        if self.said.len() < NOISE && !line.trim().is_empty() {
            self.said.extend(line.trim().chars().take(NOISE));
            self.said.push(' ');
        }
    }
}
