//! Carries a job out: has it begin once, follows it through lost connections, collects its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use piton_core::run::{BootId, LossCause, Refusal};
use piton_runner::observer::Notice;
use piton_runner::output::{JobOutput, OutputError, Stream};
use piton_runner::transport::{JobEnd, JobSpec, Launch, MAX_OUTPUTS, News};

use crate::channel::Unreachable;
use crate::exchange;
use crate::follow::{FollowError, Follower};
use crate::hosts::Patience;
use crate::link::Link;
use crate::shell::{Answer, Broken, Ended, Shell};

/// A job that ends within this needs no follower, and no entry in the journal that it began.
const SHORT: Duration = Duration::from_millis(150);

/// How one try over one connection ended.
enum Try {
    End(JobEnd),
    Broken(Broken),
}

impl From<Broken> for Try {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl From<OutputError> for Try {
    fn from(error: OutputError) -> Self {
        Self::End(JobEnd::OutputFailed(error))
    }
}

/// Carries a job out to its end.
pub(crate) struct Carrier<'a> {
    pub(crate) link: &'a Arc<Link>,
    pub(crate) spec: &'a JobSpec,
    pub(crate) news: &'a dyn News,
    pub(crate) patience: &'a Patience,
    launch: Launch,
    /// Since when; what [`Launch::Maybe`] says of the time before is older by this.
    begun: Instant,
    asked: bool,
}

impl<'a> Carrier<'a> {
    pub(crate) fn new(
        link: &'a Arc<Link>,
        spec: &'a JobSpec,
        launch: Launch,
        news: &'a dyn News,
        patience: &'a Patience,
    ) -> Self {
        let asked = launch != Launch::Fresh;
        Self { link, spec, news, patience, launch, begun: Instant::now(), asked }
    }

    pub(crate) async fn carry(mut self, out: &mut dyn JobOutput) -> JobEnd {
        let mut trouble = Trouble::default();
        loop {
            let why = match self.link.lend().await {
                Ok(shell) => match self.over(shell, out, &mut trouble).await {
                    Try::End(end) => return end,
                    Try::Broken(Broken(why)) => {
                        self.link.distrust();
                        Unreachable::for_now(why)
                    }
                },
                Err(why) => why,
            };
            if !trouble.told() {
                self.news.notice(Notice::Disconnected { host: self.link.name.clone(), why: why.why.clone() });
            }
            let patience = if self.asked { self.patience.after } else { self.patience.before };
            if (why.definite && !self.asked) || trouble.lasts() > patience {
                let why = why.why;
                return if self.asked {
                    JobEnd::Lost(LossCause::Unreachable(why))
                } else {
                    JobEnd::Refused(Refusal::Unreachable(why))
                };
            }
            trouble.pause().await;
        }
    }

    /// One try over one shell. The shell goes back to its host if everything it was asked has been answered.
    async fn over(&mut self, shell: Shell, out: &mut dyn JobOutput, trouble: &mut Trouble) -> Try {
        match self.talk(shell, out, trouble).await {
            Ok(end) => Try::End(end),
            Err(failed) => failed,
        }
    }

    async fn talk(&mut self, mut shell: Shell, out: &mut dyn JobOutput, trouble: &mut Trouble) -> Result<JobEnd, Try> {
        let starting = self.link.starting.acquire().await.ok();
        let job = self.spec.id.file_name();
        let fresh = self.launch == Launch::Fresh;
        if fresh {
            self.news.launching();
            // Whatever becomes of this connection: from here on the job may exist.
            self.asked = true;
            self.launch = Launch::Maybe {
                boot: Some(shell.boot.clone()),
                since: piton_core::time::Timestamp(0),
                now: piton_core::time::Timestamp(0),
            };
            shell.send(&exchange::launch(self.spec, shell.end_of_text())).await?;
        } else {
            shell.send(&format!("attend {} {job}\n", self.spec.run)).await?;
        }
        loop {
            let answer = shell.answer().await?;
            if trouble.over() {
                self.news.notice(Notice::Connected { host: self.link.name.clone() });
            }
            match answer {
                Answer::Started | Answer::Running => break,
                Answer::Exists => shell.send(&format!("attend {} {job}\n", self.spec.run)).await?,
                Answer::Exited(ended) => return self.collect(shell, ended, None, out).await,
                Answer::Refused(why) => {
                    self.link.give_back(shell);
                    return Ok(JobEnd::Refused(Refusal::Refused(why)));
                }
                Answer::Lost(why) => {
                    self.link.give_back(shell);
                    return Ok(JobEnd::Lost(why));
                }
                Answer::Absent { uptime } => match self.absent(&shell.boot, uptime) {
                    Some(why) => {
                        self.link.give_back(shell);
                        return Ok(JobEnd::Lost(why));
                    }
                    None => {
                        self.news.launching();
                        self.asked = true;
                        shell.send(&exchange::launch(self.spec, shell.end_of_text())).await?;
                    }
                },
                odd @ (Answer::Dead | Answer::Alive(_) | Answer::Pong { .. } | Answer::Following | Answer::Done) => {
                    return Err(Broken(format!("an answer to another question: {odd:?}")).into());
                }
            }
        }
        let boot = shell.boot.clone();
        self.launch = Launch::Never { boot: Some(boot.clone()) };
        self.attend(shell, boot, starting, out).await
    }

