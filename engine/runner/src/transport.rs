//! The transport port: jobs on hosts, and files to and from them.

use async_trait::async_trait;
use piton_core::digest::Digest;
use piton_core::ids::{HostName, JobId, RunId};
use piton_core::run::{BootId, CallKind, Exit, LossCause, Refusal};
use piton_core::runbook::Manner;
use piton_core::time::Timestamp;
use secrecy::SecretString;

use crate::observer::Notice;
use crate::output::{JobOutput, OutputError, Stream};

/// Carries out jobs on hosts.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Has the job run once on its host and follows it to its end, through lost connections, going on from the
    /// byte where `out` stands. Dropping the future stops following, not the job.
    async fn carry(&self, job: &JobSpec, launch: Launch, out: &mut dyn JobOutput, news: &dyn News) -> JobEnd;

    /// Has the job dead: TERM to everything in it, KILL after `grace` seconds, then proof that nothing of it lives.
    /// A job that had not begun never will. What is left to collect is then collected with [`Transport::carry`].
    async fn stop(&self, job: &JobSpec, grace: u32, news: &dyn News) -> Result<(), StopError>;

    /// Removes the files of jobs whose results are durable; what tells that they ran once stays until the run ends.
    async fn forget(&self, run: RunId, host: &HostName, jobs: &[JobId]);

    /// Removes what the run left on the host but for a mark that it is over. Best effort.
    async fn clear(&self, run: RunId, host: &HostName);

    /// Brings a file, a directory or a text to the host. Doing it again is as good as once.
    async fn put(&self, order: &PutOrder, news: &dyn News) -> Result<Moved, Refusal>;

    /// Brings a file or directory from the host.
    async fn get(&self, order: &GetOrder, news: &dyn News) -> Result<Moved, Refusal>;

    /// Moves a file from one host to another. Doing it again is as good as once, and goes on where it was left.
    async fn transfer(&self, order: &TransferOrder, news: &dyn News) -> Result<Moved, Refusal>;

    /// Reaches the host and tells what it is.
    async fn ping(&self, host: &HostName) -> Result<Pong, Refusal>;
}

/// Hears how a job goes.
pub trait News: Send + Sync {
    /// From this moment on the job may exist: the request to start it is about to be sent.
    fn launching(&self);

    /// The job has begun; `boot` is the host's boot id.
    fn started(&self, boot: BootId);

    /// The job printed something, which [`JobOutput::write`] has taken.
    fn printed(&self, stream: Stream, bytes: &[u8]);

    /// Something worth showing.
    fn notice(&self, notice: Notice);

    /// A transfer has come so far: `moved` bytes of `total` have arrived or were there.
    fn progress(&self, moved: u64, total: u64);
}

/// A job to be carried out.
#[derive(Debug, Clone)]
pub struct JobSpec {
    /// Which run.
    pub run: RunId,
    /// Which job; its [`JobId::file_name`] names its files on the host.
    pub id: JobId,
    /// Where.
    pub host: HostName,
    /// The interpreter: a program name or an absolute path.
    pub shell: String,
    /// The script: constant text.
    pub script: String,
    /// Environment variables. Values may hold any character but NUL. `PITON_…` variables are added by the transport:
    /// `PITON_RUN`, `PITON_TASK`, `PITON_ATTEMPT`, `PITON_HOST`, `PITON_JOB`, `PITON_WORK` (a directory of this run
    /// on this host, kept until the run ends), `PITON_OUTPUT` (a file for `key=value` lines).
    pub env: Vec<(String, String)>,
    /// Further environment variables, which reach the host on a pipe and stand nowhere else.
    pub secrets: Vec<(String, SecretString)>,
    /// The user to become through `sudo -n`.
    pub become_user: Option<String>,
    /// What ends it.
    pub ends: Ends,
    /// What a hook asks for with it, where one does: for transports that answer without a shell.
    pub call: Option<CallKind>,
}

/// What ends a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// Its exit.
    Exit,
    /// That its host answers with another boot id, which is then the loss [`LossCause::HostRebooted`]; or that it
    /// exits with an error of its own. A good end, death by a signal and a lost process only say that the host may be
    /// about to go down.
    Reboot,
    /// The same, but as things are now: nothing is waited for.
    RebootByNow,
}

