//! Bringing files from a host: streamed, gone on with after a lost connection, checked, and here all at once.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use piton_core::digest::Digest;
use piton_core::run::Refusal;
use piton_runner::transport::{GetOrder, Moved, News};
use tokio::io::AsyncWriteExt as _;

use crate::files::{self, Content, Failed, There, check, digest_of_tree, here, persist};
use crate::moving::{LARGE, Like, Move};
use crate::pool::Pool;

/// Gets a file or a directory; see [`piton_runner::transport::Transport::get`].
///
/// A directory comes file by file: each is skipped if it is here already, and what is here besides stays.
pub(crate) async fn get(
    pool: &Arc<Pool>,
    engine: &Arc<Pool>,
    order: &GetOrder,
    news: &dyn News,
) -> Result<Moved, Refusal> {
    check(&order.from, None, order.become_user.as_deref())?;
    let there = There { pool, user: order.become_user.as_deref(), news };
    match persist!(there, look(&there, &order.from))? {
        Found::File(file) => get_one(&there, engine, order, &order.from, &order.to, &file).await,
        Found::Tree(entries) => get_tree(&there, engine, order, entries).await,
    }
}

enum Found {
    File(File),
    Tree(Vec<(char, String)>),
}

struct File {
    len: u64,
    mode: u32,
    /// `None`: it is large, and reading it all before the first byte is sent would take long.
    sha256: Option<String>,
}

async fn look(there: &There<'_>, path: &str) -> Result<Found, Failed> {
    let (mut shell, answer) = there.ask(&files::LOOK, &[path, &LARGE.to_string()]).await?;
    let words: Vec<&str> = answer.rest().split_whitespace().collect();
    let odd = || Failed::Refused(format!("the host said {:?} of {path}", answer.rest()));
    let found = match (answer.word(), &words[..]) {
        ("file", [len, mode, sha256]) => Found::File(File {
            len: len.parse().map_err(|_| odd())?,
            mode: u32::from_str_radix(mode, 8).map_err(|_| odd())?,
            sha256: (*sha256 != "-").then(|| (*sha256).to_owned()),
        }),
        ("tree", [lines]) => {
            let mut entries = Vec::new();
            for _ in 0..lines.parse::<u64>().map_err(|_| odd())? {
                let line = shell.stdout.line().await?;
                let Some((kind, name)) = line.split_once(" .") else { continue };
                if name.contains(['\u{1}', char::REPLACEMENT_CHARACTER]) {
                    return Err(Failed::Refused(format!("{path}{name:?} is not a name in UTF-8 on one line")));
                }
                entries.push((kind.chars().next().unwrap_or('?'), name.trim_start_matches('/').to_owned()));
            }
            Found::Tree(entries)
        }
        _ => return Err(odd()),
    };
    there.pool.give(shell);
    Ok(found)
}

async fn get_one(
    there: &There<'_>,
    engine: &Arc<Pool>,
    order: &GetOrder,
    from: &str,
    to: &Path,
    file: &File,
) -> Result<Moved, Refusal> {
    if to.is_dir() {
        return Err(here(to, &io::Error::other("it is a directory; name the file")));
    }
    if let (None, Some(target)) = (&file.sha256, to.to_str().filter(|to| !to.contains('\n'))) {
        let moving = Move {
            from: There { pool: there.pool, user: there.user, news: there.news },
            source: from,
            to: There { pool: engine, user: None, news: there.news },
            target,
            mode: None,
            owner: None,
            like: Like::Mode,
            manner: &order.manner,
            direct: None,
            news: there.news,
        };
        return moving.carry_out().await;
    }
    let Some(sha256) = &file.sha256 else {
        return Err(here(to, &io::Error::other("the name is not UTF-8 on one line")));
    };
    let is_same = |content: &Content| content.len == file.len && content.sha256 == *sha256;
    let same = Content::of_file(to).await.ok().filter(is_same);
    let content = match same {
        Some(content) => content,
        None => {
            let name = to.file_name().unwrap_or_default().to_string_lossy();
            // The name tells the content: what is left of an earlier try is gone on with only if it is of the same.
            let part = to.with_file_name(format!("{name}.{sha256:.12}.piton-part"));
            persist!(there, receive(there, from, &part, file))?;
            let content = Content::of_file(&part).await.map_err(|error| here(&part, &error))?;
            if !is_same(&content) {
                // It cannot be gone on with.
                let _ = tokio::fs::remove_file(&part).await;
                return Err(Refusal::Refused(format!("{from} changed on the host while it was fetched")));
            }
            set_mode(&part, file.mode).map_err(|error| here(&part, &error))?;
            tokio::fs::rename(&part, to).await.map_err(|error| here(to, &error))?;
            content
        }
    };
    set_mode(to, file.mode).map_err(|error| here(to, &error))?;
    Ok(Moved { bytes: content.len, digest: content.digest })
}

