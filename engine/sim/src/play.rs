//! Plays one test once: the real driver on simulated hosts, with at most one thing made to go wrong.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use futures_util::FutureExt;
use piton_core::fault::Fault;
use piton_core::ids::{JobId, RunId};
use piton_core::plan::Plan;
use piton_core::run::{Event, Outcome, Recorded, Run, TaskState, Word};
use piton_core::testing::{Said, Say, Test, World};
use piton_core::time::Timestamp;
use piton_runner::clock::Clock;
use piton_runner::hooks::Hooks;
use piton_runner::journal::Journal;
use piton_runner::observer::{Notice, Observer};
use piton_runner::output::Stream;
use piton_runner::{DriveError, Driver, End, Ports, load};
use tokio::sync::watch;

use crate::clock::JumpingClock;
use crate::hosts::Hosts;
use crate::journal::{MemoryJournal, Trouble};
use crate::output::MemoryOutputs;
use crate::secrets::SimSecrets;
use crate::site::{Planted, Site};
use crate::turns::{InTurn, Turns};
use crate::world::Stage;

/// When every simulated run begins: 2000-01-01T00:00:00Z.
const BEGINS: Timestamp = Timestamp(946_684_800_000);

/// How often an engine may take the run up: more than a test can ask for.
const ENGINES: usize = 1_000;

/// A test and the plan that it makes of its runbook.
#[derive(Clone)]
pub struct Staged {
    /// The test.
    pub test: Arc<Test>,
    /// The plan.
    pub plan: Plan,
    /// What evaluates its hooks.
    pub hooks: Arc<dyn Hooks>,
}

/// What is made to go wrong.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scenario {
    /// Something at a host.
    pub(crate) planted: Option<Planted>,
    /// The engine, at an append with this number.
    pub(crate) crash: Option<(u32, Trouble)>,
    /// Whether somebody takes everything back when the run stands still.
    pub(crate) take_back: bool,
}

/// What became of it.
pub(crate) struct Played {
    pub(crate) run: Run,
    pub(crate) log: Vec<Recorded<Event>>,
    pub(crate) world: World,
    pub(crate) before: World,
    pub(crate) sites: Vec<Site>,
    pub(crate) appends: u32,
    /// What was found wrong on the way, the first first.
    pub(crate) complaints: Vec<Fault>,
    /// Scripts that nothing answered.
    pub(crate) unanswered: Vec<Fault>,
}

/// Plays the test. Every play has a runtime of its own: when nothing in it can go on, the clock jumps.
pub(crate) fn play(staged: &Staged, scenario: &Scenario) -> Result<Played, String> {
    let clock = Arc::new(JumpingClock::at(BEGINS));
    let world = World::new(&staged.test.states, &staged.plan.params);
    let stage = Stage::new(staged.test.clone(), world, BEGINS);
    let hosts = Hosts::new(staged.test.clone(), &staged.plan, clock.clone(), stage, scenario.planted.clone());
    let (stuck, hears_stuck) = watch::channel(false);
    let turns = Arc::<Turns>::default();
    let runtime = {
        let (clock, hosts, turns) = (clock.clone(), Arc::downgrade(&hosts), turns.clone());
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .on_thread_park(move || {
                if turns.go() {
                    // What came of it has to be looked at before the clock moves.
                    tokio::spawn(async {});
                } else {
                    idle(&clock, &hosts, &stuck);
                }
            })
            .build()
            .map_err(|error| format!("the system does not let us wait for anything: {error}"))?
    };
    let player = Player::new(staged, scenario, clock, hosts, hears_stuck, turns.clone());
    let played = runtime.block_on(player.play());
    // Hooks that nobody wants any more hear of it when the runtime goes.
    drop(runtime);
    turns.end();
    played
}

/// Nothing can go on at this moment: go to the next one at which something can.
fn idle(clock: &JumpingClock, hosts: &Weak<Hosts>, stuck: &watch::Sender<bool>) {
    let Some(hosts) = hosts.upgrade() else { return };
    loop {
        let change = hosts.with_stage(|stage| stage.next_change());
        let Some(at) = [change, clock.next()].into_iter().flatten().min() else {
            stuck.send_replace(true);
            return;
        };
        // What changes by itself at a moment has changed before anybody looks at that moment.
        hosts.with_stage(|stage| stage.catch_up(at));
        if clock.go_to(at) {
            return;
        }
    }
}

