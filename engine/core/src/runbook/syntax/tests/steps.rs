//! Faults of single steps.

use super::*;

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
