//! One step that is many: items found out while the run goes on, blocks, calls.

use piton_core::run::{Event, Outcome, Word};
use piton_testkit::machine::{Machine, check_order, task};
use piton_testkit::plans::{plan, plan_calling, plan_with};
use serde_json::json;

const FOUND: &str = r#"
runbook: x
steps:
  - { id: list, run: list }
  - id: move
    for_each: steps.list.outputs.guests
    run: move
    undo: back
  - { id: after, run: after }
"#;

fn env(m: &Machine, task: &str) -> Vec<(String, String)> {
    m.run.job_text(&m.job(task)).unwrap().env
}

#[test]
fn a_list_that_a_step_puts_out_becomes_tasks() {
    let mut m = Machine::start(plan(FOUND));
    assert_eq!(m.states(), ["list[local] running", "move waiting", "after[local] waiting"]);
    m.exit_with("list[local]", json!({ "guests": ["web1", "../db 1"] }));
    assert_eq!(m.wanted(), ["carry move[local/../db 1]#1.main1", "carry move[local/web1]#1.main1"]);
    assert!(env(&m, "move[local/../db 1]").contains(&("PITON_ITEM".into(), "../db 1".into())));
    assert!(env(&m, "move[local/web1]").contains(&("item".into(), "web1".into())));
    m.crash();
    m.exit("move[local/web1]", 0);
    assert_eq!(m.wanted(), ["carry move[local/../db 1]#1.main1"], "the step after waits for all items");
    m.exit("move[local/../db 1]", 0);
    m.crash();
    m.exit("after[local]", 0);
    assert_eq!(m.run.outcome(), Some(Outcome::Succeeded));
    check_order(m.run.plan(), &m.log);
}

#[test]
fn an_empty_list_is_success() {
    let mut m = Machine::start(plan(FOUND));
    m.exit_with("list[local]", json!({ "guests": [] }));
    assert_eq!(m.states(), ["list[local] succeeded", "move succeeded", "after[local] running"]);
    let yaml = "runbook: x\nparams: { all: { type: list, default: [] } }\nsteps:\n  - { id: a, run: a }\n  - { id: b, for_each: all, run: b }\n  - { id: c, run: c }\n";
    let mut m = Machine::start(plan(yaml));
    assert_eq!(m.wanted(), ["carry a[local]#1.main1"], "an empty list keeps the order");
    m.exit("a[local]", 0);
    assert_eq!(m.wanted(), ["carry c[local]#1.main1"]);
}

#[test]
fn a_list_that_is_none_fails_the_step_and_can_be_skipped_or_tried_again() {
    for (bad, says) in [
        (json!({ "guests": "web1" }), "`for_each`: it is a text, not a list"),
        (json!({ "guests": ["a", "a"] }), "`for_each`: item 2 has the name of an earlier one: `a`"),
        (json!({ "guests": [{ "disk": 1 }] }), "`for_each`: item 1 is a map without a `name` or an `id`"),
        (json!({}), "there is no `guests`"),
    ] {
        let mut m = Machine::start(plan(FOUND));
        let events = m.exit_with("list[local]", bad);
        let Some(Event::TaskParked { task: parked, why }) = events.last() else { panic!("{events:?}") };
        assert_eq!(parked.to_string(), "move");
        assert!(why.to_string().contains(says), "{why}");
        m.crash();
        let resolve = Word::Resolve { task: task("move"), outputs: Default::default(), why: String::new() };
        let refused = m.say(resolve);
        assert!(matches!(&refused[..], [Event::WordTaken { refused: Some(_), .. }]), "{refused:?}");
        m.say(Word::Skip { task: task("move"), why: String::new() });
        assert_eq!(m.wanted(), ["carry after[local]#1.main1"]);
    }
}

#[test]
fn items_that_are_known_stand_in_the_plan() {
    let yaml = "runbook: x\nparams: { vms: { type: list } }\nsteps:\n  - { id: a, hosts: [h1, h2], for_each: vms, run: a }\n  - { id: b, hosts: [h1, h2], run: b, for_each: [{ name: x, size: 3 }] }\n";
    let m = Machine::start(plan_with(yaml, &[("vms", "v1,v2")]));
    let names = ["a[h1/v1]", "a[h2/v1]", "a[h1/v2]", "a[h2/v2]", "b[h1/x]", "b[h2/x]"];
    assert_eq!(m.run.tasks().map(|(id, _)| id.to_string()).collect::<Vec<_>>(), names);
}

