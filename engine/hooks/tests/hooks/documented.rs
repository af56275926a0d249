//! What the reference says about hooks: its examples are evaluated, and every function of ours stands in it.

use std::path::Path;

use piton_hooks::check_script;
use serde_json::Value;

use crate::bench::{World, said, text};

fn page(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src").join(name)).unwrap()
}

/// What stands in the page between fences of this language.
fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let fence = format!("```{language}\n");
    page.split(fence.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect()
}

/// Lines with `// => VALUE` are expressions that have this value; the others stand before them.
#[test]
fn the_examples_of_the_reference_come_to_what_stands_there() {
    let page = page("reference/hooks.md");
    let nobody = World::new(|_| said(""));
    let mut seen = 0;
    for block in blocks(&page, "rhai") {
        let mut before = String::new();
        for line in block.lines().filter(|line| !line.trim().is_empty()) {
            let Some((expression, value)) = line.split_once("// => ") else {
                before.push_str(line);
                before.push('\n');
                continue;
            };
            let expected: Value = serde_json::from_str(value).unwrap_or_else(|error| panic!("{line}: {error}"));
            let outputs = text(&format!("{before}#{{ v: {expression} }}"), &nobody);
            assert_eq!(outputs.unwrap_or_else(|why| panic!("{line}: {why}"))["v"], expected, "{line}");
            seen += 1;
        }
    }
    assert!(seen > 25, "{seen} examples");
}

/// A function that is added and not described is seen here: what hooks have and Rhai has not.
#[test]
fn every_function_is_in_the_reference() {
    let page = page("reference/hooks.md");
    let sources = ["src/api/mod.rs", "src/api/host.rs", "src/api/text.rs", "src/xml/mod.rs"];
    let sources =
        sources.map(|name| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap());
    let names = regex::Regex::new(r#"register_(fn|get)\(\s*"([a-z_]+)""#).unwrap();
    let all: std::collections::BTreeSet<String> =
        sources.iter().flat_map(|text| names.captures_iter(text)).map(|found| found[2].to_owned()).collect();
    assert!(all.len() > 40, "{all:?}");
    let word = |name: &str| regex::Regex::new(&format!(r"[`.(]({name})\b|(?m)^{name}\(")).unwrap();
    let known = |name: &&String| name.as_str() == "to_string" || word(name).is_match(&page);
    let missing: Vec<&String> = all.iter().filter(|name| !known(name)).collect();
    assert!(missing.is_empty(), "docs/src/reference/hooks.md does not have {missing:?}");
}

/// A script that is wrong would be complained about.
#[test]
fn the_examples_have_no_fault() {
    let page = page("reference/hooks.md");
    for block in blocks(&page, "rhai") {
        let text: String = block.lines().map(|line| format!("{};\n", line.split("// => ").next().unwrap())).collect();
        let source = piton_core::fault::Source { name: "example.rhai".into(), text: text.into() };
        assert_eq!(check_script(&source, &Default::default()), []);
    }
}
