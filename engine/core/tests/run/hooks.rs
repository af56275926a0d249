//! Hooks as the machine sees them: what they ask for and how they end, at the right time and at the wrong one.

use piton_core::digest::Digest;
use piton_core::ids::{HostName, JobId};
use piton_core::run::{CallKind, Effect, Event, HookCall, Input, Outcome, Printed};
use piton_core::value::Map;
use piton_testkit::machine::Machine;
use piton_testkit::plans::plan;

const ONE: &str = "runbook: x\nsteps:\n  - { id: a, hosts: h1, hook: 'log(1)' }\n";

fn hook(m: &Machine) -> JobId {
    let hooks = m.run.wanted().filter_map(|effect| match effect {
        Effect::Hook(hook) => Some(hook.clone()),
        Effect::Fetch
        | Effect::Carry(_)
        | Effect::Stop(_)
        | Effect::Transfer(_)
        | Effect::Answer { .. }
        | Effect::Wake { .. }
        | Effect::Hold(_) => None,
    });
    hooks.last().unwrap()
}

fn call(number: u32, kind: CallKind) -> HookCall {
    HookCall {
        at: String::new(),
        number,
        round: 0,
        kind,
        host: kind.is_job().then(|| HostName::new("h1").unwrap()),
        become_user: None,
        safe: false,
        shown: format!("call {number}"),
        digest: Digest::of(&number.to_le_bytes()),
        answer: None,
    }
}

fn asks(m: &mut Machine, number: u32, kind: CallKind) -> usize {
    let hook = hook(m);
    let events = m.tell(Input::HookCalled { hook, call: call(number, kind) });
    events.iter().filter(|event| matches!(event, Event::HookCalled { .. })).count()
}

fn ends(m: &mut Machine) -> Vec<Event> {
    let hook = hook(m);
    m.tell(Input::HookEnded { hook, end: Ok(Map::new()), printed: Printed::default() })
}

/// News may come late or twice, from an evaluation that nobody wants any more: each call stands in the journal once, in order.
#[test]
fn a_call_is_taken_up_once_and_in_its_turn() {
    let mut m = Machine::start(plan(ONE));
    assert_eq!(asks(&mut m, 2, CallKind::Now), 0, "ahead of its turn");
    assert_eq!(asks(&mut m, 1, CallKind::Now), 1);
    assert_eq!(asks(&mut m, 1, CallKind::Now), 0, "a second time");
    assert_eq!(asks(&mut m, 2, CallKind::Run), 1);
    assert_eq!(asks(&mut m, 2, CallKind::Run), 0, "while it is going on");
    assert_eq!(asks(&mut m, 3, CallKind::Now), 0, "before the one before was answered");
    assert_eq!(m.jobs().len(), 1);
    assert!(ends(&mut m).is_empty(), "what it asked for is going on");
    m.crash();
    assert_eq!(m.jobs().len(), 1, "and is found again");
    m.exit("a[h1]", 0);
    assert_eq!(asks(&mut m, 2, CallKind::Run), 0, "answered");
    assert_eq!(asks(&mut m, 3, CallKind::Notify), 1);
    assert!(!ends(&mut m).is_empty());
    assert_eq!(m.run.outcome(), Some(Outcome::Succeeded));
}

/// An evaluation of an attempt that is over has nothing to say.
#[test]
fn the_hook_of_an_attempt_that_is_over_is_not_heard() {
    let mut m = Machine::start(plan(ONE));
    let old = hook(&m);
    m.tell(Input::HookEnded { hook: old.clone(), end: Err("no".to_owned()), printed: Printed::default() });
    assert!(m.run.is_parked());
    let late = m.tell(Input::HookCalled { hook: old.clone(), call: call(1, CallKind::Now) });
    assert!(late.is_empty(), "{late:?}");
    let late = m.tell(Input::HookEnded { hook: old.clone(), end: Ok(Map::new()), printed: Printed::default() });
    assert!(late.is_empty(), "{late:?}");
    let late = m.tell(Input::HookDiffered { hook: old, number: 1, recorded: String::new(), made: String::new() });
    assert!(late.is_empty(), "{late:?}");
}