#[test]
fn fields_of_a_map_reach_the_script_and_expressions() {
    let yaml = "runbook: x\nparams: { item_cpu: { type: integer, default: 9 } }\nsteps:\n  - id: a\n    for_each: [{ name: web, size: 3, cpu: 1 }, { name: db, size: 7, cpu: 2 }]\n    when: item.size > 5\n    run: a\n    env: { BIG: \"{{ item.size * 2 }}\" }\n";
    let m = Machine::start(plan(yaml));
    assert_eq!(m.states(), ["a[local/web] skipped", "a[local/db] running"]);
    let env = env(&m, "a[local/db]");
    for (name, value) in [("BIG", "14"), ("item_size", "7"), ("PITON_ITEM", "db"), ("item_cpu", "9")] {
        assert!(env.contains(&(name.into(), value.into())), "{name}: {env:?}");
    }
}

const BLOCK: &str = r#"
runbook: x
on_failure: undo
steps:
  - { id: list, run: list }
  - id: guests
    for_each: steps.list.outputs.guests
    steps:
      - { id: stop, run: stop, undo: start-again }
      - { id: copy, hosts: [a, b], run: copy, undo: remove, env: { V: "{{ steps.stop.outputs.v }}" } }
      - { id: start, run: start }
  - { id: after, run: after, env: { S: "{{ steps.guests.state }} {{ steps.stop.items[\"g2\"].outputs.v }}" } }
finally:
  - { id: f, run: f }
"#;

fn in_block() -> Machine {
    let mut m = Machine::start(plan(BLOCK));
    m.exit_with("list[local]", json!({ "guests": ["g1", "g2"] }));
    m
}

#[test]
fn in_a_block_each_item_goes_its_own_way() {
    let mut m = in_block();
    m.exit_with("stop[local/g1]", json!({ "v": "one" }));
    assert_eq!(m.wanted(), ["carry copy[a/g1]#1.main1", "carry copy[b/g1]#1.main1", "carry stop[local/g2]#1.main1"]);
    assert!(env(&m, "copy[a/g1]").contains(&("V".into(), "one".into())));
    m.exit("copy[a/g1]", 0);
    m.crash();
    m.exit("copy[b/g1]", 0);
    assert_eq!(m.wanted(), ["carry start[local/g1]#1.main1", "carry stop[local/g2]#1.main1"]);
    m.exit("start[local/g1]", 0);
    m.exit_with("stop[local/g2]", json!({ "v": "two" }));
    assert!(env(&m, "copy[a/g2]").contains(&("V".into(), "two".into())));
    for one in ["copy[a/g2]", "copy[b/g2]", "start[local/g2]"] {
        m.exit(one, 0);
    }
    assert!(env(&m, "after[local]").contains(&("S".into(), "succeeded two".into())));
    m.exit("after[local]", 0);
    m.exit("f[local]", 0);
    assert_eq!(m.run.outcome(), Some(Outcome::Succeeded));
    check_order(m.run.plan(), &m.log);
}

#[test]
fn items_are_taken_back_in_reverse_with_their_own_values() {
    let mut m = in_block();
    m.exit("stop[local/g1]", 0);
    assert_eq!(m.states()[3], "copy[a/g1] failed", "its `env` has no value");
    let mut m = in_block();
    m.exit_with("stop[local/g1]", json!({ "v": "one" }));
    m.exit_with("stop[local/g2]", json!({ "v": "two" }));
    for one in ["copy[a/g1]", "copy[b/g1]", "copy[b/g2]"] {
        m.exit(one, 0);
    }
    m.exit("copy[a/g2]", 1);
    m.exit("start[local/g1]", 0);
    let mut undone = Vec::new();
    while let Some(job) = m.jobs().first().cloned() {
        if job.attempt.task.step.as_str() == "f" {
            break;
        }
        undone.push(job.attempt.task.to_string());
        let item = job.attempt.task.item.as_ref().unwrap().to_string();
        assert!(env(&m, &job.attempt.task.to_string()).contains(&("PITON_ITEM".into(), item)));
        m.crash();
        m.exit(&job.attempt.task.to_string(), 0);
    }
    assert_eq!(undone, ["copy[b/g2]", "copy[a/g2]", "copy[b/g1]", "copy[a/g1]", "stop[local/g2]", "stop[local/g1]"]);
}

