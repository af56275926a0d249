//! From the words of a command line to a plan.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use clap_complete::ArgValueCompleter;
use piton_core::fault::Source;
use piton_core::ids::ParamName;
use piton_core::plan::{Plan, Surroundings};
use piton_core::runbook::{self, Library, ParamKind, Runbook};
use piton_core::value::Value;

use crate::cli::Globals;
use crate::exit::Failure;
use crate::inventory::{self, Hosts};
use crate::library;
use crate::project::{self, Found, Project};
use crate::scripts;
use crate::secrets;
use crate::verb::completing;

/// A runbook and values for its parameters.
#[derive(Debug, Clone, Args)]
pub(crate) struct Wanted {
    /// The name of a runbook of the project, or the path of one
    #[arg(value_name = "RUNBOOK", add = ArgValueCompleter::new(completing::runbooks))]
    pub runbook: String,
    /// Values for its parameters; `KEY=@FILE` takes the value from a file, `KEY=@@…` is a value that begins with `@`
    #[arg(value_name = "KEY=VALUE")]
    pub params: Vec<String>,
    #[command(flatten)]
    pub secrets: secrets::SecretArgs,
}

/// What was made of it.
pub(crate) struct Planned {
    /// The plan.
    pub plan: Plan,
    /// The project, where there is one.
    pub project: Option<Project>,
    /// The runbook's text.
    pub source: Source,
}

/// Makes the plan, or says everything that stands in its way.
pub(crate) async fn plan(globals: &Globals, wanted: &Wanted) -> Result<Planned, Failure> {
    let given = values(&wanted.params)?;
    let sources = wanted.secrets.read()?;
    let project = project::find(globals.project.as_deref())?;
    let found = project::runbook(project.as_ref(), &wanted.runbook)?;
    let (runbook, mut faults) = project::parse(&found.source);
    let mut called = Library::new();
    if let Some(runbook) = &runbook {
        let (library, more) = library::load(project.as_ref(), runbook, &found)?;
        called = library;
        faults.extend(more);
    }
    let hosts = match inventory::load(project.as_ref()).await {
        Err(Failure::Faults(more)) => {
            faults.extend(more);
            None
        }
        other => Some(other?),
    };
    let (Some(runbook), Some(hosts), true) = (runbook, hosts, faults.is_empty()) else {
        return Err(Failure::Faults(faults));
    };
    let declared = declared_secrets(&runbook);
    let mut plan = build(runbook, &given, &hosts, &found, &called)?;
    let of_project = project.as_ref().map(|project| project.settings.secrets.clone()).unwrap_or_default();
    secrets::choose(&mut plan, &declared, &sources, &of_project).map_err(Failure::Faults)?;
    Ok(Planned { plan, project, source: found.source })
}

/// The secrets that a runbook declares, and whether it says where each comes from.
pub(crate) fn declared_secrets(runbook: &Runbook) -> BTreeMap<ParamName, bool> {
    let secrets = runbook.params.iter().filter(|param| param.kind == ParamKind::Secret);
    secrets.map(|param| (param.name.clone(), param.from.is_some())).collect()
}

/// Makes a plan of a checked runbook.
pub(crate) fn build(
    runbook: Runbook,
    given: &BTreeMap<String, String>,
    hosts: &Hosts,
    found: &Found,
    library: &Library,
) -> Result<Plan, Failure> {
    let params = runbook::read_params(&runbook.params, given).map_err(Failure::Faults)?;
    let base: PathBuf = std::fs::canonicalize(&found.base)
        .map_err(|error| Failure::other(format!("{} cannot be entered: {error}", found.base.display())))?;
    let Some(base) = base.to_str() else {
        return Err(Failure::usage(format!("the path {} is not UTF-8, which a plan cannot hold", base.display())));
    };
    let around = Surroundings {
        inventory: &hosts.inventory,
        allow_unknown_hosts: hosts.allow_unknown,
        project: base,
        source: &found.source,
        library,
    };
    with_scripts(runbook, params, &around)
}

