//! Faults of parameters.

use super::*;

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
