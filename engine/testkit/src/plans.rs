//! Plans from YAML, for tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use piton_core::fault::Source;
use piton_core::inventory::Inventory;
use piton_core::plan::{Plan, Surroundings};
use piton_core::runbook::{self, Library};
use proptest::prelude::*;

/// The plan of a runbook; every host name is taken as known.
///
/// # Panics
/// If the runbook has faults: the test is wrong.
pub fn plan(yaml: &str) -> Plan {
    plan_with(yaml, &[])
}

/// The plan of a runbook with parameters.
///
/// # Panics
/// If the runbook or a parameter has faults: the test is wrong.
pub fn plan_with(yaml: &str, params: &[(&str, &str)]) -> Plan {
    plan_of(yaml, params, &Library::new())
}

/// The plan of the first of these runbooks, which may call the others.
///
/// # Panics
/// If one of them has faults: the test is wrong.
pub fn plan_calling(yaml: &str, others: &[&str]) -> Plan {
    let mut library = Library::new();
    for other in others {
        let source = Source { name: Arc::from("other.yaml"), text: Arc::from(*other) };
        let (runbook, faults) = runbook::parse(&source);
        assert_eq!(faults, vec![], "the called runbook has faults");
        let runbook = runbook.expect("no faults, so there is a runbook");
        library.insert(runbook.name.clone(), (runbook, source));
    }
    plan_of(yaml, &[], &library)
}

fn plan_of(yaml: &str, params: &[(&str, &str)], library: &Library) -> Plan {
    let source = Source { name: Arc::from("test.yaml"), text: Arc::from(yaml) };
    let (runbook, faults) = runbook::parse(&source);
    assert_eq!(faults, vec![], "the test's runbook has faults");
    let runbook = runbook.expect("no faults, so there is a runbook");
    assert_eq!(runbook::check_calls(&runbook, &source, library), vec![], "the test's calls have faults");
    let given: BTreeMap<String, String> = params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let params = runbook::read_params(&runbook.params, &given).expect("the test's parameters are right");
    let inventory = Inventory::default();
    let around = Surroundings {
        inventory: &inventory,
        allow_unknown_hosts: true,
        project: "/project",
        source: &source,
        library,
    };
    Plan::build(runbook, params, &around).expect("the test's runbook can be planned")
}

/// A random step for [`any_runbook`].
#[derive(Debug, Clone)]
struct AnyStep {
    needs: Vec<prop::sample::Index>,
    hosts: usize,
    barrier: bool,
    unless: bool,
    verify: bool,
    undo: bool,
    safe: bool,
    retry: u8,
    timeout: bool,
    on_failure: Option<&'static str>,
    locks: u8,
    approve: bool,
}

fn any_step() -> impl Strategy<Value = AnyStep> {
    let policy = prop_oneof![
        4 => Just(None), 1 => Just(Some("stop")), 1 => Just(Some("continue")), 1 => Just(Some("undo"))
    ];
    (
        prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        1..4usize,
        any::<bool>(),
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.4),
        any::<bool>(),
        0..3u8,
        prop::bool::weighted(0.2),
        policy,
        (0..4u8, prop::bool::weighted(0.15)),
    )
        .prop_map(|(needs, hosts, barrier, unless, verify, undo, safe, retry, timeout, on_failure, people)| {
            AnyStep {
                needs,
                hosts,
                barrier,
                unless,
                verify,
                undo,
                safe,
                retry,
                timeout,
                on_failure,
                locks: people.0,
                approve: people.1,
            }
        })
}

