//! Finds the project and the runbooks in it.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use piton_core::fault::{Fault, FaultCode, Place, Source, Span};
use piton_core::ids::{ParamName, RunbookName};
use piton_core::runbook::{self, Runbook, SecretSource};
use serde::Deserialize;

use crate::exit::Failure;
use crate::secrets::Sources;

/// What marks a project, and holds its settings.
pub(crate) const FILE: &str = "piton.toml";

/// How large a document may be that Piton reads; far above what people write, far below what would hurt.
const MAX_DOCUMENT: u64 = 16 << 20;

/// How deep runbooks may lie under `runbooks/`.
const MAX_DEPTH: usize = 16;

/// A directory with a `piton.toml`.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    /// Absolute.
    pub root: PathBuf,
    /// What its `piton.toml` says.
    pub settings: Settings,
}

/// The `[project]` table of `piton.toml`. Everything has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// The project's name, for people.
    pub name: String,
    /// The inventory, relative to the project; a file, or a program that prints one.
    pub inventory: Option<PathBuf>,
    /// `sqlite`, or `sled:PATH`.
    pub journal: Option<String>,
    /// Whether a host may be named that the inventory does not have but the user's ssh config may know.
    pub allow_unknown_hosts: bool,
    /// How many tasks one engine has under way at once, over all of the runs that it drives.
    pub max_parallel: Option<NonZeroU32>,
    /// A program and its words that get what `notify` of a hook says, on standard input.
    pub notify: Vec<String>,
    /// The `[secrets]` table: where secrets come from whose runbook does not say it.
    #[serde(skip)]
    pub secrets: Sources,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: String::new(),
            inventory: None,
            journal: None,
            allow_unknown_hosts: true,
            max_parallel: None,
            notify: Vec::new(),
            secrets: Sources::new(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    project: Settings,
    secrets: BTreeMap<String, toml::Spanned<String>>,
}

/// The nearest project: in `chosen` or in the current directory, or above.
///
/// # Errors
///
/// When its `piton.toml` has faults, or `chosen` leads to no project.
pub(crate) fn find(chosen: Option<&Path>) -> Result<Option<Project>, Failure> {
    let start = match chosen {
        Some(dir) => absolute(dir)?,
        None => std::env::current_dir()
            .map_err(|error| Failure::other(format!("the current directory cannot be read: {error}")))?,
    };
    let Some(root) = start.ancestors().find(|dir| dir.join(FILE).is_file()) else {
        return match chosen {
            None => Ok(None),
            Some(dir) => Err(Failure::usage(format!("there is no {FILE} in {} or above it", dir.display()))
                .hint("`piton init DIR` makes a project")),
        };
    };
    let source = read(&root.join(FILE), FILE)?;
    let settings = settings(&source).map_err(|fault| Failure::Faults(vec![fault]))?;
    Ok(Some(Project { root: root.to_owned(), settings }))
}

fn settings(source: &Source) -> Result<Settings, Fault> {
    let document: Document = toml::from_str(&source.text).map_err(|error| {
        let message = error.message().trim().replace('\n', ", ");
        let code = match message.as_str() {
            m if m.starts_with("unknown field") => FaultCode::UnknownField,
            m if m.starts_with("invalid type") => FaultCode::WrongType,
            m if m.starts_with("duplicate") => FaultCode::Duplicate,
            _ => FaultCode::Syntax,
        };
        let place = error
            .span()
            .map(|range| Place { source: source.clone(), span: Span { start: range.start, end: range.end } });
        Fault { code, message, place, hint: None }
    })?;
    let mut secrets = Sources::new();
    for (name, from) in document.secrets {
        let span = Span { start: from.span().start, end: from.span().end };
        let fault = |code, message| Fault::at(code, source, span, message);
        let name = ParamName::new(&name).map_err(|bad| fault(FaultCode::BadName, bad.to_string()))?;
        let from = SecretSource::parse(from.get_ref())
            .map_err(|why| fault(FaultCode::BadValue, format!("the secret `{name}`: {why}")))?;
        secrets.insert(name, from);
    }
    Ok(Settings { secrets, ..document.project })
}

/// A runbook that was asked for: its text and where it lies.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// What it says.
    pub source: Source,
    /// Where relative paths in it begin: the project, or the file's directory.
    pub base: PathBuf,
}

