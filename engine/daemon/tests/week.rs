//! Simulated weeks: the starts are those that were computed by hand, whatever happens to the service meanwhile.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use piton_core::fault::{Fault, Source};
use piton_core::ids::{RunId, ScheduleName};
use piton_core::schedule::{Around, Schedule, Start, Timetable, parse};
use piton_core::time::Timestamp;
use piton_daemon::scheduler::{Documents, Made, Parts, Scheduler, Starter, Teller, Told};
use piton_runner::clock::Clock;
use piton_runner::journal::{Filter, Journal, JournalError, NewRun};
use piton_runner::marks::{Mark, Marks};
use piton_sim::clock::ManualClock;
use piton_sim::journal::MemoryJournal;
use tokio::sync::watch;

const WEEK: &str = "zone: Europe/Berlin
windows:
  night:  { cron: 30 2 * * *, duration: 2h, blackouts: 2026-10-21 }
  sunday: { cron: 0 * * * SUN, duration: 30m }
  patch:  { days: fourth saturday, at: '22:00', duration: 6h }
  market: { zone: America/New_York, cron: 0 30 9 * * WED, duration: 1h }
schedules:
  nightly: { window: night, runbook: r }
  hourly: { window: sunday, runbook: r }
  patch-all: { window: patch, runbook: r, missed: once }
  report: { window: market, runbook: r, missed: each }
";

/// From Monday, 19 October 2026, to Sunday, 25 October, when Berlin's clock goes back at 03:00, by that clock.
fn computed_by_hand() -> Vec<String> {
    let mut all: Vec<String> = [
        "nightly Mon 19 02:30+02",
        "nightly Tue 20 02:30+02",
        // Wednesday is a blackout for the night. 09:30 in New York is 15:30 in Berlin.
        "report Wed 21 15:30+02",
        "nightly Thu 22 02:30+02",
        "nightly Fri 23 02:30+02",
        "nightly Sat 24 02:30+02",
        "patch-all Sat 24 22:00+02",
        "hourly Sun 25 00:00+02",
        "hourly Sun 25 01:00+02",
        "hourly Sun 25 02:00+02",
        // 02:30 comes twice: once is enough.
        "nightly Sun 25 02:30+02",
        "hourly Sun 25 02:00+01",
    ]
    .map(str::to_owned)
    .into();
    all.extend((3..24).map(|hour| format!("hourly Sun 25 {hour:02}:00+01")));
    all
}

const BEGIN: &str = "2026-10-18T22:00:00Z";
const END: &str = "2026-10-25T23:00:00Z";

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

/// Documents that a test can change.
struct Written {
    text: Mutex<String>,
    changed: AtomicBool,
}

impl Written {
    fn new(text: &str) -> Arc<Self> {
        Arc::new(Self { text: Mutex::new(text.to_owned()), changed: AtomicBool::new(true) })
    }

