//! One host and the shells that are warm on it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use piton_core::ids::HostName;
use tokio::sync::Semaphore;

use crate::channel::Unreachable;
use crate::local;
use crate::remote::Remote;
use crate::shell::Shell;

/// How long a shell is kept warm without work.
const IDLE: Duration = Duration::from_secs(60);

/// How many jobs of a host may be in their first moments at once. A job that turns out to be long leaves its place here,
/// so a burst of short ones costs eight shells and not a hundred, and long ones do not hold each other up.
const STARTING: usize = 8;

/// One host and the shells that are warm on it.
pub(crate) struct Link {
    pub(crate) name: HostName,
    dial: Dial,
    sh: String,
    boot_file: String,
    idle: Mutex<Vec<(Instant, Shell)>>,
    reaping: AtomicBool,
    swept: AtomicBool,
    pub(crate) starting: Semaphore,
}

/// How a shell on the host comes about.
pub(crate) enum Dial {
    /// As a child process.
    Local,
    /// Over ssh.
    Remote(Arc<Remote>),
}

impl Link {
    pub(crate) fn new(name: HostName, dial: Dial, sh: &str, boot_file: &str) -> Arc<Self> {
        Arc::new(Self {
            name,
            dial,
            sh: sh.to_owned(),
            boot_file: boot_file.to_owned(),
            idle: Mutex::default(),
            reaping: AtomicBool::new(false),
            swept: AtomicBool::new(false),
            starting: Semaphore::new(STARTING),
        })
    }

    /// A shell that is warm, or a new one.
    pub(crate) async fn lend(&self) -> Result<Shell, Unreachable> {
        let warm = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match warm {
            Some((_, shell)) => Ok(shell),
            None => self.open().await,
        }
    }

    /// A new shell.
    pub(crate) async fn open(&self) -> Result<Shell, Unreachable> {
        let channel = match &self.dial {
            Dial::Local => local::open(&self.sh)?,
            Dial::Remote(remote) => remote.open(&self.sh).await?,
        };
        Shell::greet(channel, &self.boot_file).await
    }

    /// Takes back a shell that has answered everything it was asked.
    pub(crate) fn give_back(self: &Arc<Self>, shell: Shell) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), shell));
        if !self.swept.swap(true, Ordering::AcqRel) {
            let link = self.clone();
            tokio::spawn(async move { link.sweep().await });
        }
        if !self.reaping.swap(true, Ordering::AcqRel) {
            let link = Arc::downgrade(self);
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(IDLE).await;
                    let Some(link) = link.upgrade() else { return };
                    if !link.reap() {
                        return;
                    }
                }
            });
        }
    }

    /// A shell of it broke: those that are idle run over the same connection, or are as old.
    pub(crate) fn distrust(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        match &self.dial {
            Dial::Local => {}
            Dial::Remote(remote) => remote.distrust(),
        }
    }

    /// Lets go of what was idle for long; false if nothing is left to look after.
    fn reap(&self) -> bool {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(since, _)| since.elapsed() < IDLE);
        if let Dial::Remote(remote) = &self.dial {
            remote.reap();
        }
        if idle.is_empty() {
            self.reaping.store(false, Ordering::Release);
        }
        !idle.is_empty()
    }

    /// Once for each connection's beginning: removes what engines left behind that never came back for it.
    async fn sweep(self: &Arc<Self>) {
        if let Ok(mut shell) = self.lend().await
            && shell.send("sweep\n").await.is_ok()
            && shell.answer().await.is_ok()
        {
            self.give_back(shell);
        }
    }
}
