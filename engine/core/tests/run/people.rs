//! Approvals and pauses: who may say what, and what follows.

use piton_core::digest::Digest;
use piton_core::ids::RunId;
use piton_core::run::{Event, Input, Outcome, Recorded, Run, Word};
use piton_core::time::Timestamp;
use piton_testkit::machine::{Machine, task};
use piton_testkit::plans::plan;

use super::short;

fn asking(fields: &str) -> Machine {
    let yaml = format!(
        "runbook: x\nsteps:\n  - {{ id: look, run: a }}\n  - {{ id: gate, approve: {{ prompt: \"disk is {{{{ steps.look.outputs.disk }}}}\", {fields} }} }}\n  - {{ id: act, run: b }}\n"
    );
    let mut m = Machine::start(plan(&yaml));
    m.exit_with("look[local]", serde_json::json!({ "disk": "full" }));
    m
}

fn facts(m: &Machine) -> Digest {
    m.run.asking(1).expect("it asks").1.facts
}

fn word(yes: bool, facts: Digest, groups: &[&str]) -> Word {
    let (task, why) = (task("gate"), "because".to_owned());
    let groups = groups.iter().map(|&g| g.to_owned()).collect();
    if yes { Word::Approve { task, facts, groups, why } } else { Word::Reject { task, facts, groups, why } }
}

/// Votes, and gives the reason why the vote was refused, if it was.
fn vote(m: &mut Machine, by: &str, yes: bool, groups: &[&str]) -> Option<String> {
    let facts = m.run.asking(1).map_or(Digest([0; 32]), |(_, asking)| asking.facts);
    refusal(&m.say_as(by, word(yes, facts, groups)))
}

fn refusal(events: &[Event]) -> Option<String> {
    let Event::WordTaken { refused, .. } = &events[0] else { panic!("{events:?}") };
    refused.clone()
}

#[test]
fn enough_yes_and_it_goes_on_by_itself() {
    let mut m = asking("who: [ann, bob, \"%ops\"], count: 2");
    assert_eq!(m.run.asking(1).unwrap().1.text, "disk is full");
    assert!(m.run.is_parked(), "nothing happens without people");
    assert_eq!(m.run.waits().unwrap().text, "gate has 0 of 2; who may: ann or bob or %ops, not the requester");
    assert_eq!(vote(&mut m, "ann@desk", true, &[]), None);
    m.crash();
    assert_eq!(m.run.waits().unwrap().text, "gate has 1 of 2; who may: ann or bob or %ops, not the requester");
    assert_eq!(vote(&mut m, "eve@desk", true, &["staff", "ops"]), None);
    assert_eq!(m.states(), ["look[local] succeeded", "gate succeeded", "act[local] running"]);
}

