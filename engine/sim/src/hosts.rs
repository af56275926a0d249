//! Simulated hosts: they remember which jobs ran on them, outlive the engine that asked, and go wrong as they are told to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use piton_core::digest::Digest;
use piton_core::fault::Fault;
use piton_core::ids::{HostName, JobId, Part, RunId, StepId};
use piton_core::plan::Plan;
use piton_core::run::{BootId, Exit, LossCause, Refusal};
use piton_core::runbook::Step;
use piton_core::testing::{FaultKind, Question, Reply, Test, part_word};
use piton_core::time::Timestamp;
use piton_runner::clock::Clock;
use piton_runner::output::{JobOutput, Stream};
use piton_runner::transport::{
    Ends, GetOrder, JobEnd, JobSpec, Launch, Moved, News, Pong, PutBytes, PutOrder, StopError, TransferOrder, Transport,
};

use secrecy::ExposeSecret as _;

use crate::clock::JumpingClock;
use crate::effects::Effects;
use crate::file;
use crate::site::{Planted, Site, environment};
use crate::world::Stage;

/// What a host that cannot be reached is said to be.
const NO_ROUTE: &str = "no route to host, as the test wants it";

/// How long moving a file takes.
const MOVING: Duration = Duration::from_secs(1);

/// Simulated hosts.
pub(crate) struct Hosts {
    test: Arc<Test>,
    clock: Arc<JumpingClock>,
    project: PathBuf,
    steps: BTreeMap<StepId, Step>,
    planted: Option<Planted>,
    inner: Mutex<Inner>,
}

struct Inner {
    stage: Stage,
    jobs: BTreeMap<String, Job>,
    effects: Effects,
    sites: Vec<Site>,
    gone: BTreeSet<HostName>,
    happened: bool,
    unanswered: Vec<Fault>,
}

/// A job that was begun on a host.
#[derive(Clone)]
struct Job {
    /// When it ends; `None`: never by itself.
    ends: Option<Timestamp>,
    exit: u8,
    lost: bool,
    stdout: String,
    stderr: String,
    outputs: String,
}

