//! What `piton` says about documents: check, plan, graph, init, completions, hosts.

use std::os::unix::fs::PermissionsExt;

use insta::assert_snapshot;
use piton_tests::cli::Place;

const PITON: &str = env!("CARGO_BIN_EXE_piton-under-test");

const COPY: &str = r#"runbook: copy
title: Copy a thing
params:
  to: { type: hosts, default: both }
  size: { type: size, default: 10M, help: how large it is }
  note: { type: string, required: false }
on_failure: undo
steps:
  - id: look
    hosts: "{{ params.to }}"
    repeat: safe
    timeout: 2m
    run: echo "free=$(df --output=avail / | tail -1)" >> "$PITON_OUTPUT"
  - id: fits
    assert:
      - that: params.size > 0
        else: nothing to copy
  - id: place
    hosts: "{{ params.to }}"
    needs: [look, fits]
    become: root
    retry: { times: 2, delay: 5s, on: [1, timeout] }
    unless: test -e /srv/thing
    put: { content: "size {{ params.size }}\n", to: /srv/thing, mode: "0640" }
    undo: rm -f /srv/thing
  - id: tell
    hosts: a
    env: { free: "{{ steps.look.outputs.free }}" }
    exec: [logger, "copied to {{ host.name }}", "it's {{ steps.look.outputs.free }}"]
    point_of_no_return: true
  - id: settle
    wait: { until: test -e /srv/settled, every: 2s, within: 1m }
finally:
  - id: tidy
    hosts: "{{ params.to }}"
    run: rm -rf "$PITON_WORK"
"#;

const INVENTORY: &str = "hosts:
  a: { labels: { rack: '1' }, ssh: { address: 10.0.0.1, user: root, port: 2222 } }
  b: { labels: { rack: '2' }, vars: { disk: sdb } }
groups:
  both: [a, b]
";

fn project() -> Place {
    let place = Place::new(PITON);
    place.write("inventory.yaml", INVENTORY);
    place.write("runbooks/area/copy.yaml", COPY);
    place
}