#[test]
fn a_block_without_items_is_its_steps() {
    let yaml = "runbook: x\nparams: { yes: { type: boolean } }\nsteps:\n  - { id: a, hosts: [h1, h2], run: a }\n  - id: b\n    hosts: [h1, h2]\n    when: yes\n    steps:\n      - { id: b1, run: b1 }\n      - { id: b2, run: b2 }\n  - { id: c, hosts: [h2, h1], run: c }\n";
    let mut m = Machine::start(plan_with(yaml, &[("yes", "true")]));
    m.exit("a[h1]", 0);
    assert_eq!(m.wanted(), ["carry a[h2]#1.main1", "carry b1[h1]#1.main1"], "each host for itself");
    m.exit("b1[h1]", 0);
    m.exit("b2[h1]", 0);
    assert_eq!(m.wanted(), ["carry a[h2]#1.main1", "carry c[h1]#1.main1"]);
    let mut m = Machine::start(plan_with(yaml, &[("yes", "false")]));
    m.exit("a[h1]", 0);
    assert_eq!(
        m.states()[2..],
        ["b1[h1] skipped", "b1[h2] waiting", "b2[h1] skipped", "b2[h2] waiting", "c[h2] waiting", "c[h1] running"]
    );
}

const CALLED: &str = r#"
runbook: other
params:
  vm: { type: name }
  where: { type: host, default: h9 }
  size: { type: integer, default: 1 }
on_failure: undo
outputs:
  where: "{{ steps.facts.outputs.at }} {{ vm }}"
steps:
  - { id: facts, hosts: "{{ where }}", run: facts, undo: unfacts }
  - { id: check, run: check, env: { AT: "{{ steps.facts.outputs.at }} {{ size }}" } }
"#;

fn calling(modifiers: &str) -> String {
    format!(
        "runbook: x\nsteps:\n  - {{ id: list, run: list }}\n  - id: mv\n    call: {{ runbook: other, with: {{ vm: \"{{{{ {} }}}}\", size: \"{{{{ steps.list.outputs.size }}}}\" }} }}\n{modifiers}  - {{ id: last, run: last, env: {{ W: \"{}\" }} }}\n",
        if modifiers.contains("for_each") { "item" } else { "steps.list.outputs.vm" },
        if modifiers.contains("for_each") {
            "{{ steps.mv.items.v2.outputs.where }}"
        } else {
            "{{ steps.mv.outputs.where }}"
        },
    )
}

#[test]
fn a_call_is_another_runbook_with_values_of_its_own() {
    let mut m = Machine::start(plan_calling(&calling(""), &[CALLED]));
    assert_eq!(
        m.states()[1..],
        ["mv waiting", "mv/facts[h9] waiting", "mv/check[local] waiting", "last[local] waiting"]
    );
    m.exit_with("list[local]", json!({ "vm": "web1", "size": "12" }));
    assert_eq!(
        env(&m, "mv/facts[h9]"),
        [("size".into(), "12".into()), ("vm".into(), "web1".into()), ("where".into(), "h9".into())]
    );
    m.crash();
    m.exit_with("mv/facts[h9]", json!({ "at": "hv1" }));
    assert!(env(&m, "mv/check[local]").contains(&("AT".into(), "hv1 12".into())));
    m.exit("mv/check[local]", 0);
    assert!(env(&m, "last[local]").contains(&("W".into(), "hv1 web1".into())));
    m.exit("last[local]", 0);
    assert_eq!(m.run.outcome(), Some(Outcome::Succeeded));
}

#[test]
fn a_failure_inside_of_a_call_takes_back_what_was_done_around_it() {
    let yaml = calling("").replace("run: list }", "run: list, undo: unlist }");
    let mut m = Machine::start(plan_calling(&yaml, &[CALLED]));
    m.exit_with("list[local]", json!({ "vm": "web1", "size": 12 }));
    m.exit_with("mv/facts[h9]", json!({ "at": "hv1" }));
    m.exit("mv/check[local]", 1);
    assert_eq!(m.wanted(), ["carry mv/facts[h9]#1.undo1"]);
    assert!(env(&m, "mv/facts[h9]").contains(&("vm".into(), "web1".into())));
    m.exit("mv/facts[h9]", 0);
    assert_eq!(m.wanted(), ["carry list[local]#1.undo1"]);
    m.exit("list[local]", 0);
    assert_eq!(m.run.outcome(), Some(Outcome::Undone));
}

#[test]
fn a_failure_behind_a_call_takes_back_what_the_called_runbook_did() {
    let yaml = calling("").replace("runbook: x\n", "runbook: x\non_failure: undo\n");
    let called = CALLED.replace("run: check", "run: check, undo: uncheck");
    assert_ne!(called, CALLED);
    let mut m = Machine::start(plan_calling(&yaml, &[&called]));
    m.exit_with("list[local]", json!({ "vm": "web1", "size": 12 }));
    m.exit_with("mv/facts[h9]", json!({ "at": "hv1" }));
    m.exit("mv/check[local]", 0);
    m.crash();
    m.exit("last[local]", 1);
    let mut undone = Vec::new();
    while m.run.outcome().is_none() {
        undone.extend(m.wanted());
        // Its own parameters, not those of whoever called it.
        assert!(
            m.jobs().iter().all(|job| env(&m, &job.attempt.task.to_string()).contains(&("size".into(), "12".into())))
        );
        let job = m.jobs().remove(0);
        m.crash();
        m.exit(&job.attempt.task.to_string(), 0);
    }
    assert_eq!(undone, ["carry mv/check[local]#1.undo1", "carry mv/facts[h9]#1.undo1"]);
    assert_eq!(m.run.outcome(), Some(Outcome::Undone));
    check_order(m.run.plan(), &m.log);
}