#[test]
fn a_vote_counts_once_for_each_person_who_may() {
    // The run was asked for by tester@bench.
    let table: &[(&str, &str, &[&str], &str)] = &[
        ("count: 2", "ann@desk", &[], "ann@desk has approved this already"),
        ("count: 2", "ann@other", &[], "ann@other has approved this already"),
        ("count: 2", "ann(root)@desk", &[], "ann(root)@desk has approved this already"),
        ("count: 2", "tester@bench", &[], "tester@bench asked for this run, and may not approve it"),
        ("count: 2", "tester@desk", &[], "tester@desk asked for this run, and may not approve it"),
        ("count: 2", "tester(root)@bench", &[], "tester(root)@bench asked for this run, and may not approve it"),
        ("count: 2, not_requester: false", "tester@bench", &[], ""),
        ("count: 2", "bob(root)@desk", &[], ""),
        (
            "count: 2, who: [ann, bob]",
            "eve@desk",
            &["bob"],
            "eve@desk may not approve this: it takes ann or bob, not the requester",
        ),
        (
            "count: 2, who: [ann, bob@desk]",
            "bob@other",
            &[],
            "bob@other may not approve this: it takes ann or bob@desk, not the requester",
        ),
        ("count: 2, who: [ann, bob@desk]", "bob@desk", &[], ""),
        (
            "count: 2, who: [ann, root]",
            "bob(root)@desk",
            &[],
            "bob(root)@desk may not approve this: it takes ann or root, not the requester",
        ),
        (
            "count: 2, who: [ann, \"%ops\"]",
            "eve@desk",
            &["ops2"],
            "eve@desk may not approve this: it takes ann or %ops, not the requester",
        ),
        (
            "count: 2, who: [ann, \"%ops\"]",
            "%ops@desk",
            &[],
            "%ops@desk may not approve this: it takes ann or %ops, not the requester",
        ),
        ("count: 2, who: [ann, \"%ops\"]", "eve@desk", &["x", "ops"], ""),
    ];
    for (fields, by, groups, refused) in table {
        let mut m = asking(fields);
        assert_eq!(vote(&mut m, "ann@desk", true, &[]), None, "{fields}");
        let said = vote(&mut m, by, true, groups).unwrap_or_default();
        assert_eq!(said, *refused, "{fields}: {by}");
        let went_on = m.run.asking(1).is_none();
        assert_eq!(went_on, refused.is_empty(), "{fields}: {by}");
        if !went_on {
            // Whoever may not say yes may not say no either.
            assert!(vote(&mut m, by, false, groups).is_some(), "{fields}: {by}");
        }
    }
}

#[test]
fn a_requester_behind_a_shared_user_is_still_the_requester() {
    let yaml = "runbook: x\nsteps:\n  - { id: gate, approve: go on? }\n";
    let plan = plan(yaml);
    let created =
        Event::RunCreated { by: "ann(root)@bench".into(), runbook: plan.runbook.clone(), plan: plan.digest() };
    let log = vec![Recorded { seq: 1, at: Timestamp(1), event: created }];
    let mut m = Machine::from_log(plan, log);
    let facts = m.run.asking(0).unwrap().1.facts;
    for by in ["ann@bench", "ann(root)@bench", "root@bench"] {
        let said = refusal(&m.say_as(by, word(true, facts, &[])));
        assert_eq!(said, Some(format!("{by} asked for this run, and may not approve it")));
    }
    assert_eq!(refusal(&m.say_as("bob(root)@bench", word(true, facts, &[]))), None);
    assert_eq!(m.run.outcome(), Some(Outcome::Succeeded));
}

#[test]
fn a_vote_is_bound_to_what_was_shown() {
    let mut m = asking("count: 1");
    let shown = facts(&m);
    assert_eq!(
        refusal(&m.say(word(true, Digest::of(b"else"), &[]))).as_deref(),
        Some("gate was asked anew since this was read: look at it again")
    );
    // Asked anew after a no, the same words are another question.
    assert_eq!(vote(&mut m, "bob@desk", false, &[]), None);
    m.say(Word::Retry { task: task("gate"), why: String::new() });
    assert_ne!(facts(&m), shown);
    assert!(refusal(&m.say(word(true, shown, &[]))).is_some());
    assert!(m.run.asking(1).is_some());
    // Another run of the same plan asks another question.
    let other = Machine::from_log(m.run.plan().as_ref().clone(), m.log[..1].to_vec());
    assert!(other.run.asking(1).is_none());
}

