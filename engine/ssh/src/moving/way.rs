//! How the bytes go: from the source to the target itself, where it can reach it, else through this machine.

use std::time::Duration;

use piton_core::run::Refusal;
use sha2::{Digest as _, Sha256};

use super::layout::Part;
use super::scripts::{self, DIRECT, Opened, PROBE, SEND, TAKE};
use super::{Move, Side};
use crate::files::{self, Failed, There, index, persist};
use crate::script::quote;

/// How long the source may take to find out whether it reaches the target.
const PROBE_WITHIN: Duration = Duration::from_secs(20);

/// How long nothing may come of a file that is being read.
const STALL: Duration = Duration::from_secs(120);

/// Blocks that are read at once: with them the source's progress is told.
const STEP: u64 = 128;

/// How the bytes go.
pub(super) enum Way {
    /// Into a command on the source that writes on the target.
    Direct(Vec<String>),
    /// Through the engine.
    Relay,
}

impl Way {
    /// Direct, if the source proves that it reaches the very file that is to be written.
    pub(super) async fn choose(it: &Move<'_>, file: &str, opened: &Opened) -> Result<Self, Refusal> {
        let Some(words) = &it.direct else { return Ok(Self::Relay) };
        let boot_path = &it.to.pool.common.options.boot_id_path;
        // Its boot id and its inode together: no other host and no other file answers so.
        let expected = format!("piton {} {}", opened.boot.0, opened.inode);
        let remote = remote(
            &it.to,
            "read -r boot rest <\"$1\"; echo piton \"$boot\" $(stat -c %d:%i \"$2\")",
            &[boot_path, file],
        );
        let mut arguments = vec![expected.as_str(), &remote];
        arguments.extend(words.iter().map(String::as_str));
        let asked = async { persist!(it.from, it.from.ask_once(&PROBE, &arguments)) };
        match tokio::time::timeout(PROBE_WITHIN, asked).await {
            Ok(answer) => {
                let answer = it.from(answer)?;
                let direct = answer.word() == "direct";
                if !direct {
                    tracing::debug!(from = %it.from.pool.host, to = %it.to.pool.host, why = answer.rest(), "not direct");
                }
                Ok(if direct { Self::Direct(words.clone()) } else { Self::Relay })
            }
            Err(_) => Ok(Self::Relay),
        }
    }

    /// Sends one part. The SHA-256 of what the source sent, where it passed through this machine.
    pub(super) async fn send(
        &mut self,
        it: &Move<'_>,
        part: &Part,
        file: &str,
        said: &(dyn Fn(u64) + Sync),
    ) -> Result<Option<String>, (Side, Failed)> {
        if let Self::Direct(words) = self {
            match direct(it, words, part, file, said).await.map_err(|failed| (Side::From, failed))? {
                None => return Ok(None),
                // What it was is seen on the other way: a full disk, or a network that is gone.
                Some(why) => {
                    tracing::debug!(from = %it.from.pool.host, to = %it.to.pool.host, why, "no longer direct");
                    *self = Self::Relay;
                    return Err((
                        Side::To,
                        Failed::Lost(format!(
                            "{} does not reach {} any more: {why}",
                            it.from.pool.host, it.to.pool.host
                        )),
                    ));
                }
            }
        }
        relay(it, part, file, said).await.map(Some)
    }
}

/// A command for the target's login shell, whichever that is: one line, no character but what all read alike.
fn remote(to: &There<'_>, script: &str, arguments: &[&str]) -> String {
    let user = to.user.map(|user| format!("sudo -n -H -u {user} -- ")).unwrap_or_default();
    let arguments: Vec<String> = arguments.iter().map(|argument| quote(argument)).collect();
    format!("exec {user}sh -c '{script}' piton {}", arguments.join(" "))
}

