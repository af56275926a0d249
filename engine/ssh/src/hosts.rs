//! The transport: which host is reached how.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use async_trait::async_trait;
use piton_core::ids::{HostName, JobId, RunId};
use piton_core::inventory::Host;
use piton_core::run::Refusal;
use piton_runner::output::JobOutput;
use piton_runner::transport::{
    GetOrder, JobEnd, JobSpec, Launch, Moved, News, Pong, PutOrder, StopError, TransferOrder, Transport,
};

use crate::connect::{ConnectError, Destination};
use crate::files::{There, check};
use crate::moving::{Like, Move};
use crate::options::Options;
use crate::pool::{Common, Pool, lock};
use crate::script;
use crate::shell::Answer;

/// How one host reaches another by itself: without asking anybody, and only what is known already.
const DIRECT_OPTIONS: &[&str] = &[
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "ConnectTimeout=5",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
    "LogLevel=ERROR",
];

/// All hosts that the engine reaches. The host [`HostName::LOCAL`] is its own machine.
pub struct Hosts {
    inventory: BTreeMap<HostName, Host>,
    common: Arc<Common>,
    pools: Mutex<HashMap<HostName, Arc<Pool>>>,
}

impl Hosts {
    /// Takes the hosts of an inventory; of others only ssh's own configuration knows how they are reached.
    pub fn new(inventory: BTreeMap<HostName, Host>, options: Options) -> Self {
        Self { inventory, common: Common::new(options), pools: Mutex::default() }
    }

    pub(crate) fn pool(&self, host: &HostName) -> Arc<Pool> {
        let mut pools = lock(&self.pools);
        if let Some(pool) = pools.get(host) {
            return Arc::clone(pool);
        }
        let common = Arc::clone(&self.common);
        let pool = if host.is_local() {
            Pool::local(host.clone(), common)
        } else {
            let settings = self.inventory.get(host).map(|host| host.ssh.clone()).unwrap_or_default();
            Pool::ssh(host.clone(), common, Destination::new(host.clone(), settings))
        };
        pools.insert(host.clone(), Arc::clone(&pool));
        pool
    }

    /// The way to the engine's own machine.
    fn here(&self) -> Result<Arc<Pool>, Refusal> {
        let name = HostName::new(HostName::LOCAL).map_err(|bad| Refusal::Refused(bad.to_string()))?;
        Ok(self.pool(&name))
    }

    /// The words with which one host may reach the other by itself: with the keys, the agent and the known hosts that its
    /// user has there, and never with ours.
    fn direct(&self, from: &HostName, to: &HostName) -> Option<Vec<String>> {
        if from == to {
            return Some(vec!["sh".to_owned(), "-c".to_owned()]);
        }
        if from.is_local() || to.is_local() {
            return None;
        }
        let settings = self.inventory.get(to).map(|host| host.ssh.clone()).unwrap_or_default();
        // What cannot be said to ssh here cannot be said to it there.
        Destination::new(to.clone(), settings.clone()).ok()?;
        let mut words = vec!["ssh".to_owned()];
        for option in DIRECT_OPTIONS {
            words.extend(["-o".to_owned(), (*option).to_owned()]);
        }
        if let Some(port) = settings.port {
            words.extend(["-p".to_owned(), port.to_string()]);
        }
        if let Some(user) = settings.user {
            words.extend(["-l".to_owned(), user]);
        }
        words.push(settings.address.unwrap_or_else(|| to.to_string()));
        Some(words)
    }

    /// Has one of our scripts carried out that answers with one line; tried again once if the shell had died.
    async fn run(&self, host: &HostName, request: &[u8]) -> Result<Answer, ConnectError> {
        let pool = self.pool(host);
        let mut why = None;
        for _ in 0..2 {
            let mut shell = pool.shell().await?;
            let told = match shell.ask(request).await {
                Ok(()) => shell.answer().await,
                Err(error) => Err(error),
            };
            match told {
                Ok(answer) => {
                    pool.give(shell);
                    return Ok(answer);
                }
                Err(error) => why = Some(error),
            }
        }
        let why = why.map_or_else(String::new, |error| error.to_string());
        Err(ConnectError::soon(format!("the connection to {host} was lost: {why}")))
    }
}

#[async_trait]
impl Transport for Hosts {
    async fn carry(&self, job: &JobSpec, launch: Launch, out: &mut dyn JobOutput, news: &dyn News) -> JobEnd {
        crate::carry::carry(self.pool(&job.host), job, launch, out, news).await
    }

    async fn stop(&self, job: &JobSpec, grace: u32, news: &dyn News) -> Result<(), StopError> {
        crate::stop::stop(&self.pool(&job.host), job, grace, news).await
    }

    async fn forget(&self, run: RunId, host: &HostName, jobs: &[JobId]) {
        for jobs in jobs.chunks(200) {
            let mut arguments = vec![run.to_string()];
            arguments.extend(jobs.iter().map(JobId::file_name));
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            if let Err(error) = self.run(host, &script::run(script::FORGET, &arguments)).await {
                tracing::debug!(%host, %run, error = error.message, "files of jobs stay until the sweep");
            }
        }
    }

    async fn clear(&self, run: RunId, host: &HostName) {
        if let Err(error) = self.run(host, &script::run(script::CLEAR, &[&run.to_string()])).await {
            tracing::debug!(%host, %run, error = error.message, "files of the run stay until the sweep");
        }
    }

    async fn put(&self, order: &PutOrder, news: &dyn News) -> Result<Moved, Refusal> {
        crate::put::put(&self.pool(&order.host), &self.here()?, order, news).await
    }

    async fn get(&self, order: &GetOrder, news: &dyn News) -> Result<Moved, Refusal> {
        crate::get::get(&self.pool(&order.host), &self.here()?, order, news).await
    }

    async fn transfer(&self, order: &TransferOrder, news: &dyn News) -> Result<Moved, Refusal> {
        check(&order.from, None, order.become_user.as_deref())?;
        check(&order.to, order.owner.as_deref(), order.become_user.as_deref())?;
        let (from, to) = (self.pool(&order.from_host), self.pool(&order.to_host));
        let user = order.become_user.as_deref();
        let moving = Move {
            from: There { pool: &from, user, news },
            source: &order.from,
            to: There { pool: &to, user, news },
            target: &order.to,
            mode: order.mode,
            owner: order.owner.as_deref(),
            like: Like::Source,
            manner: &order.manner,
            direct: self.direct(&order.from_host, &order.to_host),
            news,
        };
        moving.carry_out().await
    }

    async fn ping(&self, host: &HostName) -> Result<Pong, Refusal> {
        let began = Instant::now();
        let answer =
            self.run(host, &script::run(script::PING, &[])).await.map_err(|e| Refusal::Unreachable(e.message))?;
        let system = answer.rest().splitn(3, ' ').nth(2).unwrap_or_default().to_owned();
        Ok(Pong {
            boot: piton_core::run::BootId(answer.field("boot").to_owned()),
            uptime: answer.number("uptime"),
            system,
            took: began.elapsed(),
        })
    }
}
