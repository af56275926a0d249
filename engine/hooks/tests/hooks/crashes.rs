//! Hooks in whole runs against simulated hosts: the engine dies at every position, calls get lost, scripts change.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use piton_core::ids::{JobId, RunId};
use piton_core::plan::Plan;
use piton_core::run::{CallKind, Event, Outcome, Recorded, Run, TaskState, Word};
use piton_core::runbook::HookCode;
use piton_core::time::Timestamp;
use piton_core::value::{Map, Value};
use piton_hooks::RhaiHooks;
use piton_runner::hooks::{HookOrder, HookWorld, Hooks};
use piton_runner::journal::{Journal, JournalError};
use piton_runner::observer::{Notice, Observer};
use piton_runner::output::Stream;
use piton_runner::{DriveError, Driver, End, Ports};
use piton_testkit::clock::ManualClock;
use piton_testkit::hosts::{Act, NoOutput, SimHosts};
use piton_testkit::journal::{MemoryJournal, Trouble};
use piton_testkit::machine::task;
use piton_testkit::plans::plan;
use tokio::sync::watch;

/// Looks on, and remembers what was to be told to people.
#[derive(Default)]
struct Looker {
    told: Mutex<Vec<String>>,
    logged: Mutex<Vec<u8>>,
    seen: watch::Sender<u64>,
}

impl Observer for Looker {
    fn event(&self, _run: &Run, event: &Recorded<Event>) {
        if let Event::HookCalled { call, .. } = &event.event
            && call.kind == CallKind::Notify
        {
            self.told.lock().unwrap().push(call.shown.clone());
        }
        self.seen.send_replace(event.seq);
    }

    fn notice(&self, _notice: &Notice) {}

    fn printed(&self, _job: &JobId, _stream: Stream, bytes: &[u8]) {
        self.logged.lock().unwrap().extend_from_slice(bytes);
    }
}

/// Hooks whose text is another one from some evaluation on.
struct Changing {
    evaluated: AtomicU32,
    from: u32,
    text: &'static str,
}

impl Hooks for Changing {
    fn evaluate(&self, order: &HookOrder, world: Arc<dyn HookWorld>) -> Result<Map<String, Value>, String> {
        let mut order = order.clone();
        if self.evaluated.fetch_add(1, Ordering::SeqCst) >= self.from {
            order.text.code = HookCode::Text(self.text.to_owned());
        }
        RhaiHooks.evaluate(&order, world)
    }
}

struct Bench {
    journal: Arc<MemoryJournal>,
    hosts: Arc<SimHosts>,
    looker: Arc<Looker>,
    clock: Arc<ManualClock>,
    hooks: Arc<dyn Hooks>,
    plan: Plan,
}

impl Bench {
    fn new(yaml: &str, hosts: Arc<SimHosts>) -> Self {
        Self {
            journal: Arc::default(),
            hosts,
            looker: Arc::default(),
            clock: Arc::new(ManualClock::at(Timestamp(1_000))),
            hooks: Arc::new(RhaiHooks),
            plan: plan(yaml),
        }
    }

    fn id() -> RunId {
        RunId::from_parts(1, 42)
    }

    fn ports(&self) -> Ports {
        Ports {
            journal: self.journal.clone(),
            transport: self.hosts.clone(),
            clock: self.clock.clone(),
            outputs: Arc::new(NoOutput),
            hooks: self.hooks.clone(),
            secrets: Arc::new(piton_runner::secrets::NoSecrets),
            observer: self.looker.clone(),
        }
    }

    async fn create(&self) -> Driver {
        Driver::create(self.ports(), Self::id(), self.plan.clone(), "tester@bench", "engine 1").await.unwrap()
    }

    async fn adopt(&self, owner: &str) -> Driver {
        self.journal.expire(Self::id());
        Driver::adopt(self.ports(), Self::id(), owner).await.unwrap()
    }

    async fn drive(&self, driver: Driver) -> Result<End, DriveError> {
        let (_keep, handover) = watch::channel(false);
        let end = tokio::time::timeout(std::time::Duration::from_secs(20), driver.drive(handover)).await;
        end.unwrap_or_else(|_late| panic!("it does not end: {:#?}", self.journal.events(Self::id())))
    }

    async fn run(&self) -> Run {
        piton_runner::load(self.journal.as_ref(), Self::id()).await.unwrap()
    }

    /// The calls that hosts carried out, and how often each was started.
    fn calls(&self) -> BTreeMap<String, u32> {
        self.hosts.starts().into_iter().filter(|(name, _)| name.contains(".call")).collect()
    }