#[test]
fn a_vote_is_bound_to_the_plan_the_run_and_the_asking() {
    let yaml =
        |act: &str| format!("runbook: x\nsteps:\n  - {{ id: gate, approve: go on? }}\n  - {{ id: act, run: {act} }}\n");
    let facts = |yaml: &str, run: u128| {
        let plan = std::sync::Arc::new(plan(yaml));
        let mut asks = Run::new(RunId::from_parts(0, run), plan.clone());
        let (runbook, digest) = (plan.runbook.clone(), Digest::of(plan.to_json().as_bytes()));
        let created = Event::RunCreated { by: "tester@bench".into(), runbook, plan: digest };
        let at = Timestamp(1_000);
        asks.apply(&Recorded { seq: 1, at, event: created }).unwrap();
        for event in asks.decide(&Input::Took { engine: "bench".into(), fence: 1 }, at) {
            asks.apply(&Recorded { seq: asks.seq() + 1, at, event }).unwrap();
        }
        asks.asking(0).unwrap().1.facts
    };
    let shown = facts(&yaml("b"), 7);
    assert_eq!(shown, facts(&yaml("b"), 7));
    assert_ne!(shown, facts(&yaml("other"), 7), "the same words, and another plan behind them");
    assert_ne!(shown, facts(&yaml("b"), 8), "the same plan in another run");
    // A vote that was cast for the other plan counts for nothing here.
    let mut m = Machine::start(plan(&yaml("b")));
    assert_eq!(m.run.asking(0).unwrap().1.facts, shown);
    let said = refusal(&m.say_as("ann@desk", word(true, facts(&yaml("other"), 7), &[])));
    assert_eq!(said.as_deref(), Some("gate was asked anew since this was read: look at it again"));
    assert_eq!(m.states(), ["gate asking", "act[local] waiting"]);
}

#[test]
fn a_no_fails_the_step_and_votes_after_the_end_are_refused() {
    let mut m = asking("count: 2");
    vote(&mut m, "ann@desk", true, &[]);
    let before = facts(&m);
    let events = m.say_as("bob@desk", word(false, before, &[]));
    assert_eq!(short(&events), ["word_taken", "voted gate", "attempt_failed gate", "task_parked gate"]);
    assert_eq!(m.states()[1], "gate parked");
    let late = refusal(&m.say_as("eve@desk", word(true, before, &[])));
    assert_eq!(late.as_deref(), Some("gate waits for no approval: it is parked"));
    // There is no way round it: it can only be asked again, and then everybody votes anew.
    for word in [
        Word::Skip { task: task("gate"), why: "hurry".into() },
        Word::Resolve { task: task("gate"), why: "hurry".into(), outputs: Default::default() },
    ] {
        let said = refusal(&m.say(word)).unwrap();
        assert!(said.starts_with("gate is an approval, which cannot be"), "{said}");
    }
    m.say(Word::Retry { task: task("gate"), why: String::new() });
    assert!(m.run.asking(1).unwrap().1.yes.is_empty());
    vote(&mut m, "ann@desk", true, &[]);
    vote(&mut m, "bob@desk", true, &[]);
    m.exit("act[local]", 0);
    assert_eq!(m.run.outcome(), Some(Outcome::Succeeded));
    assert_eq!(vote(&mut m, "eve@desk", true, &[]).as_deref(), Some("the run is over: it succeeded"));
    let mut other = asking("count: 1");
    vote(&mut other, "ann@desk", true, &[]);
    assert_eq!(vote(&mut other, "bob@desk", true, &[]).as_deref(), Some("gate is approved already"));
    let act = Word::Approve { task: task("act[local]"), facts: before, groups: Vec::new(), why: String::new() };
    assert_eq!(refusal(&other.say(act)).as_deref(), Some("act[local] is no approval"));
}

#[test]
fn a_no_takes_back_what_was_done_where_the_runbook_wants_it() {
    let yaml = "runbook: x\non_failure: undo\nsteps:\n  - { id: a, run: a, undo: back }\n  - { id: gate, approve: go on? }\n  - { id: b, run: b }\n";
    let mut m = Machine::start(plan(yaml));
    m.exit("a[local]", 0);
    vote(&mut m, "bob@desk", false, &[]);
    assert_eq!(m.wanted(), ["carry a[local]#1.undo1"]);
}

