//! Secrets on the command line: where they come from, and asking for those that somebody types in.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use piton_core::fault::{Fault, FaultCode};
use piton_core::ids::ParamName;
use piton_core::plan::Plan;
use piton_core::runbook::SecretSource;
use piton_runner::secrets::{Secrets as _, SystemSecrets};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::exit::Failure;
use crate::project;
use crate::screen::Screen;
use crate::store::Store;

/// Where secrets come from, by their names.
pub(crate) type Sources = BTreeMap<ParamName, SecretSource>;

/// Where secrets come from, as words of a command line.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct SecretArgs {
    /// Where a secret comes from: `env:NAME`, `file:PATH`, `cmd:COMMAND`, or `prompt` to be asked for it
    #[arg(long = "secret", value_name = "NAME=SOURCE")]
    secrets: Vec<String>,
}

impl SecretArgs {
    /// Reads the words. No message quotes what stands behind the `=`: somebody may have written the secret itself there.
    pub(crate) fn read(&self) -> Result<Sources, Failure> {
        let mut sources = Sources::new();
        for word in &self.secrets {
            let Some((name, source)) = word.split_once('=') else {
                return Err(Failure::usage("a word behind `--secret` is not of the form NAME=SOURCE")
                    .hint("`--secret token=env:TOKEN`, `token=file:PATH`, `token=cmd:COMMAND` or `token=prompt`"));
            };
            let name = ParamName::new(name).map_err(|bad| Failure::usage(bad.to_string()))?;
            let source =
                SecretSource::parse(source).map_err(|why| Failure::usage(format!("`--secret {name}=…`: {why}")))?;
            // What is said here is meant from here, not from the project.
            let source = match source {
                SecretSource::File(path) => SecretSource::File(absolute(&path)?),
                other @ (SecretSource::Env(_) | SecretSource::Command(_) | SecretSource::Prompt) => other,
            };
            if sources.insert(name.clone(), source).is_some() {
                return Err(Failure::usage(format!("the secret `{name}` is given twice")));
            }
        }
        Ok(sources)
    }
}

fn absolute(path: &str) -> Result<String, Failure> {
    let path = project::absolute(Path::new(path))?;
    path.to_str().map(str::to_owned).ok_or_else(|| Failure::usage("the path of a secret is not UTF-8"))
}