impl Hosts {
    pub(crate) fn new(
        test: Arc<Test>,
        plan: &Plan,
        clock: Arc<JumpingClock>,
        stage: Stage,
        planted: Option<Planted>,
    ) -> Arc<Self> {
        let steps = plan.steps.iter().map(|planned| (planned.step.id.clone(), planned.step.clone())).collect();
        let inner = Inner {
            stage,
            jobs: BTreeMap::new(),
            effects: Effects::default(),
            sites: Vec::new(),
            gone: BTreeSet::new(),
            happened: false,
            unanswered: Vec::new(),
        };
        let project = PathBuf::from(&plan.project);
        Arc::new(Self { test, clock, project, steps, planted, inner: Mutex::new(inner) })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the world.
    pub(crate) fn with_stage<T>(&self, look: impl FnOnce(&mut Stage) -> T) -> T {
        look(&mut self.inner().stage)
    }

    /// What was done on hosts, in order.
    pub(crate) fn sites(&self) -> Vec<Site> {
        self.inner().sites.clone()
    }

    /// The scripts that nothing answered.
    pub(crate) fn unanswered(&self) -> Vec<Fault> {
        self.inner().unanswered.clone()
    }

    /// A person tries tasks again.
    pub(crate) fn forgive(&self) {
        self.inner().effects.forgive();
    }

    fn boot() -> BootId {
        BootId("simulated-1".into())
    }

    /// Whether the planted fault happens here; it does so once.
    fn strikes(&self, inner: &mut Inner, key: &str) -> Option<FaultKind> {
        let planted = self.planted.as_ref().filter(|p| p.at == key && !inner.happened)?;
        inner.happened = true;
        Some(planted.kind)
    }

    /// Begins a job, or says why it cannot.
    fn begin(&self, spec: &JobSpec, key: &str) -> Result<Job, Refusal> {
        let now = self.clock.now();
        let mut inner = self.inner();
        let strikes = self.strikes(&mut inner, key);
        match strikes {
            Some(FaultKind::Gone) => {
                inner.gone.insert(spec.host.clone());
                return Err(Refusal::Unreachable(NO_ROUTE.to_owned()));
            }
            Some(FaultKind::Unreachable) => return Err(Refusal::Unreachable(NO_ROUTE.to_owned())),
            Some(
                FaultKind::Fails
                | FaultKind::FailsAfter
                | FaultKind::Silent
                | FaultKind::TimesOut
                | FaultKind::TimesOutAfter
                | FaultKind::Lost
                | FaultKind::LostAfter
                | FaultKind::Crash,
            )
            | None => {}
        }
        let env = environment(spec);
        let question = Question { job: &spec.id, host: &spec.host, script: &spec.script, env: &env };
        let file = file::asked(spec);
        let answered = match &file {
            Some(file) => Ok(file.reply(&inner.stage.world, &spec.host, &Self::boot())),
            None => self.test.reply(&question, &inner.stage.world),
        };
        let reply = match answered {
            Ok(reply) => reply,
            Err(unanswered) => {
                inner.unanswered.push(*unanswered.0);
                Reply::exits(1)
            }
        };
        let works =
            !matches!(strikes, Some(FaultKind::Fails | FaultKind::Silent | FaultKind::TimesOut | FaultKind::Lost));
        let written = file.as_ref().and_then(|file| file.content);
        let effect = !reply.changes.is_empty() || reply.later.is_some() || written.is_some();
        let part = spec.id.part;
        let task = spec.id.attempt.task.clone();
        let what = format!("`{}` of {task}", part_word(part));
        if works && effect {
            self.take_effect(&mut inner, spec, &reply, now, &what);
            if let (Some(file), Some(content)) = (&file, written) {
                let because = format!("after {what} on {}", spec.host);
                inner.stage.write(&spec.host, file.path, content, now, &because);
            }
        }
        inner.sites.push(Site { key: key.to_owned(), task: Some(task), part, what, effect, transfer: false });
        let mut job = Job {
            ends: reply.exit.map(|_| now.plus(reply.takes)),
            exit: reply.exit.unwrap_or(1),
            lost: false,
            stdout: reply.stdout,
            stderr: reply.stderr,
            outputs: reply.outputs,
        };
        match strikes {
            Some(FaultKind::Fails | FaultKind::FailsAfter) => job.exit = 1,
            Some(FaultKind::Silent) => job.exit = 0,
            Some(FaultKind::TimesOut | FaultKind::TimesOutAfter) => job.ends = None,
            Some(FaultKind::Lost | FaultKind::LostAfter) => job.lost = true,
            Some(FaultKind::Unreachable | FaultKind::Gone | FaultKind::Crash) | None => {}
        }
        if !works {
            (job.stdout, job.stderr, job.outputs) = Default::default();
        }
        Ok(job)
    }

    fn take_effect(&self, inner: &mut Inner, spec: &JobSpec, reply: &Reply, now: Timestamp, what: &str) {
        let because = format!("after {what} on {}", spec.host);
        let mut changed = false;
        for (host, change) in &reply.changes {
            changed |= inner.stage.change(host, change, now, &because);
        }
        if let Some((after, change)) = &reply.later {
            inner.stage.schedule(now.plus(*after), spec.host.clone(), change.clone(), because);
        }
        let task = &spec.id.attempt.task;
        if spec.id.part == Part::Main
            && let Some(step) = self.steps.get(&task.step)
            && let Some(complaint) = inner.effects.done(task, step, changed, reply.exit, reply.exit == Some(0))
        {
            inner.stage.complaints.push(self.test.complaint(complaint));
        }
    }

    /// Moves a file, and has it go wrong if it is to.
    async fn move_file(
        &self,
        host: &HostName,
        key: String,
        what: String,
        work: impl FnOnce(&mut Inner, Timestamp) -> Result<Moved, Refusal> + Send,
    ) -> Result<Moved, Refusal> {
        self.clock.until(self.clock.now().plus(MOVING)).await;
        let now = self.clock.now();
        let mut inner = self.inner();
        let strikes = self.strikes(&mut inner, &key);
        if strikes == Some(FaultKind::Gone) {
            inner.gone.insert(host.clone());
        }
        if inner.gone.contains(host) || strikes == Some(FaultKind::Unreachable) {
            return Err(Refusal::Unreachable(NO_ROUTE.to_owned()));
        }
        let broken = || Err(Refusal::Refused("the transfer failed, as the test wants it".to_owned()));
        if strikes == Some(FaultKind::Fails) {
            return broken();
        }
        let moved = work(&mut inner, now);
        inner.sites.push(Site { key, task: None, part: Part::Main, what, effect: true, transfer: true });
        if strikes == Some(FaultKind::FailsAfter) { broken() } else { moved }
    }

    /// The path as it is written in a runbook: relative to the project, where it lies in it.
    fn short(&self, path: &Path) -> String {
        path.strip_prefix(&self.project).unwrap_or(path).display().to_string()
    }
}

#[async_trait]
impl Transport for Hosts {
    async fn carry(&self, spec: &JobSpec, launch: Launch, out: &mut dyn JobOutput, news: &dyn News) -> JobEnd {
        // A real host is never there at once; without this two jobs would never be in flight together.
        tokio::task::yield_now().await;
        let key = format!("{}/{}", spec.host, spec.id.file_name());
        let (known, gone) = {
            let inner = self.inner();
            (inner.jobs.get(&key).cloned(), inner.gone.contains(&spec.host))
        };
        let job = match (known, launch) {
            (None, Launch::Fresh | Launch::Maybe { .. }) if gone => {
                return JobEnd::Refused(Refusal::Unreachable(NO_ROUTE.to_owned()));
            }
            (Some(_), _) | (None, Launch::Never { .. }) if gone => {
                return JobEnd::Lost(LossCause::Unreachable(NO_ROUTE.to_owned()));
            }
            (Some(job), _) => job,
            (None, Launch::Never { .. }) => return JobEnd::Lost(LossCause::FilesGone),
            (None, Launch::Fresh | Launch::Maybe { .. }) => {
                news.launching();
                match self.begin(spec, &key) {
                    Ok(job) => {
                        self.inner().jobs.insert(key.clone(), job.clone());
                        job
                    }
                    Err(refusal) => return JobEnd::Refused(refusal),
                }
            }
        };
        news.started(Self::boot());
        match job.ends {
            Some(at) => self.clock.until(at).await,
            // It ends when it is stopped, and is then looked at anew.
            None => std::future::pending::<()>().await,
        }
        if job.lost {
            return JobEnd::Lost(LossCause::ProcessGone);
        }
        for (stream, text) in [(Stream::Out, &job.stdout), (Stream::Err, &job.stderr)] {
            let from = usize::try_from(out.position(stream)).unwrap_or(usize::MAX);
            let rest = text.as_bytes().get(from..).unwrap_or_default();
            if let Err(error) = out.write(stream, rest).await {
                return JobEnd::OutputFailed(error);
            }
            if !rest.is_empty() {
                news.printed(stream, rest);
            }
        }
        if job.exit == 0 && spec.ends == Ends::Reboot {
            // What has its host start anew has done so.
            return JobEnd::Lost(LossCause::HostRebooted);
        }
        JobEnd::Exited { exit: Exit(job.exit), outputs: Ok(job.outputs.into_bytes()), boot: Self::boot() }
    }

