//! Bringing files to a host: streamed, gone on with after a lost connection, checked, and there all at once.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use piton_core::digest::Digest;
use piton_core::run::Refusal;
use piton_runner::transport::{Moved, News, PutBytes, PutOrder};
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncSeekExt as _};

use crate::files::{self, CHUNK, Content, Failed, There, check, digest_of_tree, here, persist};
use crate::moving::{LARGE, Like, Move};
use crate::pool::Pool;

/// Permission bits of a new file that nobody gave any.
const PLAIN: u32 = 0o644;

/// And of one with secrets in it.
const CLOSED: u32 = 0o600;

/// Puts a file, a directory or a text; see [`piton_runner::transport::Transport::put`].
///
/// A directory goes file by file: each is skipped if it is there already, and what the host has besides stays.
/// `mode` is for files; `owner` for all that is made.
pub(crate) async fn put(
    pool: &Arc<Pool>,
    engine: &Arc<Pool>,
    order: &PutOrder,
    news: &dyn News,
) -> Result<Moved, Refusal> {
    check(&order.to, order.owner.as_deref(), order.become_user.as_deref())?;
    let there = There { pool, user: order.become_user.as_deref(), news };
    match &order.source {
        PutBytes::Text(text) => {
            let content = Content::of(text.as_bytes()).await.map_err(|e| Refusal::Refused(e.to_string()))?;
            put_one(&there, order, &order.to, &content, PLAIN, &Source::Text(text)).await
        }
        PutBytes::Secret(text) => {
            let text = text.expose_secret();
            let content = Content::of(text.as_bytes()).await.map_err(|e| Refusal::Refused(e.to_string()))?;
            put_one(&there, order, &order.to, &content, CLOSED, &Source::Text(text)).await
        }
        PutBytes::Path(path) => {
            let is = tokio::fs::metadata(path).await.map_err(|error| here(path, &error))?;
            if is.is_dir() {
                put_tree(&there, engine, order, path).await
            } else {
                put_file(&there, engine, order, path, &order.to).await
            }
        }
    }
}

