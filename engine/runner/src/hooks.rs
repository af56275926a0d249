//! The port for hooks: pieces of Rhai that the engine evaluates, and that ask it for everything they cannot do themselves.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures_util::future::BoxFuture;
use piton_core::digest::Digest;
use piton_core::ids::{HostName, JobId};
use piton_core::run::{CallKind, HookText, Run};
use piton_core::value::{Map, Value};
use tokio::runtime::Handle;

/// How much memory the evaluating thread has for calls within calls. Rhai takes some KiB for each, far more in a debug build.
pub const STACK: usize = 32 << 20;

/// Evaluates hooks.
pub trait Hooks: Send + Sync {
    /// Evaluates a hook to its end and gives its outputs, or says why it ended badly. Called on a thread of its own, where
    /// it may block. Whatever is not a function of the order must be asked of the world: a hook that is evaluated again
    /// with the same answers must ask for the same things in the same order.
    fn evaluate(&self, order: &HookOrder, world: Arc<dyn HookWorld>) -> Result<Map<String, Value>, String>;

    /// Has `work`, which evaluates a hook, done on a thread of its own, where it may block. Called where the run is driven.
    ///
    /// # Errors
    /// When the system gives no thread.
    fn begin(&self, work: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
        std::thread::Builder::new().name("hook".to_owned()).stack_size(STACK).spawn(work).map(drop)
    }

    /// Waits on such a thread until a hook is answered.
    fn wait(&self, runtime: &Handle, answer: BoxFuture<'_, Result<Value, CallError>>) -> Result<Value, CallError> {
        runtime.block_on(answer)
    }
}

/// What is to be evaluated.
#[derive(Debug, Clone)]
pub struct HookOrder {
    /// Which hook of which attempt.
    pub hook: JobId,
    /// Its code, arguments and variables.
    pub text: HookText,
    /// The run as it stood when the hook began, for its scripts, its hosts, and what came out of steps before
    /// ([`Run::step_for_hook`]).
    pub run: Run,
}

/// What a hook can ask for.
pub trait HookWorld: Send + Sync {
    /// Has something done, once, and waits for the answer. Of a job that is a map: `exit`, and `out` (what it printed) and
    /// `outputs` (what it wrote to `$PITON_OUTPUT`), or `error` (why these cannot be told); of `now` it is the time in
    /// milliseconds since 1970 UTC.
    fn call(&self, call: CallSpec) -> Result<Value, CallError>;

    /// Writes to the task's output.
    fn log(&self, text: &str) -> Result<(), CallError>;

    /// Becomes true when nobody wants the hook any more: whatever is being evaluated then should end.
    fn stop(&self) -> Arc<AtomicBool>;
}

/// Something that a hook asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallSpec {
    /// What kind of thing.
    pub kind: CallKind,
    /// On which host, where it needs one.
    pub host: Option<HostName>,
    /// The user that its job becomes.
    pub become_user: Option<String>,
    /// Whether it may be done again when nobody knows whether it happened.
    pub safe: bool,
    /// The script for `sh`: constant text.
    pub script: String,
    /// Environment variables of the call itself; those of the step come on top.
    pub env: Vec<(String, String)>,
    /// The call for people.
    pub shown: String,
    /// Where in the scripts it is asked for, as `file:line:column`; empty where that is not known.
    pub at: String,
}

impl CallSpec {
    /// The digest of everything that makes the call what it is. Where it is asked for is for people.
    pub fn digest(&self) -> Digest {
        let Self { kind, host, become_user, safe, script, env, shown, at: _ } = self;
        let whole = serde_json::json!([kind, host, become_user, safe, script, env, shown]);
        Digest::of(whole.to_string().as_bytes())
    }
}

/// Why a hook is not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nobody wants the hook any more; it should end, and what it says then is not heard.
    #[error("the hook is not wanted any more")]
    Stopped,
    /// It asked for too much.
    #[error("{0}")]
    TooMuch(String),
}

/// For engines that evaluate no hooks: each one ends badly.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHooks;

impl Hooks for NoHooks {
    fn evaluate(&self, _order: &HookOrder, _world: Arc<dyn HookWorld>) -> Result<Map<String, Value>, String> {
        Err("this engine evaluates no hooks".to_owned())
    }
}
