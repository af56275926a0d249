<<<<<<< HEAD
//! The transport: which host is reached how.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use async_trait::async_trait;
use piton_core::ids::{HostName, JobId, RunId};
use piton_core::inventory::Host;
use piton_core::run::Refusal;
use piton_runner::output::JobOutput;
use piton_runner::transport::{GetOrder, JobEnd, JobSpec, Launch, Moved, News, Pong, PutOrder, StopError, Transport};

use crate::connect::{ConnectError, Destination};
use crate::options::Options;
use crate::pool::{Common, Pool, lock};
use crate::script;
use crate::shell::Answer;

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
=======
//! The transport: every host of a plan, reached when it is needed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use piton_core::ids::{HostName, JobId, RunId};
use piton_core::inventory;
use piton_core::run::Refusal;
use piton_runner::observer::Notice;
use piton_runner::output::JobOutput;
use piton_runner::transport::{GetOrder, JobEnd, JobSpec, Launch, Moved, News, Pong, PutOrder, StopError, Transport};
use tokio::sync::Semaphore;

use crate::carry::{Carrier, Trouble};
use crate::channel::Unreachable;
use crate::files;
use crate::link::{Dial, Link};
use crate::remote::Remote;
use crate::shell::{Answer, Broken};

/// How hosts are reached.
#[derive(Debug, Clone)]
pub struct Options {
    /// The shell that the wrapper runs under on hosts; `sh` unless a host's is broken.
    pub sh: String,
    /// The directory for ssh's sockets: mode 0700, and its path short (a socket's path has 104 bytes at most, unix(7)).
    pub control: PathBuf,
    /// How many ssh connections may be open at once, over all hosts.
    pub connections: usize,
    /// How long unreachable hosts are tried.
    pub patience: Patience,
    /// The file on hosts that tells the boot id (random(4)).
    pub boot_file: String,
}

/// How long an unreachable host is tried.
#[derive(Debug, Clone)]
pub struct Patience {
    /// Before a job may have begun: then it has certainly failed.
    pub before: Duration,
    /// After that: then its outcome is unknown.
    pub after: Duration,
}

impl Options {
    /// What is right for everybody, with ssh's sockets in `control`.
    pub fn with_control(control: PathBuf) -> Self {
        Self {
            sh: "sh".to_owned(),
            control,
            connections: 128,
            patience: Patience { before: Duration::from_secs(30), after: Duration::from_secs(600) },
            boot_file: "/proc/sys/kernel/random/boot_id".to_owned(),
        }
    }
}

/// Reaches hosts: over ssh, or, for [`HostName::is_local`], as child processes.
pub struct Hosts {
    known: BTreeMap<HostName, inventory::Host>,
    options: Options,
    bound: Arc<Semaphore>,
    links: Mutex<BTreeMap<HostName, Arc<Link>>>,
}

impl Hosts {
    /// Hosts as the inventory (or a plan) describes them; what it does not have, the user's ssh config may.
    pub fn new(known: BTreeMap<HostName, inventory::Host>, options: Options) -> Self {
        let bound = Arc::new(Semaphore::new(options.connections.max(1)));
        Self { known, options, bound, links: Mutex::default() }
    }

    /// The way to a host.
    fn link(&self, host: &HostName) -> Arc<Link> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let dial = if host.is_local() {
                Dial::Local
            } else {
                let settings = self.known.get(host).map(|h| h.ssh.clone()).unwrap_or_default();
                Dial::Remote(Remote::new(host.clone(), settings, self.options.control.clone(), self.bound.clone()))
            };
            Link::new(host.clone(), dial, &self.options.sh, &self.options.boot_file)
        };
        links.entry(host.clone()).or_insert_with(make).clone()
    }

    /// Asks a host something that may be asked again.
    async fn ask(&self, host: &HostName, request: &str) -> Result<(Answer, piton_core::run::BootId), Unreachable> {
        let link = self.link(host);
        // A shell that was warm may be dead by now; a second one is new.
        for last in [false, true] {
            let mut shell = link.lend().await?;
            let asked: Result<Answer, Broken> = async {
                shell.send(request).await?;
                shell.answer().await
            }
            .await;
            match asked {
                Ok(answer) => {
                    let boot = shell.boot.clone();
                    link.give_back(shell);
                    return Ok((answer, boot));
                }
                Err(broken) => {
                    link.distrust();
                    if last {
                        return Err(Unreachable::for_now(broken.0));
                    }
                }
            }
        }
        Err(Unreachable::for_now("it does not answer"))
>>>>>>> main
    }
}

