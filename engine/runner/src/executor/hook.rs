//! One hook in flight: evaluated on a thread of its own, which waits for answers; what it logs is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use imbl::Vector;
use piton_core::ids::JobId;
use piton_core::run::{CallKind, HookCall, Input, Printed, Run};
use piton_core::value::{Map, Value};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use crate::hooks::{CallError, CallSpec, HookOrder, HookWorld, Hooks};
use crate::observer::Notice;
use crate::output::{JobOutput, OutputError, Stream};
use crate::ports::Ports;
use crate::secrets::vault::Vault;

use super::flag;

/// How much a hook may log, in bytes.
const MAX_LOG: usize = 1 << 20;
/// How many calls a hook may make: each stands in the journal with its answer.
const MAX_CALLS: u32 = 1000;
/// How long to wait before what was logged is written again after the disk was full.
const FULL_PAUSE: Duration = Duration::from_secs(1);
/// How long a call may be as people see it, in characters.
const MAX_SHOWN: usize = 200;
/// How long a notification may be, in characters.
const MAX_NOTE: usize = 4000;

/// Hears what a hook waits for: the number of its call, and the call.
pub(super) type Asked = watch::Receiver<Option<(u32, CallSpec)>>;

/// A hook that is being evaluated, or about to be.
pub(super) struct Evaluation {
    /// The calls in the journal, with their answers.
    calls: watch::Sender<Vector<Arc<HookCall>>>,
    /// What the hook waits for.
    asked: watch::Sender<Option<(u32, CallSpec)>>,
    stop: Arc<AtomicBool>,
    handle: Option<AbortHandle>,
}

impl Evaluation {
    pub(super) fn of(run: &Run, hook: &JobId) -> Self {
        let (calls, asked) = (watch::Sender::new(calls(run, hook)), watch::Sender::new(None));
        Self { calls, asked, stop: flag(), handle: None }
    }

    /// What the hook waits for, for the job that carries it out.
    pub(super) fn asked(&self) -> Asked {
        self.asked.subscribe()
    }

    /// Tells the hook what it was answered.
    pub(super) fn answer(&self, run: &Run, hook: &JobId) {
        self.calls.send_replace(calls(run, hook));
    }

    /// Begins the evaluation; its end is reported.
    pub(super) fn begin(
        &mut self,
        ports: &Ports,
        vault: &Arc<Vault>,
        run: &Run,
        hook: &JobId,
        news: mpsc::UnboundedSender<Input>,
    ) {
        let keep = run.graph().find(&hook.attempt.task).is_none_or(|task| !run.step_of(task).no_log);
        let order = run.hook_text(hook).map(|text| HookOrder { hook: hook.clone(), text, run: run.clone() });
        let (lines, log) = mpsc::unbounded_channel();
        let caller = Caller {
            hook: hook.clone(),
            news: news.clone(),
            calls: self.calls.subscribe(),
            asked: self.asked.clone(),
            stop: self.stop.clone(),
            lines,
            made: AtomicU32::new(0),
            logged: AtomicUsize::new(0),
            hooks: ports.hooks.clone(),
            runtime: Handle::current(),
        };
        let evaluating =
            Evaluating { ports: ports.clone(), vault: vault.clone(), run: run.id(), hook: hook.clone(), keep, news };
        self.handle = Some(tokio::spawn(evaluating.follow(order, Arc::new(caller), log)).abort_handle());
    }
}

impl Drop for Evaluation {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(handle) = &self.handle {
            handle.abort();
        }
    }
}

fn calls(run: &Run, hook: &JobId) -> Vector<Arc<HookCall>> {
    run.hooking(hook).map(|hooking| hooking.calls.clone()).unwrap_or_default()
}

/// The engine's side of an evaluation.
struct Evaluating {
    ports: Ports,
    vault: Arc<Vault>,
    run: piton_core::ids::RunId,
    hook: JobId,
    keep: bool,
    news: mpsc::UnboundedSender<Input>,
}

