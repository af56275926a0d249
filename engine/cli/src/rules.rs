//! Finds the rules of a project, and who may send alerts to it.

use std::collections::BTreeSet;
use std::path::Path;

use piton_core::fault::{Fault, FaultCode, Source, Span};
use piton_core::ids::{ParamName, RuleName, RunbookName};
use piton_core::rules::{self, AlertSettings, Rule};
use piton_core::runbook::Library;

use crate::exit::Failure;
use crate::project::{self, Project};

/// The file that says who may send alerts, and which of them are not to be answered.
pub(crate) const SETTINGS: &str = "alerts.yaml";

/// The rules of a project, with the runbooks that they call.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// Those without faults of their own, by path, each with its text.
    pub rules: Vec<(Rule, Source)>,
    /// What `alerts.yaml` says.
    pub settings: AlertSettings,
    /// Its text, where there is one.
    pub settings_source: Option<Source>,
    /// The runbooks that rules call, as far as they can be read.
    pub library: Library,
    /// Everything that is wrong with all of this.
    pub faults: Vec<Fault>,
}

/// Reads the rules of a project.
///
/// # Errors
/// When files cannot be read. Faults in them are among [`Rules::faults`].
pub(crate) fn load(project: &Project) -> Result<Rules, Failure> {
    let mut all = Rules::default();
    let mut readable = true;
    let path = project.root.join(SETTINGS);
    if path.is_file() {
        let source = project::read(&path, &project::shown(&path))?;
        let (settings, mut faults) = rules::parse_settings(&source);
        all.faults.append(&mut faults);
        readable = settings.is_some();
        all.settings = settings.unwrap_or_default();
        all.settings_source = Some(source);
    }
    let runbooks = project::runbooks(project)?;
    let names: Vec<RunbookName> = runbooks.iter().filter_map(|path| RunbookName::new(stem(path)).ok()).collect();
    let secrets: BTreeSet<ParamName> = project.settings.secrets.keys().cloned().collect();
    let mut seen: Vec<(RuleName, Source)> = Vec::new();
    for path in project::documents(project, "rules")? {
        let source = project::read(&path, &project::shown(&path))?;
        let (rule, mut faults) = rules::parse(&source);
        all.faults.append(&mut faults);
        let Some(rule) = rule else { continue };
        all.faults.extend(misnamed(&rule, &source, &path));
        if let Some((_, first)) = seen.iter().find(|(name, _)| *name == rule.name) {
            let message = format!("two rules are called `{}`; the other is {}", rule.name, first.name);
            all.faults.push(Fault::at(FaultCode::Duplicate, &source, name_span(&rule, &source), message));
        }
        seen.push((rule.name.clone(), source.clone()));
        let named = &rule.call.runbook;
        if !all.library.contains_key(named) && names.contains(named) {
            let found = project::runbook(Some(project), named.as_str())?;
            let (runbook, mut faults) = project::parse(&found.source);
            all.faults.append(&mut faults);
            let Some(runbook) = runbook else { continue };
            all.library.insert(named.clone(), (runbook, found.source));
        }
        let settings = readable.then_some(&all.settings);
        let runbook = all.library.get(named).map(|(runbook, _)| runbook);
        all.faults.extend(rules::check(&rule, &source, runbook, settings, &names, &secrets));
        all.rules.push((rule, source));
    }
    // A silence for a rule that does not exist silences nothing, and whoever wrote it does not know.
    for name in all.settings.silences.iter().flat_map(|silence| &silence.rules) {
        if !seen.iter().any(|(known, _)| known == name) {
            let message = format!("{SETTINGS} silences the rule `{name}`, which does not exist");
            let known = seen.iter().map(|(name, _)| name.as_str());
            all.faults.push(Fault::bare(FaultCode::UnknownField, message).did_you_mean(name.as_str(), known));
        }
    }
    Ok(all)
}

/// A rule has the name of its file, so that it is found by it.
fn misnamed(rule: &Rule, source: &Source, path: &Path) -> Option<Fault> {
    (stem(path) != rule.name.as_str()).then(|| {
        let message = format!("the rule calls itself `{}`, and its file is `{}.yaml`", rule.name, stem(path));
        let fault = Fault::at(FaultCode::BadName, source, name_span(rule, source), message);
        fault.hint("a rule has the name of its file, so that it is found by it")
    })
}

fn name_span(rule: &Rule, source: &Source) -> Span {
    let start = source.text.find(rule.name.as_str()).unwrap_or(0);
    Span { start, end: start + rule.name.as_str().len() }
}

fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
}
