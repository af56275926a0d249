//! The examples of the documentation: each runbook on a page is carried out on simulated hosts, with every fault, by the
//! test on its page or in `tests/guide`; each piece of one is put where it belongs and checked.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::path::{Path, PathBuf};

use piton_tests::cli::Place;

const PITON: &str = env!("CARGO_BIN_EXE_piton-under-test");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// What stands between "```yaml" and "```" in all pages, with the page's name.
fn blocks() -> Vec<(String, String)> {
    let listed = std::process::Command::new("git")
        .args(["ls-files", "-z", "README.md", "docs/src/*.md"])
        .current_dir(root())
        .output()
        .unwrap();
    let mut found = Vec::new();
    for page in String::from_utf8(listed.stdout).unwrap().split_terminator('\0') {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        let pieces = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
        found.extend(pieces.map(|piece| (page.to_owned(), piece)));
    }
    assert!(found.len() > 15, "{found:?}");
    found
}

/// The value of the first line, if that is `key: value`.
fn first<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().next()?.strip_prefix(key)?.strip_prefix(": ")
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{:by$}{line}\n", "")).collect()
}

#[test]
fn every_runbook_of_the_documentation_passes_its_test_with_every_fault() {
    let all = blocks();
    let mut unused: Vec<String> = std::fs::read_dir(root().join("tests/guide"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    // Whoever reads the documentation has these.
    let scripts: Vec<(String, String)> = std::fs::read_dir(root().join("scripts"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "rhai"))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    let mut failed = Vec::new();
    for (page, runbook) in &all {
        let Some(name) = first(runbook, "runbook") else { continue };
        let place = Place::new(PITON);
        for (script, text) in &scripts {
            place.write(&format!("scripts/{script}"), text);
        }
        place.write(&format!("runbooks/{name}.yaml"), runbook);
        // Others of the page, which it may call.
        for (other, text) in all.iter().filter(|(other, text)| other == page && text != runbook) {
            if let Some(callee) = first(text, "runbook") {
                assert_ne!(callee, name, "{other} has two runbooks of one name");
                place.write(&format!("runbooks/{callee}.yaml"), text);
            }
        }
        let file = format!("{name}.test.yaml");
        let beside = all.iter().find(|(other, text)| other == page && first(text, "test") == Some(name));
        let test = beside.map_or_else(
            || {
                unused.retain(|it| *it != file);
                std::fs::read_to_string(root().join("tests/guide").join(&file)).unwrap_or_else(|_| {
                    panic!("{page}: the runbook {name} has no test, neither there nor in tests/guide")
                })
            },
            |(_, text)| text.clone(),
        );
        place.write(&format!("runbooks/{file}"), &test);
        let ran = place.piton(&["test", name, "--faults"]);
        if ran.code != 0 {
            failed.push(format!("{page}: {name}\n{}{}", ran.out, ran.err));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(unused.is_empty(), "no page has the runbooks of {unused:?}");
}

#[test]
fn every_piece_of_a_runbook_in_the_documentation_is_right() {
    for (page, piece) in blocks() {
        let key = piece.split([':', ' ']).next().unwrap();
        let place = Place::new(PITON);
        let runbook = match key {
            // Whole documents; the pieces of tests are on the page about testing, and are tried there.
            "runbook" | "test" | "model" | "faults" | "#" => continue,
            "hosts" => {
                place.write("inventory.yaml", &piece);
                let listed = place.piton(&["hosts"]);
                assert_eq!(listed.code, 0, "{page}\n{}", listed.err);
                continue;
            }
            "zone" => {
                place.write("windows/piece.yaml", &piece);
                place.write("windows/holidays.ics", "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n");
                place.write("inventory.yaml", "hosts: { hv1: }\ngroups: { hypervisors: [hv1] }\n");
                let started = root().join("runbooks/host/rolling-restart.yaml");
                place.write("runbooks/rolling-restart.yaml", &std::fs::read_to_string(started).unwrap());
                let checked = place.piton(&["windows", "check"]);
                assert_eq!(checked.code, 0, "{page}\n{piece}\n{}", checked.err);
                continue;
            }
            "-" => format!(
                "params: {{ vm: {{ type: name }}, hypervisor: {{ type: host }} }}\nsteps:\n{}",
                indented(&piece, 2)
            ),
            "steps" => piece.clone(),
            "params" => format!("{piece}steps:\n  - {{ id: a, run: 'true' }}\n"),
            "locks" => format!("{piece}params: {{ vm: {{ type: name }} }}\nsteps:\n  - {{ id: a, run: 'true' }}\n"),
            "outputs" => format!("steps:\n  - id: a\n    run: 'true'\n{}", indented(&piece, 4)),
            _ => panic!("{page}: nobody knows where this belongs:\n{piece}"),
        };
        place.write("runbooks/piece.yaml", &format!("runbook: piece\ntitle: A piece\n{runbook}"));
        let checked = place.piton(&["check"]);
        assert_eq!(checked.code, 0, "{page}\n{piece}\n{}{}", checked.out, checked.err);
    }
}
