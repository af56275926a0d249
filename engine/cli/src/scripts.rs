//! The project's scripts: what its hooks are made of.

use std::collections::BTreeMap;
use std::path::Path;

use piton_core::fault::{Fault, FaultCode, Source};
use piton_core::runbook::{Hook, Runbook};

use crate::exit::Failure;
use crate::project;

/// How large all scripts of a project may be together, in bytes: those that a run uses are stored with it.
const MAX_ALL: usize = 4 << 20;

/// The scripts of a project, by name without `.rhai`.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    sources: Vec<Source>,
    texts: BTreeMap<String, String>,
}

/// Reads `scripts/*.rhai` below the directory that relative paths begin from.
pub(crate) fn load(base: &Path) -> Result<Scripts, Failure> {
    let dir = base.join("scripts");
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Scripts::default()),
        Err(error) => return Err(Failure::other(format!("{} cannot be read: {error}", dir.display()))),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Failure::other(format!("{} cannot be read: {error}", dir.display())))?;
        paths.push(entry.path());
    }
    paths.sort();
    let mut scripts = Scripts::default();
    let mut faults = Vec::new();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|ext| ext == "rhai") && path.is_file()) {
        let source = project::read(path, &project::shown(path))?;
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let first = stem.starts_with(|c: char| c.is_ascii_lowercase());
        let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
        if !first || !stem.chars().all(rest) || stem.len() > 64 {
            let message = format!("{} has a name that no runbook can call", source.name);
            let rule = "a lower-case letter, then lower-case letters, digits, `-` or `_`, 64 at most";
            faults.push(Fault::bare(FaultCode::BadName, message).hint(rule));
        }
        scripts.texts.insert(stem.to_owned(), source.text.to_string());
        scripts.sources.push(source);
    }
    if scripts.texts.values().map(String::len).sum::<usize>() > MAX_ALL {
        faults.push(Fault::bare(FaultCode::TooLarge, format!("the scripts in {} are too large", dir.display())));
    }
    if faults.is_empty() { Ok(scripts) } else { Err(Failure::Faults(faults)) }
}

impl Scripts {
    /// How many there are.
    pub(crate) fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// What is wrong with a script.
    pub(crate) fn check(&self, script: &Source) -> Vec<Fault> {
        piton_hooks::check_script(script, &self.texts)
    }

    /// What is wrong with the hooks of a runbook.
    pub(crate) fn check_runbook(&self, runbook: &Runbook, source: &Source) -> Vec<Fault> {
        piton_hooks::check_hooks(hooks(runbook), source, &self.texts)
    }

    /// The scripts that a runbook uses, or everything that is wrong with them.
    pub(crate) fn used(&self, runbook: &Runbook, source: &Source) -> Result<BTreeMap<String, String>, Vec<Fault>> {
        let used = piton_hooks::used(hooks(runbook), &self.texts);
        let mut faults = self.check_runbook(runbook, source);
        for script in &self.sources {
            let stem = Path::new(script.name.as_ref()).file_stem().and_then(|stem| stem.to_str());
            if stem.is_some_and(|stem| used.contains_key(stem)) {
                faults.extend(self.check(script));
            }
        }
        if faults.is_empty() { Ok(used) } else { Err(faults) }
    }
}

fn hooks(runbook: &Runbook) -> impl Iterator<Item = &Hook> {
    runbook.steps.iter().chain(&runbook.finally).flat_map(|step| step.hooks())
}