#[test]
fn a_plan_shows_what_would_happen_on_each_host() {
    let place = project();
    assert_snapshot!(place.snapshot(&["plan", "copy", "size=1G"]), @r#"
    exit 0
    --- stdout
    copy  Copy a thing
    from    runbooks/area/copy.yaml
    digest  DIGEST
    tasks   9 on 3 hosts, 256 at once at most, on failure undo
    params
      note = (none)
      size = 1073741824
      to = a
        b

    1. look
       hosts    a, b
       needs    nothing
       and      stopped after 2m; repeated if its outcome is lost
       run
         | echo "free=$(df --output=avail / | tail -1)" >> "$PITON_OUTPUT"

    2. fits
       needs    look
       assert   params.size > 0

    3. place
       hosts    a, b
       needs    look (each host for itself), fits
       and      becomes root; tried again 2 times on exit 1, timeout, first after 5s
       unless
         | test -e /srv/thing
       put      16 bytes of text -> a:/srv/thing mode 640
       put      16 bytes of text -> b:/srv/thing mode 640
       undo
         | rm -f /srv/thing

    4. tell
       hosts    a
       needs    place
       and      point of no return: nothing is undone automatically from here on
       env      free={{ steps.look.outputs.free }}
       exec     logger copied to {{ host.name }} it's {{ steps.look.outputs.free }}

    5. settle
       hosts    local
       needs    tell
       until (every 2s, within 1m)
         | test -e /srv/settled

    finally

    6. tidy
       hosts    a, b
       needs    nothing
       run
         | rm -rf "$PITON_WORK"

    way back  place
    no undo   look, tell
    no return once tell has begun
    "#);
}

#[test]
fn a_plan_for_programs_has_every_task() {
    let ran = project().piton(&["plan", "copy", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let plan = &ran.json()[0];
    let tasks: Vec<&str> = plan["tasks"].as_array().unwrap().iter().map(|t| t["task"].as_str().unwrap()).collect();
    let all = "look[a] look[b] fits place[a] place[b] tell[a] settle[local] tidy[a] tidy[b]";
    assert_eq!(tasks.join(" "), all);
    assert_eq!(plan["digest"].as_str().unwrap().len(), 64);
    assert_eq!(plan["tasks"][0]["env"]["size"], "10485760");
    assert_eq!(plan["tasks"][3]["needs"], serde_json::json!(["look[a]", "fits"]));
}

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
    assert_snapshot!(place.snapshot(&["plan", "bad"]), @r#"
    exit 3
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
    let ran = place.piton(&["check", "--json"]);
    assert_eq!(ran.code, 3);
    let faults = ran.json()[0]["faults"].clone();
    let first = &faults[0];
    assert_eq!((first["file"].as_str(), first["line"].as_u64()), (Some("runbooks/bad.yaml"), Some(3)), "{faults}");
    assert!(faults.as_array().unwrap().iter().all(|f| f["code"].is_string() && f["column"].is_u64()), "{faults}");
}

#[test]
fn the_name_of_a_runbook_is_that_of_its_file() {
    let place = Place::new(PITON);
    place.write("runbooks/other.yaml", "runbook: some\nsteps:\n  - id: a\n    run: 'true'\n");
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
fn a_value_can_come_from_a_file() {
    let place = project();
    place.write("note.txt", "from a file\n");
    let params =
        |word: &str| place.piton(&["plan", "copy", word, "--json"]).json()[0]["plan"]["params"]["note"].clone();
    assert_eq!(params("note=@note.txt"), "from a file");
    assert_eq!(params("note=@@home"), "@home");
    assert_eq!(params("note=a=b"), "a=b");
}

#[test]
fn a_runbook_is_found_by_name_or_by_path() {
    let place = project();
    assert_snapshot!(place.snapshot(&["plan", "cpoy"]), @"
    exit 2
    --- stderr
    error: there is no runbook `cpoy` in HERE/project
    hint: did you mean copy?
    ");
    assert_snapshot!(place.snapshot(&["plan", "../etc/passwd"]), @"
    exit 2
    --- stderr
    error: ../etc/passwd cannot be read: No such file or directory (os error 2)
    ");
    assert_snapshot!(place.snapshot(&["plan", "Copy"]), @"
    exit 2
    --- stderr
    error: `Copy` is not a runbook name: a lower-case letter, then lower-case letters, digits, `-` or `_`, 64 at most
    hint: say a runbook's name, or a path that contains `/` or ends in `.yaml`
    ");
    place.write("runbooks/copy.yaml", COPY);
    assert_snapshot!(place.snapshot(&["plan", "copy"]), @"
    exit 2
    --- stderr
    error: `copy` could be runbooks/area/copy.yaml or runbooks/copy.yaml
    hint: give the path of the one you mean
    ");
    assert_eq!(place.piton(&["plan", "runbooks/copy.yaml"]).code, 0);

    let nowhere = Place::empty(PITON);
    assert_snapshot!(nowhere.snapshot(&["plan", "copy"]), @"
    exit 2
    --- stderr
    error: runbook `copy` was asked for by name, and there is no project here
    hint: a project is a directory with piton.toml; choose one with -C DIR, or give the path of a runbook
    ");
    let path = nowhere.outside("alone.yaml");
    std::fs::write(&path, "runbook: alone\nsteps:\n  - id: a\n    hosts: anyhost\n    run: 'true'\n").unwrap();
    assert_eq!(nowhere.piton(&["plan", path.to_str().unwrap()]).code, 0, "without a project ssh knows the hosts");
    assert_snapshot!(nowhere.snapshot(&["-C", "/proc", "plan", "copy"]), @"
    exit 2
    --- stderr
    error: there is no piton.toml in /proc or above it
    hint: `piton init DIR` makes a project
    ");
}

#[test]
fn hosts_that_the_inventory_lacks_can_be_forbidden() {
    let place = project();
    place.write("piton.toml", "[project]\nallow_unknown_hosts = false\n");
    assert_snapshot!(place.snapshot(&["plan", "copy", "to=c"]), @"
    exit 3
    --- stderr
    error[unknown-host]: parameter `to`: there is no host or group `c` in the inventory

    error[unknown-host]: step `look`: there is no host or group `c` in the inventory
     --> runbooks/area/copy.yaml:9:5
      |
    9 |   - id: look
      |     ^^^^^^^^

    error[unknown-host]: step `place`: there is no host or group `c` in the inventory
      --> runbooks/area/copy.yaml:18:5
       |
    18 |   - id: place
       |     ^^^^^^^^^

    error[unknown-host]: step `tidy`: there is no host or group `c` in the inventory
      --> runbooks/area/copy.yaml:34:5
       |
    34 |   - id: tidy
       |     ^^^^^^^^

    4 faults in runbooks/area/copy.yaml
    ");
}

#[test]
fn faults_of_the_project_file_and_the_inventory_have_their_place() {
    let place = project();
    place.write("piton.toml", "[project]\nallow_unknown = true\n");
    assert_snapshot!(place.snapshot(&["check"]), @"
    exit 3
    --- stderr
    error[unknown-field]: unknown field `allow_unknown`, expected one of `name`, `inventory`, `journal`, `allow_unknown_hosts`, `notify`
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

#[test]
fn an_inventory_can_be_a_program() {
    let place = project();
    std::fs::remove_file(place.project().join("inventory.yaml")).unwrap();
    let program = |text: &str| {
        let path = place.write("inventory", text);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    program("#!/bin/sh\n[ \"$1\" = --list ] && echo '{\"all\": {\"hosts\": [\"x\", \"y\"]}}'\n");
    assert_snapshot!(place.snapshot(&["hosts", "list", "x", "y"]), @"
    exit 0
    --- stdout
    HOST  ADDRESS                       GROUPS                LABELS
    x     x
    y     y
    ");
    program("#!/bin/sh\necho 'the cloud is away' >&2\nexit 3\n");
    assert_snapshot!(place.snapshot(&["hosts"]), @"
    exit 3
    --- stderr
    error[bad-value]: the inventory inventory failed (exit status: 3)
     |
     = help: the cloud is away

    1 fault
    ");
    program("#!/bin/sh\necho 'no json'\n");
    assert_eq!(place.piton(&["hosts"]).code, 3);
    program("#!/nonexistent/interpreter\n");
    assert_eq!(place.piton(&["hosts"]).code, 3);
}

#[test]
fn hosts_are_listed_as_the_inventory_has_them() {
    let place = project();
    assert_snapshot!(place.snapshot(&["hosts"]), @"
    exit 0
    --- stdout
    HOST  ADDRESS                       GROUPS                LABELS
    a     root@10.0.0.1:2222            both                  rack=1
    b     b                             both                  rack=2
    ");
    assert_snapshot!(place.snapshot(&["hosts", "list", "b", "--json"]), @r#"
    exit 0
    --- stdout
    {"groups":["both"],"host":"b","labels":{"rack":"2"},"ssh":{},"vars":{"disk":"sdb"}}
    "#);
}

#[test]
fn the_own_machine_answers_and_tells_what_it_is() {
    let place = project();
    let ran = place.piton(&["hosts", "facts", "local", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let facts = &ran.json()[0];
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(facts["kernel"], format!("Linux {}", kernel.trim()));
    assert_eq!(facts["host"], "local");
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let ping = place.piton(&["hosts", "ping", "local", "--json"]);
    assert_eq!((ping.code, ping.json()[0]["boot"].as_str()), (0, Some(boot.trim())), "{}", ping.err);
}

#[test]
fn a_graph_is_drawn_in_three_forms() {
    let place = project();
    assert_snapshot!(place.snapshot(&["graph", "copy"]), @r#"
    exit 0
    --- stdout
    flowchart TD
        s0["look<br/>#123;#123; params.to #125;#125;"]
        s1["fits"]
        s2["place<br/>#123;#123; params.to #125;#125;"]
        s3["tell<br/>a"]
        s4["settle"]
        s5(["tidy<br/>#123;#123; params.to #125;#125;"])
        s0 --> s1
        s0 --> s2
        s1 --> s2
        s2 --> s3
        s3 --> s4
    "#);
    assert_snapshot!(place.snapshot(&["graph", "copy", "--format", "dot"]), @r##"
    exit 0
    --- stdout
    digraph runbook {
        node [shape=box, style="rounded,filled", fontname="sans-serif"];
        s0 [label="look\n{{ params.to }}", fillcolor="#ffffff"];
        s1 [label="fits", fillcolor="#ffffff"];
        s2 [label="place\n{{ params.to }}", fillcolor="#ffffff"];
        s3 [label="tell\na", fillcolor="#ffffff"];
        s4 [label="settle", fillcolor="#ffffff"];
        s5 [label="tidy\n{{ params.to }}", fillcolor="#ffffff", shape=ellipse];
        s0 -> s1;
        s0 -> s2;
        s1 -> s2;
        s2 -> s3;
        s3 -> s4;
    }
    "##);
    let svg = place.piton(&["graph", "copy", "--format", "svg"]).out;
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert_eq!(svg.matches("<rect x=").count(), 6, "one box for each step");
    assert_eq!(svg.matches("marker-end").count(), 5, "one line for each need:\n{svg}");
}

#[test]
fn a_new_project_works_at_once() {
    let place = Place::empty(PITON);
    assert_snapshot!(place.snapshot(&["init", "ops"]), @"
    exit 0
    --- stdout
    ops/piton.toml
    ops/inventory.yaml
    ops/runbooks/hello.yaml
    ops/runbooks/hello.test.yaml
    ops/.gitignore
    --- stderr
    Now try: cd ops && piton run hello
    ");
    let ops = place.project().join("ops");
    let ops = ops.to_str().unwrap();
    assert_eq!(place.piton(&["-C", ops, "check"]).code, 0);
    let tested = place.piton(&["-C", ops, "test", "--faults"]);
    assert_eq!(tested.code, 0, "{}{}", tested.out, tested.err);
    let ran = place.piton(&["-C", ops, "run", "hello", "greeting=Hi"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("greet[local] | Hi from "), "{}", ran.err);
    assert_snapshot!(place.snapshot(&["init", "ops"]), @"
    exit 2
    --- stderr
    error: ops is a project already
    hint: `piton -C ops check` looks it over
    ");
}

#[test]
fn shells_are_told_how_to_complete() {
    let place = project();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = place.piton(&["completions", shell]);
        assert_eq!(ran.code, 0, "{shell}: {}", ran.err);
        assert!(ran.out.contains("piton"), "{shell}");
    }
    let mut asked = place.command(&["--", "piton", "run", "c"]);
    asked.env("COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "2").env("_CLAP_COMPLETE_COMP_TYPE", "9");
    asked.env("_CLAP_IFS", "\n").env("_CLAP_COMPLETE_SPACE", "true");
    assert_eq!(String::from_utf8(asked.output().unwrap().stdout).unwrap(), "copy");
}

#[test]
fn colours_come_only_where_they_are_wanted() {
    let place = project();
    assert!(!place.piton(&["check"]).out.contains('\x1b'), "a pipe is no terminal");
    assert!(place.piton(&["check", "--color", "always"]).out.contains('\x1b'));
    assert!(!place.piton(&["check", "--color", "never"]).out.contains('\x1b'));
}
