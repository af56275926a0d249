//! Keeps in flight what the run wants: begins what is missing, drops what is not wanted any more, reports what came of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use piton_core::ids::{AttemptId, HostName, JobId, RunId, TaskId};
use piton_core::run::{Change, Effect, Held, Input, Refusal, Run, TimerId};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

use crate::ports::Ports;
use crate::secrets::vault::Vault;
use crate::transport::Launch;

use hook::Evaluation;
use job::{Carrying, JobTask};

pub(crate) use hold::lock_change;

mod hold;
mod hook;
mod job;
mod transfer;

/// How many finished jobs that printed something are collected before the files of all finished ones are removed from
/// their host.
const FORGET_PRINTED: usize = 32;

/// How many finished jobs are collected in any case. Empty files take no room, and removing them has a price: ext4 passes
/// over each inode that was deleted in the last minutes whenever it makes a file beside.
const FORGET_ALL: usize = 16_384;

/// How long the end of a run waits for its traces on hosts to be removed.
const CLEAR_WITHIN: Duration = Duration::from_secs(3);

/// What is in flight for one run.
pub(crate) struct Executor {
    ports: Ports,
    vault: Arc<Vault>,
    news: mpsc::UnboundedSender<Input>,
    rang: watch::Receiver<u64>,
    jobs: HashMap<JobId, Carrying>,
    /// Jobs that are not followed any more because they are to be stopped.
    let_go: HashMap<JobId, Carrying>,
    hooks: HashMap<JobId, Evaluation>,
    others: HashMap<Other, AbortHandle>,
    finished: BTreeMap<HostName, Finished>,
    met: BTreeSet<HostName>,
    run: Option<RunId>,
    background: JoinSet<()>,
}

/// Jobs whose files still lie on their host.
#[derive(Default)]
struct Finished {
    jobs: Vec<JobId>,
    /// How many of them printed something.
    printed: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Other {
    Fetch,
    Stop(JobId),
    Transfer(AttemptId),
    Timer(String),
    Hold(Option<TaskId>),
}

impl Other {
    fn timer(id: &TimerId) -> Self {
        Self::Timer(format!("{id:?}"))
    }
}

impl Executor {
    pub(crate) fn new(
        ports: Ports,
        vault: Arc<Vault>,
        news: mpsc::UnboundedSender<Input>,
        rang: watch::Receiver<u64>,
    ) -> Self {
        Self {
            ports,
            vault,
            news,
            rang,
            jobs: HashMap::new(),
            let_go: HashMap::new(),
            hooks: HashMap::new(),
            others: HashMap::new(),
            finished: BTreeMap::new(),
            met: BTreeSet::new(),
            run: None,
            background: JoinSet::new(),
        }
    }

    /// Takes up everything that the run wants and that an engine before this one may have begun.
    pub(crate) fn take_up(&mut self, run: &Run) {
        for effect in run.wanted() {
            self.begin(run, effect, false);
        }
    }