#[async_trait]
impl Transport for Hosts {
    async fn carry(&self, job: &JobSpec, launch: Launch, out: &mut dyn JobOutput, news: &dyn News) -> JobEnd {
<<<<<<< HEAD
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
=======
        if let Some(why) = unfit(job) {
            return JobEnd::Refused(Refusal::Refused(why));
        }
        let link = self.link(&job.host);
        Carrier::new(&link, job, launch, news, &self.options.patience).carry(out).await
    }

    async fn stop(&self, job: &JobSpec, grace: u32, news: &dyn News) -> Result<(), StopError> {
        let user = job.become_user.as_deref().unwrap_or("-");
        let request = format!("stop {} {} {grace} {user}\n", job.run, job.id.file_name());
        let mut trouble = Trouble::default();
        loop {
            let why = match self.ask(&job.host, &request).await {
                Ok((Answer::Dead, _)) => return Ok(()),
                Ok((Answer::Alive(what), _)) => return Err(StopError::Alive(what)),
                Ok((other, _)) => format!("an answer to another question: {other:?}"),
                Err(error) => error.why,
            };
            if !trouble.told() {
                news.notice(Notice::Disconnected { host: job.host.clone(), why: why.clone() });
            }
            if trouble.lasts() > self.options.patience.after {
                return Err(StopError::Unreachable(why));
            }
            trouble.pause().await;
        }
    }

    async fn forget(&self, run: RunId, host: &HostName, jobs: &[JobId]) {
        let names: Vec<String> = jobs.iter().map(JobId::file_name).collect();
        if let Err(error) = self.ask(host, &format!("forget {run} {}\n", names.join(" "))).await {
            tracing::debug!(%host, %error, "the files of finished jobs stay until the host sweeps them");
>>>>>>> main
        }
    }

    async fn clear(&self, run: RunId, host: &HostName) {
<<<<<<< HEAD
        if let Err(error) = self.run(host, &script::run(script::CLEAR, &[&run.to_string()])).await {
            tracing::debug!(%host, %run, error = error.message, "files of the run stay until the sweep");
        }
    }

    async fn put(&self, order: &PutOrder, _news: &dyn News) -> Result<Moved, Refusal> {
        let _ = order;
        Err(Refusal::Refused(String::new()))
    }

    async fn get(&self, order: &GetOrder, _news: &dyn News) -> Result<Moved, Refusal> {
        let _ = order;
        Err(Refusal::Refused(String::new()))
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
=======
        if let Err(error) = self.ask(host, &format!("clear {run}\n")).await {
            tracing::debug!(%host, %error, "the files of the run stay until the host sweeps them");
        }
    }

    async fn put(&self, order: &PutOrder, news: &dyn News) -> Result<Moved, Refusal> {
        files::put(&self.link(&order.host), order, news).await
    }

    async fn get(&self, order: &GetOrder, news: &dyn News) -> Result<Moved, Refusal> {
        files::get(&self.link(&order.host), order, news).await
    }

    async fn ping(&self, host: &HostName) -> Result<Pong, Refusal> {
        let begun = Instant::now();
        match self.ask(host, "ping\n").await? {
            (Answer::Pong { uptime, system }, boot) => Ok(Pong { boot, uptime, system, took: begun.elapsed() }),
            (other, _) => Err(Refusal::Refused(format!("an answer to another question: {other:?}"))),
        }
    }
}

/// What the wrapper's request line cannot carry.
fn unfit(job: &JobSpec) -> Option<String> {
    let word = |text: &str| {
        !text.is_empty()
            && !text.starts_with('-')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "._/@+-".contains(c))
    };
    if !word(&job.shell) {
        return Some(format!("`{}` is not the name or path of an interpreter", job.shell.escape_debug()));
    }
    if let Some(user) = job.become_user.as_ref().filter(|u| !word(u)) {
        return Some(format!("`{}` is not the name of a user", user.escape_debug()));
    }
    if job.script.contains('\0') || job.env.iter().any(|(_, value)| value.contains('\0')) {
        return Some("a script or value has a NUL character, which no command can take".to_owned());
    }
    None
}
>>>>>>> main
