//! What is seen before anything runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use piton_core::fault::{Fault, Source};
use piton_hooks::{check_hooks, check_script, used};

use crate::bench::{World, said, shipped, text_with};

fn scripts(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn script(text: &str, all: &[(&str, &str)]) -> Vec<String> {
    let source = Source { name: Arc::from("scripts/own.rhai"), text: Arc::from(text) };
    check_script(&source, &scripts(all)).iter().map(Fault::to_string).collect()
}

fn hooks(yaml: &str, all: &[(&str, &str)]) -> Vec<String> {
    let source = Source { name: Arc::from("r.yaml"), text: Arc::from(yaml) };
    let (runbook, faults) = piton_core::runbook::parse(&source);
    assert_eq!(faults, []);
    let runbook = runbook.unwrap();
    let hooks = runbook.steps.iter().flat_map(|step| step.hooks());
    check_hooks(hooks, &source, &scripts(all)).iter().map(Fault::to_string).collect()
}

#[test]
fn every_fault_of_a_script_has_its_place_and_a_hint() {
    let text = "import \"othr\" as o;\nfn f(x) {\n    let y = trimm(x);\n    o::g(1);\n    p::g(1);\n    fi(y, 1);\n    host.runn(\"x\");\n    f(1, 2)\n}\n";
    assert_eq!(
        script(text, &[("other", "fn g() {}")]),
        [
            "scripts/own.rhai:1:8: bad-expression: there is no script `othr` in scripts/; did you mean `other`?",
            "scripts/own.rhai:3:13: bad-expression: there is no function `trimm` (did you mean `trim`?)",
            "scripts/own.rhai:5:8: bad-expression: nothing is imported as `p`",
            "scripts/own.rhai:6:5: bad-expression: there is no function `fi` (did you mean `f`?)",
            "scripts/own.rhai:7:10: bad-expression: there is no function `runn` (did you mean `run`?)",
            "scripts/own.rhai:8:5: bad-expression: `f` takes 1 argument, and is given 2 (what stands before the dot counts as the first one)",
        ]
    );
    assert_eq!(script("import \"other\" as o;\no::h(); o::g(1)", &[("other", "fn g() {}")]).len(), 2);
    let unclosed = script("fn f( {", &[]);
    assert_eq!(unclosed.len(), 1);
    assert!(unclosed[0].starts_with("scripts/own.rhai:1:7: bad-expression: "), "{unclosed:?}");
}

#[test]
fn what_is_right_is_not_complained_about() {
    let text = "const LIMIT = 3;\nfn f(x) { x.filter(|i| i > 1).map(|i| i * 2).len() + global::LIMIT }\nfn g() { let h = |x| x; h.call(1); f([1]); host.run(\"x\", #{ a: 1 }).out.split(\",\"); let d = parse_xml(\"<a/>\"); d.first(\"b\").attr(\"c\"); type_of(d) }\nlet a = [1]; for x in a { x += 1; } `${f(a)}`;\n";
    assert_eq!(script(text, &[]), Vec::<String>::new());
}

#[test]
fn a_runbook_names_functions_that_are_there() {
    let all = [("libvirt", "fn guests(text) { 1 }\nprivate fn inner() { 2 }")];
    let yaml = |hook: &str| format!("runbook: r\nsteps:\n  - id: a\n    hook: {hook}\n");
    let complaint = |hook: &str| hooks(&yaml(hook), &all);
    assert_eq!(complaint("{ call: libvirt.guests, args: [x] }"), Vec::<String>::new());
    for (hook, says) in [
        (
            "libvrt.guests",
            "r.yaml:4:11: bad-expression: there is no script scripts/libvrt.rhai (did you mean `libvirt`?)",
        ),
        (
            "libvirt.guest",
            "r.yaml:4:11: bad-expression: scripts/libvirt.rhai has no function `guest` (did you mean `guests`?)",
        ),
        ("libvirt.inner", "r.yaml:4:11: bad-expression: scripts/libvirt.rhai has no function `inner` (it has guests)"),
        (
            "libvirt.guests",
            "r.yaml:4:11: bad-expression: `guests` of scripts/libvirt.rhai takes 1 argument, and is given 0",
        ),
    ] {
        assert_eq!(complaint(hook), [says]);
    }
    let text = "|\n      let x = 1;\n\n      x + trimm(2)";
    assert_eq!(complaint(text), ["r.yaml:7:11: bad-expression: there is no function `trimm` (did you mean `trim`?)"]);
    let text = "|\n      let x = (1;\n";
    assert!(complaint(text)[0].starts_with("r.yaml:5:17: bad-expression: "), "{:?}", complaint(text));
}

#[test]
fn a_plan_gets_the_scripts_that_it_uses_and_those_that_they_use() {
    let all = scripts(&[("a", "import \"b\" as b;"), ("b", "import \"a\" as a;"), ("c", "1"), ("d", "2")]);
    let source = Source {
        name: Arc::from("r.yaml"),
        text: Arc::from(
            "runbook: r\nsteps:\n  - { id: x, hook: a.f }\n  - { id: y, run: \"true\", after: 'import \"c\" as c; 1' }\n",
        ),
    };
    let runbook = piton_core::runbook::parse(&source).0.unwrap();
    let found = used(runbook.steps.iter().flat_map(|step| step.hooks()), &all);
    assert_eq!(found.into_keys().collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn the_scripts_that_come_along_are_without_fault() {
    let all = shipped();
    assert!(!all.is_empty());
    for (name, text) in &all {
        let source = Source { name: format!("scripts/{name}.rhai").into(), text: text.as_str().into() };
        assert_eq!(check_script(&source, &all), []);
    }
}

const ONE: &str = "fn first() { own() }\nfn own() { 1 }";
const OTHER: &str = "fn second() { own() }\nprivate fn own() { 2 }";

#[test]
fn functions_that_would_be_called_for_each_other_are_told() {
    let all = [("one", ONE), ("other", OTHER), ("both", "import \"one\" as a;\nimport \"other\" as b;\n")];
    let clash = "there is a `own` with 0 arguments in scripts/one.rhai and in scripts/other.rhai: one would be called for the \
                 other (give one of them another name)";
    let brings_both = "import \"one\" as a;\nimport \"other\" as b;\na::first() + b::second()";
    assert_eq!(script(brings_both, &all), [format!("scripts/own.rhai:2:8: bad-expression: {clash}")]);
    let runbook =
        "runbook: r\nsteps:\n  - id: a\n    hook: |\n      import \"one\" as a;\n      import \"other\" as b;\n";
    assert_eq!(hooks(runbook, &all), [format!("r.yaml:6:14: bad-expression: {clash}")]);
    // It is told once, where it comes from.
    assert_eq!(script("import \"both\" as c;", &all), Vec::<String>::new());
    let mine = script("import \"one\" as a;\nfn own() { 3 }\nfn third() { own() }", &all);
    assert_eq!(mine.len(), 1, "{mine:?}");
    assert!(mine[0].contains("with 0 arguments here and in scripts/one.rhai"), "{mine:?}");
    // Whoever says whose it is gets that one, and other numbers of arguments are other functions.
    for fine in ["fn own() { 2 }", "fn second() { own(1) }\nfn own(x) { x }"] {
        let all = [("one", "fn own() { 1 }"), ("other", fine)];
        assert_eq!(script("import \"one\" as a;\nimport \"other\" as b;\na::own()", &all), Vec::<String>::new());
    }
}

#[test]
fn rhai_calls_one_for_the_other() {
    let world = World::new(|_| said(""));
    let text = "import \"one\" as a;\nimport \"other\" as b;\nlet found = [];\n\
                for n in 0..3 { found.push(a::first()); found.push(b::second()); }\n#{ found: found }";
    let found = text_with(text, &world, &[("one", ONE), ("other", OTHER)]).unwrap();
    let right: piton_core::value::Value = serde_json::from_str("[1, 2, 1, 2, 1, 2]").unwrap();
    assert_ne!(found["found"], right, "Rhai keeps them apart now: `clash.rs` is not needed any more");
}

#[test]
fn a_script_may_be_imported_again_and_again() {
    let world = World::new(|_| said(""));
    let text = "let sum = 0;\nfor n in 0..100 { import \"one\" as a; sum += a::first(); }\n#{ sum: sum }";
    let found = text_with(text, &world, &[("one", ONE)]).unwrap();
    assert_eq!(found["sum"], piton_core::value::Value::from(100_i64));
}