    /// Catches up with what the run wants now. What begins here is allowed for the first time.
    pub(crate) fn reconcile(&mut self, run: &Run, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Begin(effect) => self.begin(run, &effect, true),
                Change::Drop(effect) => self.drop_effect(run, effect),
                // They were stored together with the events.
                Change::Ask { .. } | Change::Free { .. } => {}
            }
        }
    }

    fn begin(&mut self, run: &Run, effect: &Effect, fresh: bool) {
        self.run = Some(run.id());
        match effect {
            Effect::Fetch => {
                let (plan, secrets) = (run.plan().clone(), self.ports.secrets.clone());
                let (vault, news) = (self.vault.clone(), self.news.clone());
                let handle = tokio::spawn(async move {
                    let _unheard = news.send(vault.fetch(&plan, secrets.as_ref()).await);
                });
                self.others.insert(Other::Fetch, handle.abort_handle());
            }
            Effect::Carry(job) => {
                let launch = self.launch(run, job, fresh);
                match JobTask::new(&self.ports, &self.vault, run, job, self.news.clone()) {
                    Ok(task) => {
                        self.met.insert(task.host().clone());
                        let task = match run.call_of(job) {
                            Some((hook, call)) => task.asked_by(self.hook(run, &hook).asked(), call.number),
                            None => task,
                        };
                        self.jobs.insert(job.clone(), task.carry(launch));
                    }
                    Err(why) => self.report(Input::JobRefused { job: job.clone(), why: Refusal::Refused(why) }),
                }
            }
            Effect::Stop(job) => {
                let carrying = self.let_go.remove(job);
                match JobTask::new(&self.ports, &self.vault, run, job, self.news.clone()) {
                    Ok(task) => {
                        self.met.insert(task.host().clone());
                        let handle = task.stop(carrying).abort_handle();
                        self.others.insert(Other::Stop(job.clone()), handle);
                    }
                    Err(why) => self.report(Input::JobRefused { job: job.clone(), why: Refusal::Refused(why) }),
                }
            }
            Effect::Transfer(attempt) => {
                let news = self.news.clone();
                let handle = transfer::begin(&self.ports, &self.vault, run, attempt, news).abort_handle();
                self.others.insert(Other::Transfer(attempt.clone()), handle);
            }
            Effect::Hook(hook) => {
                let (ports, vault, news) = (self.ports.clone(), self.vault.clone(), self.news.clone());
                self.hook(run, hook).begin(&ports, &vault, run, hook, news);
            }
            Effect::Answer { hook, .. } => self.hook(run, hook).answer(run, hook),
            Effect::Wake { timer, at } => {
                let (clock, news, at, id) = (self.ports.clock.clone(), self.news.clone(), *at, timer.clone());
                let handle = tokio::spawn(async move {
                    clock.until(at).await;
                    // Nobody listens any more when the driver is gone.
                    let _unheard = news.send(Input::TimerFired(id));
                });
                self.others.insert(Other::timer(timer), handle.abort_handle());
            }
            Effect::Hold(task) => {
                let waiting = hold::wait(&self.ports, run.id(), task.clone(), self.news.clone(), self.rang.clone());
                self.others.insert(Other::Hold(task.clone()), waiting.abort_handle());
            }
        }
    }

    /// The hook, which the job that it asked for may come before.
    fn hook(&mut self, run: &Run, hook: &JobId) -> &mut Evaluation {
        self.hooks.entry(hook.clone()).or_insert_with(|| Evaluation::of(run, hook))
    }

    fn launch(&self, run: &Run, job: &JobId, fresh: bool) -> Launch {
        if fresh {
            return Launch::Fresh;
        }
        let (boot, since) = run.job_origin(job);
        match boot {
            Some(boot) => Launch::Never { boot: Some(boot) },
            None => Launch::Maybe { boot: None, since, now: self.ports.clock.now() },
        }
    }

    fn report(&self, input: Input) {
        let _unheard = self.news.send(input);
    }

    fn drop_effect(&mut self, run: &Run, effect: Effect) {
        match effect {
            Effect::Fetch => {
                self.others.remove(&Other::Fetch);
                let secrets = run.secrets();
                if secrets.held == Held::Fetched {
                    self.vault.open(secrets.changed);
                }
            }
            Effect::Carry(job) => {
                let Some(carrying) = self.jobs.remove(&job) else { return };
                if let Some(printed) = carrying.left.get() {
                    self.finished(run, carrying.host, &job, *printed);
                } else {
                    carrying.handle.abort();
                    self.let_go.insert(job, carrying);
                }
            }
            Effect::Stop(job) => {
                self.others.remove(&Other::Stop(job.clone()));
                self.let_go.remove(&job);
            }
            Effect::Transfer(attempt) => {
                if let Some(handle) = self.others.remove(&Other::Transfer(attempt)) {
                    handle.abort();
                }
            }
            Effect::Hook(hook) => drop(self.hooks.remove(&hook)),
            Effect::Answer { .. } => {}
            Effect::Wake { timer, .. } => {
                if let Some(handle) = self.others.remove(&Other::timer(&timer)) {
                    handle.abort();
                }
            }
            Effect::Hold(task) => {
                if let Some(handle) = self.others.remove(&Other::Hold(task)) {
                    handle.abort();
                }
            }
        }
    }

    /// The job's result is durable: its files on the host have done their work.
    fn finished(&mut self, run: &Run, host: HostName, job: &JobId, printed: bool) {
        // What a script printed stands in its files: a secret is not to stand there for longer than it must.
        let forget_printed = if run.plan().secrets.is_empty() { FORGET_PRINTED } else { 1 };
        let run = run.id();
        let finished = self.finished.entry(host.clone()).or_default();
        finished.jobs.push(job.clone());
        finished.printed += usize::from(printed);
        if finished.printed >= forget_printed || finished.jobs.len() >= FORGET_ALL {
            let (jobs, transport) = (std::mem::take(finished).jobs, self.ports.transport.clone());
            self.background.spawn(async move { transport.forget(run, &host, &jobs).await });
        }
        while self.background.try_join_next().is_some() {}
    }

    /// Removes the files of finished jobs, as far as that can be done at once.
    pub(crate) async fn flush(&mut self) {
        self.drop_all();
        let Some(run) = self.run else { return };
        for (host, finished) in std::mem::take(&mut self.finished) {
            let transport = self.ports.transport.clone();
            self.background.spawn(async move { transport.forget(run, &host, &finished.jobs).await });
        }
        self.settle().await;
    }

    /// Removes what the run left on its hosts, as far as that can be done at once.
    pub(crate) async fn clear(&mut self) {
        self.drop_all();
        let Some(run) = self.run else { return };
        for host in std::mem::take(&mut self.met) {
            let transport = self.ports.transport.clone();
            self.background.spawn(async move { transport.clear(run, &host).await });
        }
        self.settle().await;
    }

    async fn settle(&mut self) {
        let all = async { while self.background.join_next().await.is_some() {} };
        // What a host did not get to in this time it sweeps by itself later.
        let _late = tokio::time::timeout(CLEAR_WITHIN, all).await;
    }

    /// Follows nothing any more. Jobs go on.
    pub(crate) fn drop_all(&mut self) {
        for (_, carrying) in self.jobs.drain().chain(self.let_go.drain()) {
            carrying.handle.abort();
        }
        self.hooks.clear();
        for (_, handle) in self.others.drain() {
            handle.abort();
        }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.drop_all();
    }
}

/// A flag that a task sets and the executor reads.
fn flag() -> Arc<AtomicBool> {
    Arc::new(AtomicBool::new(false))
}

/// A task whose end nobody waits for; it reports through the news.
type Reporting = JoinHandle<()>;
