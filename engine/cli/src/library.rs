//! Finds the runbooks that a runbook calls, and those that they call.

use std::collections::BTreeSet;

use piton_core::fault::{Fault, Source};
use piton_core::runbook::{Library, Runbook, check_calls};

use crate::exit::Failure;
use crate::project::{self, Found, Project};

/// Every runbook that `root` reaches by calls, and the faults of these and of the calls.
pub(crate) fn load(project: Option<&Project>, root: &Runbook, found: &Found) -> Result<(Library, Vec<Fault>), Failure> {
    let mut library = Library::new();
    let mut faults = Vec::new();
    let mut seen = BTreeSet::from([root.name.clone()]);
    let mut open: Vec<_> = root.calls().map(|call| call.runbook.clone()).collect();
    let mut readable = true;
    while let Some(name) = open.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        // One that is not there is a fault of the call.
        let Some(source) = beside(project, found, name.as_str())? else { continue };
        let (runbook, mut own) = project::parse(&source);
        faults.append(&mut own);
        match runbook {
            Some(runbook) => {
                open.extend(runbook.calls().map(|call| call.runbook.clone()));
                library.insert(name, (runbook, source));
            }
            None => readable = false,
        }
    }
    // What a call cannot find may only be unreadable.
    if readable {
        faults.extend(check_calls(root, &found.source, &library));
    }
    Ok((library, faults))
}

/// A runbook of the project, or one that lies beside the calling one where there is no project.
fn beside(project: Option<&Project>, found: &Found, name: &str) -> Result<Option<Source>, Failure> {
    match project {
        Some(project) => {
            let there = project::runbooks(project)?;
            match there.iter().any(|path| path.file_stem().is_some_and(|stem| stem == name)) {
                true => project::runbook(Some(project), name).map(|found| Some(found.source)),
                false => Ok(None),
            }
        }
        None => {
            let path = found.base.join(format!("{name}.yaml"));
            match path.is_file() {
                true => project::read(&path, &project::shown(&path)).map(Some),
                false => Ok(None),
            }
        }
    }
}
