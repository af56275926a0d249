//! Carrying a job: launch it once, follow it to its end, through lost connections.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use piton_core::ids::HostName;
use piton_core::run::{BootId, Exit, LossCause, Refusal};
use piton_runner::observer::Notice;
use piton_runner::output::{JobOutput, OutputError, Stream};
use piton_runner::transport::{JobEnd, JobSpec, Launch, MAX_OUTPUTS, News};
use tokio::time::Instant;

use crate::connect::{ConnectError, Hope};
use crate::files::index;
use crate::pool::Pool;
use crate::script;
use crate::shell::{Answer, Reader, Shell};

/// Carries a job; see [`piton_runner::transport::Transport::carry`].
pub(crate) async fn carry(
    pool: Arc<Pool>,
    job: &JobSpec,
    launch: Launch,
    out: &mut dyn JobOutput,
    news: &dyn News,
) -> JobEnd {
    if let Some(why) = script::unfit(job) {
        return JobEnd::Refused(Refusal::Refused(why));
    }
    let outage = Outage::new(pool.host.clone());
    let fresh = launch == Launch::Fresh;
    let known = match launch {
        Launch::Fresh => Known::Nothing,
        Launch::Maybe { boot: Some(boot), since: _, now: _ } => Known::AskedFor(boot),
        Launch::Maybe { boot: None, since, now } => Known::AskedAt(Instant::now(), now.since(since)),
        Launch::Never { boot } => Known::Began(boot),
    };
    let mut carry = Carry { pool, job, out, news, known, told: Told::default(), outage, fresh };
    loop {
        let shell = match carry.reach().await {
            Ok(shell) => shell,
            Err(end) => return end,
        };
        match carry.talk(shell).await {
            Ok(end) => return end,
            Err(Broken::Kept(error)) => return JobEnd::OutputFailed(error),
            Err(Broken::Lost(error)) => {
                carry.fresh &= !carry.told.launching;
                let why = format!("the connection to {} was lost: {error}", carry.job.host);
                let limit = carry.limit();
                if !carry.outage.goes_on(&why, limit, news).await {
                    return carry.give_up(why);
                }
            }
        }
    }
}

struct Carry<'a> {
    pool: Arc<Pool>,
    job: &'a JobSpec,
    out: &'a mut dyn JobOutput,
    news: &'a dyn News,
    known: Known,
    told: Told,
    outage: Outage,
    /// It was never asked for, but perhaps in the talk that goes on.
    fresh: bool,
}

/// What is known of the job before the host is asked.
enum Known {
    /// It was never asked for.
    Nothing,
    /// It was asked for while the host had this boot id.
    AskedFor(BootId),
    /// It was asked for this long before that moment, or later.
    AskedAt(Instant, Duration),
    /// It has begun, under this boot id where that is known.
    Began(Option<BootId>),
}

/// What the engine has been told.
#[derive(Default)]
struct Told {
    launching: bool,
    started: bool,
}

/// Why a talk with a shell ended before the job did.
enum Broken {
    Lost(io::Error),
    Kept(OutputError),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

impl From<OutputError> for Broken {
    fn from(error: OutputError) -> Self {
        Self::Kept(error)
    }
}

impl Carry<'_> {
    /// A shell on the host, however long that takes, within the limit.
    async fn reach(&mut self) -> Result<Box<Shell>, JobEnd> {
        loop {
            let error = match self.pool.shell().await {
                Ok(shell) => return Ok(shell),
                Err(error) => error,
            };
            let hopeless = match error.hope {
                Hope::None => true,
                Hope::Little => self.outage.tries >= 2,
                Hope::Soon => false,
            };
            let (begun, limit) = (self.may_have_begun(), self.limit());
            if (hopeless && !begun) || !self.outage.goes_on(&error.message, limit, self.news).await {
                return Err(self.give_up(error.message));
            }
        }
    }

    fn may_have_begun(&self) -> bool {
        match self.known {
            Known::Nothing => false,
            Known::AskedFor(_) | Known::AskedAt(..) | Known::Began(_) => true,
        }
    }

    fn limit(&self) -> Duration {
        let options = &self.pool.common.options;
        if self.may_have_begun() { options.lost_limit } else { options.connect_limit }
    }

    fn give_up(&self, why: String) -> JobEnd {
        if self.may_have_begun() {
            JobEnd::Lost(LossCause::Unreachable(why))
        } else {
            JobEnd::Refused(Refusal::Unreachable(why))
        }
    }

