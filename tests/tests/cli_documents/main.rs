//! What `piton` says about documents: check, plan, graph, init, completions, hosts.

mod faults;
mod plans;
mod windows;

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
