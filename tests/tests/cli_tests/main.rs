//! `piton test`: what it finds, and what it says.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod faults;

use piton_tests::cli::{Place, Ran};

fn place(runbook: &str, test: &str) -> Place {
    let place = Place::new(env!("CARGO_BIN_EXE_piton-under-test"));
    place.write("runbooks/move.yaml", runbook);
    place.write("runbooks/move.test.yaml", test);
    place
}

fn complaints(ran: &Ran) -> Vec<String> {
    let all = ran.json();
    let tests = all[0]["tests"].as_array().unwrap().clone();
    let messages = tests.iter().flat_map(|test| test["complaints"].as_array().unwrap().clone());
    messages.map(|complaint| complaint["message"].as_str().unwrap().to_owned()).collect()
}

/// Moves a guest: stops it, copies its disk, starts it elsewhere.
const MOVE: &str = r#"
runbook: move
title: Move a guest
on_failure: undo
params: { vm: { type: name } }
steps:
  - id: stop
    hosts: hv1
    timeout: 5m
    unless: test "$(virsh domstate "$vm")" = "shut off"
    run: virsh shutdown "$vm"
    verify: { run: test "$(virsh domstate "$vm")" = "shut off", within: 5m, every: 2s }
    undo: |
      until [ "$(virsh domstate "$vm")" = "shut off" ]; do sleep 1; done
      virsh start "$vm"
  - id: copy
    hosts: hv1
    timeout: 1h
    repeat: safe
    run: scp "/images/$vm" hv2:/images/
    verify: test "$(ssh hv2 sha256sum </images/"$vm")" = "$(sha256sum <"/images/$vm")"
  - id: start
    hosts: hv2
    timeout: 5m
    run: virsh start "$vm"
    verify: virsh domstate "$vm" | grep -q running
    undo: virsh destroy "$vm"
"#;

const MOVE_TEST: &str = r#"
test: move
hosts:
  hv1: { state: { running: true, image: v1 } }
  hv2: { state: { running: false } }
params: { vm: web1 }
answers:
  - { step: stop, part: [unless, verify], passes: "!state.running" }
  - { step: stop, later: { after: 30s, set: { running: false } } }
  - { step: stop, part: undo, takes: 2m, later: { after: 1m, set: { running: true } } }
  - step: copy
    elsewhere: { hv2: { image: "{{ if state.running { \"torn\" } else { state.image } }}" } }
    takes: 10m
  - { step: copy, part: verify, passes: hosts.hv2.get("image") == state.image }
  - { step: start, exit: 0, set: { running: true } }
  - { step: start, part: verify, passes: state.running }
  - { step: start, part: undo, set: { running: false } }
always:
  - { that: "!(hosts.hv1.running && hosts.hv2.running)", else: the guest runs twice }
  - { that: '!hosts.hv2.running || hosts.hv2.image == "v1"', else: it runs from a torn image }
undone:
  - { that: hosts.hv1.running && !hosts.hv2.running, else: it does not run where it ran }
tests:
  - name: a guest is moved
    expect:
      path: [stop, copy, start]
      state: { hv1: { running: false }, hv2: { running: true, image: v1 } }
"#;

#[test]
fn what_nothing_answers_is_said_and_how_to_answer_it() {
    let place = place(MOVE, &MOVE_TEST.replace("  - { step: start, part: verify, passes: state.running }\n", ""));
    insta::assert_snapshot!(place.snapshot(&["test"]));
}

#[test]
fn what_was_expected_and_what_happened_is_shown_with_its_place() {
    let expects = MOVE_TEST
        .replace(
            "path: [stop, copy, start]",
            "path: [stop, start]\n      tasks: { copy: skipped }\n      outputs: { copy: { bytes: 5 } }",
        )
        .replace(
            "hv1: { running: false }, hv2: { running: true, image: v1 }",
            "hv2: { running: true, image: v2, torn: null }",
        );
    let place = place(MOVE, &expects);
    insta::assert_snapshot!(place.snapshot(&["test"]));
}

#[test]
fn every_fault_of_a_test_file_is_told_at_once() {
    let faulty = r#"
test: other
hosts: { -x: {}, hv1: { stat: {} } }
groups: { all_of_them: [hv9] }
answers:
  - { step: stop, exit: 256 }
  - { step: stop, exit: 1, passes: "true" }
  - { step: stop, part: running }
  - { script: "(" }
  - { step: stop, when: "stat.running" }
  - { step: stop, set: { running: "{{ }}" }, later: { set: {} } }
model: |
  fn answr(host) {}
always: [ "hosts.hv1.running ==" ]
tests:
  - params: {}
    says: [ { say: retry }, { say: shout } ]
    faults: { except: [ { at: stop, fault: explodes } ] }
    expect: { outcome: good, tasks: { stop: done } }
"#;
    let place = place(MOVE, faulty);
    insta::assert_snapshot!(place.snapshot(&["test"]));
    let checked = place.piton(&["check", "--json"]);
    assert_eq!(checked.json()[0]["faults"].as_array().unwrap().len(), 19, "`piton check` looks at tests as well");
}