/// Finds a runbook by its name in the project, or by a path.
pub(crate) fn runbook(project: Option<&Project>, wanted: &str) -> Result<Found, Failure> {
    if wanted.contains('/') || is_yaml(Path::new(wanted)) {
        return by_path(project, Path::new(wanted));
    }
    let name = RunbookName::new(wanted).map_err(|bad| {
        Failure::usage(bad.to_string()).hint("say a runbook's name, or a path that contains `/` or ends in `.yaml`")
    })?;
    let Some(project) = project else {
        return Err(Failure::usage(format!("runbook `{name}` was asked for by name, and there is no project here"))
            .hint(format!(
                "a project is a directory with {FILE}; choose one with -C DIR, or give the path of a runbook"
            )));
    };
    let all = runbooks(project)?;
    let matches: Vec<&PathBuf> = all.iter().filter(|p| stem(p) == Some(name.as_str())).collect();
    match matches.as_slice() {
        [one] => Ok(Found { source: read(one, &shown(one))?, base: project.root.clone() }),
        [] => {
            let near = all.iter().filter_map(|p| stem(p)).filter(|n| close(n, name.as_str()));
            let near: Vec<&str> = near.collect();
            let failure = Failure::usage(format!("there is no runbook `{name}` in {}", project.root.display()));
            Err(match (near.as_slice(), all.len()) {
                ([], 0) => failure.hint("runbooks are files `runbooks/**/NAME.yaml`"),
                ([], _) => failure.hint("`piton check` lists the runbooks there are"),
                (near, _) => failure.hint(format!("did you mean {}?", near.join(" or "))),
            })
        }
        many => {
            let paths: Vec<String> = many.iter().map(|p| shown(p)).collect();
            Err(Failure::usage(format!("`{name}` could be {}", paths.join(" or ")))
                .hint("give the path of the one you mean"))
        }
    }
}

fn by_path(project: Option<&Project>, path: &Path) -> Result<Found, Failure> {
    let full = absolute(path)?;
    let beside = full.parent().unwrap_or(Path::new("/"));
    let base = match project {
        Some(project) if full.starts_with(&project.root) => project.root.clone(),
        Some(_) | None => beside.to_owned(),
    };
    Ok(Found { source: read(&full, &path.display().to_string())?, base })
}

/// Reads a runbook's text; its name must be that of its file.
pub(crate) fn parse(source: &Source) -> (Option<Runbook>, Vec<Fault>) {
    let (runbook, mut faults) = runbook::parse(source);
    if let Some(book) = &runbook
        && let Some(stem) = stem(Path::new(source.name.as_ref()))
        && stem != book.name.as_str()
    {
        let start = source.text.find(book.name.as_str()).unwrap_or(0);
        let span = Span { start, end: start + book.name.as_str().len() };
        faults.push(Fault {
            code: FaultCode::BadName,
            message: format!("the runbook calls itself `{}`, and its file is `{stem}.yaml`", book.name),
            place: Some(Place { source: source.clone(), span }),
            hint: Some("a runbook has the name of its file, so that it is found by it".to_owned()),
        });
    }
    (runbook, faults)
}

/// All runbooks of a project, sorted by path.
pub(crate) fn runbooks(project: &Project) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    walk(&project.root.join("runbooks"), 0, &mut found)?;
    found.sort();
    Ok(found)
}

/// Finds the YAML files below a directory; one that is not there has none.
pub(crate) fn walk(dir: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && depth == 0 => return Ok(()),
        Err(error) => return Err(Failure::other(format!("{} cannot be read: {error}", dir.display()))),
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().first() == Some(&b'.');
        // A symbolic link to a directory is not followed: it may lead in a circle.
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !hidden && is_dir && depth < MAX_DEPTH {
            walk(&path, depth + 1, found)?;
        } else if !hidden && !is_dir && is_yaml(&path) && stem(&path).is_some_and(|s| !s.contains('.')) {
            found.push(path);
        }
    }
    Ok(())
}

/// Reads a document. `name` is what the user knows it by.
pub(crate) fn read(path: &Path, name: &str) -> Result<Source, Failure> {
    let unreadable = |why: String| Failure::usage(format!("{name} cannot be read: {why}"));
    let length = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    let fault = |code, message: String| {
        let source = Source { name: name.into(), text: "".into() };
        let place = Some(Place { source, span: Span::default() });
        Failure::Faults(vec![Fault { code, message, place, hint: None }])
    };
    if length > MAX_DOCUMENT {
        return Err(fault(FaultCode::TooLarge, format!("{name} has {length} bytes, {MAX_DOCUMENT} at most are read")));
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        fault(FaultCode::Syntax, format!("{name} is not UTF-8: byte {} is wrong", error.utf8_error().valid_up_to()))
    })?;
    Ok(Source { name: name.into(), text: text.into() })
}

/// The path as the user would write it from here.
pub(crate) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let short = here.as_deref().and_then(|here| path.strip_prefix(here).ok());
    short.filter(|s| !s.as_os_str().is_empty()).unwrap_or(path).display().to_string()
}

/// The path, made absolute without looking at the file system.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::usage(format!("`{}` is no path: {error}", path.display())))
}

/// Whether a path has the name of a YAML file.
pub(crate) fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "yaml" || e == "yml")
}

fn stem(path: &Path) -> Option<&str> {
    path.file_stem().and_then(|s| s.to_str())
}

/// Whether two names are so near that one may be meant for the other.
fn close(a: &str, b: &str) -> bool {
    a.contains(b) || b.contains(a) || strsim::jaro_winkler(a, b) > 0.85
}