#[test]
fn a_value_that_the_called_runbook_refuses_fails_the_call() {
    let mut m = Machine::start(plan_calling(&calling(""), &[CALLED]));
    let events = m.exit_with("list[local]", json!({ "vm": "web1", "size": "many" }));
    let Some(Event::TaskParked { task: parked, why }) = events.last() else { panic!("{events:?}") };
    assert_eq!(
        (parked.to_string().as_str(), why.to_string().as_str()),
        ("mv", "`with.size`: `many` is not a whole number (of 64 bits)")
    );
    m.say(Word::Skip { task: task("mv"), why: String::new() });
    assert_eq!(m.states()[1..4], ["mv skipped", "mv/facts[h9] skipped", "mv/check[local] skipped"]);
}

/// Expressions know durations as seconds, and so does the called runbook; a number that stands in the document has no unit.
#[test]
fn a_duration_goes_through_a_call_as_it_is() {
    let called = "runbook: other\nparams:\n  within: { type: duration }\nsteps:\n  - { id: look, run: look }\n";
    let known = "runbook: x\nparams:\n  pause: { type: duration, default: 2m }\nsteps:\n  - id: mv\n    call: { runbook: other, with: { within: \"{{ pause }}\" } }\n";
    let m = Machine::start(plan_calling(known, &[called]));
    assert!(env(&m, "mv/look[local]").contains(&("within".into(), "120".into())));
    let late = "runbook: x\nsteps:\n  - { id: list, run: list }\n  - id: mv\n    call: { runbook: other, with: { within: \"{{ duration(steps.list.outputs.pause) * 2 }}\" } }\n";
    let mut m = Machine::start(plan_calling(late, &[called]));
    m.exit_with("list[local]", json!({ "pause": "90s" }));
    assert!(env(&m, "mv/look[local]").contains(&("within".into(), "180".into())));
}

#[test]
fn a_call_for_each_item_has_values_for_each() {
    let mut m = Machine::start(plan_calling(&calling("    for_each: [v1, v2]\n"), &[CALLED]));
    m.exit_with("list[local]", json!({ "size": 3 }));
    assert_eq!(m.wanted(), ["carry mv/facts[h9/v1]#1.main1", "carry mv/facts[h9/v2]#1.main1"]);
    let of = env(&m, "mv/facts[h9/v2]");
    assert!(of.contains(&("vm".into(), "v2".into())), "{of:?}");
    assert!(
        !of.iter().any(|(name, _)| name == "item" || name == "PITON_ITEM"),
        "a called runbook sees its parameters only"
    );
    for item in ["v1", "v2"] {
        m.exit_with(&format!("mv/facts[h9/{item}]"), json!({ "at": item }));
        m.exit(&format!("mv/check[local/{item}]"), 0);
    }
    assert!(env(&m, "last[local]").contains(&("W".into(), "v2 v2".into())));
}

#[test]
fn finally_of_a_called_runbook_runs_at_the_end_and_only_if_it_was_called() {
    let called = format!("{CALLED}finally:\n  - {{ id: tidy, hosts: \"{{{{ where }}}}\", run: tidy }}\n");
    let mut m = Machine::start(plan_calling(&calling(""), &[&called]));
    m.exit_with("list[local]", json!({ "vm": "web1", "size": 12 }));
    m.say(Word::Cancel { why: String::new() });
    m.stopped("mv/facts[h9]");
    assert_eq!(m.wanted(), ["carry mv/tidy[h9]#1.main1"]);
    assert!(env(&m, "mv/tidy[h9]").contains(&("vm".into(), "web1".into())));
    m.exit("mv/tidy[h9]", 0);
    assert_eq!(m.run.outcome(), Some(Outcome::Cancelled));
    let mut m = Machine::start(plan_calling(&calling(""), &[&called]));
    m.say(Word::Cancel { why: String::new() });
    m.stopped("list[local]");
    assert_eq!(m.run.outcome(), Some(Outcome::Cancelled));
    assert_eq!(m.states().last().unwrap(), "mv/tidy[h9] skipped");
}