    /// What it means that nobody ever claimed the job there: `None` if it certainly never began and may begin now.
    fn absent(&self, boot: &BootId, uptime: u64) -> Option<LossCause> {
        match &self.launch {
            Launch::Fresh => None,
            Launch::Never { boot: Some(was) } if was != boot => Some(LossCause::HostRebooted),
            Launch::Never { .. } => Some(LossCause::FilesGone),
            Launch::Maybe { boot: Some(was), .. } if was == boot => None,
            Launch::Maybe { boot: Some(_), .. } => Some(LossCause::HostRebooted),
            Launch::Maybe { boot: None, since, now } => {
                // The engine's clock may have jumped back since then: that says nothing.
                let ago = now.since(*since) + self.begun.elapsed();
                let same = now >= since && Duration::from_secs(uptime) > ago;
                if same { None } else { Some(LossCause::HostRebooted) }
            }
        }
    }

    /// The job goes on: waits for its end, and follows what it prints if it is a long one.
    async fn attend(
        &mut self,
        mut shell: Shell,
        boot: BootId,
        starting: Option<tokio::sync::SemaphorePermit<'_>>,
        out: &mut dyn JobOutput,
    ) -> Result<JobEnd, Try> {
        let mut follower = None;
        let answer = {
            let mut answer = std::pin::pin!(shell.answer());
            let short = tokio::time::timeout(SHORT, &mut answer).await;
            drop(starting);
            match short {
                Ok(answer) => answer?,
                Err(_long) => {
                    self.news.started(boot);
                    let from = positions(out);
                    let mut opening = std::pin::pin!(Follower::open(self.link, self.spec.run, &self.spec.id, from));
                    loop {
                        match &mut follower {
                            // The job may end before there is a place to follow it from.
                            None => tokio::select! {
                                answer = &mut answer => break answer?,
                                opened = &mut opening => follower = Some(opened?),
                            },
                            Some(following) => tokio::select! {
                                answer = &mut answer => break answer?,
                                step = following.step(out, self.news) => step.map_err(stopped)?,
                            },
                        }
                    }
                }
            }
        };
        if let Answer::Exited(ended) = answer {
            return self.collect(shell, ended, follower, out).await;
        }
        if let Answer::Lost(why) = answer {
            self.link.give_back(shell);
            return Ok(JobEnd::Lost(why));
        }
        Err(Broken(format!("an answer to another question: {answer:?}")).into())
    }

    /// The job has ended: takes what of its output is still missing.
    async fn collect(
        &mut self,
        shell: Shell,
        ended: Ended,
        mut follower: Option<Follower>,
        out: &mut dyn JobOutput,
    ) -> Result<JobEnd, Try> {
        let streams = [Stream::Out, Stream::Err];
        if let Some(inline) = ended.inline {
            for (stream, bytes) in streams.into_iter().zip(inline) {
                let have = usize::try_from(out.position(stream)).unwrap_or(usize::MAX);
                if let Some(rest) = bytes.get(have..)
                    && !rest.is_empty()
                {
                    out.write(stream, rest).await?;
                    self.news.printed(stream, rest);
                }
            }
        }
        let boot = shell.boot.clone();
        self.link.give_back(shell);
        let missing = |out: &dyn JobOutput| streams.iter().zip(ended.printed).any(|(&s, len)| out.position(s) < len);
        while missing(out) {
            let following = match &mut follower {
                Some(following) => following,
                None => {
                    let from = positions(out);
                    follower.insert(Follower::open(self.link, self.spec.run, &self.spec.id, from).await?)
                }
            };
            following.step(out, self.news).await.map_err(stopped)?;
        }
        let outputs = match ended.outputs {
            Ok(bytes) if bytes.len() <= MAX_OUTPUTS => Ok(bytes),
            Ok(bytes) => Err(too_much(bytes.len() as u64)),
            Err(len) => Err(too_much(len)),
        };
        Ok(JobEnd::Exited { exit: ended.exit, outputs, boot })
    }
}

fn positions(out: &dyn JobOutput) -> [u64; 2] {
    [out.position(Stream::Out), out.position(Stream::Err)]
}

fn too_much(len: u64) -> String {
    format!(
        "{len} bytes were written to $PITON_OUTPUT; {MAX_OUTPUTS} are the most. Large results belong in a file, and `get` brings them"
    )
}

fn stopped(error: FollowError) -> Try {
    match error {
        FollowError::Broken(broken) => Try::Broken(broken),
        FollowError::Output(error) => error.into(),
    }
}

/// How long a host has not been reached, and when to try again.
#[derive(Default)]
pub(crate) struct Trouble {
    since: Option<Instant>,
    tries: u32,
}

impl Trouble {
    /// Notes that there is trouble; whether that was known.
    pub(crate) fn told(&mut self) -> bool {
        let known = self.since.is_some();
        self.since.get_or_insert_with(Instant::now);
        known
    }

    pub(crate) fn lasts(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// The host was reached; whether that is news.
    pub(crate) fn over(&mut self) -> bool {
        self.tries = 0;
        self.since.take().is_some()
    }

    /// Waits before the next try: 0.2 s, doubled each time, 10 s at most.
    pub(crate) async fn pause(&mut self) {
        let pause = Duration::from_millis(200) * 2u32.saturating_pow(self.tries);
        self.tries = (self.tries + 1).min(10);
        tokio::time::sleep(pause.min(Duration::from_secs(10))).await;
    }
}
