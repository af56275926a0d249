//! The runbooks that come along, and those in the documentation, are right as far as that can be seen without hosts.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use piton_core::fault::{Fault, Source};
use piton_core::runbook::{Action, Runbook, Script, Step, parse};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Every runbook under `runbooks/`.
fn shipped() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for area in fs::read_dir(root().join("runbooks")).unwrap() {
        for file in fs::read_dir(area.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|e| e == "yaml") && !path.to_string_lossy().ends_with(".test.yaml") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() >= 2, "{found:?}");
    found
}

fn read(name: &str, text: &str) -> Result<Runbook, String> {
    let source = Source { name: name.into(), text: text.into() };
    let (runbook, faults) = parse(&source);
    let show = |fault: &Fault| {
        let place = fault.place.as_ref().map(|place| place.line_column());
        format!("{name}: {place:?}: {}: {} ({:?})", fault.code, fault.message, fault.hint)
    };
    match runbook {
        Some(runbook) if faults.is_empty() => Ok(runbook),
        Some(_) | None => Err(faults.iter().map(show).collect::<Vec<_>>().join("\n")),
    }
}

/// All scripts of a step, each with the name of its field.
fn scripts(step: &Step) -> Vec<(&'static str, &Script)> {
    let mut all = Vec::new();
    match &step.action {
        Action::Run(script) => all.push(("run", script)),
        Action::WaitUntil(probe) => all.push(("until", &probe.script)),
        Action::Exec(_)
        | Action::Put(_)
        | Action::Get(_)
        | Action::Transfer(_)
        | Action::Reboot(_)
        | Action::Hook(_)
        | Action::Assert(_)
        | Action::WaitFor(_)
        | Action::Approve(_)
        | Action::Block
        | Action::Call(_) => {}
    }
    all.extend(step.unless.as_ref().map(|script| ("unless", script)));
    all.extend(step.verify.as_ref().map(|probe| ("verify", &probe.script)));
    all.extend(step.undo.as_ref().map(|script| ("undo", script)));
    all
}

/// What a program says about a text on its standard input, if it is not content.
fn complaint(program: &str, arguments: &[&str], text: &str) -> Option<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error} (scripts/test installs it)"));
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (!output.status.success()).then(|| format!("{program}: {}", String::from_utf8_lossy(&said)))
}

/// What shells and shellcheck say about a script.
fn complaints(script: &Script) -> Vec<String> {
    assert_eq!(script.shell, "sh", "say here how scripts for other shells are checked");
    // 2154: parameters arrive as variables in lower case, and shellcheck sees no assignment. 3013: `-ef` is in POSIX.1-2024,
    // and long since in dash, busybox, bash, ksh and mksh.
    let shellcheck = ["--shell=sh", "--exclude=SC2154,SC3013", "--severity=warning", "-"];
    [
        complaint("dash", &["-n"], &script.text),
        complaint("busybox", &["sh", "-n"], &script.text),
        complaint("shellcheck", &shellcheck, &script.text),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn every_runbook_that_comes_along_is_without_fault() {
    for path in shipped() {
        let runbook = read(&path.to_string_lossy(), &fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(Some(runbook.name.as_str()), path.file_stem().and_then(|s| s.to_str()));
        assert!(!runbook.title.is_empty() && !runbook.about.is_empty(), "{}", path.display());
    }
}

#[test]
fn every_script_is_one_that_any_posix_shell_reads() {
    let mut wrong = Vec::new();
    for path in shipped() {
        let runbook = read(&path.to_string_lossy(), &fs::read_to_string(&path).unwrap()).unwrap();
        for step in runbook.steps.iter().chain(&runbook.finally) {
            for (field, script) in scripts(step) {
                let said = complaints(script).into_iter();
                wrong.extend(said.map(|said| format!("{}: {}.{field}: {said}", path.display(), step.id)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_script_that_no_shell_reads_is_seen() {
    let script = |text: &str| Script { text: text.into(), shell: "sh".into() };
    assert_eq!(complaints(&script("if true; then")).len(), 3);
    let bashism = complaints(&script("[[ $vm == x ]] && echo yes"));
    assert!(bashism.iter().any(|said| said.starts_with("shellcheck: ")), "{bashism:?}");
    assert!(complaints(&script("[ \"$vm\" = x ] || exit 1")).is_empty());
}

#[test]
fn every_runbook_in_the_documentation_is_without_fault() {
    let mut found = 0;
    for page in ["README.md", "docs/src/guide/first-run.md", "docs/src/guide/writing.md", "docs/src/guide/moving.md"] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        let blocks = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
        for block in blocks.filter(|block| block.lines().any(|line| line.starts_with("runbook: "))) {
            found += 1;
            read(page, block).unwrap();
        }
    }
    assert_eq!(found, 5, "all of them are found");
}
