//! The driver against simulated hosts: it dies at every position, stands still too long, finds the disk full.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod anew;
mod people;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use piton_core::ids::RunId;
use piton_core::plan::Plan;
use piton_core::run::{Event, Outcome, Recorded, Run, Word};
use piton_core::time::Timestamp;
use piton_runner::hooks::NoHooks;
use piton_runner::journal::{Journal, JournalError, RunStatus};
use piton_runner::observer::{Notice, Observer};
use piton_runner::output::Stream;
use piton_runner::{DriveError, Driver, End, Ports, Stay};
use piton_testkit::clock::ManualClock;
use piton_testkit::hosts::{Act, NoOutput, SimHosts};
use piton_testkit::journal::{MemoryJournal, Trouble};
use piton_testkit::machine::{check_order, task};
use piton_testkit::plans::plan;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const RUN: u128 = 42;

/// Looks on and remembers the notices.
#[derive(Default)]
struct Looker {
    notices: Mutex<Vec<Notice>>,
    seen: watch::Sender<u64>,
}

impl Observer for Looker {
    fn event(&self, _run: &Run, event: &Recorded<Event>) {
        self.seen.send_replace(event.seq);
    }

    fn notice(&self, notice: &Notice) {
        self.notices.lock().unwrap().push(notice.clone());
    }

    fn printed(&self, _job: &piton_core::ids::JobId, _stream: Stream, _bytes: &[u8]) {}
}

struct World {
    journal: Arc<MemoryJournal>,
    hosts: Arc<SimHosts>,
    looker: Arc<Looker>,
    clock: Arc<ManualClock>,
    plan: Plan,
}

impl World {
    fn new(yaml: &str, hosts: Arc<SimHosts>) -> Self {
        Self {
            journal: Arc::default(),
            hosts,
            looker: Arc::default(),
            clock: Arc::new(ManualClock::at(Timestamp(1_000))),
            plan: plan(yaml),
        }
    }

    fn id() -> RunId {
        RunId::from_parts(1, RUN)
    }

    fn ports(&self) -> Ports {
        Ports {
            journal: self.journal.clone(),
            transport: self.hosts.clone(),
            clock: self.clock.clone(),
            outputs: Arc::new(NoOutput),
            hooks: Arc::new(NoHooks),
            observer: self.looker.clone(),
            secrets: Arc::new(piton_runner::secrets::NoSecrets),
        }
    }

    async fn create(&self, owner: &str) -> Driver {
        Driver::create(self.ports(), Self::id(), self.plan.clone(), "tester@bench", owner).await.unwrap()
    }

    async fn drive(&self, driver: Driver) -> Result<End, DriveError> {
        let (_keep, handover) = watch::channel(false);
        driver.drive(handover).await
    }

    /// Drives until the first job is up. What comes back first hands the run over, or keeps it here.
    async fn under_way(&self, driver: Driver) -> (watch::Sender<bool>, JoinHandle<Result<End, DriveError>>) {
        let (hand_over, handover) = watch::channel(false);
        let mut seen = self.looker.seen.subscribe();
        let driving = tokio::spawn(driver.drive(handover));
        seen.wait_for(|seq| *seq >= 4).await.unwrap();
        (hand_over, driving)
    }

    async fn adopt(&self, owner: &str) -> Driver {
        self.journal.expire(Self::id());
        Driver::adopt(self.ports(), Self::id(), owner).await.unwrap()
    }

    /// Every job was started once, and the log is in order.
    fn check(&self) {
        for (job, starts) in self.hosts.starts() {
            assert_eq!(starts, 1, "{job} was started {starts} times");
        }
        check_order(&self.plan, &self.journal.events(Self::id()));
    }
}

impl World {
    /// Likewise, over a journal that other worlds use too.
    fn beside(other: &Self, yaml: &str) -> Self {
        Self { journal: other.journal.clone(), ..Self::new(yaml, mixed_hosts()) }
    }
}

