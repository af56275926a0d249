//! Drives a run in this process, until it is over, parked, or to go on in the background.

use std::io::{self, BufRead, IsTerminal, Write};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use piton_core::ids::{ParamName, RunId};
use piton_core::plan::Plan;
use piton_core::run::{Run, TaskState, WaitKind, Word};
use piton_runner::clock::{Clock, SystemClock};
use piton_runner::journal::{JournalError, RunStatus};
use piton_runner::secrets::SystemSecrets;
use piton_runner::{DriveError, Driver, End, Ports, Room, Stay};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::exit::{Code, Failure};
use crate::follow::Viewer;
use crate::screen::{BOLD, GREEN, RED, Screen, YELLOW, paint};
use crate::store::Store;
use crate::times::took;
use crate::{advice, background, parts};

/// How long a display may take to come to its end when a signal ends us.
const SHORTLY: Duration = Duration::from_secs(2);

/// How long a run that was handed over may be without an engine before we say so.
const TAKEN_WITHIN: Duration = Duration::from_secs(3);

/// A run that is about to be driven here.
pub(crate) struct Foreground {
    /// What to drive it with.
    pub ports: Ports,
    /// Secrets that an engine in the background cannot have.
    only_here: Vec<ParamName>,
    viewer: Viewer,
}

/// What came from outside while the run was driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// Ctrl-C.
    Interrupt,
    /// The process is to end (SIGTERM), or its terminal is gone (SIGHUP).
    Leave,
    Background,
    Cancel,
    GoOn,
}

impl Foreground {
    /// Prepares to drive a run with this plan.
    pub(crate) fn new(store: &Store, screen: &Screen, run: RunId, plan: &Plan) -> Self {
        let viewer = Viewer::new(store, screen, run);
        Self { ports: parts::ports(store, plan, viewer.observer()), only_here: Vec::new(), viewer }
    }

    /// Has the secrets fetched by this; `only_here` names those that an engine in the background cannot have.
    pub(crate) fn with_secrets(mut self, secrets: Arc<SystemSecrets>, only_here: Vec<ParamName>) -> Self {
        self.ports.secrets = secrets;
        self.only_here = only_here;
        self
    }

