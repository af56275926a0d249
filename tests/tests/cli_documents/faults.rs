//! Faults of documents and parameters, as they are told.

use super::*;

#[test]
fn every_fault_is_shown_with_its_place_and_a_hint() {
    let place = project();
    place.write(
        "runbooks/bad.yaml",
        "runbook: good\nsteps:\n  - id: one\n    rum: echo\n  - id: two\n    needs: [tree]\n    run: echo {{ params.x }}\n",
    );
    assert_snapshot!(place.snapshot(&["check"]), @r#"
    exit 3
    --- stdout
    ok  inventory.yaml  2 hosts
    ok  runbooks/area/copy.yaml  copy: 6 steps
    --- stderr
    error[action]: the step `one` does nothing
     --> runbooks/bad.yaml:3:5
      |
    3 |   - id: one
      |     ^^^^^^^
      |
      = help: give it one of `run`, `exec`, `put`, `get`, `transfer`, `reboot`, `hook`, `assert`, `wait`, `approve`, `call`, `steps`

    error[unknown-field]: `step` has no field `rum`
     --> runbooks/bad.yaml:4:5
      |
    4 |     rum: echo
      |     ^^^
      |
      = help: did you mean `run`?

    error[unknown-need]: there is no step `tree`
     --> runbooks/bad.yaml:6:13
      |
    6 |     needs: [tree]
      |             ^^^^

    error[template-in-script]: `run` is a constant text: no `{{ }}` in it, because a shell would read the value as its own language
     --> runbooks/bad.yaml:7:15
      |
    7 |     run: echo {{ params.x }}
      |               ^^
      |
      = help: give the value a name under `env:`, such as `env: { disk: "{{ … }}" }`, and write "$disk"

    4 faults in runbooks/bad.yaml
    "#);
    let (checked, planned) = (place.piton(&["check"]), place.piton(&["plan", "bad"]));
    assert_eq!((planned.code, planned.out.as_str(), planned.err), (3, "", checked.err), "a plan tells the same");
    let ran = place.piton(&["check", "--json"]);
    assert_eq!(ran.code, 3);
    let faults = ran.json()[0]["faults"].clone();
    let first = &faults[0];
    assert_eq!((first["file"].as_str(), first["line"].as_u64()), (Some("runbooks/bad.yaml"), Some(3)), "{faults}");
    assert!(faults.as_array().unwrap().iter().all(|f| f["code"].is_string() && f["column"].is_u64()), "{faults}");
}

#[test]
fn the_name_of_a_runbook_is_that_of_its_file() {
    let place = Place::with_runbook(PITON, "other", "runbook: some\nsteps:\n  - id: a\n    run: 'true'\n");
    assert_snapshot!(place.snapshot(&["check"]), @"
    exit 3
    --- stderr
    error[bad-name]: the runbook calls itself `some`, and its file is `other.yaml`
     --> runbooks/other.yaml:1:10
      |
    1 | runbook: some
      |          ^^^^
      |
      = help: a runbook has the name of its file, so that it is found by it

    1 fault in runbooks/other.yaml
    ");
}

#[test]
fn bad_parameters_are_refused_all_at_once() {
    let place = project();
    assert_snapshot!(place.snapshot(&["plan", "copy", "size=big", "too=a", "to=nowhere-*"]), @"
    exit 3
    --- stderr
    error[unknown-param]: there is no parameter `too`
     |
     = help: did you mean `to`?

    error[bad-param]: `size`: `big` is not a size: write for example 512, 10M or 20GiB
     |
     = help: how large it is

    2 faults
    ");
    assert_snapshot!(place.snapshot(&["plan", "copy", "size"]), @"
    exit 2
    --- stderr
    error: `size` is not of the form KEY=VALUE
    ");
    assert_snapshot!(place.snapshot(&["plan", "copy", "size=1", "size=2"]), @"
    exit 2
    --- stderr
    error: the parameter `size` is given twice
    ");
    assert_snapshot!(place.snapshot(&["plan", "copy", "note=@missing"]), @"
    exit 2
    --- stderr
    error: parameter `note`: missing cannot be read: No such file or directory (os error 2)
    hint: a value that begins with `@` is written `@@…`
    ");
}

#[test]
fn faults_of_the_project_file_and_the_inventory_have_their_place() {
    let place = project();
    place.write("piton.toml", "[project]\nallow_unknown = true\n");
    assert_snapshot!(place.snapshot(&["check"]), @"
    exit 3
    --- stderr
    error[unknown-field]: unknown field `allow_unknown`, expected one of `name`, `inventory`, `journal`, `allow_unknown_hosts`, `max_parallel`, `notify`
     --> piton.toml:2:1
      |
    2 | allow_unknown = true
      | ^^^^^^^^^^^^^

    1 fault in piton.toml
    ");
    place.write("piton.toml", "[project\n");
    assert_snapshot!(place.snapshot(&["ls"]), @"
    exit 3
    --- stderr
    error[syntax]: unclosed table, expected `]`
     --> piton.toml:1:9
      |
    1 | [project
      |         ^

    1 fault in piton.toml
    ");
    place.write("piton.toml", "");
    place.write("inventory.yaml", "hosts:\n  -x: {}\n");
    assert_snapshot!(place.snapshot(&["check"]), @"
    exit 3
    --- stdout
    ok  runbooks/area/copy.yaml  copy: 6 steps
    --- stderr
    error[bad-name]: `-x` is not a host name: letters, digits, `.`, `_` or `-`, not beginning with `-` or `.`, 253 at most
     --> inventory.yaml:2:3
      |
    2 |   -x: {}
      |   ^^

    1 fault in inventory.yaml
    ");
}
