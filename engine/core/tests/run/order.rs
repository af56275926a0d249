//! Who waits for whom.

use piton_core::run::Outcome;
use piton_testkit::machine::Machine;
use piton_testkit::plans::{plan, plan_with};
use serde_json::json;

use super::short;

#[test]
fn a_chain_goes_step_by_step_and_one_append_ends_a_step_and_starts_the_next() {
    let mut m = Machine::start(plan("runbook: x\nsteps:\n  - { id: a, run: a }\n  - { id: b, run: b }\n"));
    assert_eq!(m.wanted(), ["carry a[local]#1.main1"]);
    let events = m.exit("a[local]", 0);
    assert_eq!(short(&events), ["job_exited a[local]", "task_succeeded a[local]", "attempt_started b[local]"]);
    assert_eq!(m.wanted(), ["carry b[local]#1.main1"]);
    let events = m.exit("b[local]", 0);
    assert_eq!(short(&events), ["job_exited b[local]", "task_succeeded b[local]", "finally_started", "run_ended"]);
    assert_eq!(m.run.outcome(), Some(Outcome::Succeeded));
    assert_eq!(m.wanted(), [""; 0]);
}

#[test]
fn on_the_same_hosts_each_host_goes_at_its_own_pace() {
    let yaml = "runbook: x\nsteps:\n  - { id: a, hosts: [h1, h2], run: a }\n  - { id: b, hosts: [h2, h1], run: b }\n";
    let mut m = Machine::start(plan(yaml));
    m.exit("a[h1]", 0);
    assert_eq!(m.wanted(), ["carry a[h2]#1.main1", "carry b[h1]#1.main1"]);
}

#[test]
fn a_barrier_waits_for_every_host() {
    let yaml = "runbook: x\nsteps:\n  - { id: a, hosts: [h1, h2], run: a }\n  - { id: b, hosts: [h1, h2], run: b, barrier: true }\n";
    let mut m = Machine::start(plan(yaml));
    m.exit("a[h1]", 0);
    assert_eq!(m.wanted(), ["carry a[h2]#1.main1"]);
    m.exit("a[h2]", 0);
    assert_eq!(m.wanted(), ["carry b[h1]#1.main1", "carry b[h2]#1.main1"]);
}

#[test]
fn other_hosts_wait_for_all_of_them() {
    let yaml = "runbook: x\nsteps:\n  - { id: a, hosts: [h1, h2], run: a }\n  - { id: b, hosts: [h1], run: b }\n";
    let mut m = Machine::start(plan(yaml));
    m.exit("a[h1]", 0);
    assert_eq!(m.wanted(), ["carry a[h2]#1.main1"]);
}

#[test]
fn needs_can_be_a_diamond_or_nothing() {
    let yaml = "runbook: x\nsteps:\n  - { id: a, run: a }\n  - { id: b, needs: [a], run: b }\n  - { id: c, needs: [a], run: c }\n  - { id: d, needs: [b, c], run: d }\n  - { id: e, needs: [], run: e }\n";
    let mut m = Machine::start(plan(yaml));
    assert_eq!(m.wanted(), ["carry a[local]#1.main1", "carry e[local]#1.main1"]);
    m.exit("a[local]", 0);
    m.exit("b[local]", 0);
    assert_eq!(m.wanted(), ["carry c[local]#1.main1", "carry e[local]#1.main1"]);
    m.exit("c[local]", 0);
    assert_eq!(m.wanted(), ["carry d[local]#1.main1", "carry e[local]#1.main1"]);
}

#[test]
fn no_more_than_max_parallel_are_in_flight() {
    let yaml = "runbook: x\nmax_parallel: 2\nsteps:\n  - { id: a, hosts: [h1, h2, h3, h4, h5], run: a }\n";
    let mut m = Machine::start(plan(yaml));
    assert_eq!(m.wanted(), ["carry a[h1]#1.main1", "carry a[h2]#1.main1"]);
    m.exit("a[h2]", 0);
    assert_eq!(m.wanted(), ["carry a[h1]#1.main1", "carry a[h3]#1.main1"]);
}

#[test]
fn when_false_skips_and_the_rest_goes_on() {
    let yaml = "runbook: x\nparams: { wanted: { type: boolean } }\nsteps:\n  - { id: a, run: a, when: wanted }\n  - { id: b, run: b }\n";
    let mut m = Machine::start(plan_with(yaml, &[("wanted", "false")]));
    assert_eq!(m.states(), ["a[local] skipped", "b[local] running"]);
    m.exit("b[local]", 0);
    assert_eq!(m.run.outcome(), Some(Outcome::Succeeded));
}