    async fn state(&self) -> String {
        let run = self.run().await;
        let (_, task) = run.tasks().next().unwrap();
        let why = if let TaskState::Parked(why) = &task.state {
            why.to_string()
        } else if let TaskState::Failed(why) = &task.state {
            why.to_string()
        } else {
            String::new()
        };
        format!("{} {why}", task.state.word())
    }
}

const FIVE: &str = r#"
runbook: five
steps:
  - id: five
    hosts: [h1, h2]
    before: 'log(host.run("look").outputs.v);'
    hook: |
      let found = [];
      let begun = now();
      for name in ["a", "b", "c", "d", "e"] {
          let on = if name == "c" { host("h1") } else { host };
          found.push(on.run("do-" + name).outputs.v);
          log(name);
      }
      notify("done on " + host.name);
      #{ found: join(found, ""), begun: begun }
    after: 'if steps.five != () { host.run("never"); }'
  - id: last
    hosts: h1
    hook: '#{ all: steps.five.hosts.h1.outputs.found + steps.five.hosts.h2.outputs.found }'
"#;

fn five_hosts() -> Arc<SimHosts> {
    SimHosts::new(|spec| match spec.script.strip_prefix("do-") {
        Some("a") => Act::Put("v=1"),
        Some("b") => Act::Put("v=2"),
        Some("c") => Act::Put("v=3"),
        Some("d") => Act::Put("v=4"),
        Some("e") => Act::Put("v=5"),
        Some(_) | None => Act::Put("v=0"),
    })
}

/// The engine dies at every append, before and after it is durable: each call is made once, each notification is sent once
/// at most, and what comes out is the same.
#[tokio::test]
async fn it_may_die_anywhere_in_a_hook() {
    let five = FIVE
        .replace("    after: 'if steps.five != () { host.run(\"never\"); }'\n", "    after: 'host.run(\"look\");'\n");
    let whole = Bench::new(&five, five_hosts());
    assert_eq!(whole.drive(whole.create().await).await.unwrap(), End::Ended(Outcome::Succeeded));
    assert_eq!(whole.calls().len(), 14);
    let appends = whole.journal.appends();
    assert!(appends > 20, "{appends} appends");
    for trouble in [Trouble::DieBefore, Trouble::DieAfter] {
        for at in 0..appends {
            let bench = Bench::new(&five, five_hosts());
            bench.journal.trouble(at, trouble);
            let mut end = bench.drive(bench.create().await).await;
            let mut engines = 1;
            while let Err(error) = end {
                assert!(matches!(error, DriveError::Journal(JournalError::Unusable { .. })), "{error}");
                engines += 1;
                assert!(engines < 5, "the trouble comes once");
                end = bench.drive(bench.adopt(&format!("engine {engines}")).await).await;
            }
            assert_eq!(end.unwrap(), End::Ended(Outcome::Succeeded), "{trouble:?} at {at}");
            assert_eq!(bench.calls(), whole.calls(), "{trouble:?} at {at}");
            assert!(bench.calls().values().all(|starts| *starts == 1), "{trouble:?} at {at}");
            let mut told = bench.looker.told.lock().unwrap().clone();
            told.sort();
            told.dedup();
            assert_eq!(told.len(), bench.looker.told.lock().unwrap().len(), "{trouble:?} at {at}: told twice");
            let run = bench.run().await;
            let outputs = run.task(run.graph().find(&task("last[h1]")).unwrap()).outputs.clone();
            assert_eq!(outputs["all"], "1234512345", "{trouble:?} at {at}");
        }
    }
}

/// The journal as text, cut after each event: what is rebuilt goes on to the same end.
#[tokio::test]
async fn a_journal_that_is_cut_anywhere_can_be_replayed() {
    let bench = Bench::new(FIVE, five_hosts());
    bench.drive(bench.create().await).await.unwrap();
    let events = bench.journal.events(Bench::id());
    let text = serde_json::to_string(&events).unwrap();
    let events: Vec<Recorded<Event>> = serde_json::from_str(&text).unwrap();
    for cut in 0..=events.len() {
        Run::replay(Bench::id(), Arc::new(bench.plan.clone()), &events[..cut]).unwrap();
    }
}

const ONE: &str = "runbook: one\nsteps:\n  - id: do\n    hosts: h1\n    hook: |\n      host.run(\"a\");\n      host.CALL;\n      host.run(\"c\");\n";

