//! What is seen before anything runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use piton_core::fault::{Fault, Source};
use piton_hooks::{check_hooks, check_script, used};

use crate::bench::shipped;

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