#[test]
fn parameters_and_hosts_that_do_not_fit_fail_the_test() {
    let wrong = MOVE_TEST.replace("vm: web1", "vm: -x, vn: y").replace("  hv2: { state", "  hv3: { state");
    let ran = place(MOVE, &wrong).piton(&["test"]);
    assert_eq!(ran.code, 4, "{}", ran.err);
    assert!(ran.out.contains("vn"), "{}", ran.out);
}

#[test]
fn time_does_not_pass_and_words_are_heard() {
    let runbook = r#"
runbook: move
title: Wait for a day
params: {}
steps:
  - { id: day, wait: { for: 1d } }
  - { id: long, hosts: hv1, run: sleep, timeout: 2h, retry: { times: 2, delay: 1h, on: timeout } }
  - { id: never, hosts: hv1, run: "true" }
"#;
    let test = r#"
test: move
hosts: { hv1: {} }
tests:
  - name: it hangs, is tried again, and is cancelled
    answers:
      - { step: long, attempt: 2, takes: 90m }
      - { step: long, hangs: true }
      - { step: never, takes: 1h }
    says: [ { say: cancel, at: "never[hv1]", by: ann@desk } ]
    expect: { outcome: cancelled, path: [day, long, never], tasks: { long: ran, never: failed } }
  - name: what hangs for ever is said
    answers:
      - { step: long }
      - { step: never, hangs: true }
"#;
    let place = place(runbook, test);
    insta::assert_snapshot!(place.snapshot(&["test"]));
    assert_eq!(place.piton(&["test", "--only", "cancelled"]).code, 0);
    assert_eq!(place.piton(&["test", "--faults", "--only", "cancelled"]).code, 0);
}