#[tokio::test]
async fn a_call_whose_outcome_is_unknown_parks_the_task() {
    let hosts = || {
        SimHosts::new(|spec| match (spec.script.as_str(), spec.id.round) {
            ("b", 2) => Act::Vanish,
            (_, _) => Act::Exit(0),
        })
    };
    let bench = Bench::new(&ONE.replace("CALL", "run(\"b\")"), hosts());
    assert_eq!(bench.drive(bench.create().await).await.unwrap(), End::Parked);
    assert!(bench.state().await.starts_with("unknown outcome unknown: it began"), "{}", bench.state().await);
    assert_eq!(bench.calls().len(), 2, "what comes after was not done");

    // Declared safe, it is done again, under a number of its own.
    let bench = Bench::new(&ONE.replace("CALL", "safe.run(\"b\")"), hosts());
    assert_eq!(bench.drive(bench.create().await).await.unwrap(), End::Ended(Outcome::Succeeded));
    let calls = bench.calls();
    assert_eq!(
        calls.keys().collect::<Vec<_>>(),
        ["h1/do@h1.1.call1", "h1/do@h1.1.call2", "h1/do@h1.1.call3", "h1/do@h1.1.call4"]
    );
    assert!(calls.values().all(|starts| *starts == 1));

    // But not for ever.
    let lost = SimHosts::new(|spec| if spec.script == "b" { Act::Vanish } else { Act::Exit(0) });
    let bench = Bench::new(&ONE.replace("CALL", "safe.run(\"b\")"), lost);
    assert_eq!(bench.drive(bench.create().await).await.unwrap(), End::Parked);
    assert_eq!(bench.calls().len(), 5);
}

#[tokio::test]
async fn a_verify_tells_of_a_lost_call_and_a_word_goes_on() {
    let hosts = SimHosts::new(|spec| match spec.script.as_str() {
        "b" if spec.id.attempt.number == 1 => Act::Vanish,
        "look" => Act::Exit(1),
        _other => Act::Exit(0),
    });
    let yaml = ONE.replace("CALL", "run(\"b\")") + "    verify: look\n";
    let bench = Bench::new(&yaml, hosts);
    assert_eq!(bench.drive(bench.create().await).await.unwrap(), End::Parked);
    assert!(bench.state().await.contains("`verify` exited with 1"), "{}", bench.state().await);
    let skip = Word::Skip { task: task("do[h1]"), why: "I looked".into() };
    bench.journal.say(Bench::id(), "operator@desk", skip, Timestamp(2_000)).await.unwrap();
    assert_eq!(bench.drive(bench.adopt("two").await).await.unwrap(), End::Ended(Outcome::Succeeded));
}

/// What the hook asks for after a crash is not what it had asked for: the task is parked with both sides, and nothing is
/// started.
#[tokio::test]
async fn a_hook_that_does_something_else_than_before_is_parked() {
    for (text, number, made) in [
        ("host.run(\"a\"); host.run(\"other\"); host.run(\"c\");", 2, "h1 run: other"),
        ("host.run(\"a\"); host.safe.run(\"b\");", 2, "h1 run: b"),
        ("host.run(\"a\"); host.exec([\"b\"]);", 2, "h1 exec: b"),
        ("host.run(\"a\");", 2, "the hook has ended"),
        ("fail(\"no\");", 1, "the hook has ended: main of step do:1:1: no"),
        ("now();", 1, "now"),
    ] {
        let hosts = SimHosts::new(|spec| if spec.script == "b" { Act::Hang } else { Act::Exit(0) });
        let mut bench = Bench::new(&ONE.replace("CALL", "run(\"b\")"), hosts);
        bench.hooks = Arc::new(Changing { evaluated: AtomicU32::new(0), from: 1, text });
        let (hand_over, handover) = watch::channel(false);
        let mut seen = bench.looker.seen.subscribe();
        let driving = tokio::spawn(bench.create().await.drive(handover));
        // The second call is written down and runs.
        seen.wait_for(|seq| *seq >= 7).await.unwrap();
        hand_over.send_replace(true);
        assert_eq!(driving.await.unwrap().unwrap(), End::HandedOver);
        let before = bench.hosts.starts();
        assert_eq!(bench.drive(bench.adopt("two").await).await.unwrap(), End::Parked, "{text}");
        let state = bench.state().await;
        let recorded = if number == 1 { "h1 run: a" } else { "h1 run: b" };
        let says = format!("call {number} was `{recorded}`, and now is `{made}`");
        assert!(state.starts_with("unknown") && state.contains(&says), "{text}: {state}");
        assert_eq!(bench.hosts.starts(), before, "{text}");
    }
}

