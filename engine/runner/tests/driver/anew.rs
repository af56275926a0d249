//! A corrected plan and results that are taken over, with an engine that dies at every append.

use piton_core::digest::Digest;

use super::*;

const BAD: &str = "runbook: x\nsteps:\n  - { id: a, run: a }\n  - { id: b, run: bad }\n  - { id: c, run: c }\n";

fn bad_hosts() -> Arc<SimHosts> {
    SimHosts::new(|spec| if spec.script == "bad" { Act::Exit(1) } else { Act::Exit(0) })
}

fn good() -> Plan {
    plan(
        &BAD.replace("bad", "good")
            .replace("  - { id: c, run: c }\n", "  - { id: new, run: new }\n  - { id: c, run: c }\n"),
    )
}

/// One engine's life: corrects the plan if it stands still over `b`, and drives.
async fn live(world: &World, driver: Driver, said: &mut bool) -> Result<End, DriveError> {
    let mut driver = driver;
    let digest = Digest::of(good().to_json().as_bytes());
    if driver.run().is_parked() && driver.run().plan_digest() != Some(digest) {
        assert!(driver.replan("operator@desk", "typo", &good()).await?, "it stands still: the plan fits");
        assert_eq!(driver.run().plan_digest(), Some(digest));
    }
    if driver.run().is_parked() && !std::mem::replace(said, true) {
        let retry = Word::Retry { task: task("b[local]"), why: "corrected".into() };
        world.journal.say(World::id(), "operator@desk", retry, Timestamp(2_000)).await.unwrap();
    }
    world.drive(driver).await
}

/// Lets engines live one after the other until the run is over; says how often one died.
async fn to_the_end(world: &World, first: Driver) -> u32 {
    let (mut said, mut died) = (false, 0);
    let mut end = live(world, first, &mut said).await;
    for engine in 2..10 {
        match end {
            Ok(End::Ended(outcome)) => {
                assert_eq!(outcome, Outcome::Succeeded);
                return died;
            }
            Ok(End::Parked | End::HandedOver) => {}
            Err(error) => {
                assert!(matches!(error, DriveError::Journal(JournalError::Unusable { .. })), "{error}");
                died += 1;
            }
        }
        end = live(world, world.adopt(&format!("engine {engine}")).await, &mut said).await;
    }
    panic!("it does not come to its end: {end:?}");
}

#[tokio::test]
async fn a_plan_may_be_corrected_and_the_engine_may_die_anywhere() {
    let whole = World::new(BAD, bad_hosts());
    assert_eq!(to_the_end(&whole, whole.create("one").await).await, 0);
    let expected = [
        "local/a@local.1.main1",
        "local/b@local.1.main1",
        "local/b@local.2.main1",
        "local/c@local.1.main1",
        "local/new@local.1.main1",
    ];
    assert_eq!(mains(&whole.hosts.starts()), expected);
    let appends = whole.journal.appends();
    assert!(appends > 6, "{appends}");
    for trouble in [Trouble::DieBefore, Trouble::DieAfter] {
        for at in 0..appends {
            let world = World::new(BAD, bad_hosts());
            world.journal.trouble(at, trouble);
            let died = to_the_end(&world, world.create("one").await).await;
            assert_eq!(died, 1, "{trouble:?} at {at}");
            for (job, starts) in world.hosts.starts() {
                assert_eq!(starts, 1, "{job} was started {starts} times, {trouble:?} at {at}");
            }
            assert_eq!(mains(&world.hosts.starts()), expected, "{trouble:?} at {at}");
            let events = world.journal.events(World::id());
            let replaced = events.iter().filter(|e| matches!(e.event, Event::PlanReplaced { .. })).count();
            assert_eq!(replaced, 1, "{trouble:?} at {at}: a plan is replaced once");
            let run = piton_runner::load(world.journal.as_ref(), World::id()).await.unwrap();
            assert_eq!(run.plan().steps.len(), 4);
        }
    }
}

#[tokio::test]
async fn a_plan_that_does_not_fit_is_not_stored() {
    let world = World::new(BAD, bad_hosts());
    assert_eq!(world.drive(world.create("one").await).await.unwrap(), End::Parked);
    let before = world.journal.events(World::id());
    let mut driver = world.adopt("two").await;
    let other = plan(&BAD.replace("run: a ", "run: other "));
    assert!(!driver.replan("operator@desk", "", &other).await.unwrap());
    assert_eq!(world.journal.events(World::id()), before);
}

#[tokio::test]
async fn a_rerun_may_die_anywhere_and_does_nothing_that_stands() {
    let yaml = BAD.replace("steps:", "on_failure: continue\nsteps:");
    let old = World::new(&yaml, bad_hosts());
    assert_eq!(old.drive(old.create("one").await).await.unwrap(), End::Ended(Outcome::Failed));
    let run = piton_runner::load(old.journal.as_ref(), World::id()).await.unwrap();
    let head = old.journal.verify(run.id()).await.unwrap().head;
    let taken = || Event::TakenOver {
        from: run.id(),
        plan: run.plan_digest().unwrap(),
        seq: run.seq(),
        head,
        tasks: run.results(|_| false),
    };
    let rerun = async |trouble: Option<(u32, Trouble)>| {
        let world = World::new(&yaml, SimHosts::new(|_| Act::Exit(0)));
        trouble.into_iter().for_each(|(at, trouble)| world.journal.trouble(at, trouble));
        let (ports, plan) = (world.ports(), world.plan.clone());
        let driver = Driver::create_with(ports, World::id(), plan, "tester@bench", "one", vec![taken()]).await.unwrap();
        assert_eq!(to_the_end(&world, driver).await, u32::from(trouble.is_some()), "{trouble:?}");
        assert_eq!(mains(&world.hosts.starts()), ["local/b@local.1.main1", "local/c@local.1.main1"], "{trouble:?}");
        world.check();
        world.journal.appends()
    };
    let appends = rerun(None).await;
    assert!(appends > 2, "{appends}");
    for at in 0..appends {
        rerun(Some((at, Trouble::DieBefore))).await;
        rerun(Some((at, Trouble::DieAfter))).await;
    }
}
