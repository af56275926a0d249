//! Carrying a job: launch it once, follow it to its end, through lost connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use piton_core::run::{BootId, LossCause, Refusal};
use piton_runner::output::{JobOutput, OutputError, Stream};
use piton_runner::transport::{Ends, JobEnd, JobSpec, Launch, News};
use tokio::time::Instant;

use crate::connect::{ConnectError, Hope};
use crate::follow::{Follower, Step, take};
use crate::outage::Outage;
use crate::pool::Pool;
use crate::script;
use crate::shell::{Answer, Shell};

/// The pause before a host that is to be started anew is looked at again.
const EARLY_PAUSE: Duration = Duration::from_millis(500);

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
            Err(Broken::Early) => tokio::time::sleep(EARLY_PAUSE).await,
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

pub(crate) struct Carry<'a> {
    pub(crate) pool: Arc<Pool>,
    pub(crate) job: &'a JobSpec,
    pub(crate) out: &'a mut dyn JobOutput,
    pub(crate) news: &'a dyn News,
    known: Known,
    told: Told,
    outage: Outage,
    /// It was never asked for, but perhaps in the talk that goes on.
    fresh: bool,
}

/// What is known of the job before the host is asked.
pub(crate) enum Known {
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
pub(crate) struct Told {
    launching: bool,
    started: bool,
}

/// Why a talk with a shell ended before the job did.
pub(crate) enum Broken {
    Lost(io::Error),
    Kept(OutputError),
    /// Its host is to be started anew, and has not been yet.
    Early,
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
        // A host may take long to start; how long it is waited for is what the run says.
        if self.job.ends == Ends::Reboot && self.may_have_begun() {
            return Duration::MAX;
        }
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
            shell.ask(&script::launch(self.job, self.fresh)).await?;
        } else {
            shell.ask(&script::watch(self.job)).await?;
        }
        // A job that ends soon is one round trip. Of one that does not, the second channel tells that it has begun.
        let soon = tokio::time::sleep(self.pool.common.options.follow_after);
        let mut follower = Follower::Later(Box::pin(soon));
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
                "found" => self.known = Known::Began(Some(shell.boot.clone())),
                "tick" => {}
                "exited" => {
                    let boot = shell.boot.clone();
                    let end = self.collect(shell, &answer, follower).await?;
                    return self.rebooted(&answer, boot, end);
                }
                "lost" if self.job.ends == Ends::Reboot && answer.rest() != "boot" => {
                    let boot = shell.boot.clone();
                    self.pool.give(shell);
                    return Err(self.early(boot));
                }
                word => {
                    let end = self.judge(word, &answer, &shell);
                    if end == JobEnd::Lost(LossCause::HostRebooted) {
                        self.pool.renew(&shell.boot);
                    }
                    self.pool.give(shell);
                    return Ok(end);
                }
            }
        }
    }

    /// What an exit means: for a job that has its host start anew, not its own end.
    fn rebooted(&mut self, answer: &Answer, boot: BootId, end: JobEnd) -> Result<JobEnd, Broken> {
        let began = answer.field("began");
        let code = answer.number("code");
        match self.job.ends {
            Ends::Exit => Ok(end),
            Ends::Reboot | Ends::RebootByNow if !began.is_empty() && began != boot.0 => {
                self.pool.renew(&boot);
                Ok(JobEnd::Lost(LossCause::HostRebooted))
            }
            // An end by a signal is the first sign of what was asked for.
            Ends::Reboot if code == 0 || code > 128 => Err(self.early(boot)),
            Ends::Reboot | Ends::RebootByNow => Ok(end),
        }
    }

    /// The job has done its part, and the host still runs as it did: it is looked at again.
    fn early(&mut self, boot: BootId) -> Broken {
        self.known = Known::Began(Some(boot.clone()));
        if !self.told.started {
            self.told.started = true;
            self.news.started(boot);
        }
        Broken::Early
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
                let pool = Arc::clone(&self.pool);
                let (from_out, from_err) = (self.out.position(Stream::Out), self.out.position(Stream::Err));
                let (run, name) = (self.job.run.to_string(), self.job.id.file_name());
                *follower = Follower::Opening(Box::pin(async move {
                    let mut shell = pool.shell().await?;
                    let (from_out, from_err) = (from_out.to_string(), from_err.to_string());
                    let request = script::run(script::FOLLOW, &[&run, &name, &from_out, &from_err]);
                    let begun = async {
                        shell.ask(&request).await?;
                        shell.answer_on_stderr().await?;
                        shell.answer().await
                    };
                    match begun.await {
                        Ok(answer) if answer.word() == "follow" => Ok(shell),
                        Ok(answer) => Err(ConnectError::soon(format!("the job is {}", answer.word()))),
                        Err(error) => Err(ConnectError::soon(error.to_string())),
                    }
                }));
            }
            Step::Opened(Ok(opened)) => {
                *follower = Follower::On(opened);
                self.known = Known::Began(Some(shell.boot.clone()));
                if !self.told.started {
                    self.told.started = true;
                    self.news.started(shell.boot.clone());
                }
            }
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
}
