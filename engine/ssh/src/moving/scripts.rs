//! What is asked of a host while a file is moved, and what its answers mean.

use piton_core::run::BootId;

use super::layout::{self, Part, Stretch};
use crate::files::{self, Failed, FileScript, There, file_script};
use crate::shell::Answer;

static LOOK: FileScript = file_script!("move-look.sh");
static MAP: FileScript = file_script!("move-map.sh");
static TARGET: FileScript = file_script!("move-target.sh");
static OPEN: FileScript = file_script!("move-open.sh");
static INODE: FileScript = file_script!("move-inode.sh");
static SUMS: FileScript = file_script!("move-sums.sh");
static FINISH: FileScript = file_script!("move-finish.sh");
static DROP: FileScript = file_script!("move-drop.sh");
pub(super) static SEND: FileScript = file_script!("move-emit.sh", "move-send.sh");
pub(super) static TAKE: FileScript = file_script!("move-take.sh");
pub(super) static PROBE: FileScript = file_script!("move-probe.sh");
pub(super) static DIRECT: FileScript = file_script!("move-emit.sh", "move-direct.sh");

/// The file that is to be moved.
pub(super) struct Seen {
    pub(super) len: u64,
    pub(super) mode: u32,
    /// `uid:gid`.
    pub(super) ids: String,
    /// `user:group`.
    pub(super) names: String,
    /// Changes when the file does.
    pub(super) token: String,
}

/// Where it is to go.
pub(super) struct Target {
    /// Bytes that are free there, where that can be told.
    pub(super) free: Option<u64>,
    /// The length of the file that is there.
    pub(super) len: Option<u64>,
    /// What it is.
    pub(super) was: Option<Was>,
    /// The path, or what it links to.
    pub(super) place: String,
}

/// Mode and owner of a file that is replaced.
pub(super) struct Was {
    pub(super) mode: u32,
    /// `uid:gid`.
    pub(super) ids: String,
}

/// The file that is written.
pub(super) struct Opened {
    /// It may hold something from an earlier try.
    pub(super) old: bool,
    /// `device:inode`.
    pub(super) inode: String,
    /// Its host's boot id.
    pub(super) boot: BootId,
}

fn odd(answer: &Answer) -> Failed {
    Failed::Refused(format!("the shell there said {:?}", answer.rest()))
}

/// What the source is.
pub(super) async fn look(there: &There<'_>, path: &str) -> Result<Seen, Failed> {
    let answer = there.ask_once(&LOOK, &[path]).await?;
    let words: Vec<&str> = answer.rest().split(' ').collect();
    let [len, mode, ids, names, token] = words[..] else { return Err(odd(&answer)) };
    Ok(Seen {
        len: len.parse().map_err(|_| odd(&answer))?,
        mode: u32::from_str_radix(mode, 8).map_err(|_| odd(&answer))?,
        ids: ids.to_owned(),
        names: names.to_owned(),
        token: token.to_owned(),
    })
}

/// Where a file of `len` bytes has data.
pub(super) async fn map(there: &There<'_>, path: &str, len: u64) -> Result<Vec<Stretch>, Failed> {
    let (mut shell, answer) = there.ask(&MAP, &[path]).await?;
    let mut bytes = Vec::new();
    let whole = answer.word() == "whole";
    if !whole {
        for _ in 0..answer.rest().parse::<u64>().map_err(|_| odd(&answer))? {
            let line = shell.stdout.line().await?;
            let pair = line.split_once(' ').and_then(|(at, len)| Some((at.parse().ok()?, len.parse().ok()?)));
            bytes.push(pair.ok_or_else(|| Failed::Refused(format!("the shell there said {line:?}")))?);
        }
    }
    there.pool.give(shell);
    Ok(if whole { layout::whole(len) } else { layout::covering(&bytes, len) })
}

/// What is at the target.
pub(super) async fn target(there: &There<'_>, path: &str) -> Result<Target, Failed> {
    let answer = there.ask_once(&TARGET, &[path]).await?;
    let words: Vec<&str> = answer.rest().splitn(5, ' ').collect();
    let [free, len, mode, ids, place] = words[..] else { return Err(odd(&answer)) };
    let was = u32::from_str_radix(mode, 8).ok().map(|mode| Was { mode, ids: ids.to_owned() });
    let free = free.parse::<u64>().ok().map(|kib| kib.saturating_mul(1024));
    Ok(Target { free, len: len.parse().ok(), was, place: place.to_owned() })
}

/// Makes the file that is written, unless it is there.
pub(super) async fn open(there: &There<'_>, file: &str, len: u64) -> Result<Opened, Failed> {
    opened(there, &OPEN, &[file, &len.to_string()]).await
}

/// The file that is written, as it is now.
pub(super) async fn inode(there: &There<'_>, file: &str) -> Result<Opened, Failed> {
    opened(there, &INODE, &[file]).await
}

async fn opened(there: &There<'_>, script: &FileScript, arguments: &[&str]) -> Result<Opened, Failed> {
    let (shell, answer) = there.ask(script, arguments).await?;
    let boot = shell.boot.clone();
    there.pool.give(shell);
    let Some((how, inode)) = answer.rest().split_once(' ') else { return Err(odd(&answer)) };
    Ok(Opened { old: how == "old", inode: inode.to_owned(), boot })
}

/// SHA-256 of parts, behind those in `sums` already: what came before a connection was lost stays.
pub(super) async fn sums(there: &There<'_>, path: &str, parts: &[&Part], sums: &mut Vec<String>) -> Result<(), Failed> {
    while let Some(rest) = parts.get(sums.len()..).filter(|rest| !rest.is_empty()) {
        // A request is a few thousand words at most: the arguments of a process have a limit.
        let mut arguments = vec![path.to_owned()];
        let mut asked = 0;
        for part in rest {
            if asked > 0 && arguments.len() > 2000 {
                break;
            }
            arguments.push(part.stretches.len().to_string());
            arguments.extend(words(part));
            asked += 1;
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (mut shell, mut answer) = there.ask(&SUMS, &arguments).await?;
        for number in 0..asked {
            if number > 0 {
                answer = files::answer(&mut shell).await?;
            }
            if answer.word() != "sum" || answer.rest().len() != 64 {
                return Err(odd(&answer));
            }
            sums.push(answer.rest().to_owned());
        }
        there.pool.give(shell);
    }
    Ok(())
}

/// Makes the file that was written the target.
pub(super) async fn finish(there: &There<'_>, arguments: &[&str]) -> Result<(), Failed> {
    there.ask_once(&FINISH, arguments).await.map(drop)
}

/// Removes the file that was written.
pub(super) async fn drop_part(there: &There<'_>, file: &str) -> Result<(), Failed> {
    there.ask_once(&DROP, &[file]).await.map(drop)
}

/// The stretches of a part as arguments.
pub(super) fn words(part: &Part) -> impl Iterator<Item = String> + '_ {
    part.stretches.iter().flat_map(|stretch| [stretch.at.to_string(), stretch.count.to_string()])
}
