//! One job in flight: carried to its end, or stopped.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use piton_core::ids::{HostName, JobId, Part};
use piton_core::run::{BootId, Exit, Input, LossCause, Printed, Refusal, Run, read_outputs};
use piton_core::runbook::{Action, OutputRule, Sealed};
use piton_core::time::Timestamp;
use piton_core::value::{Map, Value};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::observer::Notice;
use crate::output::{JobOutput, OutputError, Stream};
use crate::ports::Ports;
use crate::secrets::output::{MaskedOutput, Withheld};
use crate::secrets::vault::{Open, Vault};
use crate::transport::{Ends, JobEnd, JobSpec, Launch, News, StopError};

use super::hook::{Asked, told};
use super::{Reporting, flag};

/// Seconds between TERM and KILL.
const GRACE: u32 = 10;

/// How long to wait before output is written again after the disk was full.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// A job that is being followed.
pub(super) struct Carrying {
    pub(super) handle: AbortHandle,
    join: Reporting,
    /// Where it runs.
    pub(super) host: HostName,
    /// The request to start it was, or was about to be, sent; or it was sent by an engine before this one.
    asked_for: Arc<AtomicBool>,
    /// Set when it is known how it ended: whether it left anything on the host besides that.
    pub(super) left: Arc<OnceLock<bool>>,
}

/// Everything that is needed to carry out or stop one job.
pub(super) struct JobTask {
    ports: Ports,
    vault: Arc<Vault>,
    news: mpsc::UnboundedSender<Input>,
    /// Without its secrets.
    spec: JobSpec,
    /// The hook that asks for it knows its script.
    asked: Option<(Asked, u32)>,
    sealed: Vec<(String, Sealed)>,
    /// When it was allowed to begin.
    since: Timestamp,
    keep: bool,
    told: AtomicBool,
    rules: std::collections::BTreeMap<piton_core::ids::ParamName, OutputRule>,
}

/// Where a job runs.
fn host_of(run: &Run, job: &JobId) -> Option<HostName> {
    let called = run.call_of(job).and_then(|(_, call)| call.host.clone());
    match called.or_else(|| job.attempt.task.host.clone()) {
        Some(host) => Some(host),
        None => HostName::new(HostName::LOCAL).ok(),
    }
}

impl JobTask {
    /// Gathers what the job needs from the run's state, or says that it cannot begin.
    pub(super) fn new(
        ports: &Ports,
        vault: &Arc<Vault>,
        run: &Run,
        job: &JobId,
        news: mpsc::UnboundedSender<Input>,
    ) -> Result<Self, String> {
        let text = run.job_text(job)?;
        let host = host_of(run, job).ok_or_else(|| format!("{job} has no host"))?;
        let task = run.graph().find(&job.attempt.task).ok_or_else(|| format!("the plan has no task for {job}"))?;
        let step = run.step_of(task);
        let rules = if job.part == Part::Main { step.outputs.clone() } else { Default::default() };
        let reboots = job.part == Part::Main && matches!(step.action, Action::Reboot(_));
        let ends = if reboots { Ends::Reboot } else { Ends::Exit };
        let spec = JobSpec {
            run: run.id(),
            id: job.clone(),
            host,
            shell: text.shell,
            script: text.script,
            env: text.env,
            secrets: Vec::new(),
            become_user: text.become_user,
            ends,
            call: run.call_of(job).map(|(_, call)| call.kind),
        };
        let (_, since) = run.job_origin(job);
        Ok(Self {
            ports: ports.clone(),
            vault: vault.clone(),
            news,
            spec,
            asked: None,
            sealed: text.sealed,
            since,
            keep: !step.no_log,
            told: AtomicBool::new(false),
            rules,
        })
    }

    /// The same for a job whose script only the hook knows that asks for it: its call of this number.
    pub(super) fn asked_by(mut self, asked: Asked, number: u32) -> Self {
        self.asked = Some((asked, number));
        self
    }

    /// The job as it is to be started: waits until the hook has said what it asks for.
    async fn whole(&self) -> JobSpec {
        let mut spec = self.spec.clone();
        let Some((asked, number)) = self.asked.clone() else { return spec };
        let mut asked = asked;
        let said = asked.wait_for(|asked| asked.as_ref().is_some_and(|(n, _)| *n == number)).await;
        let Some((_, call)) = said.ok().and_then(|said| said.clone()) else {
            // The hook is gone, and with it whoever wants the job.
            return std::future::pending().await;
        };
        spec.script = call.script;
        spec.env.retain(|(name, _)| call.env.iter().all(|(own, _)| own != name));
        spec.env.extend(call.env);
        spec
    }

    pub(super) fn host(&self) -> &HostName {
        &self.spec.host
    }

