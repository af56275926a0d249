//! What expressions see, and what scripts may not hold.

use super::*;

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
