//! Secrets from the system: environment variables, files, commands.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use piton_core::ids::ParamName;
use piton_core::runbook::SecretSource;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::AsyncReadExt as _;
use zeroize::Zeroizing;

use super::{LONGEST, Secrets, check_text};

/// How long a command may take that prints a secret: somebody may have to touch a key.
const PATIENCE: Duration = Duration::from_secs(60);

/// Fetches secrets from where they are, each once.
pub struct SystemSecrets {
    project: PathBuf,
    /// In the place of what the plan says.
    instead: BTreeMap<ParamName, SecretSource>,
    key: Option<[u8; 32]>,
    known: Mutex<BTreeMap<ParamName, SecretString>>,
}

impl SystemSecrets {
    /// Relative paths begin at `project`, where commands are carried out too. `key` makes the marks; it must be kept apart
    /// from the journal.
    pub fn new(project: &Path, key: Option<[u8; 32]>) -> Self {
        Self { project: project.to_owned(), instead: BTreeMap::new(), key, known: Mutex::default() }
    }

    /// Fetches these from somewhere else than the plan says.
    #[must_use]
    pub fn instead(mut self, sources: BTreeMap<ParamName, SecretSource>) -> Self {
        self.instead = sources;
        self
    }

    /// Gives a secret that somebody typed in.
    pub fn give(&self, name: ParamName, text: SecretString) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(name, text);
    }

    /// Whether somebody must type the secret in before it can be fetched.
    pub fn must_ask(&self, name: &ParamName, source: &SecretSource) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name);
        !known && *self.instead.get(name).unwrap_or(source) == SecretSource::Prompt
    }
}

#[async_trait]
impl Secrets for SystemSecrets {
    async fn fetch(&self, name: &ParamName, source: &SecretSource) -> Result<SecretString, String> {
        if let Some(text) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(text.clone());
        }
        let source = self.instead.get(name).unwrap_or(source);
        let text = match source {
            SecretSource::Env(variable) => from_env(variable),
            SecretSource::File(path) => from_file(&self.project.join(path)).await,
            SecretSource::Command(line) => from_command(line, &self.project).await,
            SecretSource::Prompt => Err("it was typed in, and this engine has no terminal to ask on".to_owned()),
        }?;
        check_text(&text).map_err(|why| format!("what {source} gives cannot be used: {why}"))?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), text.clone());
        Ok(text)
    }

    fn mark(&self, name: &ParamName, text: &SecretString) -> String {
        let Some(key) = &self.key else { return String::new() };
        let named = blake3::keyed_hash(key, name.as_str().as_bytes());
        let digest = blake3::keyed_hash(named.as_bytes(), text.expose_secret().as_bytes());
        let key = blake3::derive_key("piton 2026 which key marks secrets", key);
        format!("{}:{}", hex(&key[..4]), hex(&digest.as_bytes()[..8]))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_env(variable: &str) -> Result<SecretString, String> {
    match std::env::var(variable) {
        Ok(text) => Ok(SecretString::from(Zeroizing::new(text).as_str())),
        Err(std::env::VarError::NotPresent) => Err(format!("the environment variable {variable} is not set")),
        Err(std::env::VarError::NotUnicode(_)) => Err(format!("the environment variable {variable} is not UTF-8")),
    }
}

async fn from_file(path: &Path) -> Result<SecretString, String> {
    let unreadable = |why: std::io::Error| format!("{} cannot be read: {why}", path.display());
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let bytes = at_most(file).await.map_err(unreadable)?;
    without_break(&bytes).ok_or_else(|| format!("{} is not UTF-8", path.display()))
}

/// What the command prints. What it says on standard error is not ours to show: it may hold the secret.
async fn from_command(line: &str, project: &Path) -> Result<SecretString, String> {
    let mut command = tokio::process::Command::new("sh");
    command
        .args(["-c", line])
        .current_dir(project)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(|why| format!("`{line}` cannot be started: {why}"))?;
    let Some(out) = child.stdout.take() else { return Err(format!("`{line}` has no standard output")) };
    let done = tokio::time::timeout(PATIENCE, async {
        let bytes = at_most(out).await?;
        Ok((bytes, child.wait().await?))
    });
    let done: std::io::Result<_> =
        done.await.map_err(|_| format!("`{line}` takes longer than {} seconds", PATIENCE.as_secs()))?;
    let (bytes, status) = done.map_err(|why| format!("`{line}`: {why}"))?;
    if !status.success() {
        return Err(format!("`{line}` failed ({status}); carried out by hand, it may say why"));
    }
    without_break(&bytes).ok_or_else(|| format!("what `{line}` prints is not UTF-8"))
}

/// All there is, but no more than is needed to see that it is too much.
async fn at_most(from: impl tokio::io::AsyncRead + Unpin) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 3));
    from.take(LONGEST as u64 + 3).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// Without the line break at the end, which editors and commands put there.
fn without_break(bytes: &[u8]) -> Option<SecretString> {
    let text = std::str::from_utf8(bytes).ok()?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    Some(SecretString::from(text.strip_suffix('\r').unwrap_or(text)))
}

#[cfg(test)]
#[path = "system_tests.rs"]
mod tests;