impl Evaluating {
    async fn follow(
        self,
        order: Result<HookOrder, String>,
        caller: Arc<Caller>,
        mut log: mpsc::UnboundedReceiver<String>,
    ) {
        // What it logs goes out with the secrets hidden.
        let open = self.vault.opened().await;
        let (tell, told) = oneshot::channel();
        let (hooks, world) = (self.ports.hooks.clone(), caller.clone());
        let evaluates = hooks.clone();
        let started = hooks.begin(Box::new(move || {
            let end = order.and_then(|order| evaluates.evaluate(&order, world));
            // Nobody listens any more when the hook is not wanted any more.
            let _unheard = tell.send(end);
        }));
        let mut book = Book { of: &self, out: None, at: 0, told: false };
        let end = match started {
            Err(error) => Err(format!("the system gives no thread: {error}")),
            Ok(()) => {
                let mut told = told;
                loop {
                    tokio::select! {
                        biased;
                        Some(text) = log.recv() => book.write(&open.mask(&text)).await,
                        end = &mut told => {
                            break end.unwrap_or_else(|_| Err("its evaluation broke off".to_owned()));
                        }
                    }
                }
            }
        };
        while let Ok(text) = log.try_recv() {
            book.write(&open.mask(&text)).await;
        }
        let printed = book.finish().await;
        if caller.stop.load(Ordering::Acquire) {
            return;
        }
        let input = match caller.left_over() {
            Some(call) => Input::HookDiffered {
                hook: self.hook.clone(),
                number: call.number,
                recorded: call.to_string(),
                made: match &end {
                    Ok(_) => "the hook has ended".to_owned(),
                    Err(why) => format!("the hook has ended: {why}"),
                },
            },
            None => Input::HookEnded { hook: self.hook.clone(), end, printed },
        };
        let _unheard = self.news.send(input);
    }
}

/// What a hook logs, on its way to the output files. A hook that is evaluated again logs the same bytes again: those that
/// were kept already are passed over.
struct Book<'e> {
    of: &'e Evaluating,
    out: Option<Box<dyn JobOutput>>,
    at: u64,
    told: bool,
}

impl Book<'_> {
    async fn write(&mut self, text: &str) {
        let kept = loop {
            match self.tried(text).await {
                Ok(from) => break from,
                Err(error) => self.wait_for_room(&error).await,
            }
        };
        self.at += text.len() as u64;
        if let Some(new) = text.as_bytes().get(kept..).filter(|new| !new.is_empty() && self.of.keep) {
            self.of.ports.observer.printed(&self.of.hook, Stream::Out, new);
        }
    }

    /// Writes what is not there yet; says how much of it was.
    async fn tried(&mut self, text: &str) -> Result<usize, OutputError> {
        let out = match &mut self.out {
            Some(out) => out,
            none => none.insert(self.of.ports.outputs.open(self.of.run, &self.of.hook, self.of.keep).await?),
        };
        let there = out.position(Stream::Out).saturating_sub(self.at);
        let from = usize::try_from(there).unwrap_or(usize::MAX).min(text.len());
        if from < text.len() {
            out.write(Stream::Out, &text.as_bytes()[from..]).await?;
        }
        Ok(from)
    }

    async fn finish(&mut self) -> Printed {
        loop {
            let Some(out) = &mut self.out else { return Printed::default() };
            match out.finish().await {
                Ok(printed) => return printed,
                Err(error) => self.wait_for_room(&error).await,
            }
        }
    }

    async fn wait_for_room(&mut self, error: &OutputError) {
        if !std::mem::replace(&mut self.told, true) {
            self.of.ports.observer.notice(&Notice::Full { why: error.to_string() });
        }
        tokio::time::sleep(FULL_PAUSE).await;
    }
}

/// The hook's side: asks, and waits for the answer.
struct Caller {
    hook: JobId,
    news: mpsc::UnboundedSender<Input>,
    calls: watch::Receiver<Vector<Arc<HookCall>>>,
    asked: watch::Sender<Option<(u32, CallSpec)>>,
    stop: Arc<AtomicBool>,
    lines: mpsc::UnboundedSender<String>,
    made: AtomicU32,
    logged: AtomicUsize,
    hooks: Arc<dyn Hooks>,
    runtime: Handle,
}

