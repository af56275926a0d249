//! The engine's own machine: the wrapper in a child process.

use std::process::Stdio;

use tokio::process::Command;

use crate::channel::{Channel, Unreachable};
use crate::wrapper::WRAPPER;

/// Starts a shell in a session of its own, so that neither Ctrl-C nor a closed terminal reaches it or its jobs.
pub(crate) fn open(sh: &str) -> Result<Channel, Unreachable> {
    let mut words = sh.split_whitespace();
    let mut command = Command::new("setsid");
    command.arg(words.next().unwrap_or("sh")).args(words).args(["-c", &WRAPPER, "piton"]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| {
        Unreachable::for_good(format!("`setsid` cannot be started on this machine (package util-linux): {error}"))
    })?;
    match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
        (Some(stdin), Some(stdout), Some(stderr)) => Ok(Channel {
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
            stderr: Box::new(stderr),
            // Its end of file comes when the engine lets go; tokio reaps it then.
            held: Box::new(child),
        }),
        (_, _, _) => Err(Unreachable::for_now("the shell's pipes are gone")),
    }
}
