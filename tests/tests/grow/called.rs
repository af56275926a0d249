//! Calls of runbooks by runbooks: how they are checked, and how what they did is taken back.

use std::path::Path;
use std::process::Child;

use super::*;

/// A step whose undo says when it begins and when it is done, and in between waits for a file.
fn gated(id: &str, host: &str, says: &str) -> String {
    format!(
        r#"
  - id: {id}
    hosts: {host}
    run: |
      echo "{id} $PITON_HOST {says}" >> "$witness"
      echo "was=$name-{id}" >> "$PITON_OUTPUT"
    undo: |
      echo "back {id} $PITON_HOST {says} $was" >> "$witness"
      until test -e "$gate/{id}"; do sleep 0.05; done
      echo "over {id}" >> "$witness"
"#
    )
}

const PARAMS: &str =
    "params:\n  name: { type: name, default: outer }\n  witness: { type: path }\n  gate: { type: path }\n";

fn call(id: &str, runbook: &str, name: &str) -> String {
    format!(
        "  - id: {id}\n    call: {{ runbook: {runbook}, with: {{ name: \"{name}\", witness: \"{{{{ witness }}}}\", gate: \"{{{{ gate }}}}\" }} }}\n"
    )
}

/// SIGKILL, and another engine comes.
fn anew(place: &Place, mut engine: Child) -> Child {
    engine.kill().unwrap();
    engine.wait().unwrap();
    place.start(&["resume", "--latest"])
}

fn wait_for_line(witness: &Path, wanted: &str) {
    wait_for(&|| format!("`{wanted}` never comes: {:#?}", lines(witness)), &|| {
        lines(witness).iter().any(|line| line.starts_with(wanted)).then_some(())
    });
}

/// What two runbooks did that were called, one by the other, is taken back across both borders: the last thing first, each with
/// the values that it was called with. The engine is killed within each undo, and at the end of each.
#[test]
fn what_called_runbooks_did_is_taken_back_though_the_engine_is_killed_in_each_undo() {
    let (one, two) = (Sshd::start(), Sshd::start());
    let place = Place::with_hosts(PITON, &[("h1", &one), ("h2", &two)]);
    let (witness, gate) = (place.outside("witness"), place.outside("gate"));
    std::fs::create_dir(&gate).unwrap();
    let outer = [
        format!("runbook: outer\non_failure: undo\n{PARAMS}steps:"),
        gated("prepare", "h1", "$name"),
        "  - { id: facts, hosts: h1, run: echo vm=web1 >> \"$PITON_OUTPUT\" }\n".to_owned(),
        call("move", "inner", "{{ steps.facts.outputs.vm }}"),
        gated("last", "h2", "$name").replace("    undo", "      exit 1\n    undo"),
    ];
    let inner = [
        format!("runbook: inner\n{PARAMS}steps:"),
        gated("stop", "h1", "$name"),
        call("disk", "leaf", "{{ steps.stop.outputs.was }}-disk"),
        gated("start", "h2", "$name $FROM")
            .replace("    run", "    env: { FROM: \"{{ steps.disk.outputs.at }}\" }\n    run"),
    ];
    let leaf = [
        format!("runbook: leaf\n{PARAMS}outputs: {{ at: \"{{{{ steps.copy.outputs.was }}}}\" }}\nsteps:"),
        gated("copy", "h2", "$name"),
    ];
    for (name, text) in [("outer", outer.concat()), ("inner", inner.concat()), ("leaf", leaf.concat())] {
        place.write(&format!("runbooks/{name}.yaml"), &text);
    }
    let params = [format!("witness={}", witness.display()), format!("gate={}", gate.display())];
    let plan = place.piton(&["--json", "plan", "outer", &params[0], &params[1], "--undo"]).json().remove(0);
    let way: Vec<&str> = plan["undo"].as_array().unwrap().iter().map(|u| u["task"].as_str().unwrap()).collect();
    assert_eq!(way, ["last[h2]", "move/start[h2]", "move/disk/copy[h2]", "move/stop[h1]", "prepare[h1]"]);

    let mut engine = place.start(&["run", "outer", &params[0], &params[1]]);
    for step in ["last", "start", "copy", "stop", "prepare"] {
        wait_for_line(&witness, &format!("back {step} "));
        engine = anew(&place, engine);
        std::fs::write(gate.join(step), "").unwrap();
        wait_for_line(&witness, &format!("over {step}"));
        engine = anew(&place, engine);
    }
    let end = engine.wait_with_output().unwrap();
    assert_eq!(end.status.code(), Some(4), "{}", String::from_utf8_lossy(&end.stderr));
    let copied = "web1-stop-disk";
    let done = [
        "prepare h1 outer".to_owned(),
        "stop h1 web1".to_owned(),
        format!("copy h2 {copied}"),
        format!("start h2 web1 {copied}-copy"),
        "last h2 outer".to_owned(),
    ];
    let values = ["outer-prepare", "web1-stop", "web1-stop-disk-copy", "web1-start", "outer-last"];
    let mut expected = done.to_vec();
    for (line, was) in done.iter().zip(values).rev() {
        expected.push(format!("back {line} {was}"));
        expected.push(format!("over {}", line.split(' ').next().unwrap()));
    }
    assert_eq!(lines(&witness), expected);
    let show = place.piton(&["--json", "show", "latest"]).json().remove(0);
    assert_eq!(show["state"], "undone", "{show}");
    assert_eq!(place.piton(&["verify", "latest"]).code, 0);
}