fn mains(starts: &BTreeMap<String, u32>) -> Vec<&str> {
    starts.keys().filter(|name| name.contains(".main")).map(String::as_str).collect()
}

const MIXED: &str = r#"
runbook: mixed
steps:
  - { id: a, hosts: [h1, h2], run: a, unless: look-a }
  - { id: b, hosts: [h1, h2], run: b, verify: see-b }
  - { id: c, hosts: [h3], run: c, retry: { times: 1, delay: 0ms } }
  - { id: p, hosts: [h1], put: { content: "x", to: /etc/x } }
  - { id: d, hosts: [h1, h2], run: d }
finally:
  - { id: f, hosts: [h1], run: f }
"#;

fn mixed_hosts() -> Arc<SimHosts> {
    SimHosts::new(|spec| match spec.script.as_str() {
        "look-a" => Act::Exit(1),
        "c" if spec.id.attempt.number == 1 => Act::Exit(5),
        _other => Act::Exit(0),
    })
}

#[tokio::test]
async fn a_run_goes_to_its_end() {
    let world = World::new(MIXED, mixed_hosts());
    let end = world.drive(world.create("one").await).await.unwrap();
    assert_eq!(end, End::Ended(Outcome::Succeeded));
    world.check();
    assert_eq!(world.hosts.moved(), ["put h1:/etc/x"]);
    let starts = world.hosts.starts();
    assert_eq!(
        mains(&starts),
        [
            "h1/a@h1.1.main1",
            "h1/b@h1.1.main1",
            "h1/d@h1.1.main1",
            "h1/f@h1.1.main1",
            "h2/a@h2.1.main1",
            "h2/b@h2.1.main1",
            "h2/d@h2.1.main1",
            "h3/c@h3.1.main1",
            "h3/c@h3.2.main1",
        ]
    );
}

/// The engine dies at every append, before and after it is durable; another goes on with what the journal and the
/// hosts hold. Every effect happens exactly once.
#[tokio::test]
async fn it_may_die_anywhere() {
    let whole = World::new(MIXED, mixed_hosts());
    whole.drive(whole.create("one").await).await.unwrap();
    let appends = whole.journal.appends();
    assert!(appends > 8, "the run is long enough to be worth it");
    for trouble in [Trouble::DieBefore, Trouble::DieAfter] {
        for at in 0..appends {
            let world = World::new(MIXED, mixed_hosts());
            world.journal.trouble(at, trouble);
            let mut end = world.drive(world.create("one").await).await;
            let mut engines = 1;
            while let Err(error) = end {
                assert!(matches!(error, DriveError::Journal(JournalError::Unusable { .. })), "{error}");
                engines += 1;
                assert!(engines < 5, "the trouble comes once");
                end = world.drive(world.adopt(&format!("engine {engines}")).await).await;
            }
            assert_eq!(end.unwrap(), End::Ended(Outcome::Succeeded), "{trouble:?} at {at}");
            world.check();
            assert_eq!(mains(&world.hosts.starts()), mains(&whole.hosts.starts()), "{trouble:?} at {at}");
        }
    }
}

/// Durable first: whatever begins on a host, and whenever an engine dies, its attempt stands in the journal before.
#[tokio::test]
async fn nothing_begins_before_it_is_written_down() {
    let appends = {
        let world = World::new(MIXED, mixed_hosts());
        world.drive(world.create("one").await).await.unwrap();
        world.journal.appends()
    };
    for trouble in [Trouble::DieBefore, Trouble::DieAfter, Trouble::Full] {
        for at in 0..appends {
            let journal: Arc<MemoryJournal> = Arc::default();
            let (written, early) = (journal.clone(), Arc::new(Mutex::new(Vec::new())));
            let found = early.clone();
            let hosts = SimHosts::new(move |spec| {
                let id = &spec.id.attempt;
                let began = |e: &Recorded<Event>| matches!(&e.event, Event::AttemptStarted { task, attempt, .. } if (task, *attempt) == (&id.task, id.number));
                if !written.events(World::id()).iter().any(began) {
                    found.lock().unwrap().push(spec.id.to_string());
                }
                if spec.script == "look-a" { Act::Exit(1) } else { Act::Exit(0) }
            });
            let world = World { journal, ..World::new(MIXED, hosts) };
            world.journal.trouble(at, trouble);
            tokio::time::pause();
            let mut end = world.drive(world.create("one").await).await;
            while end.is_err() {
                end = world.drive(world.adopt("two").await).await;
            }
            tokio::time::resume();
            assert_eq!(end.unwrap(), End::Ended(Outcome::Succeeded), "{trouble:?} at {at}");
            assert_eq!(*early.lock().unwrap(), [""; 0], "{trouble:?} at {at}: these began too early");
        }
    }
}

