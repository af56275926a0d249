mod expressions;
mod forms;
mod nonsense;
mod params;
mod steps;

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::runbook::{Action, Manner, OutputRule, ParamKind, PutSource, Repeat, RetryOn};

fn read(text: &str) -> (Option<Runbook>, Vec<String>) {
    let (runbook, faults) = parse(&Source { name: "r".into(), text: text.into() });
    assert_eq!(runbook.is_none(), !faults.is_empty());
    (runbook, faults.iter().map(ToString::to_string).collect())
}

fn good(text: &str) -> Runbook {
    let (runbook, faults) = read(text);
    assert_eq!(faults, [""; 0]);
    runbook.unwrap()
}

#[test]
fn a_document_that_is_no_runbook() {
    for (text, faults) in [
        ("", vec!["r:1:1: syntax: the document is empty"]),
        ("x", vec!["r:1:1: wrong-type: `runbook` takes a map, not a text"]),
        (
            "{}",
            vec![
                "r:1:1: missing-field: `runbook` needs `runbook` (its name: `runbook: restart-storage`)",
                "r:1:1: missing-field: `runbook` needs `steps` (a list of steps, each with an `id` and an action)",
            ],
        ),
        (
            "runbook: X\nsteps: []\n",
            vec![
                "r:1:10: bad-name: `X` is not a runbook name: a lower-case letter, then lower-case letters, digits, `-` or `_`, 64 at most",
                "r:2:8: missing-field: `steps` has no step",
            ],
        ),
        ("runbook: x\nsteps:\n  run: y\n", vec!["r:3:3: wrong-type: `steps` takes a list, not a map"]),
        (
            "runbook: x\nsteps: [y, {}]\n",
            vec![
                "r:2:9: wrong-type: `step` takes a map, not a text",
                "r:2:12: missing-field: `step` needs `id` (a short name, such as `id: stop`)",
                "r:2:12: action: the step does nothing (give it one of `run`, `exec`, `put`, `get`, `transfer`, `reboot`, `hook`, `assert`, `wait`, `approve`, `call`, `steps`)",
            ],
        ),
        (
            "runbook: x\nsteps: [{ id: a, run: y }]\nwindows: []\nstepz: 1\nmax_parallel: 0\non_failure: retry\n",
            vec![
                "r:3:1: unknown-field: `windows` is not in this version of Piton",
                "r:4:1: unknown-field: `runbook` has no field `stepz` (did you mean `steps`?)",
                "r:5:15: bad-value: `max_parallel` is 0 and must be from 1 to 100000",
                "r:6:13: bad-value: `on_failure` cannot be `retry` (it is one of `stop`, `undo`, `continue`)",
            ],
        ),
    ] {
        assert_eq!(read(text).1, faults, "{text}");
    }
}

#[test]
fn order_is_checked_over_the_whole_document() {
    let text = "\
runbook: r
steps:
  - { id: a, run: x, needs: [c] }
  - { id: b, run: x }
  - { id: c, run: x }
  - { id: d, run: x, needs: [f] }
  - { id: e, run: x, needs: [] }
  - { id: f, run: x, needs: [d] }
  - { id: g, run: x, needs: [tidy] }
finally:
  - { id: tidy, run: x, needs: [a] }
  - { id: last, run: x, when: steps.a.exit == 0 && steps.tidy.exit == 0 }
  - { id: more, run: x, needs: [] }
";
    assert_eq!(
        read(text).1,
        [
            "r:3:30: cycle: these steps need each other, so none can begin: `a`, `b`, `c`",
            "r:6:30: cycle: these steps need each other, so none can begin: `d`, `f`",
            "r:9:30: unknown-need: `tidy` stands under `finally`, which begins when all other steps have ended",
            "r:11:33: unknown-need: a step under `finally` cannot need `a`, which stands under `steps` (all steps have ended by then; take it out (its outputs can be read all the same))",
        ]
    );
    let text = "\
runbook: r
steps:
  - { id: a, run: x, when: steps.tidy.exit == 0 }
finally:
  - { id: tidy, run: x }
  - { id: more, run: x, needs: [], when: steps.tidy.exit == 0 }
";
    assert_eq!(
        read(text).1,
        [
            "r:3:28: unknown-need: `a` reads `tidy`, but does not come after it: it may have nothing to read (move what reads it to a later step)",
            "r:6:42: unknown-need: `more` reads `tidy`, but does not come after it: it may have nothing to read (add `needs: [tidy]`)",
        ]
    );
}

#[test]
fn a_long_chain_ends_no_stack_and_all_may_read_the_first() {
    let mut text = String::from("runbook: r\nsteps:\n- { id: s0, run: x }\n");
    for n in 1..20_000 {
        let _ = writeln!(text, "- {{ id: s{n}, run: x, when: steps.s0.exit == 0 }}");
    }
    assert_eq!(good(&text).steps.len(), 20_000);
    let text = format!("runbook: r\nsteps: [{}]", "x, ".repeat(MAX_STEPS + 1));
    assert_eq!(read(&text).1, ["r:1:1: too-large: the runbook has 50001 steps, more than 50000"]);
}

#[test]
fn one_shared_step_by_alias_is_two_steps_with_one_id() {
    let text = "runbook: r\nsteps:\n  - &a { id: a, run: x }\n  - *a\n";
    assert_eq!(read(text).1, ["r:3:14: duplicate: two steps have the id `a`; the first is in line 3, column 14"]);
}

/// The faults of one step, whose first line is line 4 of the document; one more step `a` stands above it.
fn step(text: &str) -> Vec<String> {
    let indented = text.replace('\n', "\n    ");
    read(&format!(
        "runbook: r\nparams: {{ vm: {{ type: name }}, fro: {{ type: host }} }}\nsteps: [{{ id: a, run: x }},\n    {indented}]\n"
    ))
    .1
}

/// The faults of a step written as a block; its first line is line 5.
fn block(text: &str) -> Vec<String> {
    let indented = text.replace('\n', "\n    ");
    read(&format!(
        "runbook: r\nparams: {{ vm: {{ type: name }}, fro: {{ type: host }} }}\nsteps:\n  - {{ id: a, run: x }}\n  - {indented}\n"
    ))
    .1
}

/// Shows every difference at once.
fn same(told: Vec<(&str, Vec<String>, Vec<String>)>) {
    let wrong: Vec<_> = told.into_iter().filter(|(_, found, expected)| found != expected).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
