//! What bringing files to a host and from it have in common.

use std::io;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use piton_core::digest::Digest;
use piton_core::run::Refusal;
use piton_runner::transport::News;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::connect::Hope;
use crate::outage::Outage;
use crate::pool::Pool;
use crate::script::{self, is_user, quote};
use crate::shell::{Answer, Shell};

/// A script for files, with what all of them share.
pub(crate) struct FileScript(pub(crate) LazyLock<String>);

macro_rules! file_script {
    ($($file:literal),+) => {
        $crate::files::FileScript(std::sync::LazyLock::new(|| {
            $crate::files::file_text(concat!(
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/sh/files-common.sh")),
                $(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/sh/", $file))),+
            ))
        }))
    };
}
pub(crate) use file_script;

/// The request that runs such a text as the user who is asked for.
pub(crate) fn file_text(text: &str) -> String {
    format!("p_files_text={}\n{}", quote(text), include_str!("sh/files.sh"))
}

pub(crate) static PUT: FileScript = file_script!("put.sh");
pub(crate) static TREE: FileScript = file_script!("tree.sh");
pub(crate) static LOOK: FileScript = file_script!("look.sh");
pub(crate) static LINK: FileScript = file_script!("link.sh");
pub(crate) static SEND: FileScript = file_script!("send.sh");

/// So much is read and written at once.
pub(crate) const CHUNK: usize = 256 * 1024;

/// Why a try failed.
pub(crate) enum Failed {
    /// The connection: another try goes on where this one ended.
    Lost(String),
    /// For good.
    Refused(String),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Lost(error.to_string())
    }
}

/// The host, and as whom we are there.
pub(crate) struct There<'a> {
    pub(crate) pool: &'a Arc<Pool>,
    pub(crate) user: Option<&'a str>,
    pub(crate) news: &'a dyn News,
}

impl There<'_> {
    /// Starts a script and gives its first answer.
    pub(crate) async fn ask(&self, script: &FileScript, arguments: &[&str]) -> Result<(Box<Shell>, Answer), Failed> {
        let mut shell = self.pool.shell().await.map_err(|error| match error.hope {
            Hope::None => Failed::Refused(error.message),
            Hope::Soon | Hope::Little => Failed::Lost(error.message),
        })?;
        let mut all = vec![self.user.unwrap_or_default()];
        all.extend(arguments);
        shell.ask(&script::run(&script.0, &all)).await?;
        let answer = answer(&mut shell).await?;
        Ok((shell, answer))
    }

    /// Starts a script that answers once.
    pub(crate) async fn ask_once(&self, script: &FileScript, arguments: &[&str]) -> Result<Answer, Failed> {
        let (shell, answer) = self.ask(script, arguments).await?;
        self.pool.give(shell);
        Ok(answer)
    }

    /// What follows from a failure: another try (after a pause), or the end.
    pub(crate) async fn again(&self, outage: &mut Outage, failed: Failed) -> Result<(), Refusal> {
        match failed {
            Failed::Refused(why) => Err(Refusal::Refused(why)),
            Failed::Lost(why) => {
                let limit = self.pool.common.options.connect_limit;
                if outage.goes_on(&why, limit, self.news).await { Ok(()) } else { Err(Refusal::Unreachable(why)) }
            }
        }
    }
}

/// Tries again as long as it is the connection that fails. (A closure could not tell that its future is `Send`.)
macro_rules! persist {
    ($there:expr, $step:expr) => {{
        let mut outage = $crate::outage::Outage::new($there.pool.host.clone());
        loop {
            match $step.await {
                Ok(done) => {
                    outage.over($there.news);
                    break Ok(done);
                }
                Err(failed) => {
                    if let Err(refusal) = $there.again(&mut outage, failed).await {
                        break Err(refusal);
                    }
                }
            }
        }
    }};
}
pub(crate) use persist;

/// The next answer; `refused` is one that ends everything.
pub(crate) async fn answer(shell: &mut Shell) -> Result<Answer, Failed> {
    let answer = shell.answer().await?;
    if answer.word() == "refused" { Err(Failed::Refused(answer.rest().to_owned())) } else { Ok(answer) }
}

/// Whether what an order says can be said to a host at all.
pub(crate) fn check(path: &str, owner: Option<&str>, user: Option<&str>) -> Result<(), Refusal> {
    let refuse = |why: String| Err(Refusal::Refused(why));
    if !path.starts_with('/') || path.contains(['\0', '\n']) {
        return refuse(format!("{path:?} is not an absolute path on one line"));
    }
    if let Some(owner) = owner
        && !owner.splitn(2, ':').all(is_user)
    {
        return refuse(format!("{owner:?} is not `user` or `user:group`"));
    }
    if let Some(user) = user
        && !is_user(user)
    {
        return refuse(format!("{user:?} is not a user to become"));
    }
    Ok(())
}

/// A content: its length and digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) len: u64,
    pub(crate) digest: Digest,
    /// SHA-256 in lower-case hex: what hosts can compute too.
    pub(crate) sha256: String,
}

impl Content {
    /// Reads it all.
    pub(crate) async fn of(mut from: impl AsyncRead + Unpin) -> io::Result<Self> {
        let (mut blake3, mut sha256, mut len) = (blake3::Hasher::new(), Sha256::new(), 0_u64);
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = from.read(&mut buffer).await?;
            if count == 0 {
                break;
            }
            blake3.update(&buffer[..count]);
            sha256.update(&buffer[..count]);
            len += u64::try_from(count).unwrap_or(u64::MAX);
        }
        let sha256 = sha256.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { len, digest: Digest(*blake3.finalize().as_bytes()), sha256 })
    }

    /// Reads a file of this machine.
    pub(crate) async fn of_file(path: &Path) -> io::Result<Self> {
        Self::of(tokio::fs::File::open(path).await?).await
    }
}

/// The digest of a directory: of the sorted list of paths and digests.
pub(crate) fn digest_of_tree(mut files: Vec<(String, Digest)>) -> Digest {
    files.sort();
    let list: String = files.into_iter().map(|(path, digest)| format!("{path}\0{digest}\n")).collect();
    Digest::of(list.as_bytes())
}

/// What to say of a file of the engine's machine.
pub(crate) fn here(path: &Path, error: &io::Error) -> Refusal {
    Refusal::Refused(format!("{} on this machine: {error}", path.display()))
}

/// A length as an index; what does not fit is larger than anything in memory.
pub(crate) fn index(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
