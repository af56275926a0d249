//! The house rules that a machine can check: which crate may name which, how long a file may be, what the core may not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// `core ← runner ← {store, ssh, hooks, sim, daemon} ← cli`; the testkit serves tests only. Edges never name each other.
#[test]
fn crates_name_only_what_they_may() {
    let may: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("piton-core", &[][..]),
        ("piton-runner", &["piton-core"]),
        ("piton-store", &["piton-core", "piton-runner"]),
        ("piton-ssh", &["piton-core", "piton-runner"]),
        ("piton-hooks", &["piton-core", "piton-runner"]),
        ("piton-sim", &["piton-core", "piton-runner"]),
        ("piton-daemon", &["piton-core", "piton-runner"]),
        ("piton-testkit", &["piton-core", "piton-runner", "piton-sim"]),
        (
            "piton-cli",
            &["piton-core", "piton-runner", "piton-store", "piton-ssh", "piton-hooks", "piton-sim", "piton-daemon"],
        ),
    ]);
    let metadata = cargo_metadata::MetadataCommand::new().current_dir(root()).no_deps().exec().unwrap();
    for package in &metadata.packages {
        let name = package.name.as_str();
        if name == "piton-tests" {
            continue;
        }
        let allowed = may.get(name).unwrap_or_else(|| panic!("{name} has no place in the layout"));
        for dependency in &package.dependencies {
            let ours = dependency.name.starts_with("piton-");
            let normal = dependency.kind == cargo_metadata::DependencyKind::Normal;
            assert!(
                !ours || !normal || allowed.contains(&dependency.name.as_str()),
                "{name} must not depend on {}",
                dependency.name
            );
        }
    }
}

/// What waits, reads, asks or rolls dice cannot come into the core: it may name these libraries and no others.
#[test]
fn the_core_names_only_pure_libraries() {
    let pure = [
        "blake3",
        "croner",
        "granit-parser",
        "icalendar",
        "imbl",
        // Zones are handed in; a lint forbids its clock and its look at the system's zones.
        "jiff",
        "petgraph",
        "regex",
        "rhai",
        "rrule",
        "serde",
        "serde-saphyr",
        "serde_json",
        "strsim",
        "thiserror",
        "ulid",
    ];
    let metadata = cargo_metadata::MetadataCommand::new().current_dir(root()).no_deps().exec().unwrap();
    let core = metadata.packages.iter().find(|p| p.name.as_str() == "piton-core").unwrap();
    for dependency in core.dependencies.iter().filter(|d| d.kind == cargo_metadata::DependencyKind::Normal) {
        assert!(pure.contains(&dependency.name.as_str()), "the core must not depend on {}", dependency.name);
    }
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("target") {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for dir in ["engine", "tests"] {
        sources(&root().join(dir), &mut found);
    }
    assert!(found.len() > 40, "the sources are where they should be");
    found.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn a_file_is_one_idea() {
    let long: Vec<String> = all_sources()
        .iter()
        .filter_map(|(path, text)| {
            let lines = text.lines().take_while(|l| !l.contains("#[cfg(test)]")).count();
            (lines > 400).then(|| format!("{} has {lines} lines before its tests", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "split these:\n{}", long.join("\n"));
}

#[test]
fn nothing_is_switched_off_or_left_open() {
    // What is switched off with a reason (the entry of a child process, for example) may stand.
    // Written in two halves so that this file does not name what it looks for.
    let words = [
        ("to", "do!("),
        ("unimple", "mented!("),
        ("FIX", "ME"),
        ("#[ig", "nore]"),
        ("#[al", "low("),
        ("#![al", "low("),
    ];
    let mut found = Vec::new();
    for (path, text) in all_sources() {
        for (number, line) in (1..).zip(text.lines()) {
            if words.iter().any(|(a, b)| line.contains(&format!("{a}{b}"))) {
                found.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn tests_wait_for_the_thing_and_not_for_time() {
    let words = [("thread::", "sleep"), ("time::", "sleep")];
    let mut found = Vec::new();
    for (path, text) in all_sources() {
        let is_test = path.components().any(|c| c.as_os_str() == "tests");
        for (number, line) in (1..).zip(text.lines()) {
            if is_test && words.iter().any(|(a, b)| line.contains(&format!("{a}{b}"))) {
                found.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
