//! Plants faults on purpose and sees whether the tests see them; `scripts/mutate` runs this.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use piton_tests::mutations::{Mutation, all, root};

type Any<T> = Result<T, Box<dyn std::error::Error>>;

/// A copy of the tree in which faults are planted, with a target directory of its own: in a common one, cargo takes what was
/// built with a fault for what the tree itself would give, and uses it.
struct Copy {
    from: PathBuf,
    to: PathBuf,
    target: PathBuf,
}

/// How tests went.
enum Went {
    Passed,
    /// These failed.
    Failed(BTreeSet<String>),
}

fn main() -> Any<()> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let survey = if words.first().is_some_and(|word| word == "--survey") {
        words.remove(0);
        if words.is_empty() {
            return Err("--survey takes the name of a package".into());
        }
        Some(words.remove(0))
    } else {
        None
    };
    let all = all();
    if let Some(unknown) = words.iter().find(|word| !all.iter().any(|mutation| mutation.name == **word)) {
        return Err(format!("there is no mutation `{unknown}`").into());
    }
    let wanted: Vec<&Mutation> = all.iter().filter(|m| words.is_empty() || words.contains(&m.name)).collect();
    let place = root().join("target/mutate");
    let copy = Copy { from: root(), to: place.join("tree"), target: place.join("target") };
    copy.refresh()?;
    if survey.is_none() {
        // A test that fails anyway sees nothing.
        let tests: Vec<&str> = wanted.iter().flat_map(|m| &m.seen_by).map(String::as_str).collect();
        if let Went::Failed(names) = copy.test(&tests, None)? {
            return Err(format!("these fail although nothing is planted: {names:?}").into());
        }
        println!("nothing planted: all pass");
    }
    let mut unseen = Vec::new();
    for mutation in &wanted {
        copy.plant(mutation)?;
        let tests: Vec<&str> = mutation.seen_by.iter().map(String::as_str).collect();
        let went = copy.test(&tests, survey.as_deref());
        copy.put_back(mutation)?;
        let names = match went? {
            Went::Failed(names) => names,
            Went::Passed => BTreeSet::new(),
        };
        let missing = |test: &&&str| !test.split_once(' ').is_some_and(|(_, name)| names.contains(name));
        let blind: Vec<&&str> = tests.iter().filter(missing).collect();
        if survey.is_some() {
            println!("{}: seen by {names:?}", mutation.name);
        } else if blind.is_empty() {
            println!("{}: seen", mutation.name);
        } else {
            println!("{}: NOT SEEN by {blind:?}", mutation.name);
            unseen.push(mutation.name.as_str());
        }
    }
    if unseen.is_empty() { Ok(()) } else { Err(format!("not seen: {}", unseen.join(", ")).into()) }
}

impl Copy {
    /// Makes the copy equal to the tree as it is, and touches nothing that is equal already.
    fn refresh(&self) -> Any<()> {
        let list = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&self.from)
            .output()?;
        let list = String::from_utf8(list.stdout)?;
        let mut known = BTreeSet::new();
        for name in list.split('\0').filter(|name| !name.is_empty()) {
            // What is deleted and not yet committed is still listed.
            let Ok(text) = std::fs::read(self.from.join(name)) else { continue };
            write(&self.to.join(name), &text)?;
            known.insert(self.to.join(name));
        }
        remove_others(&self.to, &known)
    }

    fn plant(&self, mutation: &Mutation) -> Any<()> {
        let path = self.to.join(&mutation.file);
        let planted = mutation.plant(&std::fs::read_to_string(&path)?)?;
        write(&path, planted.as_bytes())
    }

    fn put_back(&self, mutation: &Mutation) -> Any<()> {
        write(&self.to.join(&mutation.file), &std::fs::read(self.from.join(&mutation.file))?)
    }

    /// Runs the named tests, each as `PACKAGE NAME`; or all of a package.
    fn test(&self, tests: &[&str], package: Option<&str>) -> Any<Went> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["nextest", "run", "--no-fail-fast", "--color", "never", "--status-level", "fail"]);
        cargo.args(["--final-status-level", "fail", "--failure-output", "never", "--cargo-quiet"]);
        let pairs = || tests.iter().filter_map(|test| test.split_once(' '));
        if let Some(package) = package {
            cargo.args(["-p", package]);
        } else {
            let packages: BTreeSet<&str> = pairs().map(|(package, _)| package).collect();
            for package in packages {
                cargo.args(["-p", package]);
            }
            let set: Vec<String> =
                pairs().map(|(package, name)| format!("(package({package}) & test(={name}))")).collect();
            cargo.args(["-E", &set.join(" | ")]);
        }
        cargo.current_dir(&self.to).env("CARGO_TARGET_DIR", &self.target).env("RUST_BACKTRACE", "0");
        let ran = cargo.output()?;
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        match ran.status.code() {
            Some(0) => Ok(Went::Passed),
            // nextest's exit codes: https://docs.rs/nextest-metadata/latest/nextest_metadata/enum.NextestExitCode.html
            Some(100) => Ok(Went::Failed(said.lines().filter_map(failed).collect())),
            code => Err(format!("the tests did not run ({code:?}):\n{said}").into()),
        }
    }
}

/// The name of the test that a line of nextest's says has failed, in whatever way.
fn failed(line: &str) -> Option<String> {
    let line = line.trim();
    let bad = ["FAIL ", "TIMEOUT ", "ABORT ", "SIG", "LEAK-FAIL "].iter().any(|word| line.starts_with(word));
    let name = line.rsplit(' ').next()?;
    (bad && line.contains(" [")).then(|| name.to_owned())
}

fn write(path: &Path, text: &[u8]) -> Any<()> {
    if std::fs::read(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    Ok(std::fs::write(path, text)?)
}

fn remove_others(dir: &Path, known: &BTreeSet<PathBuf>) -> Any<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(&path, known)?;
        } else if !known.contains(&path) {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}
