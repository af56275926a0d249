//! Connections to one host over the system's OpenSSH, and the channels on them.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openssh::{ControlPersist, KnownHosts, Session, SessionBuilder, Stdio};
use piton_core::ids::HostName;
use piton_core::inventory::SshSettings;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::channel::{Channel, Unreachable};
use crate::wrapper;

/// sshd allows ten sessions on a connection by default (sshd_config(5), MaxSessions) and gives a place back late, so
/// two are left alone. Where fewer are allowed we learn it from the refusal.
const PLACES: usize = 8;

/// How many connections one host may have.
const MAX_CONNECTIONS: usize = 8;

/// ssh_config(5), ConnectTimeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// ssh_config(5), ServerAliveInterval; after three unanswered ones ssh gives the connection up.
const ALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// How long a connection outlives an engine that was killed.
const PERSIST: usize = 60;

/// Connections to one host.
pub(crate) struct Remote {
    name: HostName,
    settings: SshSettings,
    control: PathBuf,
    bound: Arc<Semaphore>,
    connections: Mutex<Vec<Arc<Connection>>>,
    connecting: tokio::sync::Mutex<()>,
    freed: Arc<Notify>,
}

struct Connection {
    session: Arc<Session>,
    places: Arc<Semaphore>,
    /// How many places it has by what we learnt.
    size: std::sync::atomic::AtomicUsize,
    broken: AtomicBool,
    _counted: OwnedSemaphorePermit,
}

/// A place on a connection; says when it becomes free.
struct Place {
    _child: openssh::Child<Arc<Session>>,
    permit: Option<OwnedSemaphorePermit>,
    freed: Arc<Notify>,
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.freed.notify_one();
    }
}

impl Remote {
    pub(crate) fn new(name: HostName, settings: SshSettings, control: PathBuf, bound: Arc<Semaphore>) -> Arc<Self> {
        Arc::new(Self {
            name,
            settings,
            control,
            bound,
            connections: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            freed: Arc::default(),
        })
    }

    /// Starts a shell on the host: on a connection that has a place, or on a new one.
    pub(crate) async fn open(&self, sh: &str) -> Result<Channel, Unreachable> {
        let command = wrapper::command(sh);
        loop {
            while let Some((connection, permit)) = self.place() {
                match self.start(&connection, permit, &command).await {
                    Some(channel) => return Ok(channel),
                    None => continue,
                }
            }
            let freed = self.freed.notified();
            let _one_at_a_time = self.connecting.lock().await;
            if self.has_place() {
                continue;
            }
            let full = self.list().len() >= MAX_CONNECTIONS;
            if full {
                drop(_one_at_a_time);
                freed.await;
                continue;
            }
            let connection = Arc::new(self.connect().await?);
            self.list().push(connection);
        }
    }