    /// Whether the host, as it is now, has been up since before the job was first asked for.
    fn is_same_boot(&self, shell: &Shell) -> bool {
        match &self.known {
            Known::Nothing => true,
            Known::AskedFor(boot) => *boot == shell.boot,
            Known::AskedAt(then, before) => {
                // Up to a second is lost in rounding at either end.
                shell.uptime() > then.elapsed().saturating_add(*before).as_secs().saturating_add(2)
            }
            Known::Began(_) => false,
        }
    }

    /// Launches the job or looks for it, and follows it to its end.
    async fn talk(&mut self, mut shell: Box<Shell>) -> Result<JobEnd, Broken> {
        if self.is_same_boot(&shell) {
            if !self.told.launching {
                self.told.launching = true;
                self.news.launching();
            }
            self.known = Known::AskedFor(shell.boot.clone());
            shell.ask(&script::launch(self.job)).await?;
        } else {
            shell.ask(&script::watch(self.job)).await?;
        }
        let mut follower = Follower::Off;
        loop {
            let answer = tokio::select! {
                answer = shell.answer() => answer?,
                step = follower.step() => {
                    self.follow(&mut follower, step, &shell).await?;
                    continue;
                }
            };
            self.outage.over(self.news);
            match answer.word() {
                "started" | "found" => {
                    self.known = Known::Began(Some(shell.boot.clone()));
                    follower = Follower::Later(Box::pin(tokio::time::sleep(self.pool.common.options.follow_after)));
                }
                "tick" => {}
                "exited" => return self.collect(shell, &answer, follower).await,
                word => {
                    let end = self.judge(word, &answer, &shell);
                    self.pool.give(shell);
                    return Ok(end);
                }
            }
        }
    }

    /// What an answer means that says nothing of an exit status.
    fn judge(&self, word: &str, answer: &Answer, shell: &Shell) -> JobEnd {
        let never = |why: &str| JobEnd::Refused(Refusal::Refused(why.to_owned()));
        match word {
            "refused" => never(answer.rest()),
            "never" => never("it was stopped before it began"),
            "ended" if self.fresh => never("the run is over on this host: its files were removed"),
            "ended" => JobEnd::Lost(LossCause::FilesGone),
            "absent" => match &self.known {
                Known::Began(Some(boot)) | Known::AskedFor(boot) if *boot != shell.boot => {
                    JobEnd::Lost(LossCause::HostRebooted)
                }
                Known::AskedAt(..) => JobEnd::Lost(LossCause::HostRebooted),
                Known::Nothing | Known::AskedFor(_) | Known::Began(_) => JobEnd::Lost(LossCause::FilesGone),
            },
            "lost" => JobEnd::Lost(match answer.rest() {
                "process" => LossCause::ProcessGone,
                "boot" => LossCause::HostRebooted,
                _ => LossCause::FilesGone,
            }),
            other => JobEnd::Lost(LossCause::Unreachable(format!("the shell on the host said {other:?}"))),
        }
    }

    /// Goes one step on in following the output while it comes.
    async fn follow(&mut self, follower: &mut Follower, step: Step, shell: &Shell) -> Result<(), Broken> {
        match step {
            Step::Due => {
                if !self.told.started {
                    self.told.started = true;
                    self.news.started(shell.boot.clone());
                }
                let pool = Arc::clone(&self.pool);
                let (from_out, from_err) = (self.out.position(Stream::Out), self.out.position(Stream::Err));
                let (run, name) = (self.job.run.to_string(), self.job.id.file_name());
                *follower = Follower::Opening(Box::pin(async move {
                    let mut shell = pool.shell().await?;
                    let (from_out, from_err) = (from_out.to_string(), from_err.to_string());
                    let request = script::run(script::FOLLOW, &[&run, &name, &from_out, &from_err]);
                    let begun = async {
                        shell.ask(&request).await?;
                        shell.answer().await?;
                        shell.answer_on_stderr().await
                    };
                    let lost = |error: io::Error| ConnectError::soon(error.to_string());
                    begun.await.map_err(lost)?;
                    Ok(shell)
                }));
            }
            Step::Opened(Ok(shell)) => *follower = Follower::On(shell),
            Step::Opened(Err(error)) => {
                tracing::debug!(host = %self.job.host, error = error.message, "no channel to follow the output on");
                *follower = Follower::again();
            }
            Step::Came(stream) => {
                if let Follower::On(shell) = follower {
                    let reader = match stream {
                        Stream::Out => &mut shell.stdout,
                        Stream::Err => &mut shell.stderr,
                    };
                    take(self.out, self.news, stream, reader, u64::MAX).await?;
                }
            }
            Step::Broke => *follower = Follower::again(),
        }
        Ok(())
    }