/// What is known of a job before it is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Launch {
    /// It was never asked for: start it.
    Fresh,
    /// It may have been asked for at `since` or later: look first. If it is not there and the host is certainly the
    /// same that it was (its boot id is `boot`, or it has been up longer than `since` is ago), it never began: start it.
    Maybe {
        /// The boot id at that time, where known.
        boot: Option<BootId>,
        /// When it was first allowed to begin.
        since: Timestamp,
        /// The engine's clock now.
        now: Timestamp,
    },
    /// It has certainly begun, or is to be looked at only: never start it.
    Never {
        /// The boot id when it began, where known.
        boot: Option<BootId>,
    },
}

/// How a job came to its end.
#[derive(Debug, Clone, PartialEq)]
pub enum JobEnd {
    /// Its exit status is known, and its output complete.
    Exited {
        /// The status.
        exit: Exit,
        /// What it wrote to `$PITON_OUTPUT`, at most [`MAX_OUTPUTS`] bytes; more is an error of the script.
        outputs: Result<Vec<u8>, String>,
        /// The host's boot id.
        boot: BootId,
    },
    /// Nobody will know.
    Lost(LossCause),
    /// It certainly did not begin.
    Refused(Refusal),
    /// The output could not be kept; the job goes on, and can be followed again later.
    OutputFailed(OutputError),
}

/// How much a job may write to `$PITON_OUTPUT`.
pub const MAX_OUTPUTS: usize = 256 * 1024;

/// Why it is not proven that a job is dead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StopError {
    /// The host cannot be reached.
    #[error("{0}")]
    Unreachable(String),
    /// Processes that cannot be ended (in uninterruptible sleep, or not ours).
    #[error("still alive on the host: {0}")]
    Alive(String),
}

/// Files to a host.
#[derive(Debug, Clone)]
pub struct PutOrder {
    /// Names temporary files.
    pub run: RunId,
    /// Where to.
    pub host: HostName,
    /// What.
    pub source: PutBytes,
    /// The absolute path there.
    pub to: String,
    /// Permission bits.
    pub mode: Option<u32>,
    /// `user` or `user:group`.
    pub owner: Option<String>,
    /// The user to become through `sudo -n`.
    pub become_user: Option<String>,
    /// How it is moved, if it is large.
    pub manner: Manner,
}

/// A file from host to host.
#[derive(Debug, Clone)]
pub struct TransferOrder {
    /// Which run.
    pub run: RunId,
    /// The host that has it.
    pub from_host: HostName,
    /// The absolute path there.
    pub from: String,
    /// The host that gets it.
    pub to_host: HostName,
    /// The absolute path there.
    pub to: String,
    /// Permission bits; `None`: those of the source.
    pub mode: Option<u32>,
    /// `user` or `user:group`; `None`: as the source has it, where the target lets us.
    pub owner: Option<String>,
    /// The user to become through `sudo -n`, on both hosts.
    pub become_user: Option<String>,
    /// How it is moved.
    pub manner: Manner,
}

/// What to put.
#[derive(Debug, Clone)]
pub enum PutBytes {
    /// A file or directory of the engine's machine, absolute.
    Path(std::path::PathBuf),
    /// The text itself.
    Text(String),
    /// A text that nobody else may see, also not while it is on its way into the file.
    Secret(SecretString),
}

/// Files from a host.
#[derive(Debug, Clone)]
pub struct GetOrder {
    /// Names temporary files.
    pub run: RunId,
    /// Where from.
    pub host: HostName,
    /// The absolute path there.
    pub from: String,
    /// The path on the engine's machine, absolute.
    pub to: std::path::PathBuf,
    /// The user to become through `sudo -n`.
    pub become_user: Option<String>,
    /// How it is moved, if it is large.
    pub manner: Manner,
}

/// What was transferred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Bytes of the files.
    pub bytes: u64,
    /// The digest of the file; of the sorted list of paths and digests for a directory; of the list of places and SHA-256
    /// of its parts for a large file.
    pub digest: Digest,
}

/// A host that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pong {
    /// Its boot id.
    pub boot: BootId,
    /// How long it has been up, in seconds.
    pub uptime: u64,
    /// `uname -srm`.
    pub system: String,
    /// How long the question took.
    pub took: std::time::Duration,
}