    fn list(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_place(&self) -> bool {
        self.list().iter().any(|c| !c.broken.load(Ordering::Acquire) && c.places.available_permits() > 0)
    }

    fn place(&self) -> Option<(Arc<Connection>, OwnedSemaphorePermit)> {
        let mut list = self.list();
        list.retain(|c| !c.broken.load(Ordering::Acquire));
        list.iter().find_map(|c| Some((c.clone(), c.places.clone().try_acquire_owned().ok()?)))
    }

    /// Starts the wrapper in a place; nothing if the server refuses it or the connection is gone.
    async fn start(
        &self,
        connection: &Arc<Connection>,
        permit: OwnedSemaphorePermit,
        command: &str,
    ) -> Option<Channel> {
        let mut order = connection.session.clone().arc_raw_command(command);
        order.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        match order.spawn().await {
            Ok(mut child) => {
                let streams = (child.stdin().take(), child.stdout().take(), child.stderr().take());
                let (Some(stdin), Some(stdout), Some(stderr)) = streams else { return None };
                Some(Channel {
                    stdin: Box::new(stdin),
                    stdout: Box::new(stdout),
                    stderr: Box::new(stderr),
                    held: Box::new(Place { _child: child, permit: Some(permit), freed: self.freed.clone() }),
                })
            }
            Err(error) => {
                let size = connection.size.fetch_sub(1, Ordering::AcqRel);
                if says_refused(&error) && size > 1 {
                    // The server allows fewer than we thought: this place does not exist.
                    permit.forget();
                } else {
                    connection.broken.store(true, Ordering::Release);
                }
                None
            }
        }
    }

    async fn connect(&self) -> Result<Connection, Unreachable> {
        let bound = self.bound.clone().acquire_owned().await;
        let counted = bound.map_err(|_closed| Unreachable::for_good("the engine is stopping"))?;
        let mut builder = SessionBuilder::default();
        builder
            .known_hosts_check(KnownHosts::Strict)
            .connect_timeout(CONNECT_TIMEOUT)
            .server_alive_interval(ALIVE_INTERVAL)
            .control_directory(&self.control)
            .clean_history_control_directory(false);
        if let Some(persist) = NonZeroUsize::new(PERSIST) {
            builder.control_persist(ControlPersist::IdleFor(persist));
        }
        let ssh = &self.settings;
        for (what, value) in [("address", &ssh.address), ("user", &ssh.user), ("jump", &ssh.jump)] {
            // ssh has no `--` before the destination.
            if value.as_ref().is_some_and(|v| v.starts_with('-') || v.is_empty()) {
                return Err(Unreachable::for_good(format!(
                    "host {}: `{what}` cannot begin with `-` or be empty",
                    self.name
                )));
            }
        }
        if let Some(user) = &ssh.user {
            builder.user(user.clone());
        }
        if let Some(port) = ssh.port {
            builder.port(port);
        }
        if let Some(identity) = &ssh.identity {
            builder.keyfile(at_home(identity));
        }
        if let Some(jump) = &ssh.jump {
            builder.jump_hosts(jump.split(','));
        }
        if let Some(config) = &ssh.config {
            builder.config_file(at_home(config));
        }
        if let Some(known) = &ssh.known_hosts {
            builder.user_known_hosts_file(at_home(known));
        }
        let destination = ssh.address.as_deref().unwrap_or(self.name.as_str());
        match builder.connect_mux(destination).await {
            Ok(session) => Ok(Connection {
                session: Arc::new(session),
                places: Arc::new(Semaphore::new(PLACES)),
                size: PLACES.into(),
                broken: AtomicBool::new(false),
                _counted: counted,
            }),
            Err(error) => Err(self.explain(&error)),
        }
    }

    /// What went wrong, and what to do about it.
    fn explain(&self, error: &openssh::Error) -> Unreachable {
        let said = chain(error);
        let lower = said.to_lowercase();
        let address = self.settings.address.as_deref().unwrap_or(self.name.as_str());
        let port = self.settings.port.map(|p| format!(" -p {p}")).unwrap_or_default();
        let file = self.settings.known_hosts.as_deref().unwrap_or("~/.ssh/known_hosts");
        let name = &self.name;
        if lower.contains("identification has changed") || lower.contains("host key for") && lower.contains("changed") {
            return Unreachable::for_good(format!(
                "{name}: its host key is not the one in {file}. Somebody may be in between, or the host was set up anew. \
                 If you know why it changed: `ssh-keygen -R '{address}' -f {file}`, then add the new key"
            ));
        }
        if lower.contains("host key verification failed")
            || lower.contains("no matching host key")
            || lower.contains("host key is known")
        {
            return Unreachable::for_good(format!(
                "{name}: its host key is not known, or has changed. Compare its fingerprint, then add it: \
                 `ssh{port} {address}` once by hand, or `ssh-keyscan{port} {address} >> {file}`; a changed one is \
                 removed first with `ssh-keygen -R`"
            ));
        }
        if lower.contains("permission denied") || lower.contains("too many authentication failures") {
            return Unreachable::for_good(format!(
                "{name}: it does not let us in ({said}). Piton asks no passwords: is the key in the agent, or named \
                 as `identity`, and the user right? Try `ssh -o BatchMode=yes{port} {address}`"
            ));
        }
        if lower.contains("too long for unix domain socket") {
            let dir = self.control.display();
            return Unreachable::for_good(format!(
                "{name}: the directory for sockets {dir} has too long a name: {said}"
            ));
        }
        if lower.contains("bad configuration option") || lower.contains("no such file or directory") {
            return Unreachable::for_good(format!("{name}: ssh cannot be started: {said}"));
        }
        Unreachable::for_now(format!("{name}: {said}"))
    }

    /// A channel broke: connections that do not answer any more are not used again.
    pub(crate) fn distrust(&self) {
        for connection in self.list().drain(..) {
            connection.broken.store(true, Ordering::Release);
        }
    }

    /// Closes connections that nobody uses.
    pub(crate) fn reap(&self) {
        self.list().retain(|c| c.places.available_permits() < c.size.load(Ordering::Acquire));
    }
}

fn says_refused(error: &openssh::Error) -> bool {
    let said = chain(error).to_lowercase();
    said.contains("refused by peer") || said.contains("session open refused")
}

/// An error with all its causes, in one line.
fn chain(error: &openssh::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(600).collect()
}

/// `~/` is the home of whoever runs the engine.
fn at_home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        (_, _) => PathBuf::from(path),
    }
}
