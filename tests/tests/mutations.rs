//! The faults that `scripts/mutate` plants: each can be planted where the table says, and the tests that must see it exist.
//! Whether they do see it is seen when it is run.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use piton_tests::mutations::{all, root};

#[test]
fn every_fault_can_be_planted_and_the_tests_that_must_see_it_exist() {
    let mutations = all();
    assert!(mutations.len() > 30, "the table is read");
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for mutation in &mutations {
        let name = &mutation.name;
        if !names.insert(name) {
            faults.push(format!("{name} stands there twice"));
        }
        let path = root().join(&mutation.file);
        match std::fs::read_to_string(&path) {
            Ok(text) => faults.extend(mutation.plant(&text).err()),
            Err(error) => faults.push(format!("{name}: {}: {error}", path.display())),
        }
        if mutation.seen_by.is_empty() {
            faults.push(format!("{name}: no test is named that must see it"));
        }
        for (package, tests) in mutation.tests() {
            let dir = match package.strip_prefix("piton-") {
                Some("tests") => root().join("tests"),
                part => root().join("engine").join(part.unwrap_or(package)),
            };
            let functions = known.entry(package.to_owned()).or_insert_with(|| functions(&dir));
            let function = |test: &str| test.rsplit("::").next().unwrap().to_owned();
            let gone = tests.into_iter().filter(|test| !functions.contains(&function(test)));
            faults.extend(gone.map(|test| format!("{name}: {package} has no test {test}")));
        }
    }
    assert!(faults.is_empty(), "put tests/mutations.toml right:\n{}", faults.join("\n"));
}

/// The names of all functions in the sources below a directory.
fn functions(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let entries = std::fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(functions(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let name = |line: &str| {
                line.split_once("fn ").and_then(|(_, rest)| rest.split_once('(')).map(|(n, _)| n.to_owned())
            };
            found.extend(text.lines().filter_map(name));
        }
    }
    found
}