impl Caller {
    /// The first call in the journal that was not made.
    fn left_over(&self) -> Option<Arc<HookCall>> {
        let made = usize::try_from(self.made.load(Ordering::Acquire)).unwrap_or(usize::MAX);
        self.calls.borrow().get(made).cloned()
    }

    async fn answer(&self, number: u32, spec: CallSpec) -> Result<Value, CallError> {
        let digest = spec.digest();
        let call = HookCall {
            number,
            round: 0,
            kind: spec.kind,
            host: spec.host.clone(),
            become_user: spec.become_user.clone(),
            safe: spec.safe,
            shown: cut(&spec.shown, if spec.kind == CallKind::Notify { MAX_NOTE } else { MAX_SHOWN }),
            at: spec.at.clone(),
            digest,
            answer: None,
        };
        let mut spec = Some(spec);
        let mut calls = self.calls.clone();
        let mut sent = false;
        loop {
            let known = calls.borrow_and_update().get(number as usize - 1).cloned();
            match known {
                Some(known) if known.digest != digest => {
                    self.stop.store(true, Ordering::Release);
                    let (recorded, made) = (known.to_string(), call.to_string());
                    let hook = self.hook.clone();
                    let _unheard = self.news.send(Input::HookDiffered { hook, number, recorded, made });
                    return Err(CallError::Stopped);
                }
                Some(known) => {
                    // It is the one that the journal has: its job may be followed, or started.
                    if let Some(spec) = spec.take() {
                        self.asked.send_replace(Some((number, spec)));
                    }
                    if let Some(answer) = &known.answer {
                        return Ok(answer.clone());
                    }
                }
                None if !sent => {
                    sent = true;
                    // Its job begins only when the call is written down.
                    if let Some(spec) = spec.take() {
                        self.asked.send_replace(Some((number, spec)));
                    }
                    let (hook, call) = (self.hook.clone(), call.clone());
                    let _unheard = self.news.send(Input::HookCalled { hook, call });
                }
                None => {}
            }
            if self.stop.load(Ordering::Acquire) || calls.changed().await.is_err() {
                return Err(CallError::Stopped);
            }
        }
    }
}

impl HookWorld for Caller {
    fn call(&self, call: CallSpec) -> Result<Value, CallError> {
        let number = self.made.fetch_add(1, Ordering::AcqRel) + 1;
        if number > MAX_CALLS {
            self.made.fetch_sub(1, Ordering::AcqRel);
            return Err(CallError::TooMuch(format!("a hook makes {MAX_CALLS} calls at most")));
        }
        self.hooks.wait(&self.runtime, Box::pin(self.answer(number, call)))
    }

    fn log(&self, text: &str) -> Result<(), CallError> {
        let line = format!("{text}\n");
        if self.logged.fetch_add(line.len(), Ordering::AcqRel) + line.len() > MAX_LOG {
            return Err(CallError::TooMuch(format!("a hook logs {MAX_LOG} bytes at most")));
        }
        self.lines.send(line).map_err(|_gone| CallError::Stopped)
    }

    fn stop(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }
}

fn cut(text: &str, most: usize) -> String {
    let short: String = text.chars().take(most).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

/// What a hook is told of a job that it asked for.
pub(super) fn told(head: (Vec<u8>, bool), written: Result<Vec<u8>, String>) -> Result<Map<String, Value>, String> {
    /// How much of it stands in the journal.
    const MAX_ANSWER: usize = 256 << 10;
    let (bytes, whole) = head;
    if !whole || bytes.len() > MAX_ANSWER {
        return Err(format!("it printed more than {MAX_ANSWER} bytes, which is more than a hook is told"));
    }
    let out = String::from_utf8(bytes)
        .map_err(|error| format!("what it printed is not UTF-8 (byte {})", error.utf8_error().valid_up_to()))?;
    let outputs = piton_core::run::read_outputs(&written?, &Default::default(), None)?;
    Ok([("out".to_owned(), Value::String(out)), ("outputs".to_owned(), Value::Object(outputs))].into_iter().collect())
}
