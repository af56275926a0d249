//! A file from host to host: its task is the target's, and doing it again is as good as once.

use piton_core::digest::Digest;
use piton_core::ids::AttemptId;
use piton_core::run::{Input, TransferText};
use piton_testkit::machine::{Machine, task};
use piton_testkit::plans::{plan, plan_with};

const COPY: &str = r#"
runbook: x
params: { from: { type: host }, to: { type: host } }
on_failure: undo
steps:
  - { id: look, hosts: "{{ from }}", run: look }
  - { id: copy, transfer: { from: "{{ from }}:{{ steps.look.outputs.disk }}", to: "{{ to }}:/new/{{ host.name }}" }, undo: back }
  - { id: start, hosts: "{{ to }}", run: start }
"#;

fn copying() -> Machine {
    let mut m = Machine::start(plan_with(COPY, &[("from", "hv1"), ("to", "hv2")]));
    m.exit_with("look[hv1]", serde_json::json!({ "disk": "/data/disk" }));
    m
}

fn attempt() -> AttemptId {
    AttemptId { task: task("copy[hv2]"), number: 1 }
}

#[test]
fn its_task_is_the_targets_and_both_ends_are_in_the_plan() {
    let m = copying();
    assert_eq!(m.wanted(), ["transfer copy[hv2]#1"]);
    let names: Vec<&str> = m.run.plan().hosts.keys().map(|host| host.as_str()).collect();
    assert_eq!(names, ["hv1", "hv2"]);
    let index = m.run.graph().find(&task("copy[hv2]")).unwrap();
    let Ok(TransferText::Transfer { from_host, from, to, .. }) = m.run.transfer_text(index) else { panic!() };
    assert_eq!((from_host.as_str(), from.as_str(), to.as_str()), ("hv1", "/data/disk", "/new/hv2"));
}

#[test]
fn how_far_it_has_come_is_a_fact_and_changes_nothing() {
    let mut m = copying();
    m.tell(Input::TransferProgressed { attempt: attempt(), moved: 5, total: 9, left: Some(3) });
    m.crash();
    assert_eq!(m.wanted(), ["transfer copy[hv2]#1"]);
    m.tell(Input::Transferred { attempt: attempt(), bytes: 9, digest: Digest::of(b"x") });
    assert_eq!(m.states()[1..], ["copy[hv2] succeeded", "start[hv2] running"]);
    let late = m.tell(Input::TransferProgressed { attempt: attempt(), moved: 9, total: 9, left: None });
    assert_eq!(late, [], "news of what is over is no fact");
}

#[test]
fn its_undo_runs_on_the_target() {
    let mut m = copying();
    m.tell(Input::Transferred { attempt: attempt(), bytes: 9, digest: Digest::of(b"x") });
    m.exit("start[hv2]", 1);
    assert_eq!(m.wanted(), ["carry copy[hv2]#1.undo1"]);
}

#[test]
fn one_file_goes_to_each_of_several_hosts() {
    let m = Machine::start(plan(
        "runbook: x\nsteps:\n  - { id: a, hosts: [h1, h2], transfer: { from: 'h0:/x', to: /y } }\n",
    ));
    assert_eq!(m.wanted(), ["transfer a[h1]#1", "transfer a[h2]#1"]);
}

#[test]
fn how_fast_it_may_be_can_come_from_the_plan() {
    let slow =
        COPY.replace("/new/{{ host.name }}\"", "/new/{{ host.name }}\", rate: \"{{ steps.look.outputs.rate }}\"");
    for (rate, expected) in
        [("4M", Ok(Some(4 << 20))), ("0", Ok(None)), ("", Ok(None)), ("12", Ok(Some(12))), ("fast", Err(()))]
    {
        let mut m = Machine::start(plan_with(&slow, &[("from", "hv1"), ("to", "hv2")]));
        m.exit_with("look[hv1]", serde_json::json!({ "disk": "/data/disk", "rate": rate }));
        let index = m.run.graph().find(&task("copy[hv2]")).unwrap();
        let told = match m.run.transfer_text(index) {
            Ok(TransferText::Transfer { manner, .. }) => Ok(manner.rate),
            Ok(_) => panic!(),
            Err(why) => {
                assert!(why.starts_with("`rate`: "), "{why}");
                Err(())
            }
        };
        assert_eq!(told, expected, "{rate}");
    }
}
