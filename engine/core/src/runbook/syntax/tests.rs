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

#[test]
fn every_form_of_the_language_is_read() {
    let runbook = good(
        r##"
runbook: all-forms
title: Every form
about: |
  What it does.
params:
  vm: { type: name, help: libvirt domain, pattern: "web[0-9]+" }
  keep: { type: duration, default: 2d, min: 1h }
  disk: { type: size, default: 10G, max: 1T }
  note: { type: string, required: false }
  many: { type: hosts, default: [hv1, hv2] }
  how: { type: enum, choices: [slow, fast], default: fast }
on_failure: undo
max_parallel: 4
steps:
  - id: first
    hosts: "{{ many }}"
    run: docker ps --format '{{json .}} {{ .Names }}' # a template of another program
    unless: false
    verify: "true"
    undo: |
      rm x
    repeat: safe
    retry: 3
    timeout: 5m
    become: root
    env: { PORT: 8080, DISK: "{{ disk }}", empty: "" }
    outputs:
      whole: { from: stdout }
      part: { from: stdout, match: "n=([0-9]+)" }
      deep: { from: stdout, json: /a/0 }
    no_log: true
    tags: [x, y]
    shell: bash
  - id: second-one
    title: Words
    hosts: [hv1, "rack=a"]
    exec: [ls, -l, "{{ vm }} x"]
    when: steps.first.exit == 0 && vm != "x"
    retry: { times: 2, delay: 5s, backoff: 1.5, max_delay: 1m, on: [7, timeout, unreachable] }
    needs: first
    barrier: true
    on_failure: continue
    point_of_no_return: true
  - id: put
    needs: [second-one]
    put: { from: "files/{{ vm }}.xml", to: /etc/x, mode: 0644, owner: root:root }
  - id: put2
    put: { content: "{{ vm }}\n", to: "{{ vm }}" }
  - id: get
    get: { from: /var/log/x, to: "{{ host.name }}.log" }
  - id: fits
    assert:
      - that: steps["second-one"].state == "succeeded"
        else: "{{ vm }} is not"
      - 'params.how == "fast"'
  - { id: one, assert: true }
  - { id: pause, wait: { for: 30s } }
  - { id: until, hosts: hv1, wait: { until: test -e x, within: 10m, every: 5s } }
finally:
  - { id: tidy, run: rm x, when: steps.first.exit == 0 }
  - { id: tidy2, run: rm y, needs: [tidy] }
"##,
    );
    assert_eq!(runbook.name.as_str(), "all-forms");
    assert_eq!(runbook.about, "What it does.");
    assert_eq!(runbook.max_parallel, 4);
    assert_eq!(runbook.params[1].default, Some(172_800.into()));
    assert_eq!(runbook.params[1].min, Some(3600.0));
    assert_eq!(runbook.params[2].default, Some(10_737_418_240_u64.into()));
    assert!(runbook.params[0].required && !runbook.params[1].required && !runbook.params[3].required);
    assert_eq!(runbook.params[5].kind, ParamKind::Enum(vec!["slow".into(), "fast".into()]));
    let needs: Vec<Vec<&str>> = runbook
        .steps
        .iter()
        .chain(&runbook.finally)
        .map(|step| step.needs.iter().map(StepId::as_str).collect())
        .collect();
    assert_eq!(
        needs,
        [
            vec![],
            vec!["first"],
            vec!["second-one"],
            vec!["put"],
            vec!["put2"],
            vec!["get"],
            vec!["fits"],
            vec!["one"],
            vec!["pause"],
            vec![],
            vec!["tidy"]
        ]
    );
    let first = &runbook.steps[0];
    assert_eq!(first.unless.as_ref().unwrap().text, "false");
    assert_eq!(first.unless.as_ref().unwrap().shell, "bash");
    assert_eq!(first.verify.as_ref().unwrap().within.as_secs(), 0);
    assert_eq!(first.repeat, Repeat::Safe);
    let retry = first.retry.as_ref().unwrap();
    assert_eq!((retry.times, retry.delay.as_secs(), retry.backoff, retry.max_delay.as_secs()), (3, 1, 2.0, 300));
    assert_eq!(first.env["PORT"].source(), "8080");
    assert_eq!(first.outputs["part"], OutputRule::Match("n=([0-9]+)".into()));
    assert_eq!(first.outputs["deep"], OutputRule::Json("/a/0".into()));
    assert_eq!(first.outputs["whole"], OutputRule::Text);
    let retry = runbook.steps[1].retry.as_ref().unwrap();
    assert_eq!(retry.on, [RetryOn::Exit(7), RetryOn::Timeout, RetryOn::Unreachable]);
    let Action::Put(put) = &runbook.steps[2].action else { panic!("{:?}", runbook.steps[2].action) };
    assert_eq!(put.mode, Some(0o644));
    assert!(matches!(&put.source, PutSource::File(file) if file.source() == "files/{{ vm }}.xml"));
    // A plan that holds these steps is stored as JSON.
    let json = serde_json::to_string(&runbook).unwrap();
    assert_eq!(serde_json::from_str::<Runbook>(&json).unwrap(), runbook);
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
fn faults_of_one_step() {
    let mut told = Vec::new();
    for (text, faults) in [
        (
            "{ id: b }",
            vec![
                "4:5: action: the step `b` does nothing (give it one of `run`, `exec`, `put`, `get`, `transfer`, `reboot`, `hook`, `assert`, `wait`, `approve`, `call`, `steps`)",
            ],
        ),
        (
            "{ id: b, run: x, exec: [y] }",
            vec!["4:22: action: the step does two things: `run` and `exec` (make it two steps)"],
        ),
        (
            "{ id: B, run: x }",
            vec![
                "4:11: bad-name: `B` is not a step id: a lower-case letter, then lower-case letters, digits, `-` or `_`, 64 at most",
            ],
        ),
        ("{ id: a, run: x }", vec!["4:11: duplicate: two steps have the id `a`; the first is in line 3, column 15"]),
        (
            "{ id: b, rum: x }",
            vec![
                "4:5: action: the step `b` does nothing (give it one of `run`, `exec`, `put`, `get`, `transfer`, `reboot`, `hook`, `assert`, `wait`, `approve`, `call`, `steps`)",
                "4:14: unknown-field: `step` has no field `rum` (did you mean `run`?)",
            ],
        ),
        (
            "{ id: b, approve: { who: [], count: 0, on_timeout: aprove } }",
            vec![
                "4:23: missing-field: `approve` needs `prompt` (what people are asked to agree to)",
                "4:30: bad-value: `who` names nobody (leave it out for everybody)",
                "4:41: bad-value: `count` is 0 and must be from 1 to 100",
                "4:44: conflict: `on_timeout` does nothing without `timeout`: the run waits as long as it takes",
                "4:56: bad-value: `on_timeout` cannot be `aprove` (did you mean `approve`?)",
            ],
        ),
        (
            "{ id: b, approve: { prompt: x, who: [ann, ann, -x, \"%\", \"a b\"], count: 4, timeout: 0s } }",
            vec![
                "4:47: duplicate: `ann` stands here twice",
                "4:52: bad-name: `-x` is nobody who can approve (who may approve is a user, `user@machine`, or a unix group as `%group`)",
                "4:56: bad-name: `%` is nobody who can approve (who may approve is a user, `user@machine`, or a unix group as `%group`)",
                "4:61: bad-name: `a b` is nobody who can approve (who may approve is a user, `user@machine`, or a unix group as `%group`)",
                "4:76: conflict: `count` is 4, but `who` names only 1 (each person has one vote)",
                "4:88: bad-value: `timeout` must be more than zero",
            ],
        ),
        ("{ id: b, approve: { prompt: x, who: [ann, \"%ops\"], count: 9, timeout: 5m, on_timeout: approve } }", vec![]),
        (
            "{ id: b, approve: \"{{ host.name }}\", hosts: x, retry: 2, undo: x, timeout: 5m }",
            vec![
                "4:27: unknown-param: `host` is not known here: this step runs on no host",
                "4:42: conflict: `hosts` does nothing on `approve` (take it out)",
                "4:52: conflict: `retry` does nothing on `approve` (take it out)",
                "4:62: conflict: `undo` does nothing on `approve` (take it out)",
                "4:71: conflict: `timeout` does nothing on `approve` (take it out)",
            ],
        ),
        (
            "{ id: b, run: x, locks: [a, a, { name: b, shared: true, count: 2 }, { count: 0 }, \"a b\", \"\"] }",
            vec![
                "4:33: duplicate: the lock `a` stands here twice",
                "4:61: conflict: a lock is `shared` by all, or by a `count` of holders, not both",
                "4:73: missing-field: `locks` needs `name` (the name of the lock, such as `name: \"vm/{{ vm }}\"`)",
                "4:82: bad-value: `count` is 0 and must be from 1 to 10000",
                "4:87: bad-name: the name of the lock `a b` has a space or a control character (one word, such as `vm/web1`)",
                "4:94: bad-name: the name of the lock `` is empty (one word, such as `vm/web1`)",
            ],
        ),
        (
            "{ id: b, run: x, locks: { name: \"{{ nope }}/{{ host.name }}\", cuont: 2 } }",
            vec![
                "4:41: unknown-param: there is no parameter or variable `nope`",
                "4:67: unknown-field: `locks` has no field `cuont` (did you mean `count`?)",
            ],
        ),
        (
            "{ id: b, run: x, for_each: [1, 1] }",
            vec!["4:32: bad-value: `for_each`: item 2 has the name of an earlier one: `1`"],
        ),
        ("{ id: b, run: }", vec!["4:17: wrong-type: `run` is empty; it takes a text"]),
        ("{ id: b, run: ' ' }", vec!["4:19: bad-value: the script of `run` is empty"]),
        ("{ id: b, run: [x] }", vec!["4:19: wrong-type: `run` takes a text, not a list"]),
        (
            "{ id: b, exec: ls }",
            vec![
                "4:20: wrong-type: `exec` takes a list, not a text (`exec` takes a program and its words, `[ls, -l]`; a line for a shell goes under `run`)",
            ],
        ),
        ("{ id: b, exec: [] }", vec!["4:20: bad-value: `exec` names no program"]),
        ("{ id: b, run: x, needs: [c] }", vec!["4:30: unknown-need: there is no step `c` (did you mean `a`?)"]),
        ("{ id: b, run: x, needs: [a, a] }", vec!["4:33: duplicate: `a` stands here twice"]),
        ("{ id: b, run: x, needs: b }", vec!["4:29: cycle: the step `b` needs itself"]),
        (
            "{ id: b, run: x, needs: [], barrier: true }",
            vec!["4:33: conflict: `barrier` does nothing on a step that needs no other step"],
        ),
        ("{ id: b, run: x, barrier: yes }", vec!["4:31: wrong-type: `barrier` takes `true` or `false`, not a text"]),
        (
            "{ id: b, run: x, timeout: 5 }",
            vec!["4:31: bad-value: `5` is not a duration: add a unit, such as 5s, 5m or 5h"],
        ),
        ("{ id: b, run: x, timeout: 0s }", vec!["4:31: bad-value: `timeout` must be more than zero"]),
        ("{ id: b, run: x, retry: 0 }", vec!["4:29: bad-value: `times` is 0 and must be from 1 to 10000"]),
        (
            "{ id: b, run: x, retry: { times: 1, on: [0, timeot, 300], backoff: 0.5 } }",
            vec![
                "4:46: bad-value: exit status 0 is success, not a failure to retry",
                "4:49: bad-value: `timeot` is not a failure to retry (did you mean `timeout`?)",
                "4:57: bad-value: `300` is not a failure to retry (an exit status from 1 to 255, `timeout` or `unreachable`)",
                "4:72: bad-value: `backoff` is 0.5 and must be from 1 to 100",
            ],
        ),
        (
            "{ id: b, run: x, retry: { delay: 1m, max_delay: 1s } }",
            vec![
                "4:29: missing-field: `retry` needs `times` (how many further attempts, such as `times: 3`)",
                "4:53: conflict: `max_delay` is shorter than `delay`",
            ],
        ),
        (
            "{ id: b, run: x, become: -u }",
            vec![
                "4:30: bad-value: `become` is `-u`, not the name of a user (the name of a user, such as `become: root`; templates are not taken here)",
            ],
        ),
        (
            "{ id: b, run: x, shell: bash -e }",
            vec![
                "4:29: bad-value: `shell` is `bash -e`, not the name of a program or an absolute path (options belong into the script, such as `set -e`)",
            ],
        ),
        (
            "{ id: b, run: x, env: { PITON_X: 1, 1a: 2, PATH: /bin } }",
            vec![
                "4:29: bad-name: `PITON_X` is not a environment variable: a letter or `_`, then letters, digits or `_`, not beginning with `PITON_`",
                "4:41: bad-name: `1a` is not a environment variable: a letter or `_`, then letters, digits or `_`, not beginning with `PITON_`",
            ],
        ),
        (
            "{ id: b, run: x, repeat: always }",
            vec!["4:30: bad-value: `repeat` cannot be `always` (it is one of `safe`, `ask`)"],
        ),
        (
            "{ id: b, run: x, hosts: [] }",
            vec!["4:29: bad-value: `hosts` is an empty list (leave `hosts` out for the engine's own machine)"],
        ),
        (
            "{ id: b, run: x, outputs: { a: { match: '(' }, b: { from: stderr }, c: { from: stdout, json: a.b }, D: { from: stdout } } }",
            vec![
                "4:36: missing-field: `output` needs `from` (`from: stdout`)",
                "4:45: bad-regex: `match`: unclosed group",
                "4:63: bad-value: `from` cannot be `stderr` (it is one of `stdout`)",
                "4:98: bad-value: `json` is `a.b`, not a JSON pointer (begin it with `/`: `/a/b`)",
                "4:105: bad-name: `D` is not the name of an output: a lower-case letter, then lower-case letters, digits or `_`, 64 at most",
            ],
        ),
        (
            "{ id: b, run: x, outputs: { a: { from: stdout, match: x, json: /a } } }",
            vec!["4:62: conflict: an output is found by `match` or by `json`, not by both"],
        ),
        (
            "{ id: b, run: x, verify: { within: 5m } }",
            vec!["4:30: missing-field: `verify` needs `run` (a script that exits 0 when the work is done)"],
        ),
        (
            "{ id: b, run: x, verify: { run: y, every: 5s } }",
            vec!["4:40: conflict: `every` does nothing without `within`: the script is asked once"],
        ),
        (
            "{ id: b, run: x, verify: { run: y, within: 1m, every: 0s } }",
            vec!["4:59: bad-value: `every` must be more than zero"],
        ),
        (
            "{ id: b, put: { to: etc/x, mode: 999, owner: -x } }",
            vec![
                "4:19: missing-field: `put` needs `from` (a path on the engine's machine, or `content:` with the text itself)",
                "4:25: bad-value: `to` is `etc/x`, not an absolute path on the host (begin it with `/`)",
                "4:38: bad-value: `mode` is `999`, not permission bits (three or four octal digits: \"0644\")",
                "4:50: bad-value: `owner` is `-x`, not `user` or `user:group`",
            ],
        ),
        (
            "{ id: b, put: { from: a, content: b } }",
            vec![
                "4:19: missing-field: `put` needs `to` (an absolute path on the host)",
                "4:30: conflict: the bytes come `from` a file or are the `content`, not both",
            ],
        ),
        (
            "{ id: b, get: {} }",
            vec![
                "4:19: missing-field: `get` needs `from` (an absolute path on the host)",
                "4:19: missing-field: `get` needs `to` (a path on the engine's machine, such as `to: \"{{ host.name }}.log\"`)",
            ],
        ),
        ("{ id: b, assert: [] }", vec!["4:22: bad-value: `assert` has no condition"]),
        (
            "{ id: b, assert: [{ else: x }, '{{ vm }}', 'vm =', 'vm = 1'] }",
            vec![
                "4:23: missing-field: `assert` needs `that` (an expression that must be true)",
                "4:36: bad-expression: `assert` takes an expression, not a template (leave `{{` and `}}` out)",
                "4:52: bad-expression: Unexpected '='; `==` compares",
                "4:60: bad-expression: Unexpected '='; `==` compares",
            ],
        ),
        (
            "{ id: b, wait: 30s }",
            vec![
                "4:20: wrong-type: `wait` takes a map (`wait: { for: 30s }`, or `wait: { until: a script, within: 10m }`)",
            ],
        ),
        (
            "{ id: b, wait: {} }",
            vec![
                "4:20: missing-field: `wait` needs `for` (`wait: { for: 30s }`, or `wait: { until: a script, within: 10m }`)",
            ],
        ),
        (
            "{ id: b, wait: { until: x } }",
            vec!["4:20: missing-field: `wait` needs `within` (how long to go on asking, such as `within: 10m`)"],
        ),
        (
            "{ id: b, wait: { for: 1s, until: x } }",
            vec!["4:31: conflict: `wait` is `for` some time or `until` a script exits 0, not both"],
        ),
        ("{ id: b, wait: { for: 1s, every: 1s } }", vec!["4:31: conflict: `every` does nothing on `wait for`"]),
        (
            "{ id: b, assert: true, unless: x, hosts: h, env: { A: b }, retry: 3 }",
            vec![
                "4:28: conflict: `unless` does nothing on `assert` (take it out)",
                "4:39: conflict: `hosts` does nothing on `assert` (take it out)",
                "4:49: conflict: `env` does nothing on `assert` (take it out)",
                "4:64: conflict: `retry` does nothing on `assert` (take it out)",
            ],
        ),
        (
            "{ id: b, wait: { for: 1s }, become: root, timeout: 1m }",
            vec![
                "4:33: conflict: `become` does nothing on `wait for` (take it out)",
                "4:47: conflict: `timeout` does nothing on `wait for` (take it out)",
            ],
        ),
        (
            "{ id: b, wait: { until: x, within: 1m }, undo: y, outputs: {} }",
            vec![
                "4:46: conflict: `undo` does nothing on `wait until` (take it out)",
                "4:55: conflict: `outputs` does nothing on `wait until` (take it out)",
            ],
        ),
        ("{ id: b, exec: [x], shell: bash }", vec!["4:25: conflict: `shell` does nothing on `exec` (take it out)"]),
        ("{ id: b, exec: [x], shell: bash, undo: y }", vec![]),
    ] {
        let expected: Vec<String> = faults.into_iter().map(|fault| format!("r:{fault}")).collect();
        told.push((text, step(text), expected));
    }
    same(told);
}

#[test]
fn moving_files_and_starting_hosts_anew_is_read() {
    let runbook = good(
        r##"
runbook: r
params: { fro: { type: host }, to: { type: host }, name: { type: name } }
steps:
  - id: copy
    transfer: { from: "{{ fro }}:/data/{{ name }}", to: "{{ to }}:{{ steps.look.outputs.at }}", sparse: false, checksum: false, rate: 50M, mode: "0600", owner: qemu }
    needs: look
  - { id: look, run: x, needs: [] }
  - { id: all, hosts: [a, b], transfer: { from: 'hv1:/x:y', to: /x } }
  - { id: again, hosts: a, reboot: { message: "for {{ name }}", timeout: 15m, command: "systemctl kexec\n" } }
  - { id: plain, hosts: a, reboot: true, verify: test -e /run/x }
  - { id: slow, transfer: { from: 'a:/x', to: 'b:/y', rate: "{{ steps.look.outputs.rate }}" } }
"##,
    );
    let Action::Transfer(slow) = &runbook.steps[5].action else { panic!() };
    assert_eq!(
        (slow.rate.as_ref().map(Template::source), slow.manner.rate),
        (Some("{{ steps.look.outputs.rate }}"), None)
    );
    let Action::Transfer(copy) = &runbook.steps[0].action else { panic!() };
    assert_eq!((copy.from_host.source(), copy.from.source()), ("{{ fro }}", "/data/{{ name }}"));
    assert_eq!(copy.to_host.as_ref().map(Template::source), Some("{{ to }}"));
    assert_eq!(copy.to.source(), "{{ steps.look.outputs.at }}");
    assert_eq!(copy.manner, Manner { sparse: false, checksum: false, rate: Some(50 * 1024 * 1024) });
    assert_eq!((copy.mode, copy.owner.as_deref()), (Some(0o600), Some("qemu")));
    let Action::Transfer(all) = &runbook.steps[2].action else { panic!() };
    assert_eq!((all.from.source(), &all.to_host, &all.manner), ("/x:y", &None, &Manner::default()));
    let Action::Reboot(again) = &runbook.steps[3].action else { panic!() };
    assert_eq!(again.command.as_deref(), Some("systemctl kexec\n"));
    assert_eq!(runbook.steps[3].timeout, Some(std::time::Duration::from_secs(900)));
    assert_eq!(runbook.steps[4].timeout, Some(std::time::Duration::from_secs(600)), "a reboot never waits for ever");

    same(vec![
        (
            "transfer",
            step("{ id: b, transfer: { from: 'a:x', to: /y } }"),
            vec![
                "r:4:32: bad-value: `from` is `a:x`, not a host and an absolute path (write a host and a path: `hv1:/data/disk.img`)".into(),
            ],
        ),
        (
            "hosts of a transfer",
            step("{ id: b, hosts: x, transfer: { from: /x, to: 'a:/y', rate: 0, sparce: true } }"),
            vec![
                "r:4:34: bad-value: `from` is `/x`, and names no host (write a host and a path: `hv1:/data/disk.img`; what comes from the engine's machine is a `put`)".into(),
                "r:4:64: bad-value: `rate` is 0, and nothing would ever arrive (bytes per second, such as `50M`)".into(),
                "r:4:67: unknown-field: `transfer` has no field `sparce` (did you mean `sparse`?)".into(),
            ],
        ),
        (
            "two words for one host",
            step("{ id: b, hosts: x, transfer: { from: 'c:/x', to: 'a:/y' } }"),
            vec![
                "r:4:14: conflict: `to` names the host already: this step runs there (take `hosts` out, or leave the host out of `to` to send the file to each of them)".into(),
            ],
        ),
        (
            "no word for any host",
            step("{ id: b, transfer: { from: 'c:/x', to: /y } }"),
            vec![
                "r:4:14: bad-value: `to` is `/y`, and names no host (write a host and a path: `hv1:/data/disk.img`, or give the step `hosts`)".into(),
            ],
        ),
        (
            "a host that is known too late",
            step("{ id: b, transfer: { from: '{{ steps.a.outputs.h }}:/x', to: '{{ fro }}:/{{ nome }}' } }"),
            vec![
                "r:4:36: unknown-param: `steps` is not known here: which hosts a step runs on is decided before anything runs (use a parameter)".into(),
                "r:4:81: unknown-param: there is no parameter or variable `nome`".into(),
            ],
        ),
        (
            "reboot",
            step("{ id: b, reboot: { timeout: 0s, command: 'x {{ vm }}' }, timeout: 5m }"),
            vec![
                "r:4:33: bad-value: `timeout` must be more than zero".into(),
                "r:4:49: template-in-script: `command` is a constant text: no `{{ }}` in it, because a shell would read the value as its own language (write \"$vm\": every parameter is an environment variable)".into(),
            ],
        ),
        (
            "reboot of nothing",
            step("{ id: b, reboot: false }"),
            vec!["r:4:22: bad-value: `reboot: false` does nothing (take the step out, or give it a `when`)".into()],
        ),
        (
            "reboot of whom",
            step("{ id: b, reboot: { timeout: 5m }, timeout: 6m }"),
            vec![
                "r:4:14: missing-field: `reboot` does not say which hosts (name them; `hosts: local` is the machine that Piton runs on)".into(),
                "r:4:39: conflict: `reboot` has a `timeout` of its own (write it into `reboot`)".into(),
            ],
        ),
    ]);
}

#[test]
fn no_template_enters_a_script() {
    for field in ["run", "unless", "undo", "verify"] {
        let action = if field == "run" { "" } else { "run: x\n" };
        let faults = block(&format!("id: b\n{action}{field}: |\n  echo fine\n  echo ü {{{{ vm }}}}"));
        let line = if field == "run" { 8 } else { 9 };
        assert_eq!(
            faults,
            [format!(
                "r:{line}:14: template-in-script: `{field}` is a constant text: no `{{{{ }}}}` in it, because a shell would read the value as its own language (write \"$vm\": every parameter is an environment variable)"
            )]
        );
    }
    let hint = |text: &str| {
        let faults = block(&format!("id: b\nrun: echo {text}"));
        assert_eq!(faults.len(), 1, "{text}: {faults:?}");
        assert!(faults[0].starts_with("r:6:15: template-in-script: "), "{}", faults[0]);
        faults[0].rsplit_once(" (").unwrap().1.trim_end_matches(')').to_owned()
    };
    assert_eq!(hint("{{params.vm}}"), "write \"$vm\": every parameter is an environment variable");
    let env = "give the value a name under `env:`, such as `env: { disk: \"{{ … }}\" }`, and write \"$disk\"";
    assert_eq!(hint("{{ steps.a.outputs.x }}"), env);
    assert_eq!(hint("{{ vmm }}"), env);
    assert_eq!(hint("{{"), env);
    for fine in [
        "'{{.Names}}'",
        "'{{ .State.Running }}'",
        "'{{json .}}'",
        "'{{range .Mounts}}{{.Source}}{{end}}'",
        "'{{- $x }}'",
        "}}",
        "{ { x } }",
    ] {
        assert_eq!(block(&format!("id: b\nrun: |\n  docker inspect -f {fine}")), [""; 0], "{fine}");
    }
}

#[test]
fn an_expression_names_only_what_it_can_see() {
    let mut told = Vec::new();
    for (text, faults) in [
        (
            "{ id: b, run: x, when: 'vmm == 1' }",
            vec!["4:29: unknown-param: there is no parameter or variable `vmm` (did you mean `vm`?)"],
        ),
        (
            "{ id: b, run: x, env: { A: 'ü {{ vm }} {{ vmm }}' } }",
            vec!["4:47: unknown-param: there is no parameter or variable `vmm` (did you mean `vm`?)"],
        ),
        (
            "{ id: b, run: x, when: 'params.vmm == 1' }",
            vec!["4:29: unknown-param: there is no parameter `vmm` (did you mean `vm`?)"],
        ),
        ("{ id: b, run: x, when: 'item == 1' }", vec!["4:29: unknown-param: `item` is known only under `for_each`"]),
        (
            "{ id: b, run: x, when: 'steps.c.exit == 1' }",
            vec!["4:29: unknown-need: there is no step `c` (did you mean `a`?)"],
        ),
        (
            "{ id: b, run: x, when: '1 == steps[\"c\"].exit' }",
            vec!["4:41: unknown-need: there is no step `c` (did you mean `a`?)"],
        ),
        (
            "{ id: b, run: x, when: 'steps.b.exit == 1' }",
            vec![
                "4:29: unknown-need: `b` reads its own outputs, which are not there before it has run (move what reads it to a later step)",
            ],
        ),
        (
            "{ id: b, run: x, needs: [], when: 'steps.a.exit == 1' }",
            vec![
                "4:40: unknown-need: `b` reads `a`, but does not come after it: it may have nothing to read (add `needs: [a]`)",
            ],
        ),
        (
            "{ id: b, run: x, hosts: '{{ fro }} {{ steps.a.outputs.h }}' }",
            vec![
                "4:43: unknown-param: `steps` is not known here: which hosts a step runs on is decided before anything runs (use a parameter)",
            ],
        ),
        (
            "{ id: b, run: x, hosts: '{{ host.x }}' }",
            vec![
                "4:33: unknown-param: `host` is not known here: which hosts a step runs on is decided before anything runs (use a parameter)",
            ],
        ),
        (
            "{ id: b, assert: 'host.vars.x == 1' }",
            vec!["4:23: unknown-param: `host` is not known here: this step runs on no host"],
        ),
        (
            "{ id: b, wait: { for: 1s }, when: 'host.vars.x == 1' }",
            vec!["4:40: unknown-param: `host` is not known here: this step runs on no host"],
        ),
        (
            "{ id: b, run: x, when: 'steps.a-b.exit == 1' }",
            vec![
                "4:36: bad-expression: `steps.a-b` means `steps.a` minus `b`; write `steps[\"a-b\"]` if that is the step",
            ],
        ),
        (
            "{ id: b, run: x, env: { A: '{{ vm' } }",
            vec!["4:33: bad-expression: this `{{` has no `}}`; to write `{{` itself, write `{{ \"{{\" }}`"],
        ),
        ("{ id: b, run: x, when: 'host.vars.x == 1 && run.id != \"\" && steps.a.exit == 0 && fro != vm' }", vec![]),
    ] {
        let expected: Vec<String> = faults.into_iter().map(|fault| format!("r:{fault}")).collect();
        told.push((text, step(text), expected));
    }
    same(told);
}

#[test]
fn faults_of_parameters() {
    let mut told = Vec::new();
    for (text, faults) in [
        (
            "x: { }",
            vec![
                "2:11: missing-field: `parameter x` needs `type` (one of string, name, host, hosts, integer, number, boolean, duration, size, path, enum, list, secret)",
            ],
        ),
        ("x: string", vec!["2:14: wrong-type: `parameter` takes a map, not a text"]),
        ("x: { type: strin }", vec!["2:22: bad-value: `type` cannot be `strin` (did you mean `string`?)"]),
        (
            "x: { type: secret, default: hunter2 }",
            vec![
                "2:39: secret-leak: a secret has no default: it would stand here for everybody to read (say where it comes from, such as `from: env:TOKEN`)",
            ],
        ),
        (
            "x: { type: secret, pattern: a, min: 3 }",
            vec![
                "2:39: conflict: `pattern` does nothing for this type",
                "2:47: conflict: `min` does nothing for this type",
            ],
        ),
        (
            "x: { type: secret, from: hunter2 }",
            vec![
                "2:36: bad-value: `from`: a secret comes from `env:NAME`, `file:PATH`, `cmd:COMMAND` or `prompt` (`from: env:TOKEN`, `from: file:PATH`, `from: cmd:pass show token`, or `from: prompt`)",
            ],
        ),
        (
            "x: { type: string, from: env:X }",
            vec![
                "2:30: conflict: `from` is for secrets: other parameters are given on the command line, or have a `default`",
            ],
        ),
        ("x: { type: enum }", vec!["2:11: missing-field: `enum` needs `choices` (a list of texts)"]),
        ("x: { type: enum, choices: [] }", vec!["2:37: bad-value: `choices` is empty: no value would be right"]),
        ("x: { type: enum, choices: [a, a] }", vec!["2:41: duplicate: the choice `a` stands here twice"]),
        (
            "x: { type: string, choices: [a] }",
            vec!["2:39: conflict: `choices` does nothing for the type `string` (did you mean `type: enum`?)"],
        ),
        (
            "x: { type: integer, default: five }",
            vec!["2:40: bad-param: the default of `x` is refused: it takes a whole number, not a text"],
        ),
        (
            "x: { type: integer, default: 5, max: 4 }",
            vec!["2:40: bad-param: the default of `x` is refused: it is 5, more than 4"],
        ),
        (
            "x: { type: duration, default: 5 }",
            vec![
                "2:41: bad-param: the default of `x` is refused: `5` is not a duration: add a unit, such as 5s, 5m or 5h",
            ],
        ),
        (
            "x: { type: boolean, default: no }",
            vec!["2:40: bad-param: the default of `x` is refused: it takes `true` or `false`, not a text"],
        ),
        (
            "x: { type: path, default: a }",
            vec!["2:37: bad-param: the default of `x` is refused: `a` is not an absolute path: it must begin with `/`"],
        ),
        ("x: { type: string, pattern: '(' }", vec!["2:39: bad-regex: `pattern`: unclosed group"]),
        ("x: { type: integer, pattern: a }", vec!["2:40: conflict: `pattern` does nothing for this type"]),
        ("x: { type: boolean, min: 1 }", vec!["2:36: conflict: `min` does nothing for this type"]),
        ("x: { type: integer, min: 5, max: 1 }", vec!["2:36: conflict: `min` 5 is more than `max` 1"]),
        (
            "x: { type: integer, default: 1, required: true }",
            vec!["2:53: conflict: a parameter with a `default` is never missing: take `required` out"],
        ),
        ("x: { type: integer, min: .nan }", vec!["2:36: bad-value: `min` cannot be read: it is not a number"]),
        (
            "host: { type: host }",
            vec![
                "2:11: bad-name: no parameter can be called `host`: expressions use the name for something else (`target`, for example)",
            ],
        ),
        (
            "default: { type: host }",
            vec![
                "2:11: bad-name: no parameter can be called `default`: it is a word of the expression language (choose another name)",
            ],
        ),
        (
            "X: { type: host }",
            vec![
                "2:11: bad-name: `X` is not a parameter name: a lower-case letter, then lower-case letters, digits or `_`, 64 at most",
            ],
        ),
        (
            "x: { type: string, defualt: 1 }",
            vec!["2:30: unknown-field: `parameter` has no field `defualt` (did you mean `default`?)"],
        ),
    ] {
        let (_, found) = read(&format!("runbook: r\nparams: {{ {text} }}\nsteps: [{{ id: a, run: x }}]\n"));
        let expected: Vec<String> = faults.into_iter().map(|fault| format!("r:{fault}")).collect();
        told.push((text, found, expected));
    }
    same(told);
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

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,60}") {
        let _ = read(&text);
    }

    /// Trees of the words that the language knows, in places where they may or may not stand.
    #[test]
    fn no_tree_of_known_words_panics(text in tree()) {
        let _ = read(&format!("runbook: r\nparams: {text}\nsteps: {text}\nfinally: [{text}, {text}]\n"));
        let _ = read(&format!("runbook: r\nsteps: [{{ id: a, run: x }}, {text}]\n"));
    }
}

