//! Follows a run live. The engine is never held up by it: facts and output go through a bounded queue to a thread of
//! their own, and what does not fit is dropped, counted, and said.

mod display;
mod json;
mod lines;
mod plain;

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

use piton_core::ids::{JobId, Part, RunId, TaskId};
use piton_core::run::{Event, Recorded, Run};
use piton_core::time::Timestamp;
use piton_runner::observer::{Notice, Observer};
use piton_runner::output::Stream;
use tokio::sync::oneshot;

use crate::screen::Screen;
use crate::store::Store;

/// How many messages may wait to be shown.
const QUEUE: usize = 2048;

/// How many bytes of output may wait to be shown.
const QUEUED_BYTES: usize = 1 << 20;

/// What goes to the thread that shows.
enum Message {
    /// The tasks that run already, each with the time when it began, and how many have come to an end of how many.
    Seed(Vec<(TaskId, Timestamp)>, (u32, u32)),
    Fact(Box<Recorded<Event>>, (u32, u32)),
    Printed(JobId, Stream, Vec<u8>),
    Notice(Notice),
    /// Clear the screen, say so, and show nothing until the receiver gets something or its sender is gone.
    Pause(oneshot::Sender<()>, Receiver<()>),
    End,
}

/// What was not shown.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Missed {
    bytes: u64,
    facts: u64,
}

/// Shows a run in one manner.
trait Manner: Send {
    /// These tasks run already, since then.
    fn seed(&mut self, running: Vec<(TaskId, Timestamp)>, progress: (u32, u32));
    /// A fact, and how many tasks have come to an end of how many.
    fn fact(&mut self, recorded: &Recorded<Event>, progress: (u32, u32));
    /// Output of a job.
    fn printed(&mut self, job: &JobId, stream: Stream, bytes: &[u8]);
    /// Something that is no fact of the run.
    fn notice(&mut self, notice: &Notice);
    /// Something was not shown.
    fn missed(&mut self, missed: Missed);
    /// Nothing more is waiting: bring everything out. Returns when it wants to be called again although nothing happened.
    fn idle(&mut self) -> Option<Duration>;
    /// Leave the screen to somebody else.
    fn clear(&mut self);
    /// It is over.
    fn end(&mut self);
}

#[derive(Debug, Default)]
struct Counters {
    queued: AtomicUsize,
    missed_bytes: AtomicU64,
    missed_facts: AtomicU64,
}

/// Looks on for the thread that shows.
pub(crate) struct Onlooker {
    to: SyncSender<Message>,
    counters: Arc<Counters>,
    all_parts: bool,
}