/// Random runbooks: up to eight steps under `steps`, up to two under `finally`.
pub fn any_runbook() -> impl Strategy<Value = String> {
    let policy = prop_oneof![Just("stop"), Just("continue"), Just("undo")];
    let all = (prop::collection::vec(any_step(), 1..8), prop::collection::vec(any_step(), 0..3));
    (all, policy, 1..6u32, prop::bool::weighted(0.3)).prop_map(|((steps, finally), policy, parallel, locks)| {
        let mut yaml = format!("runbook: any\ntitle: any\non_failure: {policy}\nmax_parallel: {parallel}\n");
        yaml.push_str(if locks { "locks: [vm/a, { name: images, shared: true }]\nsteps:\n" } else { "steps:\n" });
        steps.iter().enumerate().for_each(|(i, step)| write_step(&mut yaml, 's', i, step));
        if !finally.is_empty() {
            yaml.push_str("finally:\n");
            finally.iter().enumerate().for_each(|(i, step)| write_step(&mut yaml, 'f', i, step));
        }
        yaml
    })
}

fn locks_of(step: &AnyStep) -> Option<&'static str> {
    match step.locks {
        1 => Some("locks: vm/a"),
        2 => Some("locks: [{ name: vm/a, shared: true }, { name: backups, count: 2 }]"),
        _ => None,
    }
}

fn write_step(yaml: &mut String, letter: char, index: usize, step: &AnyStep) {
    let mut line = |text: String| {
        yaml.push_str(&text);
        yaml.push('\n');
    };
    let needs: std::collections::BTreeSet<usize> =
        if index == 0 { Default::default() } else { step.needs.iter().map(|n| n.index(index)).collect() };
    let needs: Vec<String> = needs.iter().map(|n| format!("{letter}{n}")).collect();
    let hosts: Vec<String> = (0..step.hosts).map(|h| format!("h{h}")).collect();
    line(format!("  - id: {letter}{index}"));
    line(format!("    needs: [{}]", needs.join(", ")));
    if let Some(locks) = locks_of(step) {
        line(format!("    {locks}"));
    }
    if step.approve {
        let timeout = if step.timeout { ", timeout: 60s" } else { "" };
        line(format!("    approve: {{ prompt: go on?, count: {}{timeout} }}", 1 + step.retry));
        if let Some(policy) = step.on_failure {
            line(format!("    on_failure: {policy}"));
        }
        return;
    }
    line(format!("    hosts: [{}]", hosts.join(", ")));
    line(format!("    run: do-{letter}{index}"));
    for (set, text) in [
        (step.barrier && !needs.is_empty(), "barrier: true"),
        (step.unless, "unless: look"),
        (step.verify, "verify: { run: look, within: 10s, every: 3s }"),
        (step.undo && letter == 's' && step.safe, "undo: { run: back, timeout: 30s }"),
        (step.undo && letter == 's' && !step.safe, "undo: back"),
        (step.safe, "repeat: safe"),
        (step.timeout, "timeout: 60s"),
    ] {
        if set {
            line(format!("    {text}"));
        }
    }
    if step.retry > 0 {
        line(format!("    retry: {{ times: {}, delay: 1s }}", step.retry));
    }
    if let Some(policy) = step.on_failure {
        line(format!("    on_failure: {policy}"));
    }
}

/// Random runbooks with blocks, `for_each` (known and found out), batches and limits.
///
/// The first step is `list`; whoever drives the run has it put out `all`, a list of names.
pub fn any_growing_runbook() -> impl Strategy<Value = String> {
    let policy = prop_oneof![Just("stop"), Just("continue"), Just("undo")];
    (prop::collection::vec(any_many(), 1..5), any_step(), policy, 1..6u32).prop_map(|(many, last, policy, parallel)| {
        let mut yaml = format!(
            "runbook: any\ntitle: any\non_failure: {policy}\nmax_parallel: {parallel}\nsteps:\n  - {{ id: list, run: list, retry: 3 }}\n"
        );
        many.iter().enumerate().for_each(|(i, many)| write_many(&mut yaml, i, many));
        yaml.push_str("finally:\n");
        write_step(&mut yaml, 'f', 0, &last);
        yaml
    })
}

/// A random step that is many, or a block of such, for [`any_growing_runbook`].
#[derive(Debug, Clone)]
struct AnyMany {
    inner: Vec<AnyStep>,
    block: bool,
    each: u8,
    free: bool,
    batch: Option<&'static str>,
    max_failures: Option<&'static str>,
    max_parallel: Option<u8>,
    on_failure: Option<&'static str>,
    when: bool,
}