fn tree() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "id",
        "run",
        "exec",
        "put",
        "get",
        "assert",
        "wait",
        "needs",
        "hosts",
        "verify",
        "within",
        "every",
        "retry",
        "times",
        "on",
        "for",
        "until",
        "from",
        "to",
        "content",
        "mode",
        "outputs",
        "match",
        "json",
        "env",
        "when",
        "that",
        "else",
        "type",
        "enum",
        "choices",
        "default",
        "min",
        "max",
        "pattern",
        "size",
        "duration",
        "list",
        "a",
        "5m",
        "10G",
        "stdout",
        "~",
        "true",
        "0644",
        "-1",
        "'{{ a }}'",
        "'{{ steps.a.exit }}'",
        "\"\\0\"",
        "\"\"",
    ]);
    word.prop_map(str::to_owned).prop_recursive(4, 40, 6, |inner| {
        let keys = prop::sample::select(vec![
            "id", "run", "exec", "put", "get", "assert", "wait", "needs", "hosts", "verify", "within", "retry",
            "times", "on", "for", "until", "from", "to", "content", "mode", "outputs", "env", "when", "that", "type",
            "choices", "default", "a",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::btree_map(keys, inner, 0..6).prop_map(|map| {
                let entries: Vec<String> = map.iter().map(|(key, value)| format!("{key}: {value}")).collect();
                format!("{{{}}}", entries.join(", "))
            }),
        ]
    })
}