    async fn stop(&self, spec: &JobSpec, _grace: u32, _news: &dyn News) -> Result<(), StopError> {
        let key = format!("{}/{}", spec.host, spec.id.file_name());
        let now = self.clock.now();
        let mut inner = self.inner();
        if inner.gone.contains(&spec.host) {
            return Err(StopError::Unreachable(NO_ROUTE.to_owned()));
        }
        if let Some(job) = inner.jobs.get_mut(&key)
            && job.ends.is_none_or(|at| at > now)
        {
            (job.ends, job.exit) = (Some(now), 143);
        }
        Ok(())
    }

    async fn forget(&self, _run: RunId, _host: &HostName, _jobs: &[JobId]) {}

    async fn clear(&self, _run: RunId, _host: &HostName) {}

    async fn put(&self, order: &PutOrder, _news: &dyn News) -> Result<Moved, Refusal> {
        let what = format!("`put` to {}:{}", order.host, order.to);
        let key = format!("put {}:{}", order.host, order.to);
        let because = format!("after {what}");
        let (host, to) = (order.host.clone(), order.to.clone());
        let local = HostName::new(HostName::LOCAL).map_err(|bad| Refusal::Refused(bad.to_string()))?;
        let (source, short) = match &order.source {
            PutBytes::Text(text) => (Some(text.clone()), String::new()),
            PutBytes::Secret(text) => (Some(text.expose_secret().to_owned()), String::new()),
            PutBytes::Path(path) => (None, self.short(path)),
        };
        self.move_file(&order.host, key, what, move |inner, now| {
            let text = match source {
                Some(text) => text,
                None => match inner.stage.world.file(&local, &short) {
                    Some(text) => text.to_owned(),
                    None => std::fs::read_to_string(self.project.join(&short))
                        .map_err(|error| Refusal::Refused(format!("{short} cannot be read: {error}")))?,
                },
            };
            inner.stage.write(&host, &to, &text, now, &because);
            Ok(Moved { bytes: text.len() as u64, digest: Digest::of(text.as_bytes()) })
        })
        .await
    }