fn any_many() -> impl Strategy<Value = AnyMany> {
    let batch = prop_oneof![2 => Just(None), 1 => Just(Some("1")), 1 => Just(Some("[1, 2]")), 1 => Just(Some("40%"))];
    let failures = prop_oneof![2 => Just(None), 1 => Just(Some("0")), 1 => Just(Some("1")), 1 => Just(Some("50%"))];
    let policy =
        prop_oneof![4 => Just(None), 1 => Just(Some("stop")), 2 => Just(Some("continue")), 1 => Just(Some("undo"))];
    (
        prop::collection::vec(any_step(), 1..4),
        any::<bool>(),
        0..3u8,
        prop::bool::weighted(0.2),
        batch,
        failures,
        prop::option::of(1..4u8),
        policy,
        prop::bool::weighted(0.2),
    )
        .prop_map(|(inner, block, each, free, batch, max_failures, max_parallel, on_failure, when)| AnyMany {
            inner,
            block,
            each,
            free,
            batch,
            max_failures,
            max_parallel,
            on_failure,
            when,
        })
}

fn write_many(yaml: &mut String, index: usize, many: &AnyMany) {
    let mut line = |text: String| {
        yaml.push_str(&text);
        yaml.push('\n');
    };
    let [first, ..] = many.inner.as_slice() else { return };
    line(format!("  - id: m{index}"));
    if many.free {
        line("    needs: [list]".to_owned());
    }
    match many.each {
        0 => {}
        1 => line("    for_each: [x, y, z]".to_owned()),
        _ => line("    for_each: steps.list.outputs.all".to_owned()),
    }
    if many.when && many.each > 0 {
        line("    when: item != \"y\"".to_owned());
    }
    // A block for items may have steps on several hosts; one that counts hosts has none of its own.
    let hosts = if many.block && many.each > 0 { 0 } else { first.hosts };
    if hosts > 0 {
        let hosts: Vec<String> = (0..hosts).map(|h| format!("h{h}")).collect();
        line(format!("    hosts: [{}]", hosts.join(", ")));
    }
    for (name, value) in [("batch", many.batch), ("max_failures", many.max_failures), ("on_failure", many.on_failure)] {
        if let Some(value) = value {
            line(format!("    {name}: {value}"));
        }
    }
    if let Some(most) = many.max_parallel {
        line(format!("    max_parallel: {most}"));
    }
    if !many.block {
        line(format!("    run: do-m{index}"));
        if let Some(locks) = locks_of(first) {
            line(format!("    {locks}"));
        }
        for (set, text) in [(first.unless, "unless: look"), (first.undo, "undo: back"), (first.safe, "repeat: safe")] {
            if set {
                line(format!("    {text}"));
            }
        }
        return;
    }
    line("    steps:".to_owned());
    let counts = many.batch.is_some() || many.max_failures.is_some() || many.max_parallel.is_some();
    for (number, step) in many.inner.iter().enumerate() {
        line(format!("      - id: m{index}-{number}"));
        if step.approve && (many.each > 0 || !counts) {
            line("        approve: { prompt: go on? }".to_owned());
            continue;
        }
        if let Some(locks) = locks_of(step) {
            line(format!("        {locks}"));
        }
        line(format!("        run: do-m{index}-{number}"));
        if many.each > 0 {
            let hosts: Vec<String> = (0..step.hosts).map(|h| format!("h{h}")).collect();
            line(format!("        hosts: [{}]", hosts.join(", ")));
        }
        if number > 0 && step.safe {
            line(format!("        needs: [m{index}-0]"));
        }
        for (set, text) in [
            (step.unless, "unless: look".to_owned()),
            (step.verify, "verify: look".to_owned()),
            (step.undo, "undo: back".to_owned()),
            (step.timeout, "timeout: 60s".to_owned()),
            (step.retry == 2, "max_parallel: 1".to_owned()),
        ] {
            if set {
                line(format!("        {text}"));
            }
        }
    }
}