/// Permission bits, but none that would run it as somebody else.
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & 0o777))
}

async fn receive(there: &There<'_>, from: &str, part: &Path, file: &File) -> Result<(), Failed> {
    let local = |error: io::Error| Failed::Refused(format!("{} on this machine: {error}", part.display()));
    let mut out =
        tokio::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(part).await.map_err(local)?;
    let mut have = out.metadata().await.map_err(local)?.len();
    if have > file.len {
        out.set_len(0).await.map_err(local)?;
        have = 0;
    }
    let mut left = file.len - have;
    if left > 0 {
        let (mut shell, _) = there.ask(&files::SEND, &[from, &have.to_string(), &left.to_string()]).await?;
        while left > 0 {
            if shell.stdout.ready().is_empty() && shell.stdout.fill().await? == 0 {
                out.flush().await.map_err(local)?;
                return Err(Failed::Lost("the host sent less than the whole file".to_owned()));
            }
            let ready = shell.stdout.ready();
            let count = ready.len().min(files::index(left));
            out.write_all(&ready[..count]).await.map_err(local)?;
            shell.stdout.take(count);
            left -= u64::try_from(count).unwrap_or(left);
        }
        there.pool.give(shell);
    }
    out.flush().await.map_err(local)?;
    out.sync_all().await.map_err(local)
}

async fn get_tree(
    there: &There<'_>,
    engine: &Arc<Pool>,
    order: &GetOrder,
    entries: Vec<(char, String)>,
) -> Result<Moved, Refusal> {
    let root = order.from.trim_end_matches('/');
    let (mut digests, mut bytes) = (Vec::<(String, Digest)>::new(), 0);
    std::fs::create_dir_all(&order.to).map_err(|error| here(&order.to, &error))?;
    for (kind, name) in entries {
        let to = below(&order.to, &name)?;
        let from = format!("{root}/{name}");
        match kind {
            'd' => std::fs::create_dir_all(&to).map_err(|error| here(&to, &error))?,
            'l' => {
                let answer = persist!(there, there.ask_once(&files::LINK, &[&from]))?;
                let target = answer.rest().to_owned();
                link(&to, &target).map_err(|error| here(&to, &error))?;
                digests.push((name, Digest::of(target.as_bytes())));
            }
            _ => {
                let Found::File(file) = persist!(there, look(there, &from))? else {
                    return Err(Refusal::Refused(format!("{from} became a directory while it was fetched")));
                };
                let moved = get_one(there, engine, order, &from, &to, &file).await?;
                bytes += moved.bytes;
                digests.push((name, moved.digest));
            }
        }
    }
    Ok(Moved { bytes, digest: digest_of_tree(digests) })
}

/// The path here. The names come from the host: none leads out of the directory, neither by itself nor through a link
/// that is here.
fn below(root: &Path, name: &str) -> Result<PathBuf, Refusal> {
    let mut path = root.to_owned();
    for part in Path::new(name).components() {
        let Component::Normal(part) = part else {
            return Err(Refusal::Refused(format!("the host names {name:?}, which leads out of the directory")));
        };
        if path != root && path.is_symlink() {
            return Err(here(&path, &io::Error::other("it is a link, where the host has a directory")));
        }
        path.push(part);
    }
    Ok(path)
}

fn link(at: &Path, target: &str) -> io::Result<()> {
    if at.is_symlink() {
        if std::fs::read_link(at)?.to_str() == Some(target) {
            return Ok(());
        }
        std::fs::remove_file(at)?;
    }
    std::os::unix::fs::symlink(target, at)
}