/// A job was seen to run, its engine died, and the host has lost every trace of it: it is unknown, and not begun again.
#[tokio::test]
async fn what_was_seen_to_run_and_is_gone_is_not_begun_again() {
    let world = World::new("runbook: x\nsteps:\n  - { id: a, run: a }\n", SimHosts::new(|_| Act::Hang));
    let (hand_over, driving) = world.under_way(world.create("one").await).await;
    hand_over.send_replace(true);
    assert_eq!(driving.await.unwrap().unwrap(), End::HandedOver);
    let started = world.journal.events(World::id()).iter().any(|e| matches!(e.event, Event::JobStarted { .. }));
    assert!(started, "it was seen");
    let after = World { hosts: SimHosts::new(|_| Act::Exit(0)), ..world };
    assert_eq!(after.drive(after.adopt("two").await).await.unwrap(), End::Parked);
    assert_eq!(after.hosts.starts(), BTreeMap::new(), "it ran once, and perhaps to its end");
    let run = piton_runner::load(after.journal.as_ref(), World::id()).await.unwrap();
    assert_eq!(run.task(0).state.word(), "unknown");
}

/// An engine that stood still past its lease starts nothing any more, and says why it stops.
#[tokio::test]
async fn a_stale_engine_starts_nothing() {
    let yaml = "runbook: x\nsteps:\n  - { id: a, run: a }\n  - { id: b, run: b }\n";
    let hosts = SimHosts::new(|spec| if spec.script == "a" { Act::Hang } else { Act::Exit(0) });
    let world = World::new(yaml, hosts);
    let first = world.create("one").await;
    let (_keep, first) = world.under_way(first).await;

    let second = world.adopt("two").await;
    let second = world.drive(second);
    let ends = async {
        world.hosts.finish("a@", 0);
        first.await.unwrap()
    };
    let (second, first) = tokio::join!(second, ends);
    assert_eq!(second.unwrap(), End::Ended(Outcome::Succeeded));
    assert!(matches!(first, Err(DriveError::Journal(JournalError::Stale { .. }))), "{first:?}");
    world.check();
}

#[tokio::test]
async fn a_full_disk_holds_the_run_up_and_loses_nothing() {
    let world = World::new("runbook: x\nsteps:\n  - { id: a, run: a }\n  - { id: b, run: b }\n", mixed_hosts());
    world.journal.trouble(1, Trouble::Full);
    world.journal.trouble(2, Trouble::Full);
    tokio::time::pause();
    let end = world.drive(world.create("one").await).await.unwrap();
    assert_eq!(end, End::Ended(Outcome::Succeeded));
    assert_eq!(world.looker.notices.lock().unwrap().len(), 1, "it is said once");
    world.check();
}

