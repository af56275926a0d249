//! Finds the hosts: a file, or a program that prints them as Ansible's dynamic inventories do.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use piton_core::fault::{Fault, FaultCode, Source};
use piton_core::inventory::{self, Inventory};
use tokio::io::AsyncReadExt;

use crate::exit::Failure;
use crate::project::{self, Project};
use crate::visible::visible_lines;

/// How long an inventory program may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much an inventory program may print.
const MAX_PRINTED: u64 = 64 << 20;

/// How much of what it says on stderr is shown.
const MAX_SAID: u64 = 16 << 10;

/// The hosts that a runbook can name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hosts {
    /// The hosts that are described.
    pub inventory: Inventory,
    /// Whether others may be named.
    pub allow_unknown: bool,
    /// Where the description is, for people.
    pub from: Option<String>,
}

/// Reads the project's inventory. Without a project or an inventory, only the user's ssh config knows hosts.
pub(crate) async fn load(project: Option<&Project>) -> Result<Hosts, Failure> {
    let Some(project) = project else { return Ok(Hosts { allow_unknown: true, ..Hosts::default() }) };
    let allow_unknown = project.settings.allow_unknown_hosts;
    let Some(path) = place(project)? else {
        return Ok(Hosts { allow_unknown: true, ..Hosts::default() });
    };
    let name = project::shown(&path);
    let inventory = if is_program(&path) {
        from_program(&path, &name, &project.root).await?
    } else {
        let source = project::read(&path, &name)?;
        checked(inventory::parse(&source))?
    };
    Ok(Hosts { inventory, allow_unknown, from: Some(name) })
}

/// Where the inventory is: what `piton.toml` names, else `inventory.yaml`, else an executable `inventory`.
fn place(project: &Project) -> Result<Option<PathBuf>, Failure> {
    if let Some(named) = &project.settings.inventory {
        let path = project.root.join(named);
        return if path.is_file() {
            Ok(Some(path))
        } else {
            Err(Failure::usage(format!("the inventory {} that {} names is not there", path.display(), project::FILE)))
        };
    }
    let file = project.root.join("inventory.yaml");
    let program = project.root.join("inventory");
    Ok(if file.is_file() { Some(file) } else { Some(program).filter(|p| is_program(p)) })
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        && !path.extension().is_some_and(|e| e == "yaml" || e == "yml")
}

fn checked((inventory, faults): (Option<Inventory>, Vec<Fault>)) -> Result<Inventory, Failure> {
    match inventory {
        Some(inventory) if faults.is_empty() => Ok(inventory),
        Some(_) | None => Err(Failure::Faults(faults)),
    }
}

async fn from_program(path: &Path, name: &str, root: &Path) -> Result<Inventory, Failure> {
    let fault = |message: String, hint: Option<String>| {
        Failure::Faults(vec![Fault { code: FaultCode::BadValue, message, place: None, hint }])
    };
    let mut child = tokio::process::Command::new(path)
        .arg("--list")
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| fault(format!("the inventory {name} cannot be run: {error}"), None))?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(fault(format!("the inventory {name} cannot be read from"), None));
    };
    let (mut printed, mut said) = (Vec::new(), Vec::new());
    let all = async {
        // What is beyond the limit is not read: the program gets SIGPIPE when the pipe is closed.
        let read = async { out.take(MAX_PRINTED + 1).read_to_end(&mut printed).await };
        let hear = async {
            let mut err = err.take(MAX_SAID);
            err.read_to_end(&mut said).await?;
            tokio::io::copy(&mut err.into_inner(), &mut tokio::io::sink()).await
        };
        let (read, _, ended) = tokio::join!(read, hear, child.wait());
        read.and(ended)
    };
    let ended = tokio::time::timeout(PATIENCE, all).await;
    let complaint = || Some(visible_lines(said.trim_ascii())).filter(|text| !text.is_empty());
    match ended {
        Err(_) => {
            if let Some(group) = group {
                // It may have ended just now.
                let _gone = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            Err(fault(format!("the inventory {name} did not end within {} seconds", PATIENCE.as_secs()), complaint()))
        }
        Ok(Err(error)) => Err(fault(format!("the inventory {name} cannot be read: {error}"), complaint())),
        Ok(Ok(status)) if !status.success() => {
            Err(fault(format!("the inventory {name} failed ({status})"), complaint()))
        }
        Ok(Ok(_)) if printed.len() as u64 > MAX_PRINTED => {
            Err(fault(format!("the inventory {name} printed more than {MAX_PRINTED} bytes"), None))
        }
        Ok(Ok(_)) => {
            let text = String::from_utf8(printed)
                .map_err(|_| fault(format!("what the inventory {name} printed is not UTF-8"), None))?;
            let source = Source { name: format!("{name} --list").into(), text: text.into() };
            checked(inventory::from_ansible(&source))
        }
    }
}