/// `None`: it has arrived; else why not.
async fn direct(
    it: &Move<'_>,
    words: &[String],
    part: &Part,
    file: &str,
    said: &(dyn Fn(u64) + Sync),
) -> Result<Option<String>, Failed> {
    let stretches: Vec<String> = scripts::words(part).collect();
    let mut remote = remote(
        &it.to,
        "p=$1; shift; while [ $# -gt 1 ]; do dd of=\"$p\" bs=65536 seek=\"$1\" count=\"$2\" conv=notrunc iflag=fullblock 2>&1 || exit 1; shift 2; done >/dev/null",
        &[file],
    );
    for word in &stretches {
        remote.push(' ');
        remote.push_str(word);
    }
    let (count, rate, step) = (words.len().to_string(), it.manner.rate.unwrap_or(0), step(it));
    let (rate, step) = (rate.to_string(), step.to_string());
    let mut arguments = vec![remote.as_str(), &count];
    arguments.extend(words.iter().map(String::as_str));
    arguments.extend([it.source, &rate, &step]);
    arguments.extend(stretches.iter().map(String::as_str));
    let (mut shell, mut answer) = it.from.ask(&DIRECT, &arguments).await?;
    let mut blocks = 0;
    while answer.word() == "moved" {
        blocks += answer.rest().parse::<u64>().unwrap_or(0);
        said(blocks * super::layout::BLOCK);
        answer = files::answer(&mut shell).await?;
    }
    it.from.pool.give(shell);
    Ok((answer.word() != "taken").then(|| answer.rest().to_owned()))
}

/// With a limit, steps are short: a quarter of a second each.
fn step(it: &Move<'_>) -> u64 {
    it.manner.rate.map_or(STEP, |rate| (rate / 4 / super::layout::BLOCK).clamp(1, STEP))
}

async fn relay(it: &Move<'_>, part: &Part, file: &str, said: &(dyn Fn(u64) + Sync)) -> Result<String, (Side, Failed)> {
    let from = |failed: Failed| (Side::From, failed);
    let to = |failed: Failed| (Side::To, failed);
    let stretches: Vec<String> = scripts::words(part).collect();
    let (rate, step) = (it.manner.rate.unwrap_or(0).to_string(), step(it).to_string());
    let mut sending = vec![it.source, &rate, &step];
    let mut taking = vec![file];
    sending.extend(stretches.iter().map(String::as_str));
    taking.extend(stretches.iter().map(String::as_str));

    let (mut target, _) = it.to.ask(&TAKE, &taking).await.map_err(to)?;
    let (mut source, _) = it.from.ask(&SEND, &sending).await.map_err(from)?;
    let (mut sha256, mut left) = (Sha256::new(), part.bytes());
    while left > 0 {
        if source.stdout.ready().is_empty() {
            let came = tokio::time::timeout(STALL, source.stdout.fill()).await;
            let came = came.map_err(|_| from(Failed::Lost("nothing came for two minutes".to_owned())))?;
            if came.map_err(|error| from(error.into()))? == 0 {
                return Err(from(Failed::Lost("the connection ended in the middle of the file".to_owned())));
            }
        }
        let ready = source.stdout.ready();
        let bytes = &ready[..ready.len().min(index(left))];
        if let Some(why) = source.refusal_in(bytes) {
            return Err(from(Failed::Refused(why)));
        }
        sha256.update(bytes);
        let count = bytes.len();
        if let Err(error) = target.ask(bytes).await {
            // The host has stopped reading, and may have said why.
            let why = files::answer(&mut target).await.err();
            return Err(to(why.unwrap_or_else(|| error.into())));
        }
        source.stdout.take(count);
        left -= u64::try_from(count).unwrap_or(left);
        said(part.bytes() - left);
    }
    let taken = files::answer(&mut target).await.map_err(to)?;
    if taken.word() != "taken" {
        return Err(to(Failed::Lost(format!("the shell there said {:?}", taken.word()))));
    }
    it.from.pool.give(source);
    it.to.pool.give(target);
    Ok(sha256.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