    async fn get(&self, order: &GetOrder, _news: &dyn News) -> Result<Moved, Refusal> {
        let what = format!("`get` from {}:{}", order.host, order.from);
        let key = format!("get {}:{}", order.host, order.from);
        let because = format!("after {what}");
        let (host, from, to) = (order.host.clone(), order.from.clone(), self.short(&order.to));
        let local = HostName::new(HostName::LOCAL).map_err(|bad| Refusal::Refused(bad.to_string()))?;
        self.move_file(&order.host, key, what, move |inner, now| {
            let Some(text) = inner.stage.world.file(&host, &from).map(str::to_owned) else {
                return Err(Refusal::Refused(format!("{from}: no such file under `files` of {host}")));
            };
            inner.stage.write(&local, &to, &text, now, &because);
            Ok(Moved { bytes: text.len() as u64, digest: Digest::of(text.as_bytes()) })
        })
        .await
    }

    async fn transfer(&self, order: &TransferOrder, _news: &dyn News) -> Result<Moved, Refusal> {
        let (from_host, from) = (order.from_host.clone(), order.from.clone());
        let (to_host, to) = (order.to_host.clone(), order.to.clone());
        let what = format!("`transfer` from {from_host}:{from} to {to_host}:{to}");
        let key = format!("transfer {to_host}:{to}");
        let because = format!("after {what}");
        if self.inner().gone.contains(&from_host) {
            return Err(Refusal::Unreachable(NO_ROUTE.to_owned()));
        }
        self.move_file(&order.to_host, key, what, move |inner, now| {
            let Some(text) = inner.stage.world.file(&from_host, &from).map(str::to_owned) else {
                return Err(Refusal::Refused(format!("{from}: no such file under `files` of {from_host}")));
            };
            inner.stage.write(&to_host, &to, &text, now, &because);
            Ok(Moved { bytes: text.len() as u64, digest: Digest::of(text.as_bytes()) })
        })
        .await
    }

    async fn ping(&self, host: &HostName) -> Result<Pong, Refusal> {
        if self.inner().gone.contains(host) {
            return Err(Refusal::Unreachable(NO_ROUTE.to_owned()));
        }
        Ok(Pong { boot: Self::boot(), uptime: 1, system: "Simulated".into(), took: Duration::ZERO })
    }
}
