//! What a hook may call, and what it is told when that goes wrong.

use serde_json::json;

use crate::bench::{World, order, said, text, text_with, value};
use piton_hooks::RhaiHooks;
use piton_runner::hooks::Hooks;

#[test]
fn texts_sizes_and_documents_are_read() {
    for (expression, expected) in [
        ("size(\"2KiB\")", json!(2048)),
        ("show_size(2048)", json!("2KiB")),
        ("duration(\"1h30m\")", json!(5400)),
        ("duration(\"250ms\")", json!(0.25)),
        ("show_duration(0.25)", json!("250ms")),
        ("lines(\"a\\nb\\n\\n\")", json!(["a", "b"])),
        ("words(\"  a  b \")", json!(["a", "b"])),
        ("join([\"a\", 1, true], \"-\")", json!("a-1-true")),
        ("matches(\"web12\", \"^web[0-9]+$\")", json!(true)),
        ("find(\"id: 42\", \"id: (?P<id>[0-9]+)\").id", json!("42")),
        ("find(\"x\", \"y\")", json!(null)),
        ("find_all(\"a1 b2\", \"[a-z]([0-9])\").map(|m| m[\"1\"])", json!(["1", "2"])),
        ("parse_json(\"{\\\"a\\\": [1, 2.5, null]}\")", json!({"a": [1, 2.5, null]})),
        ("parse_yaml(\"a: [1, x]\\nb: true\\n\").a[1]", json!("x")),
        ("to_json(#{ a: [1, \"x\"] })", json!("{\"a\":[1,\"x\"]}")),
        ("params.vm", json!("web1")),
        ("host.name", json!("hv1")),
        ("{ let host = #{ name: \"own\" }; host.name }", json!("own")),
        ("run.runbook", json!("bench")),
        ("now()", json!(1_700_000_000)),
        ("hosts()", json!(["hv1"])),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
}

#[test]
fn a_host_does_what_it_is_told_and_answers() {
    let world = World::new(|call| match call.shown.as_str() {
        "virsh list --name" => said("web1\nweb2\n"),
        "false" => json!({ "exit": 1, "out": "no such guest\n", "outputs": {} }),
        "big" => json!({ "exit": 0, "error": "it printed more than 262144 bytes" }),
        _ => json!({ "exit": 0, "out": "", "outputs": { "disk": "/dev/vg/x" } }),
    });
    let hook = r#"
let guests = lines(host.run("virsh list --name").out);
log(guests);
let failed = host.try_run("false");
let disk = host.exec(["lvs", params.vm], #{ LC_ALL: "C" }).outputs.disk;
host.safe.as_user("qemu").run("true");
host.write("/etc/x", "content", "0600");
notify("moved " + params.vm);
set_output("count", guests.len());
#{ failed: failed.exit, ok: failed.ok, out: failed.out, disk: disk }
"#;
    let outputs = text(hook, &world).unwrap();
    let expected = json!({ "count": 2, "failed": 1, "ok": false, "out": "no such guest", "disk": "/dev/vg/x" });
    assert_eq!(serde_json::Value::Object(outputs), expected);
    assert_eq!(world.logged.lock().unwrap().as_slice(), ["web1\nweb2"]);
    assert_eq!(
        world.asked(),
        [
            "hv1 run: virsh list --name",
            "hv1 run: false",
            "hv1 exec: lvs web1",
            "hv1 run: true",
            "hv1 write: /etc/x, 7 bytes",
            "notify: moved web1",
        ]
    );
    let calls = world.calls.lock().unwrap();
    assert_eq!(calls[2].script, "exec 'lvs' 'web1'\n");
    assert_eq!(calls[2].env, [("LC_ALL".to_owned(), "C".to_owned())]);
    assert_eq!((calls[3].safe, calls[3].become_user.as_deref()), (true, Some("qemu")));
    assert!(!calls[0].safe && calls[4].safe);
    assert!(calls[4].script.contains("$content") && !calls[4].script.contains("/etc/x"));
    drop(calls);

    let why = text("host.run(\"false\")", &world).unwrap_err();
    assert_eq!(why, "main of step do:1:6: hv1 run exited with status 1: no such guest");
    assert!(text("host.run(\"big\")", &world).unwrap_err().contains("more than 262144 bytes"));
    let caught = text("let v = \"\"; try { host.run(\"false\"); } catch (e) { v = e; } #{ v: v }", &world).unwrap();
    assert_eq!(caught["v"], "hv1 run exited with status 1: no such guest");
}

#[test]
fn an_error_names_the_place_and_who_called() {
    let world = World::new(|_| said(""));
    let script = "fn outer(x) {\n    inner(x)\n}\n\nfn inner(x) {\n    if x > 1 {\n        fail(\"too many: \" + x);\n    }\n    x\n}\n";
    let yaml =
        "runbook: bench\nsteps:\n  - id: do\n    hosts: hv1\n    hook: { call: own.outer, args: [\"{{ 5 }}\"] }\n";
    let why = RhaiHooks.evaluate(&order(yaml, &[], &[("own", script)]), world.clone()).unwrap_err();
    assert_eq!(why, "scripts/own.rhai:7:9: too many: 5 (called at scripts/own.rhai:2:5: `inner`)");

    let why = text_with("import \"own\" as own;\nlet x = 3;\nown::outer(x)", &world, &[("own", script)]).unwrap_err();
    let called = "scripts/own.rhai:2:5: `inner`, main of step do:3:6: `outer`";
    assert_eq!(why, format!("scripts/own.rhai:7:9: too many: 3 (called at {called})"));

    // In one line, as in documents.
    assert_eq!(text("matches(\"x\", \"(\")", &world).unwrap_err(), "main of step do:1:1: unclosed group");
    assert_eq!(text("let x = #{ a: 1 };\nx.b", &world).unwrap_err().split(": ").next(), Some("main of step do:2:3"));
    assert_eq!(text("nosuch + 1", &world).unwrap_err(), "main of step do:1:1: there is no `nosuch` here");
    assert!(text("host.run(\"x\").out > 5", &world).unwrap_err().contains("compares text with a number"));
}

#[test]
fn only_steps_that_came_before_can_be_read() {
    let yaml = "runbook: bench\nsteps:\n  - { id: a, hosts: hv1, run: a }\n  - { id: b, needs: [], hosts: hv1, run: b }\n  - id: do\n    needs: [a]\n    hosts: hv1\n    hook: 'TEXT'\n";
    let world = World::new(|_| said(""));
    let eval = |text: &str| RhaiHooks.evaluate(&order(&yaml.replace("TEXT", text), &[], &[]), world.clone());
    assert_eq!(eval("#{ v: steps.a.state }").unwrap()["v"], "waiting");
    assert!(eval("steps.b.state").unwrap_err().contains("does not come after it: add it to `needs`"));
    assert!(eval("steps.aa.state").unwrap_err().contains("there is no step `aa`; did you mean `a`?"));
}