#[tokio::test]
async fn a_timeout_stops_a_hook_that_computes_and_the_job_that_one_waits_for() {
    for (hook, job) in [("loop { }", false), ("host.run(\"hang\"); host.run(\"never\");", true)] {
        let hosts = SimHosts::new(|spec| if spec.script == "hang" { Act::Hang } else { Act::Exit(0) });
        let yaml = format!(
            "runbook: x\non_failure: continue\nsteps:\n  - id: do\n    hosts: h1\n    timeout: 5s\n    hook: '{hook}'\n"
        );
        let bench = Bench::new(&yaml, hosts);
        let (_keep, handover) = watch::channel(false);
        let mut seen = bench.looker.seen.subscribe();
        let driving = tokio::spawn(bench.create().await.drive(handover));
        let last = if job { 5 } else { 3 };
        seen.wait_for(|seq| *seq >= last).await.unwrap();
        bench.clock.set(Timestamp(7_000));
        assert_eq!(driving.await.unwrap().unwrap(), End::Ended(Outcome::Failed), "{hook}");
        let stopped = bench.journal.events(Bench::id()).iter().any(|e| matches!(e.event, Event::JobStopped { .. }));
        assert_eq!(stopped, job, "{hook}");
        assert!(bench.state().await.contains("took longer than its timeout"), "{}", bench.state().await);
        assert_eq!(bench.calls().len(), usize::from(job));
    }
}

/// A hook before the action that fails, or whose call fails: neither `unless` nor the action begins.
#[tokio::test]
async fn nothing_begins_after_a_hook_before_that_fails() {
    for before in ["fail(\"not now\");", "host.run(\"bad\");", "let x = [1]; x[5];"] {
        let yaml = format!(
            "runbook: x\nsteps:\n  - id: a\n    hosts: h1\n    run: act\n    unless: look\n    before: |\n      {before}\n"
        );
        let hosts = SimHosts::new(|spec| if spec.script == "bad" { Act::Exit(3) } else { Act::Exit(1) });
        let bench = Bench::new(&yaml, hosts);
        assert_eq!(bench.drive(bench.create().await).await.unwrap(), End::Parked, "{before}");
        let begun: Vec<String> = bench.hosts.starts().into_keys().filter(|name| !name.contains(".call")).collect();
        assert_eq!(begun, Vec::<String>::new(), "{before}");
        assert!(bench.state().await.contains("before of step a:1:"), "{before}: {}", bench.state().await);
    }
}

#[tokio::test]
async fn before_and_after_frame_any_action() {
    let yaml = "runbook: x\nsteps:\n  - { id: a, hosts: h1, run: act, unless: look, before: 'host.run(\"b\");', after: 'host.run(\"c\");' }\n  - { id: w, wait: { for: 1ms }, before: 'log(1);', after: 'log(2);' }\n  - { id: s, assert: ['1 == 1'], after: 'fail(\"not good\");' }\n";
    let hosts = SimHosts::new(|spec| if spec.script == "look" { Act::Exit(1) } else { Act::Exit(0) });
    let bench = Bench::new(yaml, hosts);
    let mut time = 1_000;
    let (_keep, handover) = watch::channel(false);
    let mut seen = bench.looker.seen.subscribe();
    let mut driving = tokio::spawn(bench.create().await.drive(handover));
    let end = loop {
        // The wait is over when the clock says so.
        time += 1_000;
        bench.clock.set(Timestamp(time));
        tokio::select! {
            end = &mut driving => break end.unwrap().unwrap(),
            _ = seen.changed() => {}
        }
    };
    assert_eq!(end, End::Parked);
    let events = bench.journal.events(Bench::id());
    let order: Vec<String> = events
        .iter()
        .filter_map(|e| {
            if let Event::HookEnded { hook: job, .. } | Event::JobExited { job, .. } = &e.event {
                Some(job.to_string())
            } else if let Event::TaskSucceeded { task, .. } = &e.event {
                Some(format!("{task} done"))
            } else if let Event::TaskParked { task, why } = &e.event {
                Some(format!("{task}: {why}"))
            } else {
                None
            }
        })
        .collect();
    assert_eq!(
        order,
        [
            "a[h1]#1.call1",
            "a[h1]#1.before1",
            "a[h1]#1.unless1",
            "a[h1]#1.main1",
            "a[h1]#1.call2",
            "a[h1]#1.after1",
            "a[h1] done",
            "w#1.before1",
            "w#1.after1",
            "w done",
            "s#1.after1",
            "s: after of step s:1:1: not good",
        ]
    );
    assert_eq!(bench.looker.logged.lock().unwrap().as_slice(), b"1\n2\n");
}