    /// The job has ended: takes the rest of what it wrote.
    async fn collect(&mut self, mut shell: Box<Shell>, answer: &Answer, follower: Follower) -> Result<JobEnd, Broken> {
        let lengths = [(Stream::Out, answer.number("out")), (Stream::Err, answer.number("err"))];
        let outputs_len = answer.number("outputs");
        let inline = answer.field("inline") == "1";
        let mut outputs = Vec::new();
        if inline {
            take_exactly(&mut shell.stdout, outputs_len, |bytes| outputs.extend_from_slice(bytes)).await?;
            for (stream, len) in lengths {
                self.take_inline(&mut shell.stdout, stream, len).await?;
            }
        } else {
            let follower = self.drain(follower, lengths).await?;
            self.release(follower);
            for (stream, len) in lengths {
                self.take_rest(&mut shell, stream, len).await?;
            }
            if outputs_len > 0 && outputs_len <= MAX_OUTPUTS as u64 {
                self.ask_rest(&mut shell, "output", 0, outputs_len).await?;
                take_exactly(&mut shell.stdout, outputs_len, |bytes| outputs.extend_from_slice(bytes)).await?;
            }
            let code = answer.number("code");
            return Ok(self.exited(shell, code, outputs, outputs_len));
        }
        self.release(follower);
        let code = answer.number("code");
        Ok(self.exited(shell, code, outputs, outputs_len))
    }

    fn exited(&self, shell: Box<Shell>, code: u64, outputs: Vec<u8>, len: u64) -> JobEnd {
        let outputs = if len > MAX_OUTPUTS as u64 {
            Err(format!("it wrote {len} bytes to $PITON_OUTPUT; {MAX_OUTPUTS} is the most"))
        } else {
            Ok(outputs)
        };
        let boot = shell.boot.clone();
        self.pool.give(shell);
        // A shell never says more than 255; should it, the job certainly did not succeed.
        JobEnd::Exited { exit: Exit(u8::try_from(code).unwrap_or(u8::MAX)), outputs, boot }
    }

    /// Takes what comes with the answer, but for what we have already.
    async fn take_inline(&mut self, reader: &mut Reader, stream: Stream, len: u64) -> Result<(), Broken> {
        let mut have = self.out.position(stream).min(len);
        let mut left = len;
        while left > 0 {
            if reader.ready().is_empty() && reader.fill().await? == 0 {
                return Err(Broken::Lost(io::ErrorKind::UnexpectedEof.into()));
            }
            let here = count(reader.ready().len()).min(left);
            let skip = have.min(here);
            if here > skip {
                let bytes = &reader.ready()[index(skip)..index(here)];
                self.out.write(stream, bytes).await?;
                self.news.printed(stream, bytes);
            }
            have -= skip;
            left -= here;
            reader.take(index(here));
        }
        Ok(())
    }

    /// Takes from the follower until all has come, as long as something comes.
    async fn drain(&mut self, mut follower: Follower, lengths: [(Stream, u64); 2]) -> Result<Follower, Broken> {
        while let Follower::On(shell) = &mut follower {
            let missing: Vec<_> = lengths.into_iter().filter(|(s, len)| self.out.position(*s) < *len).collect();
            if missing.is_empty() {
                break;
            }
            let wants = |stream| missing.iter().find(|(s, _)| *s == stream).map(|(_, len)| *len);
            let (out, err) = (wants(Stream::Out), wants(Stream::Err));
            let step = tokio::time::timeout(STALL, async {
                tokio::select! {
                    got = has(&mut shell.stdout), if out.is_some() => (got, Stream::Out, out),
                    got = has(&mut shell.stderr), if err.is_some() => (got, Stream::Err, err),
                }
            });
            match step.await {
                Ok((true, stream, len)) => {
                    let reader = match stream {
                        Stream::Out => &mut shell.stdout,
                        Stream::Err => &mut shell.stderr,
                    };
                    take(self.out, self.news, stream, reader, len.unwrap_or(0)).await?;
                }
                Ok((false, _, _)) | Err(_) => follower = Follower::Off,
            }
        }
        Ok(follower)
    }