#[test]
fn the_time_for_an_answer_ends_as_the_step_says() {
    let mut m = asking("count: 2, timeout: 60s");
    assert!(!m.run.is_parked() && m.run.waits_for_people(), "somebody must watch the clock");
    vote(&mut m, "ann@desk", true, &[]);
    m.crash();
    m.tick();
    assert_eq!(m.states()[1], "gate parked");
    let why = format!("{:?}", m.run.task(1).state);
    assert!(why.contains("NotApproved { have: 1, need: 2 }"), "{why}");

    let mut m = asking("count: 2, timeout: 60s, on_timeout: approve");
    m.tick();
    assert_eq!(m.states()[1..], ["gate succeeded", "act[local] running"]);
    assert_eq!(m.run.task(1).state.word(), "succeeded");
}

#[test]
fn while_people_think_the_rest_goes_on() {
    let yaml = "runbook: x\nmax_parallel: 1\nsteps:\n  - { id: gate, approve: go on? }\n  - { id: a, needs: [], run: a }\n  - { id: b, needs: [a], run: b }\n";
    let mut m = Machine::start(plan(yaml));
    m.exit("a[local]", 0);
    assert_eq!(m.states(), ["gate asking", "a[local] succeeded", "b[local] running"]);
    assert_eq!(m.run.waits(), None, "something runs");
    m.exit("b[local]", 0);
    m.say(Word::Cancel { why: String::new() });
    assert_eq!(m.run.outcome(), Some(Outcome::Cancelled));
    assert_eq!(m.states()[0], "gate failed");
}

#[test]
fn a_paused_run_begins_nothing_new_and_what_runs_goes_on() {
    let yaml = "runbook: x\nsteps:\n  - { id: a, run: a, verify: { run: v, within: 10s, every: 2s }, retry: { times: 1, delay: 5s } }\n  - { id: b, run: b }\n";
    let mut m = Machine::start(plan(yaml));
    let pause = || Word::Pause { why: "looking".into() };
    assert_eq!(short(&m.say(pause())), ["word_taken", "run_paused"]);
    assert_eq!(refusal(&m.say(pause())).as_deref(), Some("the run is paused already"));
    m.crash();
    assert_eq!(m.run.waits().unwrap().text, "paused by operator@desk: looking");
    assert!(!m.run.is_parked(), "a runs");
    m.exit("a[local]", 0);
    assert_eq!(m.wanted(), ["carry a[local]#1.verify1"], "what runs goes on, its verify too");
    // Its time to verify is over: a further attempt is something new.
    m.now = Timestamp(100_000);
    m.exit("a[local]", 1);
    assert_eq!(m.states()[0], "a[local] retrying");
    assert_eq!(m.wanted(), [""; 0]);
    assert!(m.run.is_parked());
    m.crash();
    m.say(Word::Resume { why: String::new() });
    m.tick();
    assert_eq!(m.wanted(), ["carry a[local]#2.main1"]);
    m.say(pause());
    m.exit("a[local]", 0);
    m.exit("a[local]", 0);
    assert_eq!(m.states(), ["a[local] succeeded", "b[local] waiting"]);
    assert!(m.run.is_parked());
    m.say(Word::Resume { why: String::new() });
    assert_eq!(m.wanted(), ["carry b[local]#1.main1"]);
    assert_eq!(refusal(&m.say(Word::Resume { why: String::new() })).as_deref(), Some("the run is not paused"));
}

#[test]
fn a_cancel_ends_a_pause_and_finally_runs() {
    let yaml = "runbook: x\nsteps:\n  - { id: a, run: a }\n  - { id: b, run: b }\nfinally:\n  - { id: f, run: f }\n";
    let mut m = Machine::start(plan(yaml));
    m.say(Word::Pause { why: String::new() });
    m.exit("a[local]", 0);
    m.say(Word::Cancel { why: String::new() });
    assert_eq!(m.run.paused(), None);
    assert_eq!(m.wanted(), ["carry f[local]#1.main1"]);
}

