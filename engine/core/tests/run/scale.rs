//! What an event costs does not depend on how many tasks there are. Counted, not timed.

use piton_core::run::{Effect, Input, Outcome};
use piton_testkit::machine::Machine;
use piton_testkit::plans::plan;

fn wide(hosts: usize) -> String {
    let names: Vec<String> = (0..hosts).map(|h| format!("h{h}")).collect();
    let hosts = names.join(", ");
    format!(
        "runbook: x\nsteps:\n  - {{ id: a, hosts: [{hosts}], run: a }}\n  - {{ id: b, hosts: [{hosts}], run: b }}\n  - {{ id: c, hosts: [{hosts}], run: c, barrier: true }}\n"
    )
}

#[test]
fn a_hundred_thousand_tasks_are_planned_and_driven() {
    let plan = plan(&wide(34_000));
    let mut m = piton_core::run::Run::new(piton_core::ids::RunId::from_parts(0, 1), plan.into());
    assert_eq!(m.graph().len(), 102_000);
    let created = piton_core::run::Event::RunCreated {
        by: "x".into(),
        runbook: m.plan().runbook.clone(),
        plan: piton_core::digest::Digest::of(b""),
    };
    let now = piton_core::time::Timestamp(1);
    m.apply(&piton_core::run::Recorded { seq: 1, at: now, event: created }).unwrap();
    let mut events = 0u32;
    let mut input = Input::Took { engine: "e".into(), fence: 1 };
    loop {
        let decided = m.decide(&input, now);
        for event in decided {
            events += 1;
            let seq = m.seq() + 1;
            m.apply(&piton_core::run::Recorded { seq, at: now, event }).unwrap();
        }
        assert!(m.take_changes().len() < 2_000, "one piece of news changes a bounded number of things");
        let Some(Effect::Carry(job)) = m.wanted().next().cloned() else { break };
        input = Input::JobExited {
            job,
            exit: piton_core::run::Exit(0),
            printed: Default::default(),
            outputs: Ok(Default::default()),
        };
    }
    assert_eq!(m.outcome(), Some(Outcome::Succeeded));
    assert_eq!(events, 102_000 * 3 + 3);
}

#[test]
fn a_wide_barrier_costs_edges_in_proportion_to_hosts() {
    let m = Machine::start(plan(&wide(50)));
    assert_eq!(m.run.graph().len(), 150);
}