/// Puts into the plan where its secrets come from: the command line says it, else the runbook, else the project; else
/// somebody is asked.
pub(crate) fn choose(
    plan: &mut Plan,
    declared: &BTreeMap<ParamName, bool>,
    given: &Sources,
    project: &Sources,
) -> Result<(), Vec<Fault>> {
    let mut faults = Vec::new();
    for name in given.keys().filter(|name| !declared.contains_key(*name)) {
        let message = match plan.params.contains_key(name) {
            true => format!("the parameter `{name}` is not a secret: it is given as `{name}=VALUE`"),
            false => format!("there is no parameter `{name}`"),
        };
        let fault = Fault::bare(FaultCode::UnknownParam, message);
        faults.push(fault.did_you_mean(name.as_str(), declared.keys().map(ParamName::as_str)));
    }
    for (name, has_own) in declared {
        let source = given.get(name).or_else(|| project.get(name).filter(|_| !has_own));
        if let Some(source) = source {
            plan.params.remove(name);
            plan.secrets.insert(name.clone(), source.clone());
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// What fetches the secrets of a plan; `instead` says from where else than the plan says.
pub(crate) fn of(store: &Store, plan: &Plan, instead: Sources) -> Arc<SystemSecrets> {
    let key = if plan.secrets.is_empty() { None } else { key(&store.dir) };
    Arc::new(SystemSecrets::new(Path::new(&plan.project), key).instead(instead))
}

/// The environment variables that a plan's secrets come from. A script gets a secret if it names it, not because it stands in
/// the environment of the engine.
pub(crate) fn variables(plan: &Plan) -> Vec<String> {
    let variable = |source: &SecretSource| match source {
        SecretSource::Env(name) => Some(name.clone()),
        SecretSource::File(_) | SecretSource::Command(_) | SecretSource::Prompt => None,
    };
    plan.secrets.values().filter_map(variable).collect()
}

/// The key that secrets are marked with, so that it is noticed when one changes: made when it is first needed. Without it (the
/// disk is full) nothing is noticed, and all else works.
fn key(dir: &Path) -> Option<[u8; 32]> {
    let path = dir.join("secrets.key");
    if let Ok(mut file) = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        let mut fresh = Zeroizing::new([0; 32]);
        let made = getrandom::fill(&mut *fresh).is_ok() && file.write_all(&*fresh).is_ok() && file.sync_all().is_ok();
        if !made {
            // Half a key is none, and the next one who needs it can make it.
            let _gone = std::fs::remove_file(&path);
            return None;
        }
    }
    let bytes = Zeroizing::new(std::fs::read(&path).ok()?);
    <[u8; 32]>::try_from(bytes.as_slice()).ok()
}

/// Asks for the secrets that must be typed in, where there is a terminal.
pub(crate) async fn ask(plan: &Plan, secrets: &Arc<SystemSecrets>) -> Result<(), Failure> {
    let wanted: Vec<ParamName> = plan
        .secrets
        .iter()
        .filter(|(name, source)| secrets.must_ask(name, source))
        .map(|(name, _)| name.clone())
        .collect();
    for name in wanted {
        let asked = name.clone();
        let text = tokio::task::spawn_blocking(move || typed(asked.as_str()))
            .await
            .unwrap_or_else(|error| Err(std::io::Error::other(error)));
        match text {
            Ok(Some(text)) => secrets.give(name, text),
            Ok(None) => return Err(Failure::other(format!("nobody typed in the secret `{name}`"))),
            // Nobody can be asked: whoever needs it says so.
            Err(_) => {}
        }
    }
    Ok(())
}

/// Fetches every secret, before anything begins.
pub(crate) async fn fetch_all(plan: &Plan, secrets: &Arc<SystemSecrets>) -> Result<(), Failure> {
    ask(plan, secrets).await?;
    let mut faults = Vec::new();
    for (name, source) in &plan.secrets {
        let fetched = secrets.fetch(name, source).await.and_then(|text| piton_runner::secrets::check_text(&text));
        if let Err(why) = fetched {
            let why = match source {
                SecretSource::Prompt => {
                    "nothing says where it comes from, and there is no terminal to ask on".to_owned()
                }
                SecretSource::Env(_) | SecretSource::File(_) | SecretSource::Command(_) => why,
            };
            let fault = Fault::bare(FaultCode::BadParam, format!("the secret `{name}` cannot be had: {why}"));
            let hint = format!(
                "`--secret {name}=env:NAME`, `{name}=file:PATH` or `{name}=cmd:COMMAND` says where it comes from"
            );
            faults.push(fault.hint(hint));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Failure::Faults(faults)) }
}

/// Refuses to leave a run to the background that needs what only a terminal can give.
pub(crate) fn refuse_typed(plan: &Plan) -> Result<(), Failure> {
    match plan.secrets.iter().find(|(_, source)| **source == SecretSource::Prompt) {
        None => Ok(()),
        Some((name, _)) => Err(Failure::usage(format!(
            "the secret `{name}` is to be typed in, which an engine in the background cannot ask for"
        ))
        .hint(format!(
            "`--secret {name}=env:NAME`, `{name}=file:PATH` or `{name}=cmd:COMMAND` says where it comes from"
        ))),
    }
}

/// Says, when a run is left to the background, which secrets the engine there does not have.
pub(crate) fn tell_typed(names: &[ParamName], run: piton_core::ids::RunId, screen: &Screen) {
    if names.is_empty() {
        return;
    }
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    screen.note(format_args!(
        "The engine in the background cannot ask for {}: the run will be parked. `piton resume {run}` asks.",
        names.join(", ")
    ));
}

/// The names of the secrets that only this process can give: typed in, or from elsewhere than the plan says.
pub(crate) fn only_here(plan: &Plan, instead: &Sources) -> Vec<ParamName> {
    let here = |name: &ParamName, source: &SecretSource| *source == SecretSource::Prompt || instead.contains_key(name);
    plan.secrets.iter().filter(|(name, source)| here(name, source)).map(|(name, _)| name.clone()).collect()
}

/// One line from the terminal, which does not show it; `None` if whoever sits there will not say.
///
/// # Errors
/// When there is no terminal.
fn typed(name: &str) -> std::io::Result<Option<SecretString>> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    let quiet = Quiet::new(&terminal)?;
    write!(terminal, "{name} (not shown): ")?;
    let line = read_line(&mut quiet.terminal.try_clone()?);
    writeln!(terminal)?;
    drop(quiet);
    line
}

/// A terminal that shows nothing of what is typed, gives each character at once, and leaves Ctrl-C to us; as it was before when
/// this is dropped.
struct Quiet {
    terminal: File,
    before: rustix::termios::Termios,
}

impl Quiet {
    fn new(terminal: &File) -> std::io::Result<Self> {
        let terminal = terminal.try_clone()?;
        let before = tcgetattr(&terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A terminal that is gone needs no setting back.
        let _gone = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

fn read_line(terminal: &mut File) -> std::io::Result<Option<SecretString>> {
    let mut line = Zeroizing::new(Vec::with_capacity(piton_runner::secrets::LONGEST + 1));
    let mut byte = Zeroizing::new([0_u8]);
    while terminal.read(&mut *byte)? == 1 {
        match byte[0] {
            b'\r' | b'\n' => {
                let text = std::str::from_utf8(&line).map_err(std::io::Error::other)?;
                return Ok(Some(SecretString::from(text)));
            }
            // Ctrl-C, Ctrl-D, Ctrl-\.
            3 | 4 | 28 => return Ok(None),
            // Backspace, Ctrl-U: a whole character, the whole line.
            8 | 127 => while line.pop().is_some_and(|last| last & 0xc0 == 0x80) {},
            21 => line.clear(),
            other if line.len() <= piton_runner::secrets::LONGEST => line.push(other),
            _ => {}
        }
    }
    Ok(None)
}