struct Player<'a> {
    staged: &'a Staged,
    scenario: &'a Scenario,
    clock: Arc<JumpingClock>,
    hosts: Arc<Hosts>,
    journal: Arc<MemoryJournal>,
    prompter: Arc<Prompter>,
    outputs: Arc<MemoryOutputs>,
    stuck: watch::Receiver<bool>,
    turns: Arc<Turns>,
    complaints: Vec<Fault>,
    id: RunId,
}

impl<'a> Player<'a> {
    fn new(
        staged: &'a Staged,
        scenario: &'a Scenario,
        clock: Arc<JumpingClock>,
        hosts: Arc<Hosts>,
        stuck: watch::Receiver<bool>,
        turns: Arc<Turns>,
    ) -> Self {
        let journal = Arc::<MemoryJournal>::default();
        if let Some((append, trouble)) = scenario.crash {
            journal.trouble(append, trouble);
        }
        let id = RunId::from_parts(u64::try_from(BEGINS.0).unwrap_or(0), 1);
        let says = staged.test.says.clone();
        let prompter =
            Arc::new(Prompter { says, said: AtomicUsize::new(0), journal: journal.clone(), clock: clock.clone(), id });
        let outputs = Arc::default();
        Self { staged, scenario, clock, hosts, journal, prompter, outputs, stuck, turns, complaints: Vec::new(), id }
    }

    fn ports(&self) -> Ports {
        Ports {
            journal: self.journal.clone(),
            transport: self.hosts.clone(),
            clock: self.clock.clone(),
            outputs: self.outputs.clone(),
            hooks: Arc::new(InTurn { hooks: self.staged.hooks.clone(), turns: self.turns.clone() }),
            observer: self.prompter.clone(),
            secrets: Arc::new(SimSecrets(self.staged.test.secrets.clone())),
        }
    }

    async fn play(mut self) -> Result<Played, String> {
        let wrong = |error: DriveError| error.to_string();
        let plan = self.staged.plan.clone();
        let mut driver =
            Driver::create(self.ports(), self.id, plan, "tester@bench", "engine-1").await.map_err(wrong)?;
        let mut taken_back = !self.scenario.take_back;
        for number in 2..ENGINES {
            let end = self.drive(driver).await;
            match end {
                None => {
                    let run = load(self.journal.as_ref(), self.id).await.map_err(wrong)?;
                    self.complaints.push(self.staged.test.complaint(stands_still(&run)));
                    break;
                }
                Some(Ok(End::Ended(_) | End::HandedOver)) => break,
                Some(Ok(End::Parked)) => {
                    let run = load(self.journal.as_ref(), self.id).await.map_err(wrong)?;
                    let word = self.prompter.next_word(&run);
                    let back = Word::Undo { why: "to see that it can be taken back".to_owned() };
                    let word = word.or_else(|| {
                        (!std::mem::replace(&mut taken_back, true)).then_some(("tester@bench".to_owned(), back))
                    });
                    let Some((by, word)) = word else { break };
                    if let Word::Retry { .. } = word {
                        self.hosts.forgive();
                    }
                    let said = self.journal.say(self.id, &by, word, self.clock.now()).await;
                    said.map_err(|error| error.to_string())?;
                }
                // Only the planted death of the engine ends so; another engine takes the run up.
                Some(Err(DriveError::Journal(_))) if self.scenario.crash.is_some() => self.journal.expire(self.id),
                Some(Err(error)) => return Err(error.to_string()),
            }
            driver = Driver::adopt(self.ports(), self.id, &format!("engine-{number}")).await.map_err(wrong)?;
            self.prompter.speak(&self.journal.events(self.id));
            // What was asked under the engine before this one may not have been answered.
            self.prompter.answer(driver.run());
        }
        self.ended().await
    }

    /// Drives to the end, or until nothing can happen any more.
    async fn drive(&mut self, driver: Driver) -> Option<Result<End, DriveError>> {
        let (_keep, handover) = watch::channel(false);
        self.stuck.mark_unchanged();
        tokio::select! {
            biased;
            end = driver.drive(handover) => Some(end),
            _ = self.stuck.changed() => None,
        }
    }

    async fn ended(mut self) -> Result<Played, String> {
        let run = load(self.journal.as_ref(), self.id).await.map_err(|error| error.to_string())?;
        let test = &self.staged.test;
        let undone = run.outcome() == Some(Outcome::Undone);
        let (world, before, on_the_way) = self.hosts.with_stage(|stage| {
            // The world goes on when the run is over.
            stage.catch_up(Timestamp(i64::MAX));
            (stage.world.clone(), stage.before.clone(), std::mem::take(&mut stage.complaints))
        });
        let mut complaints = on_the_way;
        complaints.append(&mut self.complaints);
        if undone {
            complaints.extend(test.broken(&test.undone, &world, &before).into_iter().map(|fault| {
                let message = format!("the run was undone, and this does not hold: {}", fault.message);
                Fault { message, ..fault }
            }));
        }
        Ok(Played {
            run,
            log: self.journal.events(self.id),
            world,
            before,
            sites: self.hosts.sites(),
            appends: self.journal.appends(),
            complaints,
            unanswered: self.hosts.unanswered(),
        })
    }
}

