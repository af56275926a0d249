//! Locks and people.

use super::*;

const PEOPLE: &str = r#"
runbook: people
locks: [vm/a]
steps:
  - { id: a, hosts: [h1, h2], run: a, locks: "disk/{{ host.name }}" }
  - { id: gate, approve: { prompt: "go on with {{ run.runbook }}?", count: 2 } }
  - { id: b, hosts: [h1], run: d, locks: [{ name: vm/a, shared: true }] }
finally:
  - { id: f, hosts: [h1], run: f, locks: disk/h1 }
"#;

/// Says yes as these people, as soon as the run asks; what an engine that died had heard is said again.
async fn approving(journal: Arc<MemoryJournal>, people: [&'static str; 2], mut asked: watch::Receiver<u64>) {
    loop {
        let run = piton_runner::load(journal.as_ref(), World::id()).await.unwrap();
        if let Some((_, asking)) = run.asked().next().and_then(|task| run.asking(task)) {
            for by in people {
                let facts = asking.facts;
                let yes = Word::Approve { task: task("gate"), facts, groups: Vec::new(), why: String::new() };
                journal.say(World::id(), by, yes, Timestamp(2_000)).await.unwrap();
            }
            return;
        }
        if asked.changed().await.is_err() {
            return;
        }
    }
}

/// With locks and an approval, too: no lock is lost, none is kept, and none is taken twice.
#[tokio::test]
async fn it_may_die_anywhere_with_locks_and_people() {
    async fn drive(world: &World, driver: Driver) -> Result<End, DriveError> {
        let people =
            tokio::spawn(approving(world.journal.clone(), ["ann@desk", "bob@desk"], world.looker.seen.subscribe()));
        let (_keep, handover) = watch::channel(false);
        let end = driver.staying(Stay::Asked).drive(handover).await;
        people.abort();
        end
    }
    let whole = World::new(PEOPLE, mixed_hosts());
    let end = drive(&whole, whole.create("one").await).await.unwrap();
    assert_eq!(end, End::Ended(Outcome::Succeeded));
    let appends = whole.journal.appends();
    assert!(appends > 8, "the run is long enough to be worth it");
    for trouble in [Trouble::DieBefore, Trouble::DieAfter] {
        for at in 0..appends {
            let world = World::new(PEOPLE, mixed_hosts());
            world.journal.trouble(at, trouble);
            let mut end = drive(&world, world.create("one").await).await;
            let mut engines = 1;
            while let Err(error) = end {
                assert!(matches!(error, DriveError::Journal(JournalError::Unusable { .. })), "{error}");
                engines += 1;
                assert!(engines < 5, "the trouble comes once");
                end = drive(&world, world.adopt(&format!("engine {engines}")).await).await;
            }
            assert_eq!(end.unwrap(), End::Ended(Outcome::Succeeded), "{trouble:?} at {at}");
            world.check();
            assert_eq!(mains(&world.hosts.starts()), mains(&whole.hosts.starts()), "{trouble:?} at {at}");
            assert_eq!(world.journal.tickets(None).await.unwrap(), [], "{trouble:?} at {at}");
        }
    }
}

/// Another run has what this one needs: it begins when the other is over, and the engine that waits hears of it.
#[tokio::test]
async fn a_run_waits_for_the_locks_of_another() {
    let yaml = "runbook: x\nlocks: [vm/a]\nsteps:\n  - { id: a, run: a }\n";
    let first = World::new(yaml, SimHosts::new(|_| Act::Hang));
    let second = World::beside(&first, yaml);
    let (_keep, handover) = watch::channel(false);
    let driving = tokio::spawn(first.create("one").await.drive(handover.clone()));
    first.looker.seen.subscribe().wait_for(|seq| *seq >= 5).await.unwrap();
    let id = RunId::from_parts(2, RUN);
    let other = Driver::create(second.ports(), id, second.plan.clone(), "tester@bench", "two").await.unwrap();
    let waiting = tokio::spawn(other.drive(handover));
    second.looker.seen.subscribe().wait_for(|seq| *seq >= 3).await.unwrap();
    while second.looker.notices.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let what = format!("vm/a (run {} holds vm/a)", World::id());
    assert_eq!(*second.looker.notices.lock().unwrap(), [Notice::Queued { task: None, what }]);
    assert!(second.hosts.starts().is_empty(), "nothing of it has begun");
    assert_eq!(second.journal.summary(id).await.unwrap().waits.unwrap().text, "waits for vm/a");
    first.hosts.finish("a@", 0);
    assert_eq!(driving.await.unwrap().unwrap(), End::Ended(Outcome::Succeeded));
    assert_eq!(waiting.await.unwrap().unwrap(), End::Ended(Outcome::Succeeded));
    assert_eq!(first.journal.tickets(None).await.unwrap(), []);
}

#[tokio::test]
async fn how_long_an_engine_stays_with_people() {
    let gate =
        |fields: &str| format!("runbook: x\nsteps:\n  - {{ id: gate, approve: {{ prompt: go on?{fields} }} }}\n");
    let (_keep, handover) = watch::channel(false);
    for (fields, stay, status) in [
        ("", Stay::Needed, RunStatus::Parked),
        ("", Stay::Briefly, RunStatus::Parked),
        (", timeout: 60s", Stay::Briefly, RunStatus::Running),
    ] {
        let world = World::new(&gate(fields), mixed_hosts());
        let end = world.create("one").await.staying(stay).drive(handover.clone()).await.unwrap();
        assert_eq!(end, End::Parked, "{fields} {stay:?}");
        let summary = world.journal.summary(World::id()).await.unwrap();
        assert_eq!((summary.status, summary.owner), (status, None), "a clock that runs needs an engine: {fields}");
        assert_eq!(summary.waits.unwrap().text, "gate has 0 of 1; who may: everybody but the requester");
    }
    // While the time for an answer runs, an engine stays that is needed for nothing else.
    let world = World::new(&gate(", timeout: 60s, on_timeout: approve"), mixed_hosts());
    let driving = tokio::spawn(world.create("one").await.drive(handover));
    world.looker.seen.subscribe().wait_for(|seq| *seq >= 4).await.unwrap();
    world.clock.set(Timestamp(62_000));
    assert_eq!(driving.await.unwrap().unwrap(), End::Ended(Outcome::Succeeded));
}
