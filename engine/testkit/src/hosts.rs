//! Simulated hosts: they remember which jobs ran on them, and outlive the engine that asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use piton_core::digest::Digest;
use piton_core::ids::{HostName, JobId, RunId};
use piton_core::run::{BootId, Exit, LossCause, Printed, Refusal};
use piton_runner::output::{JobOutput, OutputError, OutputSink, Stream};
use piton_runner::transport::{
    Ends, GetOrder, JobEnd, JobSpec, Launch, Moved, News, Pong, PutOrder, StopError, TransferOrder, Transport,
};
use tokio::sync::watch;

/// What a script does on a simulated host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// It ends at once.
    Exit(u8),
    /// It ends at once, having written this to `$PITON_OUTPUT`.
    Put(&'static str),
    /// It goes on until [`SimHosts::finish`] or a stop.
    Hang,
    /// Its process vanishes.
    Vanish,
    /// The host cannot be reached.
    Unreachable,
}

type Script = dyn Fn(&JobSpec) -> Act + Send + Sync;

/// Simulated hosts.
pub struct SimHosts {
    script: Box<Script>,
    jobs: Mutex<BTreeMap<String, SimJob>>,
    moved: Mutex<Vec<String>>,
}

struct SimJob {
    starts: u32,
    state: watch::Sender<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Exited(u8, &'static str),
    Gone,
}

impl SimHosts {
    /// Hosts on which scripts do what `script` says.
    pub fn new(script: impl Fn(&JobSpec) -> Act + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { script: Box::new(script), jobs: Mutex::default(), moved: Mutex::default() })
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<String, SimJob>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often each job was started, by `host/file name`.
    pub fn starts(&self) -> BTreeMap<String, u32> {
        self.jobs().iter().map(|(name, job)| (name.clone(), job.starts)).collect()
    }

    /// The files that were put and got.
    pub fn moved(&self) -> Vec<String> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has every hanging job whose name contains `part` end with this status; returns how many did.
    pub fn finish(&self, part: &str, status: u8) -> usize {
        let jobs = self.jobs();
        let mut ended = 0;
        for (_, job) in jobs.iter().filter(|(name, _)| name.contains(part)) {
            if *job.state.borrow() == State::Running {
                job.state.send_replace(State::Exited(status, ""));
                ended += 1;
            }
        }
        ended
    }

    fn name(spec: &JobSpec) -> String {
        format!("{}/{}", spec.host, spec.id.file_name())
    }

    /// Starts the job unless it is there; both ways returns where it stands.
    fn begin(&self, spec: &JobSpec) -> Option<watch::Receiver<State>> {
        let state = match (self.script)(spec) {
            Act::Exit(status) => State::Exited(status, ""),
            Act::Put(text) => State::Exited(0, text),
            Act::Hang => State::Running,
            Act::Vanish => State::Gone,
            Act::Unreachable => return None,
        };
        let mut jobs = self.jobs();
        let job =
            jobs.entry(Self::name(spec)).or_insert_with(|| SimJob { starts: 1, state: watch::Sender::new(state) });
        Some(job.state.subscribe())
    }
}

#[async_trait]
impl Transport for SimHosts {
    async fn carry(&self, spec: &JobSpec, launch: Launch, _out: &mut dyn JobOutput, news: &dyn News) -> JobEnd {
        // A real host is never there at once; without this a test would never see two jobs in flight.
        tokio::task::yield_now().await;
        let known = self.jobs().get(&Self::name(spec)).map(|job| job.state.subscribe());
        let state = match (known, launch) {
            (Some(state), _) => state,
            (None, Launch::Never { .. }) => return JobEnd::Lost(LossCause::FilesGone),
            (None, Launch::Fresh | Launch::Maybe { .. }) => {
                if (self.script)(spec) == Act::Unreachable {
                    return JobEnd::Refused(Refusal::Unreachable("no route to host".into()));
                }
                news.launching();
                match self.begin(spec) {
                    Some(state) => state,
                    None => return JobEnd::Refused(Refusal::Unreachable("no route to host".into())),
                }
            }
        };
        let mut state = state;
        if *state.borrow() == State::Running {
            news.started(BootId("sim".into()));
        }
        let over = state.wait_for(|s| *s != State::Running).await.map(|s| *s);
        match over {
            // What has its host start anew is seen to be over when the host is back.
            Ok(State::Exited(0, _)) if spec.ends != Ends::Exit => JobEnd::Lost(LossCause::HostRebooted),
            Ok(State::Exited(status, outputs)) => JobEnd::Exited {
                exit: Exit(status),
                outputs: Ok(outputs.as_bytes().to_vec()),
                boot: BootId("sim".into()),
            },
            Ok(State::Gone | State::Running) | Err(_) => JobEnd::Lost(LossCause::ProcessGone),
        }
    }

    async fn stop(&self, spec: &JobSpec, _grace: u32, _news: &dyn News) -> Result<(), StopError> {
        let jobs = self.jobs();
        if let Some(job) = jobs.get(&Self::name(spec))
            && *job.state.borrow() == State::Running
        {
            job.state.send_replace(State::Exited(143, ""));
        }
        Ok(())
    }

    async fn forget(&self, _run: RunId, _host: &HostName, _jobs: &[JobId]) {}

    async fn clear(&self, _run: RunId, _host: &HostName) {}

    async fn put(&self, order: &PutOrder, _news: &dyn News) -> Result<Moved, Refusal> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner).push(format!("put {}:{}", order.host, order.to));
        Ok(Moved { bytes: 1, digest: Digest::of(b"x") })
    }

    async fn get(&self, order: &GetOrder, _news: &dyn News) -> Result<Moved, Refusal> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner).push(format!("get {}:{}", order.host, order.from));
        Ok(Moved { bytes: 1, digest: Digest::of(b"x") })
    }

    async fn transfer(&self, order: &TransferOrder, _news: &dyn News) -> Result<Moved, Refusal> {
        let line = format!("transfer {}:{} {}:{}", order.from_host, order.from, order.to_host, order.to);
        self.moved.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        Ok(Moved { bytes: 1, digest: Digest::of(b"x") })
    }

    async fn ping(&self, _host: &HostName) -> Result<Pong, Refusal> {
        let took = std::time::Duration::ZERO;
        Ok(Pong { boot: BootId("sim".into()), uptime: 1, system: "Simulated".into(), took })
    }
}

/// Keeps no output.
pub struct NoOutput;

#[async_trait]
impl OutputSink for NoOutput {
    async fn open(&self, _run: RunId, _job: &JobId, _keep: bool) -> Result<Box<dyn JobOutput>, OutputError> {
        Ok(Box::new(Self))
    }
}

#[async_trait]
impl JobOutput for NoOutput {
    fn position(&self, _stream: Stream) -> u64 {
        0
    }

    async fn write(&mut self, _stream: Stream, _bytes: &[u8]) -> Result<(), OutputError> {
        Ok(())
    }

    async fn head(&mut self) -> Result<(Vec<u8>, bool), OutputError> {
        Ok((Vec::new(), true))
    }

    async fn finish(&mut self) -> Result<Printed, OutputError> {
        Ok(Printed::default())
    }
}