    /// Has the job carried out, and reports its end.
    pub(super) fn carry(self, launch: Launch) -> Carrying {
        let (asked_for, left) = (flag(), Arc::new(OnceLock::new()));
        asked_for.store(launch != Launch::Fresh, Ordering::Release);
        let (asked, leaves) = (asked_for.clone(), left.clone());
        let host = self.spec.host.clone();
        let join = tokio::spawn(async move {
            let end = self.follow(launch, &asked).await;
            if let Followed::Exited { printed, outputs, .. } = &end {
                let printed = [&printed.out, &printed.err].into_iter().flatten().any(|extent| extent.len > 0);
                leaves.get_or_init(|| printed || !matches!(outputs, Ok(outputs) if outputs.is_empty()));
            }
            let _unheard = self.news.send(end.news(self.spec.id.clone()));
        });
        Carrying { handle: join.abort_handle(), join, host, asked_for, left }
    }

    async fn follow(&self, mut launch: Launch, asked_for: &Arc<AtomicBool>) -> Followed {
        let open = self.vault.opened().await;
        let whole = self.whole().await;
        let spec = self.unsealed(&open, &whole);
        let news = Hears { task: self, asked_for, shows: open.masker().is_none() };
        loop {
            let mut out = self.open(&open).await;
            match self.ports.transport.carry(&spec, launch.clone(), out.as_mut(), &news).await {
                JobEnd::Exited { exit, outputs, .. } => {
                    let Some(printed) = self.finish(out.as_mut()).await else {
                        // Some of it could not be written after all: it is on the host, and comes again.
                        launch = Launch::Never { boot: None };
                        continue;
                    };
                    let outputs = self.unless_stale(&open, outputs);
                    let outputs = self.collect(&open, out.as_mut(), outputs).await;
                    return Followed::Exited { exit, printed, outputs };
                }
                JobEnd::Lost(why) => return Followed::Lost(why),
                JobEnd::Refused(why) if !asked_for.load(Ordering::Acquire) => return Followed::Refused(why),
                JobEnd::Refused(Refusal::Unreachable(why) | Refusal::Refused(why)) if launch != Launch::Fresh => {
                    // Another engine, or an earlier try, may have begun it: that it cannot be looked at now says nothing.
                    return Followed::Lost(LossCause::Unreachable(why));
                }
                JobEnd::Refused(why) => return Followed::Refused(why),
                JobEnd::OutputFailed(error) => {
                    self.wait_for_room(&error).await;
                    launch = Launch::Never { boot: None };
                }
            }
        }
    }

