//! The files that hooks read and write: they are in the state of their host, as with `put` and `get`.

use piton_core::ids::HostName;
use piton_core::run::{BootId, CallKind};
use piton_core::testing::{Reply, World};
use piton_runner::transport::JobSpec;

/// Where Linux tells the boot id (random(4)): each simulated host has it.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A file that a hook reads or writes.
pub(crate) struct Asked<'s> {
    pub(crate) path: &'s str,
    /// What is written.
    pub(crate) content: Option<&'s str>,
}

/// The file that the job is about, if it is one of a hook's `read` or `write`.
pub(crate) fn asked(spec: &JobSpec) -> Option<Asked<'_>> {
    let env = |name: &str| spec.env.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    match spec.call? {
        CallKind::Read => Some(Asked { path: env("file")?, content: None }),
        CallKind::Write => Some(Asked { path: env("file")?, content: Some(env("content")?) }),
        CallKind::Run | CallKind::Exec | CallKind::Now | CallKind::Notify => None,
    }
}

impl Asked<'_> {
    /// What the host answers.
    pub(crate) fn reply(&self, world: &World, host: &HostName, boot: &BootId) -> Reply {
        let there = match (self.content, world.file(host, self.path)) {
            (Some(_), _) => Some(String::new()),
            (None, Some(text)) => Some(text.to_owned()),
            (None, None) => (self.path == BOOT_ID).then(|| format!("{}\n", boot.0)),
        };
        let reply = Reply::exits(u8::from(there.is_none()));
        match there {
            Some(stdout) => Reply { stdout, ..reply },
            None => Reply { stderr: format!("there is no file {}\n", self.path), ..reply },
        }
    }
}