#[test]
fn a_failure_in_a_pause_takes_nothing_back_before_the_run_is_resumed() {
    let yaml = "runbook: x\non_failure: undo\nsteps:\n  - { id: a, run: a, undo: back }\n";
    let mut m = Machine::start(plan(yaml));
    m.say(Word::Pause { why: String::new() });
    m.exit("a[local]", 1);
    assert_eq!(m.wanted(), [""; 0]);
    m.say(Word::Resume { why: String::new() });
    assert_eq!(m.wanted(), ["carry a[local]#1.undo1"]);
    m.say(Word::Pause { why: String::new() });
    m.exit("a[local]", 1);
    let said = refusal(&m.say(Word::Retry { task: task("a[local]"), why: String::new() }));
    assert_eq!(said.as_deref(), Some("the run is paused: nothing new begins before `piton resume`"));
}

#[test]
fn an_approval_holds_for_its_plan_and_its_run_alone() {
    let yaml = |script: &str, title: &str| {
        format!(
            "runbook: x\ntitle: {title}\nsteps:\n  - {{ id: gate, approve: go on? }}\n  - {{ id: a, run: {script} }}\n  - {{ id: b, run: b }}\n"
        )
    };
    let old = plan(&yaml("a", "one"));
    let mut m = Machine::start(old.clone());
    let corrected = plan(&yaml("other", "one"));
    let obstacles = |m: &Machine, new| m.run.onto(new).obstacles.into_iter().map(|o| o.why).collect::<Vec<_>>();
    let why = ["gate was approved for the plan as it is"];
    assert_eq!(obstacles(&m, &corrected), why, "people look at the plan as it is");
    let facts = m.run.asking(0).unwrap().1.facts;
    assert_eq!(refusal(&m.say_as("ann@desk", word(true, facts, &[]))), None);
    m.exit("a[local]", 1);
    assert_eq!(obstacles(&m, &corrected), why);
    assert!(m.replan(&corrected).is_empty());
    assert_eq!(obstacles(&m, &plan(&yaml("a", "two"))), [""; 0], "another title is the same plan to them");

    // A rerun asks again, and what had been done behind the approval stands.
    m.say(Word::Resolve { task: task("a[local]"), why: "by hand".into(), outputs: Default::default() });
    m.exit("b[local]", 1);
    let taken = m.run.results(|_| false);
    assert_eq!(taken.iter().map(|t| t.task.to_string()).collect::<Vec<_>>(), ["a[local]"]);
    let mut next = Machine::rerun(old, &m.run, taken);
    assert_eq!(next.states(), ["gate asking", "a[local] succeeded", "b[local] waiting"]);
    next.crash();
    let facts = next.run.asking(0).unwrap().1.facts;
    assert_eq!(refusal(&next.say_as("ann@desk", word(true, facts, &[]))), None);
    assert_eq!(next.states(), ["gate succeeded", "a[local] succeeded", "b[local] running"]);
    next.exit("b[local]", 0);
    assert_eq!(next.run.outcome(), Some(Outcome::Succeeded));
}

#[test]
fn a_pause_and_locks_outlast_a_corrected_plan() {
    let yaml = |script: &str, lock: &str| {
        format!(
            "runbook: x\nlocks: [vm/a]\nsteps:\n  - {{ id: a, run: {script}, locks: one }}\n  - {{ id: b, needs: [], run: b, locks: {lock} }}\n"
        )
    };
    let mut m = Machine::start(plan(&yaml("a", "two")));
    m.grant(None);
    m.grant(Some(task("a[local]")));
    m.say(Word::Pause { why: String::new() });
    m.exit("a[local]", 1);
    assert_eq!(m.wanted(), ["hold b[local]"]);
    let other = plan(&yaml("a", "two").replace("vm/a", "vm/b"));
    assert_eq!(m.run.onto(&other).obstacles[0].why, "it wants other locks for the run as a whole");
    assert!(!m.replan(&plan(&yaml("corrected", "three"))).is_empty());
    assert!(m.run.paused().is_some());
    m.crash();
    m.say(Word::Resume { why: String::new() });
    m.say(Word::Retry { task: task("a[local]"), why: String::new() });
    assert_eq!(m.wanted(), ["carry a[local]#2.main1", "hold b[local]"], "a has its locks still, b asks for others");
}
