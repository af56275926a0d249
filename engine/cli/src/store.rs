//! Opens the store, and finds runs in it by what people call them.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use piton_core::ids::RunId;
use piton_runner::journal::{Filter, Journal, RunStatus, RunSummary};

use crate::cli::Globals;
use crate::exit::Failure;
use crate::parts;
use crate::project::{self, Project};

/// The runs there are.
#[derive(Clone)]
pub(crate) struct Store {
    /// The state directory; absolute.
    pub dir: PathBuf,
    /// Which journal; what a background engine is told.
    pub spec: String,
    /// How many tasks one engine has under way at once, over all of its runs.
    pub most: Option<NonZeroU32>,
    /// The journal.
    pub journal: Arc<dyn Journal>,
    /// What `piton` must be told to find this store again, as words of a command line.
    pub told: Vec<String>,
}

impl Store {
    /// Opens the store that the options, the environment and the project name.
    pub(crate) fn open(globals: &Globals, project: Option<&Project>) -> Result<Self, Failure> {
        let dir = state_dir(globals.state.as_deref())?;
        let spec = globals
            .journal
            .clone()
            .or_else(|| std::env::var("PITON_JOURNAL").ok())
            .filter(|spec| !spec.is_empty())
            .or_else(|| project.and_then(|p| p.settings.journal.clone()))
            .unwrap_or_else(|| "sqlite".to_owned());
        let journal = piton_store::open_journal(&spec, &dir)?;
        let mut told = Vec::new();
        // What is in the environment or the project is there for the next command, too.
        if globals.state.is_some() {
            told.extend(["--state".to_owned(), dir.display().to_string()]);
        }
        told.extend(globals.journal.iter().flat_map(|spec| ["--journal".to_owned(), spec.clone()]));
        let most = project.and_then(|project| project.settings.max_parallel);
        Ok(Self { dir, spec, most, journal, told })
    }

    /// Opens the store as the current directory's project names it.
    pub(crate) fn here(globals: &Globals) -> Result<Self, Failure> {
        let project = project::find(globals.project.as_deref())?;
        Self::open(globals, project.as_ref())
    }

    /// The run that `wanted` means: an id, as many of its first characters as are unique, or `latest`.
    pub(crate) async fn find(&self, wanted: &str) -> Result<RunSummary, Failure> {
        if wanted == "latest" {
            let newest = self.journal.list(&Filter { limit: 1, ..Filter::default() }).await?;
            return newest.into_iter().next().ok_or_else(|| Failure::usage("there is no run yet"));
        }
        // Crockford's base 32, as ULIDs are written: no I, L, O and U.
        let prefix = wanted.to_ascii_uppercase();
        let fits = |c: char| c.is_ascii_digit() || (c.is_ascii_uppercase() && !"ILOU".contains(c));
        if prefix.is_empty() || prefix.len() > 26 || !prefix.chars().all(fits) {
            let shown = wanted.chars().take(60).collect::<String>();
            return Err(Failure::usage(format!("`{}` is not the id of a run", shown.escape_debug()))
                .hint("`piton ls --all` lists the runs there are; the first characters of an id are enough"));
        }
        if prefix.len() == 26
            && let Ok(id) = prefix.parse::<RunId>()
        {
            return Ok(self.journal.summary(id).await?);
        }
        let filter = Filter { id_prefix: Some(prefix.clone()), limit: 6, ..Filter::default() };
        let mut found = self.journal.list(&filter).await?;
        match found.len() {
            0 => Err(Failure::usage(format!("there is no run whose id begins with {prefix}"))
                .hint("`piton ls --all` lists the runs there are")),
            1 => Ok(found.remove(0)),
            _ => {
                let some: Vec<String> = found.iter().take(5).map(|r| format!("{} ({})", r.id, r.runbook)).collect();
                let more = if found.len() > 5 { ", …" } else { "" };
                Err(Failure::usage(format!("{prefix} could be {}{more}", some.join(", ")))
                    .hint("say more of its first characters"))
            }
        }
    }
}

/// Whether nobody drives a run that should be driven: it has no engine, or one that is known to be dead.
pub(crate) fn is_adrift(run: &RunSummary) -> bool {
    run.status == RunStatus::Running && run.owner.as_deref().is_none_or(parts::is_dead)
}

/// Where runs are kept.
pub(crate) fn state_dir(chosen: Option<&Path>) -> Result<PathBuf, Failure> {
    let said = chosen.map(Path::to_owned).or_else(|| std::env::var_os("PITON_STATE").map(PathBuf::from));
    if let Some(dir) = said.filter(|dir| !dir.as_os_str().is_empty()) {
        return project::absolute(&dir);
    }
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    // A relative path there is to be ignored (XDG Base Directory Specification 0.8).
    if let Some(dir) = absolute("XDG_STATE_HOME") {
        return Ok(dir.join("piton"));
    }
    match absolute("HOME") {
        Some(home) => Ok(home.join(".local/state/piton")),
        None => Err(Failure::usage("where to keep runs is not known: HOME is not set").hint("say it with --state DIR")),
    }
}