/// Makes a plan, with the project's scripts that its hooks use, and those of the runbooks that it calls.
pub(crate) fn with_scripts(
    runbook: Runbook,
    params: BTreeMap<ParamName, Value>,
    around: &Surroundings<'_>,
) -> Result<Plan, Failure> {
    let called = around.library.values().map(|(runbook, source)| (runbook, source));
    let all = std::iter::once((&runbook, around.source)).chain(called);
    let hooked: Vec<(&Runbook, &Source)> = all.filter(|(runbook, _)| runbook.has_hook()).collect();
    let mut scripts = BTreeMap::new();
    if !hooked.is_empty() {
        let there = scripts::load(Path::new(around.project))?;
        let mut faults = Vec::new();
        for (runbook, source) in hooked {
            match there.used(runbook, source) {
                Ok(mut used) => scripts.append(&mut used),
                Err(mut more) => faults.append(&mut more),
            }
        }
        if !faults.is_empty() {
            faults.dedup();
            return Err(Failure::Faults(faults));
        }
    }
    let mut plan = Plan::build(runbook, params, around).map_err(Failure::Faults)?;
    plan.scripts = scripts;
    Ok(plan)
}

/// Makes a plan of the same runbook, as it is now, with the parameters of an older plan: of the file at `path`, or of the
/// project's runbook of that name. Relative paths in it begin where they did.
pub(crate) async fn again(globals: &Globals, old: &Plan, path: Option<&Path>) -> Result<Plan, Failure> {
    let project = project::find(globals.project.as_deref())?;
    // A corrected copy may have another name than the runbook's file.
    let (source, (runbook, mut faults)) = match path {
        Some(path) => {
            let source = project::read(path, &path.display().to_string())?;
            let parsed = runbook::parse(&source);
            (source, parsed)
        }
        None => {
            let source = project::runbook(project.as_ref(), old.runbook.as_str())?.source;
            let parsed = project::parse(&source);
            (source, parsed)
        }
    };
    let found = Found { source, base: PathBuf::from(&old.project) };
    let mut library = Library::new();
    if let Some(runbook) = &runbook {
        let (called, more) = library::load(project.as_ref(), runbook, &found)?;
        library = called;
        faults.extend(more);
    }
    let hosts = match inventory::load(project.as_ref()).await {
        Err(Failure::Faults(more)) => {
            faults.extend(more);
            None
        }
        other => Some(other?),
    };
    let (Some(runbook), Some(hosts), true) = (runbook, hosts, faults.is_empty()) else {
        return Err(Failure::Faults(faults));
    };
    let mut values = BTreeMap::new();
    let mut new = Vec::new();
    for param in &runbook.params {
        match old.params.get(&param.name).filter(|value| !value.is_null()) {
            Some(value) => {
                let value = runbook::keep_value(param, value).map_err(|why| {
                    Failure::usage(format!("the run's value of the parameter `{}` is refused now: {why}", param.name))
                })?;
                values.insert(param.name.clone(), value);
            }
            None => new.push(param.clone()),
        }
    }
    values.append(&mut runbook::read_params(&new, &BTreeMap::new()).map_err(Failure::Faults)?);
    let (inventory, allow_unknown_hosts) = (&hosts.inventory, hosts.allow_unknown);
    let (project, source) = (&old.project, &found.source);
    let around = Surroundings { inventory, allow_unknown_hosts, project, source, library: &library };
    let mut plan = with_scripts(runbook, values, &around)?;
    for (name, source) in &mut plan.secrets {
        // Where a secret comes from may have been said on the command line.
        if let Some(said) = old.secrets.get(name) {
            source.clone_from(said);
        }
    }
    Ok(plan)
}

/// Reads `KEY=VALUE` words.
fn values(words: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut values = BTreeMap::new();
    for word in words {
        let shown = || word.chars().take(60).collect::<String>().escape_debug().to_string();
        let Some((key, value)) = word.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Failure::usage(format!("`{}` is not of the form KEY=VALUE", shown())));
        };
        let value = match value.strip_prefix('@') {
            Some(rest) if rest.starts_with('@') => rest.to_owned(),
            Some(path) => from_file(key, path)?,
            None => value.to_owned(),
        };
        if values.insert(key.to_owned(), value).is_some() {
            return Err(Failure::usage(format!("the parameter `{}` is given twice", key.escape_debug())));
        }
    }
    Ok(values)
}

/// The content of a file as a value, without the line break at its end.
fn from_file(key: &str, path: &str) -> Result<String, Failure> {
    let source = project::read(Path::new(path), path).map_err(|failure| match failure {
        Failure::Usage { message, .. } => Failure::usage(format!("parameter `{}`: {message}", key.escape_debug()))
            .hint("a value that begins with `@` is written `@@…`"),
        other @ (Failure::Faults(_)
        | Failure::Journal(_)
        | Failure::Drive(_)
        | Failure::ReaderGone
        | Failure::Other { .. }) => other,
    })?;
    let text = source.text.as_ref();
    let text = text.strip_suffix('\n').unwrap_or(text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}