#[test]
fn people_vote_when_they_are_asked() {
    let runbook = r#"
runbook: move
title: Approvals
steps:
  - { id: day, wait: { for: 1d } }
  - { id: may, approve: { prompt: now?, count: 2, timeout: 1h } }
  - { id: go, hosts: hv1, run: go }
"#;
    let test = r#"
test: move
hosts: { hv1: {} }
answers: [ { step: go } ]
tests:
  - name: two say yes
    says:
      - { say: approve, at: may, by: ann@desk }
      - { say: approve, at: may, by: bob@desk }
    expect: { tasks: { may: ran, go: ran } }
  - name: one says no, and is convinced
    says:
      - { say: reject, at: may, by: ann@desk, why: too early }
      - { say: retry, at: may, by: ann@desk }
      - { say: approve, at: may, by: ann@desk }
      - { say: approve, at: may, by: bob@desk }
    expect: { tasks: { may: ran, go: ran } }
  - name: one is not enough
    says: [ { say: approve, at: may, by: ann@desk } ]
    expect: { outcome: parked, tasks: { may: parked, go: not-reached } }
"#;
    let place = place(runbook, test);
    let ran = place.piton(&["test", "--faults"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
}

#[test]
fn files_are_put_and_got_and_outputs_read() {
    let runbook = r#"
runbook: move
title: Files
steps:
  - { id: read, hosts: hv1, run: cat, outputs: { free: { from: stdout, match: 'free (\d+)' } } }
  - { id: put, hosts: hv1, put: { content: "free {{ steps.read.outputs.free }}\n", to: /etc/free } }
  - { id: get, hosts: hv1, get: { from: /etc/free, to: fetched/free } }
  - { id: own, hosts: hv1, put: { from: motd, to: /etc/motd } }
  - { id: none, hosts: hv1, get: { from: /etc/none, to: none }, on_failure: continue }
"#;
    let test = r#"
test: move
hosts: { hv1: {}, local: {} }
answers: [ { step: read, stdout: "free 12 of 20\n", outputs: { total: 20 } } ]
tests:
  - name: files
    expect:
      outcome: failed
      outputs: { read: { free: "12", total: "20" } }
      tasks: { none: failed }
      state:
        hv1: { files: { /etc/free: "free 12\n", /etc/motd: "hello\n" } }
        local: { files: { fetched/free: "free 12\n" } }
"#;
    let place = place(runbook, test);
    place.write("motd", "hello\n");
    let ran = place.piton(&["test", "--faults"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
}

#[test]
fn tests_are_chosen_by_name_and_written_for_servers() {
    let place = place(MOVE, &MOVE_TEST.replace("name: a guest is moved", "name: a <guest> & \"more\""));
    place.write("runbooks/deep/copy.yaml", &MOVE.replace("runbook: move", "runbook: copy"));
    let other = MOVE_TEST
        .replace("test: move", "test: copy")
        .replace("hv2: { running: true, image: v1 }", "hv2: { image: v3 }");
    place.write("runbooks/deep/copy.test.yaml", &other);
    let ran = place.piton(&["test", "--junit", "out.xml", "--json"]);
    assert_eq!(ran.code, 4, "{}", ran.err);
    assert_eq!((ran.json()[0]["passed"].as_u64(), ran.json()[0]["failed"].as_u64()), (Some(1), Some(1)));
    let xml = std::fs::read_to_string(place.project().join("out.xml")).unwrap();
    let times = regex::Regex::new("time=\"[0-9.]+\"").unwrap();
    insta::assert_snapshot!(times.replace_all(&xml, "time=\"T\""));
    for (word, code) in
        [("mov*", 0), ("copy", 4), ("*o*", 4), ("runbooks/move.yaml", 0), ("runbooks/move.test.yaml", 0)]
    {
        assert_eq!(place.piton(&["test", word]).code, code, "{word}");
    }
    assert_eq!(place.piton(&["test", "none*"]).code, 2);
    assert_eq!(place.piton(&["test", "--only", "nothing of that name"]).code, 2);
}

#[test]
fn a_real_run_becomes_a_test() {
    let runbook = r#"
runbook: move
title: What really happened
params: { vm: { type: name } }
steps:
  - id: look
    outputs: { first: { from: stdout, match: '^(\w+)' } }
    run: |
      printf 'one {{.Names}}\n\n  two "%s"\n' "$vm"
      echo "odd \ text" >&2
      echo "found=$vm {{.State}}" >>"$PITON_OUTPUT"
  - { id: again, run: 'test "$PITON_ATTEMPT" = 2', retry: { times: 1, delay: 0s } }
  - { id: quiet, run: 'echo hunter2; echo "word=hunter2" >>"$PITON_OUTPUT"', no_log: true }
  - { id: done, run: exit 3, unless: "true" }
  - { id: broken, run: exit 3 }
"#;
    let place = Place::new(env!("CARGO_BIN_EXE_piton-under-test"));
    place.write("runbooks/move.yaml", runbook);
    assert_eq!(place.piton(&["run", "move", "vm=web1"]).code, 5);
    place.piton(&["skip", "latest", "broken", "--why", "it is \"known\""]);
    place.wait(&["ls", "--all", "--json"], |out| out.contains("succeeded"));
    let recorded = place.piton(&["test", "--record", "latest"]);
    assert_eq!(recorded.code, 0, "{}", recorded.err);
    insta::assert_snapshot!(place.steady(&recorded.out).replace("@MACHINE", "@machine"));
    assert!(!recorded.out.contains("hunter2"), "{}", recorded.out);

    place.write("runbooks/move.test.yaml", &recorded.out);
    let ran = place.piton(&["test", "--json"]);
    assert_eq!((ran.code, complaints(&ran)), (0, Vec::new()), "{}", ran.err);
    // A test that always passes would say nothing.
    place.write("runbooks/move.test.yaml", &recorded.out.replace("exit: 3", "exit: 0"));
    assert_eq!(place.piton(&["test"]).code, 4);
}

#[test]
fn the_example_of_the_guide_passes_with_every_fault() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = std::fs::read_to_string(root.join("docs/src/guide/testing.md")).unwrap();
    let blocks: Vec<&str> =
        page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
    let [runbook, test, model, except] = blocks.as_slice() else { panic!("{blocks:#?}") };
    let place = place(runbook, test);
    let ran = place.piton(&["test", "--faults"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    // The pieces fit into it.
    let name = "  - name: a guest is moved\n";
    let whole = format!(
        "{model}{}",
        test.replace(name, &format!("{name}    {}", except.trim_end().replace('\n', "\n    ") + "\n"))
    );
    place.write("runbooks/move.test.yaml", &whole);
    let ran = place.piton(&["test", "--faults"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
}

#[test]
fn secrets_have_the_texts_that_the_test_gives_them() {
    let runbook = r#"
runbook: move
title: Log in
params: { token: { type: secret, from: "env:NOT_THERE" }, other: { type: secret, from: "file:/none" } }
steps:
  - { id: login, hosts: hv1, run: 'login "$token" "$other"' }
"#;
    let test = r#"
test: move
hosts: { hv1: {} }
secrets: { token: open-sesame }
answers:
  - { step: login, when: 'env.token == "open-sesame" && env.other == "simulated-other"', set: { open: true } }
  - { step: login, exit: 1 }
tests:
  - { name: it opens, expect: { state: { hv1: { open: true } } } }
  - { name: it does not open, secrets: { token: please-let-me-in }, expect: { outcome: parked } }
"#;
    let place = place(runbook, test);
    let ran = place.piton(&["test"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
}
