//! Hooks on simulated hosts, as `piton test` plays them.

use super::*;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The runbook and the test of the guide, with the functions that come along.
#[test]
fn the_example_of_the_guide_passes_with_every_fault() {
    let page = fs::read_to_string(root().join("docs/src/guide/hooks.md")).unwrap();
    let blocks: Vec<&str> =
        page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
    let [runbook, test] = blocks.as_slice() else { panic!("{blocks:#?}") };
    let library = fs::read_to_string(root().join("scripts/libvirt.rhai")).unwrap();
    let place = local(&[
        ("runbooks/more-memory.yaml", runbook),
        ("runbooks/more-memory.test.yaml", test),
        ("scripts/libvirt.rhai", &library),
    ]);
    assert_eq!(place.piton(&["check"]).code, 0);
    let ran = place.piton(&["test", "--faults"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("3 passed"), "{}", ran.out);
}

/// Counts on two hosts at once, in files and in a state; then reads on one what both came to.
const COUNTS: &str = r#"
runbook: counts
title: Counts
steps:
  - id: count
    hosts: [hv1, hv2]
    hook: |
      let before = parse_int(trim(host.read("/srv/count")));
      host.CALL("add one");
      host.write("/srv/count", `${before + 1}`, "0644");
      let done = now();
      log("counted " + host.name);
      #{ count: before + 1, boot: host.boot_id() }
  - id: sum
    hook: |
      let sum = 0;
      for name in ["hv1", "hv2"] { sum += steps.count.hosts[name].outputs.count; }
      host("hv1").write("/srv/sum", `${sum}`);
"#;

const COUNTED: &str = r#"
test: counts
hosts:
  hv1: { state: { n: 0, files: { /srv/count: "1\n" } } }
  hv2: { state: { n: 0, files: { /srv/count: "40\n" } } }
answers:
  - { step: count, script: add one, set: { n: "{{ state.n + 1 }}" }, takes: 3s }
tests:
  - name: both are counted
    expect:
      path: [count, sum]
      outputs: { "count[hv1]": { count: 2, boot: simulated-1 }, "count[hv2]": { count: 41 } }
      state: { hv1: { n: 1, files: { /srv/count: "2", /srv/sum: "43" } }, hv2: { n: 1, files: { /srv/count: "41" } } }
    faults:
      except:
        - { at: "*", fault: [silent], why: "nothing looks afterwards" }
"#;

/// Hosts answer the calls of hooks, and keep the files that they write; with faults in every call and the engine dying at every
/// entry of the journal, each is counted once. The same test always comes to the same.
#[test]
fn hooks_are_played_with_every_fault() {
    let place =
        local(&[("runbooks/counts.yaml", &COUNTS.replace("CALL", "run")), ("runbooks/counts.test.yaml", COUNTED)]);
    let ran = place.piton(&["--json", "test", "--faults"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let told = |ran: &Ran| {
        let test = &ran.json()[0]["tests"][0];
        (test["plays"].clone(), test["events"].clone(), test["simulated_ms"].clone())
    };
    assert!(told(&ran).0.as_u64().unwrap() > 80, "{}", ran.out);
    for _ in 0..3 {
        assert_eq!(told(&place.piton(&["--json", "test", "--faults"])), told(&ran));
    }
}

/// A call that is said to be safe and is not is found out: lost after it was done, it is done once more.
#[test]
fn a_call_that_is_wrongly_said_to_be_safe_is_found_out() {
    let wrong = COUNTS.replace("CALL", "safe.run");
    let place = local(&[("runbooks/counts.yaml", &wrong), ("runbooks/counts.test.yaml", COUNTED)]);
    assert_eq!(place.piton(&["test"]).code, 0, "without faults nobody sees it");
    let ran = place.piton(&["test", "--faults"]);
    assert_eq!(ran.code, 4, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("is lost, having done its work") && ran.out.contains("hv1.n"), "{}", ran.out);
}

/// A call that nothing answers is told with what it is, and how to answer it.
#[test]
fn a_call_that_nothing_answers_is_told() {
    let test = COUNTED.replace("script: add one", "script: add two");
    let place =
        local(&[("runbooks/counts.yaml", &COUNTS.replace("CALL", "run")), ("runbooks/counts.test.yaml", &test)]);
    let ran = place.piton(&["test"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.out.contains("nothing answers `call` of count[hv1] on hv1 (attempt 1)"), "{}", ran.out);
    assert!(ran.out.contains("add one") && ran.out.contains("- { step: count, part: call, exit: 0 }"), "{}", ran.out);
}
