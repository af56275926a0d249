//! Engines in the background: processes that nobody has to look after, and that end by themselves.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use piton_core::ids::RunId;

use crate::exit::Failure;
use crate::store::Store;

/// How long the log of background engines may grow before it is begun anew.
const MAX_LOG: u64 = 4 << 20;

/// Starts an engine that takes the runs up as soon as it can, apart from this terminal. Returns its process id.
pub(crate) fn engine(store: &Store, runs: &[RunId]) -> Result<u32, Failure> {
    let cannot = |what: &str, error: std::io::Error| {
        Failure::other(format!("an engine cannot be started in the background: {what}: {error}"))
            .hint("`piton resume RUN` drives a run in the foreground")
    };
    let program = std::env::current_exe().map_err(|error| cannot("where this program is", error))?;
    let path = store.dir.join("engine.log");
    let full = std::fs::metadata(&path).is_ok_and(|m| m.len() > MAX_LOG);
    let log = OpenOptions::new()
        .create(true)
        .append(!full)
        .write(true)
        .truncate(full)
        .mode(0o600)
        .open(&path)
        .map_err(|error| cannot(&path.display().to_string(), error))?;
    let mut command = Command::new(program);
    command
        .arg("--state")
        .arg(&store.dir)
        .args(["--journal", &store.spec, "--color", "never", "engine"])
        .args(store.most.iter().flat_map(|most| ["--max-parallel".to_owned(), most.to_string()]))
        .args(runs.iter().map(RunId::to_string))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        // A process group of its own: neither Ctrl-C nor the end of the terminal reaches it.
        .process_group(0);
    let child = command.spawn().map_err(|error| cannot("the process", error))?;
    Ok(child.id())
}