fn stands_still(run: &Run) -> String {
    let active: Vec<String> =
        run.active().map(|task| run.graph().id(task).to_string()).filter(|_| run.outcome().is_none()).collect();
    format!(
        "the run would wait for ever: nothing ends {} (a script that hangs needs a step with a `timeout`)",
        active.join(", ")
    )
}

/// Says what the test wants people to say, when it is time.
struct Prompter {
    says: Vec<Say>,
    /// How many of them were said.
    said: AtomicUsize,
    journal: Arc<MemoryJournal>,
    clock: Arc<JumpingClock>,
    id: RunId,
}

impl Prompter {
    fn upcoming(&self) -> Option<&Say> {
        self.says.get(self.said.load(Ordering::Acquire))
    }

    /// The next word, if it is one for a run that stands still.
    fn next_word(&self, run: &Run) -> Option<(String, Word)> {
        let say = self.upcoming()?;
        if let Some(task) = say.at.as_ref().and_then(|at| run.graph().find(at))
            && matches!(say.what, Said::Retry | Said::Skip | Said::Resolve)
            && !matches!(run.task(task).state, TaskState::Parked(_))
            && !run.parked().any(|parked| parked == task)
        {
            return None;
        }
        let word = word(say)?;
        self.said.fetch_add(1, Ordering::AcqRel);
        Some((say.by.clone(), word))
    }

    /// Votes as soon as people are asked: a question does not park the run, and its time would run out.
    fn answer(&self, run: &Run) {
        while let Some(say) = self.upcoming()
            && let Some(word) = vote(say, run)
        {
            self.said.fetch_add(1, Ordering::AcqRel);
            // The journal in memory answers at once.
            let _said = self.journal.say(self.id, &say.by, word, self.clock.now()).now_or_never();
        }
    }

    /// Says at once what is to be said when a task has begun.
    fn speak(&self, log: &[Recorded<Event>]) {
        while let Some(say) = self.upcoming()
            && let (Said::Undo | Said::Cancel, Some(at)) = (say.what, &say.at)
            && log.iter().any(|e| matches!(&e.event, Event::AttemptStarted { task, .. } if task == at))
            && let Some(word) = word(say)
        {
            self.said.fetch_add(1, Ordering::AcqRel);
            // The journal in memory answers at once.
            let _said = self.journal.say(self.id, &say.by, word, self.clock.now()).now_or_never();
        }
    }
}

/// What is said to a question, if that is what comes next and it is asked. Whoever speaks in a test belongs to every group that may.
fn vote(say: &Say, run: &Run) -> Option<Word> {
    let (task, why) = (say.at.clone()?, say.why.clone());
    let (approve, asking) = run.asking(run.graph().find(&task)?)?;
    let (facts, groups) = (asking.facts, approve.groups());
    match say.what {
        Said::Approve => Some(Word::Approve { task, facts, groups, why }),
        Said::Reject => Some(Word::Reject { task, facts, groups, why }),
        Said::Retry | Said::Skip | Said::Resolve | Said::Undo | Said::Cancel => None,
    }
}

fn word(say: &Say) -> Option<Word> {
    let why = say.why.clone();
    Some(match (say.what, say.at.clone()) {
        (Said::Retry, Some(task)) => Word::Retry { task, why },
        (Said::Skip, Some(task)) => Word::Skip { task, why },
        (Said::Resolve, Some(task)) => Word::Resolve { task, outputs: say.outputs.clone(), why },
        (Said::Undo, _) => Word::Undo { why },
        (Said::Cancel, _) => Word::Cancel { why },
        (Said::Retry | Said::Skip | Said::Resolve, None) | (Said::Approve | Said::Reject, _) => return None,
    })
}

impl Observer for Prompter {
    fn event(&self, run: &Run, event: &Recorded<Event>) {
        self.speak(std::slice::from_ref(event));
        self.answer(run);
    }

    fn notice(&self, _notice: &Notice) {}

    fn printed(&self, _job: &JobId, _stream: Stream, _bytes: &[u8]) {}
}