#[test]
fn unless_that_passes_means_already_done() {
    let mut m = Machine::start(plan("runbook: x\nsteps:\n  - { id: a, run: a, unless: look }\n"));
    assert_eq!(m.wanted(), ["carry a[local]#1.unless1"]);
    m.exit("a[local]", 0);
    assert_eq!(m.states(), ["a[local] succeeded"]);
    let mut m = Machine::start(plan("runbook: x\nsteps:\n  - { id: a, run: a, unless: look }\n"));
    m.exit("a[local]", 1);
    assert_eq!(m.wanted(), ["carry a[local]#1.main1"]);
}

#[test]
fn verify_is_asked_until_it_passes() {
    let yaml = "runbook: x\nsteps:\n  - { id: a, run: a, verify: { run: look, within: 10s, every: 4s } }\n";
    let mut m = Machine::start(plan(yaml));
    m.exit("a[local]", 0);
    assert_eq!(m.wanted(), ["carry a[local]#1.verify1"]);
    m.exit("a[local]", 1);
    assert_eq!(m.wanted(), ["wake a[local] Probe at 5000"]);
    m.tick();
    assert_eq!(m.wanted(), ["carry a[local]#1.verify2"]);
    m.exit("a[local]", 0);
    assert_eq!(m.states(), ["a[local] succeeded"]);
}

#[test]
fn wait_for_time_and_until() {
    let yaml = "runbook: x\nsteps:\n  - { id: a, wait: { for: 30s } }\n  - { id: b, wait: { until: look, every: 2s, within: 3s } }\n";
    let mut m = Machine::start(plan(yaml));
    assert_eq!(m.wanted(), ["wake a Wait at 31000"]);
    m.tick();
    assert_eq!(m.wanted(), ["carry b[local]#1.verify1"]);
    m.exit("b[local]", 1);
    m.tick();
    m.exit("b[local]", 1);
    assert_eq!(m.states(), ["a succeeded", "b[local] parked"]);
}

#[test]
fn outputs_reach_later_steps_by_host() {
    let yaml = r#"
runbook: x
steps:
  - { id: a, hosts: [h1, h2], run: a }
  - { id: b, hosts: [h1, h2], run: b, env: { MINE: "{{ steps.a.outputs.v }}" } }
  - { id: c, run: c, env: { ALL: "{{ steps.a.hosts.h1.outputs.v }}+{{ steps.a.hosts[\"h2\"].outputs.v }}" } }
"#;
    let mut m = Machine::start(plan(yaml));
    m.exit_with("a[h1]", json!({"v": "one"}));
    m.exit_with("a[h2]", json!({"v": "two"}));
    let env = |m: &Machine, task: &str| m.run.job_text(&m.job(task)).unwrap().env;
    assert_eq!(env(&m, "b[h1]"), [("MINE".into(), "one".into())]);
    assert_eq!(env(&m, "b[h2]"), [("MINE".into(), "two".into())]);
    m.exit("b[h1]", 0);
    m.exit("b[h2]", 0);
    assert_eq!(env(&m, "c[local]"), [("ALL".into(), "one+two".into())]);
}

#[test]
fn exec_keeps_each_template_one_word() {
    let yaml =
        "runbook: x\nparams: { v: { type: string } }\nsteps:\n  - { id: a, exec: [\"printf\", \"%s\", \"{{ v }}\"] }\n";
    let m = Machine::start(plan_with(yaml, &[("v", "$(touch /tmp/x) '; reboot #")]));
    let text = m.run.job_text(&m.job("a[local]")).unwrap();
    assert_eq!(text.script, "exec 'printf' '%s' '$(touch /tmp/x) '\\''; reboot #'\n");
}

#[test]
fn finally_runs_at_the_end() {
    let yaml = "runbook: x\nsteps:\n  - { id: a, run: a }\nfinally:\n  - { id: f, run: f }\n  - { id: g, run: g }\n";
    let mut m = Machine::start(plan(yaml));
    assert_eq!(m.wanted(), ["carry a[local]#1.main1"]);
    m.exit("a[local]", 0);
    assert_eq!(m.wanted(), ["carry f[local]#1.main1"]);
    m.exit("f[local]", 0);
    m.exit("g[local]", 0);
    assert_eq!(m.run.outcome(), Some(Outcome::Succeeded));
}
