use crate::fault::Source;
use crate::runbook::parse;

/// The faults of a step of a runbook with the secret `token`; the step is line 4.
fn faults(step: &str) -> Vec<String> {
    let text = format!(
        "runbook: r\nparams: {{ token: {{ type: secret }}, vm: {{ type: name }} }}\nsteps:\n  - {{ id: a, {step} }}\n"
    );
    let (_, faults) = parse(&Source { name: "r".into(), text: text.as_str().into() });
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn a_secret_reaches_a_script_and_a_file_that_is_closed() {
    for good in [
        r#"run: 'login "$token"'"#,
        r#"run: x, env: { PGPASSWORD: "{{ token }}" }"#,
        r#"run: x, env: { URL: "https://u:{{ params.token }}@{{ vm }}/" }"#,
        r#"exec: [psql, -l], env: { PGPASSWORD: "{{ token }}" }"#,
        r#"put: { content: "pw={{ token }}", to: /etc/x, mode: "0600", secret: true }"#,
        r#"put: { content: "vm={{ vm }}", to: /etc/x }"#,
    ] {
        assert_eq!(faults(good), [""; 0], "{good}");
    }
}

#[test]
fn a_secret_is_refused_wherever_it_would_be_seen_or_kept() {
    let script = "(a script has it as \"$token\"; `env: { NAME: \"{{ token }}\" }` gives it another name)";
    for (step, says) in [
        (r#"exec: [curl, "-u{{ token }}"]"#, "the words of a command can be read by everybody on the host (ps)"),
        (r#"run: x, hosts: "{{ token }}""#, "hosts stand in the plan"),
        (r#"run: x, when: token != """#, "conditions and what they say are shown and kept"),
        (r#"assert: [{ that: true, else: "{{ params.token }}" }]"#, "conditions and what they say are shown and kept"),
        (r#"assert: ['params["token"] == "a"']"#, "conditions and what they say are shown and kept"),
        (r#"put: { from: "{{ token }}", to: /etc/x }"#, "paths are shown and kept"),
        (r#"get: { from: "/{{ token }}", to: x }"#, "paths are shown and kept"),
    ] {
        let found = faults(step);
        assert_eq!(found.len(), 1, "{step}: {found:?}");
        assert!(
            found[0].starts_with("r:4:") && found[0].contains(": secret-leak: the secret `token` cannot be named in `"),
            "{found:?}"
        );
        assert!(found[0].contains(says) && found[0].ends_with(script), "{found:?}");
    }
}

#[test]
fn nothing_is_computed_with_a_secret_and_no_file_with_one_is_open() {
    for (step, says) in [
        (r#"run: x, env: { A: "{{ token + 1 }}" }"#, "nothing can be computed with the secret `token`"),
        (r#"run: x, env: { A: "{{ token.len() }}" }"#, "nothing can be computed with the secret `token`"),
        (r#"run: x, env: { A: "{{ token }}{{ [params.token] }}" }"#, "nothing can be computed with the secret `token`"),
        (
            r#"put: { content: "{{ token }}", to: /etc/x }"#,
            "the secret `token` would come into a file that others may read",
        ),
        (r#"put: { content: "{{ token }}", to: /etc/x, mode: "0600" }"#, "would come into a file that others may read"),
        (
            r#"put: { content: "{{ token }}", to: /etc/x, secret: true }"#,
            "a file with secrets needs a `mode` that closes it to others",
        ),
        (
            r#"put: { content: "{{ token }}", to: /etc/x, mode: "0640", secret: true }"#,
            "a file with secrets needs a `mode`",
        ),
        (r#"put: { from: x, to: /etc/x, mode: "0600", secret: true }"#, "`secret` is about `content`"),
        (r#"run: "echo {{ token }}""#, "`run` is a constant text"),
    ] {
        let found = faults(step);
        assert_eq!(found.len(), 1, "{step}: {found:?}");
        assert!(found[0].contains(says), "{step}: {found:?}");
    }
}