impl Observer for Onlooker {
    fn event(&self, run: &Run, event: &Recorded<Event>) {
        if self.to.try_send(Message::Fact(Box::new(event.clone()), run.progress())).is_err() {
            self.counters.missed_facts.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn notice(&self, notice: &Notice) {
        if self.to.try_send(Message::Notice(notice.clone())).is_err() {
            self.counters.missed_facts.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn printed(&self, job: &JobId, stream: Stream, bytes: &[u8]) {
        let shown = match job.part {
            Part::Main | Part::Undo | Part::Before | Part::After => true,
            Part::Unless | Part::Verify | Part::Call => self.all_parts,
        };
        if !shown || bytes.is_empty() {
            return;
        }
        let queued = self.counters.queued.fetch_add(bytes.len(), Ordering::Relaxed);
        let fits = queued + bytes.len() <= QUEUED_BYTES;
        if !fits || self.to.try_send(Message::Printed(job.clone(), stream, bytes.to_vec())).is_err() {
            self.counters.queued.fetch_sub(bytes.len(), Ordering::Relaxed);
            self.counters.missed_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
    }
}

/// A run being shown.
pub(crate) struct Viewer {
    onlooker: Arc<Onlooker>,
    ended: oneshot::Receiver<()>,
}

impl Viewer {
    /// Begins to show a run, as the screen allows: JSON, a live display, plain lines, or nothing.
    pub(crate) fn new(store: &Store, screen: &Screen, run: RunId) -> Self {
        let (to, from) = mpsc::sync_channel(QUEUE);
        let counters = Arc::new(Counters::default());
        let manner: Option<Box<dyn Manner>> = if screen.json {
            // A viewer is made inside of the runtime.
            Some(Box::new(json::Json::new(store.journal.clone(), run, tokio::runtime::Handle::current())))
        } else if screen.quiet {
            None
        } else if io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|t| t != "dumb") {
            Some(Box::new(display::Display::new(screen)))
        } else {
            Some(Box::new(plain::Plain::new(screen)))
        };
        let (tell, ended) = oneshot::channel();
        let shared = counters.clone();
        // Without a thread nobody receives, and `try_send` fails at once: nothing is shown and nothing kept.
        if let Some(manner) = manner {
            let show = move || {
                show(manner, &from, &shared);
                let _nobody_waits = tell.send(());
            };
            // Where no thread can be had, the run goes on unseen.
            let _unseen = thread::Builder::new().name("piton-show".to_owned()).spawn(show);
        }
        Self { onlooker: Arc::new(Onlooker { to, counters, all_parts: screen.verbose > 0 }), ended }
    }

    /// The one to hand to the engine.
    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        self.onlooker.clone()
    }

    /// Shows what goes on in a run already.
    pub(crate) fn seed(&self, run: &Run) {
        let running = run.active().map(|t| (run.graph().id(t).clone(), run.task(t).started.unwrap_or_default()));
        let seed = Message::Seed(running.collect(), run.progress());
        // The queue is new and has room.
        let _shown = self.onlooker.to.try_send(seed);
    }

    /// Clears the screen and holds the display until the guard is dropped.
    pub(crate) async fn pause(&self) -> Option<SyncSender<()>> {
        let (cleared, is_clear) = oneshot::channel();
        let (guard, resume) = mpsc::sync_channel(1);
        self.onlooker.to.try_send(Message::Pause(cleared, resume)).ok()?;
        is_clear.await.ok()?;
        Some(guard)
    }

    /// Shows what is still waiting and ends. A terminal that takes nothing is waited for no longer than `patience`.
    pub(crate) async fn end(self, patience: Option<Duration>) {
        let to = self.onlooker.to.clone();
        // The queue may be full: what waits for room must not be the engine's thread.
        let last = thread::Builder::new().spawn(move || {
            let _nobody_shows = to.send(Message::End);
        });
        if last.is_err() {
            return;
        }
        match patience {
            Some(patience) => {
                let _in_time = tokio::time::timeout(patience, self.ended).await;
            }
            None => {
                let _shown = self.ended.await;
            }
        }
    }
}

fn show(mut manner: Box<dyn Manner>, from: &Receiver<Message>, counters: &Counters) {
    loop {
        let message = match from.try_recv() {
            Ok(message) => message,
            Err(mpsc::TryRecvError::Disconnected) => break,
            Err(mpsc::TryRecvError::Empty) => {
                let next = match manner.idle() {
                    Some(span) => from.recv_timeout(span),
                    None => from.recv().map_err(|_| RecvTimeoutError::Disconnected),
                };
                match next {
                    Ok(message) => message,
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
        };
        let missed = Missed {
            bytes: counters.missed_bytes.swap(0, Ordering::Relaxed),
            facts: counters.missed_facts.swap(0, Ordering::Relaxed),
        };
        if missed != Missed::default() {
            manner.missed(missed);
        }
        match message {
            Message::Seed(running, progress) => manner.seed(running, progress),
            Message::Fact(recorded, progress) => manner.fact(&recorded, progress),
            Message::Printed(job, stream, bytes) => {
                counters.queued.fetch_sub(bytes.len(), Ordering::Relaxed);
                manner.printed(&job, stream, &bytes);
            }
            Message::Notice(notice) => manner.notice(&notice),
            Message::Pause(cleared, resume) => {
                manner.clear();
                let _nobody_asks = cleared.send(());
                let _resumed = resume.recv();
            }
            Message::End => break,
        }
    }
    manner.end();
}

/// A notice in words.
fn notice_line(notice: &Notice) -> String {
    match notice {
        Notice::Disconnected { host, why } => format!("{host} is not connected: {why}"),
        Notice::Connected { host } => format!("{host} is connected again"),
        Notice::Queued { task: None, what } => format!("the run waits for {what}"),
        Notice::Queued { task: Some(task), what } => format!("{task} waits for {what}"),
        Notice::Full { why } => format!("no space left, waiting for room: {why}"),
    }
}

/// What was not shown, in words.
fn missed_line(missed: Missed) -> String {
    let size = piton_core::time::show_size(missed.bytes);
    match (missed.bytes, missed.facts) {
        (_, 0) => format!("{size} of output came too fast to be shown; `piton logs` has it"),
        (0, facts) => format!("{facts} messages came too fast to be shown; `piton show --events` has them"),
        (_, facts) => {
            format!("{size} of output and {facts} messages came too fast to be shown; `piton logs` has all output")
        }
    }
}
