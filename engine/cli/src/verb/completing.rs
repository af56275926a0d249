//! What the shell may offer: runbooks of the project, and runs.

use std::ffi::OsStr;

use clap_complete::CompletionCandidate;
use piton_runner::journal::Filter;

use crate::project;
use crate::store::state_dir;

/// How many runs are offered.
const RUNS: usize = 30;

/// The names of the project's runbooks. Errors offer nothing: a shell has nowhere to show them.
pub(crate) fn runbooks(begun: &OsStr) -> Vec<CompletionCandidate> {
    let begun = begun.to_string_lossy();
    let Ok(Some(project)) = project::find(None) else { return Vec::new() };
    let paths = project::runbooks(&project).unwrap_or_default();
    let names = paths.iter().filter_map(|p| p.file_stem()?.to_str());
    names.filter(|n| n.starts_with(begun.as_ref())).map(CompletionCandidate::new).collect()
}

/// The ids of the newest runs.
pub(crate) fn runs(begun: &OsStr) -> Vec<CompletionCandidate> {
    let begun = begun.to_string_lossy().to_ascii_uppercase();
    let Ok(dir) = state_dir(None) else { return Vec::new() };
    let spec = project::find(None).ok().flatten().and_then(|p| p.settings.journal);
    let Ok(journal) = piton_store::open_journal(spec.as_deref().unwrap_or("sqlite"), &dir) else { return Vec::new() };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    let filter = Filter { limit: RUNS, ..Filter::default() };
    let runs = runtime.block_on(journal.list(&filter)).unwrap_or_default();
    runs.into_iter()
        .filter(|run| run.id.to_string().starts_with(&begun))
        .map(|run| CompletionCandidate::new(run.id.to_string()).help(Some(run.runbook.to_string().into())))
        .collect()
}