    /// Drives the run and tells how it ended.
    pub(crate) async fn drive(self, driver: Driver, store: &Store, screen: &Screen) -> Result<Code, Failure> {
        let id = driver.run().id();
        self.viewer.seed(driver.run());
        let (hand_over, handover) = watch::channel(false);
        let mut wishes = listen()?;
        let mut driving = pin!(driver.sharing(store.most.map(Room::new)).drive(handover));
        // While a question stands on the screen, the display is held.
        let mut question = None;
        let mut leaving = false;
        let end = loop {
            let wish = tokio::select! {
                end = &mut driving => break end,
                Some(wish) = wishes.from.recv() => wish,
            };
            match wish {
                Wish::Interrupt if question.is_none() && !leaving && can_ask(screen) => {
                    question = self.viewer.pause().await;
                    ask(&wishes.to, screen);
                    continue;
                }
                Wish::GoOn => {}
                Wish::Cancel => {
                    let why = "Ctrl-C".to_owned();
                    store.journal.say(id, &parts::speaker(), Word::Cancel { why }, SystemClock.now()).await?;
                }
                Wish::Interrupt | Wish::Background | Wish::Leave if leaving => {}
                Wish::Interrupt | Wish::Background | Wish::Leave => {
                    leaving = true;
                    // The one who is to go on is started first: it waits for the lease, which the driver then gives back.
                    match background::engine(store, &[id]) {
                        Ok(pid) => {
                            screen.note(format_args!("The run goes on in the background (process {pid})."));
                            crate::secrets::tell_typed(&self.only_here, id, screen);
                        }
                        Err(failure) => screen.error(&failure, failure.advice()),
                    }
                    let _driver_is_there = hand_over.send(true);
                }
            }
            question = None;
        };
        drop(question);
        self.viewer.end(leaving.then_some(SHORTLY)).await;
        match end {
            Ok(End::HandedOver) => {
                handed_over(store, screen, id).await;
                finish_json(screen, id, "handed_over", Code::Interrupted, Vec::new())?;
                Ok(Code::Interrupted)
            }
            Ok(End::Ended(_) | End::Parked) => {
                if store.journal.summary(id).await?.status == RunStatus::Running {
                    // The time for an answer runs: somebody must be there when it is over.
                    background::engine(store, &[id])?;
                }
                let run = piton_runner::load(store.journal.as_ref(), id).await?;
                tell_end(&run, store, screen)
            }
            Err(DriveError::Journal(error @ JournalError::Stale { .. })) => {
                screen.error(&error, Failure::Journal(error.clone()).advice());
                let seq = store.journal.summary(id).await?.seq;
                crate::verb::follow(store, screen, id, seq).await
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// How long to stay with a run that waits for people.
pub(crate) fn stay(no_wait: bool) -> Stay {
    if no_wait { Stay::Briefly } else { Stay::Asked }
}

struct Wishes {
    to: mpsc::UnboundedSender<Wish>,
    from: mpsc::UnboundedReceiver<Wish>,
}

/// Turns signals into wishes.
fn listen() -> Result<Wishes, Failure> {
    let (to, from) = mpsc::unbounded_channel();
    let kinds = [
        (SignalKind::interrupt(), Wish::Interrupt),
        (SignalKind::terminate(), Wish::Leave),
        (SignalKind::hangup(), Wish::Leave),
    ];
    for (kind, wish) in kinds {
        let mut signals =
            signal(kind).map_err(|error| Failure::other(format!("signals cannot be listened for: {error}")))?;
        let to = to.clone();
        tokio::spawn(async move { while signals.recv().await.is_some() && to.send(wish).is_ok() {} });
    }
    Ok(Wishes { to, from })
}

fn can_ask(screen: &Screen) -> bool {
    !screen.json && io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks what Ctrl-C was meant to say. The answer comes as a wish; a second Ctrl-C is one, too.
fn ask(to: &mpsc::UnboundedSender<Wish>, screen: &Screen) {
    let keys = paint(screen.color_err, BOLD, "[b]ackground, [c]ancel the run, [Enter] go on");
    let mut err = io::stderr().lock();
    let _nobody_reads = write!(err, "\n{keys} ? ");
    let _nobody_reads = err.flush();
    let to = to.clone();
    // Reading blocks for as long as nobody answers, so it has a thread that nobody waits for.
    let reading = std::thread::Builder::new().spawn(move || {
        let mut line = String::new();
        let wish = match io::stdin().lock().read_line(&mut line) {
            // The terminal is gone.
            Ok(0) | Err(_) => Wish::Background,
            Ok(_) => match line.trim().chars().next().map(|c| c.to_ascii_lowercase()) {
                Some('b') => Wish::Background,
                Some('c') => Wish::Cancel,
                Some(_) | None => Wish::GoOn,
            },
        };
        let _run_is_over = to.send(wish);
    });
    drop(reading);
}

/// Makes sure that somebody has taken the run over, or says that nobody has.
pub(crate) async fn handed_over(store: &Store, screen: &Screen, id: RunId) {
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < TAKEN_WITHIN {
        match store.journal.summary(id).await {
            Ok(summary) if summary.owner.is_some() || summary.status != RunStatus::Running => {
                screen.note(format_args!("`piton watch {id}` follows it, `piton cancel {id}` stops it."));
                return;
            }
            Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    let log = store.dir.join("engine.log");
    screen.error(
        format_args!("no engine has taken run {id} up yet ({} may tell why)", log.display()),
        Some(format!("`piton resume {id}` drives it in the foreground; what runs on hosts goes on meanwhile")),
    );
}

/// Tells how a run ended, or what it waits for.
pub(crate) fn tell_end(run: &Run, store: &Store, screen: &Screen) -> Result<Code, Failure> {
    let Some(outcome) = run.outcome() else {
        finish_json(screen, run.id(), "parked", Code::Parked, advice::as_json(run, store))?;
        if !screen.json {
            let how = match run.waits().map(|waits| waits.kind) {
                Some(WaitKind::Paused) => "is paused",
                Some(WaitKind::Approval) => "waits for approval",
                Some(WaitKind::Locks) | None => "is parked",
            };
            let head = format!("Run {} {how}; {}.", run.id(), counts(run));
            screen.note(paint(screen.color_err, YELLOW, head));
            for line in advice::lines(run, store, screen.color_err) {
                screen.note(line);
            }
        }
        return Ok(Code::Parked);
    };
    let code = Code::of_outcome(outcome);
    let word = run.phase().word();
    finish_json(screen, run.id(), word, code, Vec::new())?;
    let (created, changed) = run.times();
    let color = if code == Code::Succeeded { GREEN } else { RED };
    let head = format!("Run {} {outcome} after {}; {}.", run.id(), took(changed.since(created)), counts(run));
    screen.note(paint(screen.color_err, color, head));
    if code != Code::Succeeded
        && let Some((task, _)) = run.tasks().find(|(_, t)| matches!(t.state, TaskState::Failed(_)))
    {
        let told: String = store.told.iter().map(|w| format!("{} ", advice::word(w))).collect();
        screen.note(format_args!("`piton {told}why {} {}` tells why.", run.id(), advice::word(&task.to_string())));
    }
    Ok(code)
}

fn finish_json(
    screen: &Screen,
    run: RunId,
    end: &str,
    code: Code,
    parked: Vec<serde_json::Value>,
) -> Result<(), Failure> {
    if !screen.json {
        return Ok(());
    }
    let mut out = screen.out();
    out.json(&json!({ "run": run, "end": end, "exit": code as u8, "parked": parked }))?;
    out.flush()
}

/// `3 succeeded, 1 skipped`
pub(crate) fn counts(run: &Run) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for (_, task) in run.tasks() {
        let word = task.state.word();
        match counts.iter_mut().find(|(known, _)| *known == word) {
            Some((_, number)) => *number += 1,
            None => counts.push((word, 1)),
        }
    }
    counts.iter().map(|(word, number)| format!("{number} {word}")).collect::<Vec<_>>().join(", ")
}