#[tokio::test]
async fn a_lost_outcome_parks_and_a_word_goes_on_with_it() {
    let hosts = SimHosts::new(|spec| match (spec.script.as_str(), spec.id.attempt.number) {
        ("a", 1) => Act::Vanish,
        (_, _) => Act::Exit(0),
    });
    let world = World::new("runbook: x\nsteps:\n  - { id: a, run: a }\n", hosts);
    assert_eq!(world.drive(world.create("one").await).await.unwrap(), End::Parked);
    let retry = Word::Retry { task: task("a[local]"), why: "I looked: it did not happen".into() };
    // No engine is up: the word waits for the next one.
    world.journal.say(World::id(), "operator@desk", retry, Timestamp(2_000)).await.unwrap();
    let next = Driver::adopt(world.ports(), World::id(), "two").await.unwrap();
    assert_eq!(world.drive(next).await.unwrap(), End::Ended(Outcome::Succeeded));
    assert_eq!(world.journal.inbox(World::id()).await.unwrap(), []);
}

#[tokio::test]
async fn a_word_reaches_a_run_that_goes_on() {
    let hosts = SimHosts::new(|_| Act::Hang);
    let world = World::new("runbook: x\nsteps:\n  - { id: a, run: a }\n", hosts);
    let (_keep, driving) = world.under_way(world.create("one").await).await;
    let cancel = Word::Cancel { why: "enough".into() };
    world.journal.say(World::id(), "operator@desk", cancel, Timestamp(2_000)).await.unwrap();
    assert_eq!(driving.await.unwrap().unwrap(), End::Ended(Outcome::Cancelled));
}

#[tokio::test]
async fn a_timeout_kills_the_job() {
    let hosts = SimHosts::new(|_| Act::Hang);
    let world = World::new("runbook: x\non_failure: continue\nsteps:\n  - { id: a, run: a, timeout: 5s }\n", hosts);
    let (_keep, driving) = world.under_way(world.create("one").await).await;
    world.clock.set(Timestamp(7_000));
    assert_eq!(driving.await.unwrap().unwrap(), End::Ended(Outcome::Failed));
    let stopped = world.journal.events(World::id()).iter().any(|e| matches!(e.event, Event::JobStopped { .. }));
    assert!(stopped, "the job was proven dead");
    assert_eq!(world.hosts.finish("a@", 0), 0, "and nothing of it goes on");
}

#[tokio::test]
async fn handing_over_leaves_jobs_alone_and_the_next_engine_finds_them() {
    let hosts = SimHosts::new(|_| Act::Hang);
    let world = World::new("runbook: x\nsteps:\n  - { id: a, run: a }\n", hosts);
    let (hand_over, driving) = world.under_way(world.create("one").await).await;
    hand_over.send_replace(true);
    assert_eq!(driving.await.unwrap().unwrap(), End::HandedOver);
    let next = Driver::adopt(world.ports(), World::id(), "two").await.unwrap();
    assert_eq!(world.hosts.finish("a@", 0), 1);
    assert_eq!(world.drive(next).await.unwrap(), End::Ended(Outcome::Succeeded));
    world.check();
}

#[tokio::test]
async fn an_unreachable_host_is_a_failure_before_and_unknown_after_the_job_may_have_begun() {
    let world = World::new("runbook: x\nsteps:\n  - { id: a, run: a }\n", SimHosts::new(|_| Act::Unreachable));
    assert_eq!(world.drive(world.create("one").await).await.unwrap(), End::Parked);
    let states: Vec<_> = piton_runner::load(world.journal.as_ref(), World::id())
        .await
        .unwrap()
        .tasks()
        .map(|(_, t)| t.state.word())
        .collect();
    assert_eq!(states, ["parked"]);

    // The engine dies right after the attempt was written down; the next one cannot reach the host.
    let world = World::new("runbook: x\nsteps:\n  - { id: a, run: a }\n", SimHosts::new(|_| Act::Unreachable));
    world.journal.trouble(0, Trouble::DieAfter);
    assert!(world.drive(world.create("one").await).await.is_err());
    assert_eq!(world.drive(world.adopt("two").await).await.unwrap(), End::Parked);
    let states: Vec<_> = piton_runner::load(world.journal.as_ref(), World::id())
        .await
        .unwrap()
        .tasks()
        .map(|(_, t)| t.state.word())
        .collect();
    assert_eq!(states, ["unknown"], "an engine before may have begun it");
}