    /// Asks for what has not come.
    async fn take_rest(&mut self, shell: &mut Shell, stream: Stream, len: u64) -> Result<(), Broken> {
        let from = self.out.position(stream);
        if from >= len {
            return Ok(());
        }
        let suffix = match stream {
            Stream::Out => "out",
            Stream::Err => "err",
        };
        self.ask_rest(shell, suffix, from, len - from).await?;
        while self.out.position(stream) < len {
            if !has(&mut shell.stdout).await {
                return Err(Broken::Lost(io::ErrorKind::UnexpectedEof.into()));
            }
            take(self.out, self.news, stream, &mut shell.stdout, len).await?;
        }
        Ok(())
    }

    async fn ask_rest(&mut self, shell: &mut Shell, suffix: &str, from: u64, len: u64) -> Result<(), Broken> {
        let (run, name) = (self.job.run.to_string(), self.job.id.file_name());
        let (from, len) = (from.to_string(), len.to_string());
        shell.ask(&script::run(script::REST, &[&run, &name, suffix, &from, &len])).await?;
        shell.answer().await?;
        Ok(())
    }

    /// Ends the follower, off the way of the job.
    fn release(&self, follower: Follower) {
        if let Follower::On(mut shell) = follower {
            let pool = Arc::clone(&self.pool);
            tokio::spawn(async move {
                let ended = tokio::time::timeout(STALL, async {
                    shell.ask(b"done\n").await?;
                    shell.answer().await?;
                    shell.answer_on_stderr().await
                });
                if let Ok(Ok(_)) = ended.await {
                    pool.give(shell);
                }
            });
        }
    }
}

/// How long a follower may be silent when the job is over and something is missing.
const STALL: Duration = Duration::from_secs(2);

/// The second channel, on which output comes while the job runs.
enum Follower {
    Off,
    Later(Pin<Box<tokio::time::Sleep>>),
    Opening(Pin<Box<dyn Future<Output = Result<Box<Shell>, ConnectError>> + Send>>),
    On(Box<Shell>),
}

enum Step {
    Due,
    Opened(Result<Box<Shell>, ConnectError>),
    Came(Stream),
    Broke,
}

impl Follower {
    fn again() -> Self {
        Self::Later(Box::pin(tokio::time::sleep(Duration::from_secs(1))))
    }

    /// The next thing that happens. Nothing is lost if this is dropped before it is done.
    async fn step(&mut self) -> Step {
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
async fn has(reader: &mut Reader) -> bool {
    !reader.ready().is_empty() || matches!(reader.fill().await, Ok(1..))
}

/// Takes what is ready, up to the offset `end` of the stream.
async fn take(
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

async fn take_exactly(reader: &mut Reader, len: u64, mut sink: impl FnMut(&[u8])) -> io::Result<()> {
    let mut left = index(len);
    while left > 0 {
        if reader.ready().is_empty() && reader.fill().await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let here = reader.ready().len().min(left);
        sink(&reader.ready()[..here]);
        reader.take(here);
        left -= here;
    }
    Ok(())
}

fn count(index: usize) -> u64 {
    u64::try_from(index).unwrap_or(u64::MAX)
}

/// A time in which a host is not reached: when it began, and how often we tried.
pub(crate) struct Outage {
    host: HostName,
    since: Option<Instant>,
    tries: u32,
}

impl Outage {
    pub(crate) fn new(host: HostName) -> Self {
        Self { host, since: None, tries: 0 }
    }

    /// Notes a failure and waits before the next try; false: it has lasted longer than `limit`.
    pub(crate) async fn goes_on(&mut self, why: &str, limit: Duration, news: &dyn News) -> bool {
        let since = *self.since.get_or_insert_with(|| {
            news.notice(Notice::Disconnected { host: self.host.clone(), why: why.to_owned() });
            Instant::now()
        });
        let left = limit.saturating_sub(since.elapsed());
        let pause = FIRST_PAUSE.saturating_mul(1 << self.tries.min(10)).min(LONGEST_PAUSE);
        self.tries = self.tries.saturating_add(1);
        if left.is_zero() {
            return false;
        }
        tokio::time::sleep(pause.min(left)).await;
        true
    }

    /// The host has answered.
    pub(crate) fn over(&mut self, news: &dyn News) {
        self.tries = 0;
        if self.since.take().is_some() {
            news.notice(Notice::Connected { host: self.host.clone() });
        }
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