/// A runbook that is called for each of several items: what it did is taken back for each with the item's own values, whether
/// it fails within or behind it.
#[test]
fn what_was_called_for_each_item_is_taken_back_for_each() {
    let (one, two) = (Sshd::start(), Sshd::start());
    let place = Place::with_hosts(PITON, &[("h1", &one), ("h2", &two)]);
    let step = |id: &str, host: &str, fails: &str| {
        format!(
            "  - id: {id}\n    hosts: {host}\n    run: |\n      echo \"+ {id} $name\" >> \"$witness\"\n      test \"$name\" != {fails}\n    undo: echo \"- {id} $name\" >> \"$witness\"\n"
        )
    };
    let params = "params:\n  name: { type: name, default: outer }\n  witness: { type: path }\n";
    for (fails, expected) in [("db1", 4), ("outer", 5)] {
        place.write(
            "runbooks/inner.yaml",
            &format!("runbook: inner\n{params}steps:\n{}{}", step("stop", "h1", "nobody"), step("start", "h2", fails)),
        );
        place.write(
            "runbooks/outer.yaml",
            &format!(
                "runbook: outer\non_failure: undo\nmax_parallel: 1\n{params}steps:\n  - id: move\n    for_each: [web1, db1]\n    call: {{ runbook: inner, with: {{ name: \"{{{{ item }}}}\", witness: \"{{{{ witness }}}}\" }} }}\n{}",
                step("last", "h2", fails)
            ),
        );
        let witness = place.outside(fails);
        let ran = place.piton(&["run", "outer", &format!("witness={}", witness.display())]);
        assert_eq!(ran.code, 4, "{}{}", ran.out, ran.err);
        let said = lines(&witness);
        let (done, undone) = said.split_at(expected);
        assert!(done.iter().all(|line| line.starts_with("+ ")), "{said:?}");
        let back: Vec<String> = done.iter().rev().map(|line| line.replacen('+', "-", 1)).collect();
        assert_eq!(undone, back, "{said:?}");
        for item in ["web1", "db1"] {
            assert!(done.contains(&format!("+ stop {item}")) && done.contains(&format!("+ start {item}")), "{said:?}");
        }
    }
}

#[test]
fn calls_are_checked_across_files() {
    let place = Place::with_runbook(PITON, "a", "runbook: a\nsteps:\n  - { id: x, call: b }\n");
    place.write("runbooks/b.yaml", "runbook: b\nsteps:\n  - { id: x, call: { runbook: c, with: { n: many } } }\n");
    place.write(
        "runbooks/c.yaml",
        "runbook: c\nparams: { n: { type: integer }, m: { type: name } }\nsteps:\n  - { id: x, call: a }\n  - { id: y, call: d }\n",
    );
    let ran = place.piton(&["check"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    for said in [
        "runbooks cannot call each other in a circle: a → b → c → a",
        "runbooks/c.yaml:4:20",
        "`c` refuses its parameter `n`: `many` is not a whole number",
        "`c` needs a value for `m`",
        "runbooks/b.yaml:3:",
        "there is no runbook `d`",
    ] {
        assert!(ran.err.contains(said), "{said}: {}", ran.err);
    }
    // What a runbook has that cannot be where it is called from is said by whoever calls it, also over another one.
    place.write("runbooks/a.yaml", "runbook: a\nsteps:\n  - { id: x, for_each: [1, 2], steps: [{ id: y, call: b }] }\n  - { id: z, call: { runbook: d } }\n");
    place.write(
        "runbooks/b.yaml",
        "runbook: b\nparams: { n: { type: integer, default: 1 } }\nsteps:\n  - { id: x, call: c }\n",
    );
    place.write(
        "runbooks/c.yaml",
        "runbook: c\nsteps:\n  - { id: x, for_each: [a, b], run: echo }\nfinally:\n  - { id: y, run: echo }\n",
    );
    place.write(
        "runbooks/d.yaml",
        "runbook: d\nparams: { key: { type: secret, from: 'env:KEY' } }\nsteps:\n  - { id: x, run: echo }\n",
    );
    let ran = place.piton(&["check", "a"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    for said in [
        "a `for_each` cannot stand inside of another: `b` → `c` has one in its step `x`, and is called for each item",
        "runbooks/a.yaml:3:55",
        "make one list of both",
        "`b` → `c` has `finally` steps, so it cannot be called from `finally` or `for_each`",
        "`d` has secret parameters, which a call cannot give",
    ] {
        assert!(ran.err.contains(said), "{said}: {}", ran.err);
    }
    place.write("runbooks/a.yaml", "runbook: a\nsteps:\n  - { id: x, call: b }\n");
    place.write("runbooks/b.yaml", "runbook: b\nsteps:\n  - { id: x, rum: y }\n");
    let ran = place.piton(&["plan", "a"]);
    assert!(ran.err.contains("runbooks/b.yaml:3:14") && ran.err.contains("no field `rum`"), "{}", ran.err);
    place.write("runbooks/b.yaml", "runbook: b\nparams: { n: { type: integer } }\noutputs: { twice: \"{{ n * 2 }}\" }\nsteps:\n  - { id: x, run: echo $n }\n");
    place.write("runbooks/a.yaml", "runbook: a\nsteps:\n  - { id: x, call: { runbook: b, with: { n: 21 } } }\n  - { id: y, assert: [steps.x.outputs.twice == 42] }\n");
    let ran = place.piton(&["run", "a"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(place.piton(&["show", "latest"]).out.contains("x/x[local]"));
}