enum Source<'a> {
    Text(&'a str),
    File(&'a Path),
}

async fn put_file(
    there: &There<'_>,
    from: &Arc<Pool>,
    order: &PutOrder,
    path: &Path,
    to: &str,
) -> Result<Moved, Refusal> {
    let is = tokio::fs::metadata(path).await.map_err(|error| here(path, &error))?;
    if !is.is_file() {
        let why = io::Error::other("it is neither a file nor a directory");
        return Err(here(path, &why));
    }
    if is.len() >= LARGE
        && let Ok(source) = name(path)
    {
        let moving = Move {
            from: There { pool: from, user: None, news: there.news },
            source: &source,
            to: There { pool: there.pool, user: there.user, news: there.news },
            target: to,
            mode: order.mode,
            owner: order.owner.as_deref(),
            like: Like::Replaced,
            manner: &order.manner,
            direct: None,
            news: there.news,
        };
        return moving.carry_out().await;
    }
    let content = Content::of_file(path).await.map_err(|error| here(path, &error))?;
    put_one(there, order, to, &content, is.permissions().mode() & 0o777, &Source::File(path)).await
}

async fn put_one(
    there: &There<'_>,
    order: &PutOrder,
    to: &str,
    content: &Content,
    fresh: u32,
    source: &Source<'_>,
) -> Result<Moved, Refusal> {
    let mode = order.mode.map_or_else(|| "-".to_owned(), |mode| format!("{:o}", mode & 0o7777));
    let owner = order.owner.as_deref().unwrap_or("-");
    let (len, fresh) = (content.len.to_string(), format!("{fresh:o}"));
    let arguments = [to, &len, &content.sha256, &mode, owner, &fresh];
    persist!(there, send(there, &arguments, content, source))?;
    Ok(Moved { bytes: content.len, digest: content.digest })
}

async fn send(there: &There<'_>, arguments: &[&str], content: &Content, source: &Source<'_>) -> Result<(), Failed> {
    let (mut shell, first) = there.ask(&files::PUT, arguments).await?;
    if first.word() != "same" {
        let from: u64 = first.rest().trim().parse().unwrap_or(0);
        let mut bytes: Box<dyn AsyncRead + Send + Unpin> = match source {
            Source::Text(text) => Box::new(text.as_bytes().get(files::index(from)..).unwrap_or_default()),
            Source::File(path) => {
                let local = |error: io::Error| Failed::Refused(format!("{} on this machine: {error}", path.display()));
                let mut file = tokio::fs::File::open(path).await.map_err(local)?;
                file.seek(io::SeekFrom::Start(from)).await.map_err(local)?;
                Box::new(file)
            }
        };
        let mut left = content.len.saturating_sub(from);
        let mut buffer = vec![0; CHUNK];
        while left > 0 {
            let most = files::index(left).min(CHUNK);
            let count = bytes.read(&mut buffer[..most]).await.map_err(|error| Failed::Refused(error.to_string()))?;
            if count == 0 {
                return Err(Failed::Refused("the file on this machine became shorter while it was sent".to_owned()));
            }
            if shell.ask(&buffer[..count]).await.is_err() {
                // The host has stopped reading, and may have said why.
                break;
            }
            left -= u64::try_from(count).unwrap_or(left);
        }
        files::answer(&mut shell).await?;
    }
    there.pool.give(shell);
    Ok(())
}

async fn put_tree(there: &There<'_>, engine: &Arc<Pool>, order: &PutOrder, root: &Path) -> Result<Moved, Refusal> {
    let tree = Tree::of(root).map_err(|error| here(root, &error))?;
    let to = order.to.trim_end_matches('/');
    let mut words = vec!["d".to_owned(), order.to.clone()];
    for dir in &tree.dirs {
        words.extend(["d".to_owned(), format!("{to}/{dir}")]);
    }
    for (link, target) in &tree.links {
        words.extend(["l".to_owned(), format!("{to}/{link}"), target.clone()]);
    }
    make(there, order.owner.as_deref().unwrap_or("-"), &words).await?;
    let mut digests: Vec<(String, Digest)> =
        tree.links.iter().map(|(link, target)| (link.clone(), Digest::of(target.as_bytes()))).collect();
    let mut bytes = 0;
    for file in &tree.files {
        let moved = put_file(there, engine, order, &root.join(file), &format!("{to}/{file}")).await?;
        bytes += moved.bytes;
        digests.push((file.clone(), moved.digest));
    }
    Ok(Moved { bytes, digest: digest_of_tree(digests) })
}

/// Makes directories and links, some hundred at a time.
async fn make(there: &There<'_>, owner: &str, words: &[String]) -> Result<(), Refusal> {
    let mut rest = words;
    while !rest.is_empty() {
        let mut end = 0;
        while end < rest.len() && end < 400 {
            end += if rest[end] == "l" { 3 } else { 2 };
        }
        let (now, later) = rest.split_at(end.min(rest.len()));
        let mut arguments = vec![owner];
        arguments.extend(now.iter().map(String::as_str));
        persist!(there, there.ask_once(&files::TREE, &arguments))?;
        rest = later;
    }
    Ok(())
}

/// What is below a directory of this machine, by path.
#[derive(Default)]
struct Tree {
    dirs: Vec<String>,
    files: Vec<String>,
    links: Vec<(String, String)>,
}

impl Tree {
    fn of(root: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        let mut open = vec![PathBuf::new()];
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(root.join(&dir))? {
                let entry = entry?;
                let below = dir.join(entry.file_name());
                let name = name(&below)?;
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    tree.dirs.push(name);
                    open.push(below);
                } else if kind.is_symlink() {
                    let target = std::fs::read_link(entry.path())?;
                    tree.links.push((name, self::name(&target)?));
                } else if kind.is_file() {
                    tree.files.push(name);
                } else {
                    return Err(io::Error::other(format!("{name} is neither a file, a directory nor a link")));
                }
            }
        }
        tree.dirs.sort();
        tree.files.sort();
        tree.links.sort();
        Ok(tree)
    }
}

fn name(path: &Path) -> io::Result<String> {
    match path.to_str() {
        Some(name) if !name.contains('\n') => Ok(name.to_owned()),
        Some(_) | None => Err(io::Error::other(format!("the name {path:?} is not UTF-8 on one line"))),
    }
}