    fn change(&self, text: &str) {
        *self.text.lock().unwrap() = text.to_owned();
        self.changed.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl Documents for Written {
    async fn changed(&self) -> bool {
        self.changed.swap(false, Ordering::SeqCst)
    }

    async fn read(&self) -> Result<Timetable, Vec<Fault>> {
        let zones = jiff::tz::TimeZoneDatabase::bundled();
        let around = Around {
            zone: &|name| zones.get(name).ok(),
            zone_names: &Vec::new,
            file: &|_, path| Err(format!("{path} is not there")),
        };
        let source = Source { name: "windows/w.yaml".into(), text: self.text.lock().unwrap().as_str().into() };
        let (table, faults) = parse(&[source], &around);
        table.ok_or(faults)
    }
}

/// Marks in memory; setting one can fail.
#[derive(Default)]
struct MemoryMarks {
    marks: Mutex<BTreeMap<ScheduleName, Mark>>,
    full: AtomicBool,
}

#[async_trait]
impl Marks for MemoryMarks {
    async fn mark(&self, _project: &str, schedule: &ScheduleName) -> Result<Option<Mark>, JournalError> {
        Ok(self.marks.lock().unwrap().get(schedule).cloned())
    }

    async fn set(&self, _project: &str, schedule: &ScheduleName, mark: Mark) -> Result<(), JournalError> {
        if self.full.load(Ordering::SeqCst) {
            return Err(JournalError::Full { place: "here".into(), detail: "no".into() });
        }
        self.marks.lock().unwrap().insert(schedule.clone(), mark);
        Ok(())
    }
}

/// Makes runs in the journal, and can die in between.
struct Maker {
    journal: Arc<MemoryJournal>,
    clock: Arc<ManualClock>,
    dies: AtomicBool,
    faulty: AtomicBool,
}

#[async_trait]
impl Starter for Maker {
    async fn start(&self, schedule: &Schedule, start: Start, id: RunId) -> Result<Made, String> {
        if self.faulty.load(Ordering::SeqCst) {
            return Err("the runbook is faulty".to_owned());
        }
        let new = NewRun {
            id,
            runbook: schedule.runbook.clone(),
            title: start.at.0.to_string(),
            by: schedule.name.to_string(),
            at: self.clock.now(),
            plan: "{}".to_owned(),
            events: Vec::new(),
        };
        let made = match self.journal.create(new, "engine", Duration::from_secs(10)).await {
            Ok(_) => Made::New,
            Err(JournalError::Exists(_)) => Made::There,
            Err(error) => return Err(error.to_string()),
        };
        if self.dies.load(Ordering::SeqCst) {
            // The process is killed here, before the mark can be set.
            std::future::pending::<()>().await;
        }
        Ok(made)
    }
}

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Teller for Heard {
    fn tell(&self, told: &Told<'_>) {
        let line = match told {
            Told::InForce(table) => format!("in force: {}", table.schedules.len()),
            Told::Faulty { faults, old } => format!("faulty: {} (old in force: {old})", faults.len()),
            Told::Started { schedule, .. } => format!("started {}", schedule.name),
            Told::LeftOut { schedule, starts } => {
                format!("left out {} {:?}", schedule.name, starts.iter().map(|(_, why)| why).collect::<Vec<_>>())
            }
            Told::Cannot { schedule, why, .. } => format!("cannot {}: {why}", schedule.name),
            Told::Trouble(error) => format!("trouble: {error}"),
        };
        self.0.lock().unwrap().push(line);
    }
}

/// What outlives the service, and a service whenever one is wanted.
struct World {
    clock: Arc<ManualClock>,
    journal: Arc<MemoryJournal>,
    marks: Arc<MemoryMarks>,
    maker: Arc<Maker>,
    documents: Arc<Written>,
    heard: Arc<Heard>,
}

impl World {
    fn new(text: &str) -> Self {
        let clock = Arc::new(ManualClock::at(at(BEGIN)));
        let journal = Arc::new(MemoryJournal::default());
        let (dies, faulty) = (AtomicBool::new(false), AtomicBool::new(false));
        let maker = Arc::new(Maker { journal: journal.clone(), clock: clock.clone(), dies, faulty });
        Self { clock, journal, marks: Arc::default(), maker, documents: Written::new(text), heard: Arc::default() }
    }

    fn service(&self) -> Scheduler {
        self.documents.changed.store(true, Ordering::SeqCst);
        self.service_of(self.documents.clone())
    }

    fn service_of(&self, documents: Arc<Written>) -> Scheduler {
        Scheduler::new(Parts {
            project: "/srv/ops".to_owned(),
            clock: self.clock.clone(),
            journal: self.journal.clone(),
            marks: self.marks.clone(),
            documents,
            starter: self.maker.clone(),
            teller: self.heard.clone(),
        })
    }

    /// Lets the services look whenever they want to, until `end`, or until they are dead.
    fn pass(&self, services: &mut [Scheduler], end: Timestamp) {
        while self.clock.now() < end {
            let wakes: Option<Vec<Timestamp>> =
                services.iter_mut().map(|service| service.look().now_or_never()).collect();
            let Some(wake) = wakes.and_then(|wakes| wakes.into_iter().min()) else { break };
            assert!(wake > self.clock.now(), "the service does not spin");
            self.clock.set(wake.min(end));
        }
        self.clock.set(end);
    }

    /// Every run that there is, by the moment that it belongs to, as Berlin's clock shows it.
    fn runs(&self) -> Vec<String> {
        let all = self.journal.list(&Filter { limit: 10_000, ..Filter::default() }).now_or_never().unwrap().unwrap();
        let zone = jiff::tz::TimeZoneDatabase::bundled().get("Europe/Berlin").unwrap();
        let mut runs: Vec<(i64, String)> = all.into_iter().map(|run| (run.title.parse().unwrap(), run.by)).collect();
        runs.sort();
        let shown = |(at, schedule): (i64, String)| {
            let time = jiff::Timestamp::from_millisecond(at).unwrap().to_zoned(zone.clone());
            let text = time.strftime("%a %d %H:%M%:z").to_string();
            format!("{schedule} {}", text.trim_end_matches(":00"))
        };
        runs.into_iter().map(shown).collect()
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.0.lock().unwrap())
    }
}

fn sorted(mut all: Vec<String>) -> Vec<String> {
    all.sort();
    all
}

#[test]
fn a_week_without_trouble() {
    let world = World::new(WEEK);
    world.pass(&mut [world.service()], at(END));
    assert_eq!(sorted(world.runs()), sorted(computed_by_hand()));
    let heard = world.heard();
    assert_eq!(heard.iter().filter(|line| line.starts_with("started")).count(), computed_by_hand().len());
    assert_eq!(heard.iter().filter(|line| line.contains("Blackout")).count(), 1, "{heard:?}");
}

/// The service is away for a minute round each full hour, which is when most starts are; every third time it is killed
/// between making a run and noting that it did, and another third cannot note anything at all.
#[test]
fn a_week_in_which_the_service_starts_anew_each_hour() {
    let world = World::new(WEEK);
    let (mut now, mut hour) = (at(BEGIN), 0);
    while now < at(END) {
        world.maker.dies.store(hour % 3 == 1, Ordering::SeqCst);
        world.marks.full.store(hour % 3 == 2, Ordering::SeqCst);
        world.pass(&mut [world.service()], now.plus(Duration::from_secs(3_570)));
        now = now.plus(Duration::from_secs(3_600));
        world.clock.set(now.plus(Duration::from_secs(30)));
        hour += 1;
    }
    assert_eq!(sorted(world.runs()), sorted(computed_by_hand()));
    let missed: Vec<String> =
        world.heard().into_iter().filter(|line| line.contains("Missed") || line.contains("MadeUp")).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn two_services_make_no_start_twice() {
    let world = World::new(WEEK);
    let mut services = [world.service_of(Written::new(WEEK)), world.service_of(Written::new(WEEK))];
    world.pass(&mut services, at(END));
    assert_eq!(sorted(world.runs()), sorted(computed_by_hand()));
    let started = world.heard().iter().filter(|line| line.starts_with("started")).count();
    assert_eq!(started, computed_by_hand().len(), "each start is told by the one that made it");
}

#[test]
fn a_faulty_version_leaves_the_old_one_in_force() {
    let world = World::new(WEEK);
    let mut services = [world.service()];
    world.pass(&mut services, at("2026-10-19T12:00:00Z"));
    world.documents.change("windows: { w: { cron: soon } }");
    world.pass(&mut services, at("2026-10-20T12:00:00Z"));
    assert_eq!(world.heard(), ["in force: 4", "started nightly", "faulty: 3 (old in force: true)", "started nightly"]);
    // A good one is in force at once; a schedule that is new has missed nothing.
    world.documents.change(&format!("{WEEK}  late: {{ window: night, runbook: r, missed: each }}\n"));
    world.pass(&mut services, at("2026-10-22T12:00:00Z"));
    let heard = world.heard();
    assert_eq!(heard[0], "in force: 5");
    assert_eq!(heard.iter().filter(|line| *line == "started late").count(), 1, "{heard:?}");
}

#[test]
fn a_window_that_was_changed_has_missed_nothing() {
    let begun = "zone: UTC\nwindows: { w: { cron: 0 22 * * *, duration: 1h } }\nschedules: { s: { window: w, runbook: r, missed: each } }\n";
    let world = World::new(begun);
    world.pass(&mut [world.service()], at("2026-10-19T12:00:00Z"));
    // 08:00 was over when the service, which was away meanwhile, saw the change.
    world.documents.change(&begun.replace("0 22 * * *, duration: 1h", "0 8 * * *, duration: 20h"));
    world.pass(&mut [world.service()], at("2026-10-20T12:00:00Z"));
    assert_eq!(world.runs(), ["s Tue 20 10:00+02"]);
}

#[test]
fn a_start_that_cannot_be_made_is_tried_again_and_then_left_out() {
    let world = World::new(
        "zone: UTC\nwindows: { w: { cron: 0 2 * * *, duration: 1h } }\nschedules: { s: { window: w, runbook: r } }\n",
    );
    let mut services = [world.service()];
    world.pass(&mut services, at("2026-10-19T01:00:00Z"));
    world.maker.faulty.store(true, Ordering::SeqCst);
    world.pass(&mut services, at("2026-10-19T02:01:00Z"));
    world.maker.faulty.store(false, Ordering::SeqCst);
    world.pass(&mut services, at("2026-10-20T01:00:00Z"));
    assert_eq!(world.heard(), ["in force: 1", "cannot s: the runbook is faulty", "started s"]);
    world.maker.faulty.store(true, Ordering::SeqCst);
    world.pass(&mut services, at("2026-10-20T03:00:00Z"));
    assert_eq!(world.heard(), ["left out s [Missed]"], "the same reason is told once");
    assert_eq!(world.runs().len(), 1);
}

/// The loop itself: it waits for the moment, and ends when it is asked to.
#[tokio::test(start_paused = true)]
async fn the_service_ends_when_it_is_asked_to() {
    let world = World::new(WEEK);
    let (leave, leaving) = watch::channel(false);
    let running = tokio::spawn(world.service().run(leaving));
    world.clock.set(at("2026-10-19T00:29:59Z"));
    tokio::task::yield_now().await;
    world.clock.set(at("2026-10-19T00:30:01Z"));
    while world.runs().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.runs(), ["nightly Mon 19 02:30+02"]);
    leave.send(true).unwrap();
    running.await.unwrap();
}