    /// The job with the secrets that it gets.
    fn unsealed<'s>(&self, open: &Open, spec: &'s JobSpec) -> Cow<'s, JobSpec> {
        if self.sealed.is_empty() {
            return Cow::Borrowed(spec);
        }
        // What the call of a hook itself says of a name counts.
        let own = |name: &String| spec.env.iter().any(|(known, _)| known == name);
        let sealed = self.sealed.iter().filter(|(name, _)| !own(name));
        let secrets = sealed.map(|(name, sealed)| (name.clone(), open.unseal(sealed))).collect();
        Cow::Owned(JobSpec { secrets, ..spec.clone() })
    }

    /// What a job put out by name that may have had a secret which is not known any more is not taken.
    fn unless_stale(&self, open: &Open, written: Result<Vec<u8>, String>) -> Result<Vec<u8>, String> {
        let any = written.as_ref().map_or(true, |bytes| !bytes.is_empty()) || !self.rules.is_empty();
        if any && open.is_stale(self.since) {
            return Err("a secret has changed since this began: what it put out could not be masked, and is not taken"
                .to_owned());
        }
        written
    }

    /// Opens the output; goes on trying while the disk is full.
    async fn open(&self, open: &Open) -> Box<dyn JobOutput> {
        loop {
            match self.ports.outputs.open(self.spec.run, &self.spec.id, self.keep).await {
                Ok(out) => {
                    let Some(masker) = open.masker() else { return out };
                    if open.is_stale(self.since) {
                        return Box::new(Withheld::new(out));
                    }
                    let shown_to = self.keep.then(|| (self.ports.observer.clone(), self.spec.id.clone()));
                    return Box::new(MaskedOutput::new(out, masker, shown_to));
                }
                Err(error) => self.wait_for_room(&error).await,
            }
        }
    }

    /// Waits a moment for room; that there is none is said once.
    async fn wait_for_room(&self, error: &OutputError) {
        if !self.told.swap(true, Ordering::AcqRel) {
            self.ports.observer.notice(&Notice::Full { why: error.to_string() });
        }
        tokio::time::sleep(FULL_PAUSE).await;
    }

    /// Makes the output durable; `None` if some of it must come again.
    async fn finish(&self, out: &mut dyn JobOutput) -> Option<Printed> {
        let positions = |out: &dyn JobOutput| [Stream::Out, Stream::Err].map(|stream| out.position(stream));
        loop {
            let before = positions(out);
            match out.finish().await {
                Ok(printed) => return Some(printed),
                Err(error) => self.wait_for_room(&error).await,
            }
            if positions(out) != before {
                return None;
            }
        }
    }

    /// Reads what the job put out by name.
    async fn collect(
        &self,
        open: &Open,
        out: &mut dyn JobOutput,
        written: Result<Vec<u8>, String>,
    ) -> Result<Map<String, Value>, String> {
        if self.spec.id.part == Part::Call {
            return told(out.head().await.map_err(|error| error.to_string())?, written);
        }
        if self.spec.id.part != Part::Main {
            return Ok(Default::default());
        }
        let head = match self.rules.is_empty() {
            true => None,
            false => match out.head().await {
                Ok(head) => Some(head),
                Err(error) => return Err(error.to_string()),
            },
        };
        let head = head.as_ref().map(|(bytes, whole)| (bytes.as_slice(), *whole));
        written.and_then(|written| {
            // A message may quote a part of what cannot be read: then it must be a part of what is masked.
            read_outputs(&written, &self.rules, head).map_err(|why| {
                let Some(masker) = open.masker() else { return why };
                let masked = masker.mask(&String::from_utf8_lossy(&written));
                let again = read_outputs(masked.as_bytes(), &self.rules, head).err();
                again.unwrap_or_else(|| "what was written to $PITON_OUTPUT cannot be read".to_owned())
            })
        })
    }

    /// Has the job dead, and reports that with proof.
    pub(super) fn stop(mut self, carrying: Option<Carrying>) -> Reporting {
        tokio::spawn(async move {
            let input = self.stopped(carrying).await;
            let _unheard = self.news.send(input);
        })
    }

    async fn stopped(&mut self, carrying: Option<Carrying>) -> Input {
        let job = self.spec.id.clone();
        let mut asked_for = flag();
        asked_for.store(true, Ordering::Release);
        if let Some(carrying) = carrying {
            // Only when the task is over does the flag say for certain what it did.
            let _aborted = carrying.join.await;
            asked_for = carrying.asked_for;
        }
        if !asked_for.load(Ordering::Acquire) {
            return Input::JobStopped { job, exit: None, printed: Printed::default() };
        }
        let news = Hears { task: self, asked_for: &asked_for, shows: false };
        match self.ports.transport.stop(&self.spec, GRACE, &news).await {
            Ok(()) => {}
            Err(StopError::Unreachable(why)) => return Input::JobLost { job, why: LossCause::Unreachable(why) },
            Err(StopError::Alive(what)) => return Input::JobLost { job, why: LossCause::StillAlive(what) },
        }
        if self.spec.ends == Ends::Reboot {
            self.spec.ends = Ends::RebootByNow;
        }
        match self.follow(Launch::Never { boot: None }, &asked_for).await {
            // It came to a good end before it could be stopped.
            end @ Followed::Exited { exit: Exit(0), .. } => end.news(job),
            Followed::Exited { exit, printed, .. } => Input::JobStopped { job, exit: Some(exit), printed },
            Followed::Lost(why @ LossCause::HostRebooted) if self.spec.ends == Ends::RebootByNow => {
                Input::JobLost { job, why }
            }
            // It is dead, and left no status.
            Followed::Lost(_) | Followed::Refused(_) => {
                Input::JobStopped { job, exit: None, printed: Printed::default() }
            }
        }
    }
}

/// What following a job came to.
enum Followed {
    Exited { exit: Exit, printed: Printed, outputs: Result<Map<String, Value>, String> },
    Lost(LossCause),
    Refused(Refusal),
}

impl Followed {
    fn news(self, job: JobId) -> Input {
        match self {
            Self::Exited { exit, printed, outputs } => Input::JobExited { job, exit, printed, outputs },
            Self::Lost(why) => Input::JobLost { job, why },
            Self::Refused(why) => Input::JobRefused { job, why },
        }
    }
}

/// Passes on what the transport hears.
struct Hears<'a> {
    task: &'a JobTask,
    asked_for: &'a Arc<AtomicBool>,
    /// Whether it shows what is printed; with secrets, the output that masks them does.
    shows: bool,
}

impl News for Hears<'_> {
    fn launching(&self) {
        self.asked_for.store(true, Ordering::Release);
    }

    fn started(&self, boot: BootId) {
        let _unheard = self.task.news.send(Input::JobStarted { job: self.task.spec.id.clone(), boot });
    }

    fn printed(&self, stream: Stream, bytes: &[u8]) {
        if self.task.keep && self.shows {
            self.task.ports.observer.printed(&self.task.spec.id, stream, bytes);
        }
    }

    fn notice(&self, notice: Notice) {
        self.task.ports.observer.notice(&notice);
    }

    fn progress(&self, _moved: u64, _total: u64) {}
}
