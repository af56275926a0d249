//! Passes on what hooks want people to be told: to the command that `piton.toml` names.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use piton_core::ids::JobId;
use piton_core::run::{CallKind, Event, Recorded, Run};
use piton_runner::observer::{Notice, Observer};
use piton_runner::output::Stream;
use tokio::io::AsyncWriteExt;

use crate::project;

/// How long the command may take.
const LIMIT: Duration = Duration::from_secs(30);

/// An observer that has the command told what its run wants to be told. A notification is a fact before it is passed on,
/// so it is passed on once at most: an engine that dies in between leaves it in the journal only.
pub(crate) struct Notifying {
    inner: Arc<dyn Observer>,
    command: Vec<String>,
    dir: PathBuf,
}

impl Notifying {
    /// The observer itself, where the project names no command.
    pub(crate) fn around(inner: Arc<dyn Observer>, dir: &Path) -> Arc<dyn Observer> {
        // A plan made without a project has the directory of its runbook; a broken piton.toml is said when it is used.
        let project = project::find(Some(dir)).ok().flatten();
        match project.map(|project| (project.settings.notify, project.root)) {
            Some((command, root)) if !command.is_empty() => Arc::new(Self { inner, command, dir: root }),
            Some(_) | None => inner,
        }
    }

    fn send(&self, run: &Run, text: &str) {
        let Some((program, words)) = self.command.split_first() else { return };
        let mut command = tokio::process::Command::new(program);
        command.args(words).current_dir(&self.dir).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.env("PITON_RUN", run.id().to_string()).env("PITON_RUNBOOK", run.plan().runbook.as_str());
        command.kill_on_drop(true);
        let (text, shown) = (text.to_owned(), self.command.join(" "));
        tokio::spawn(async move {
            let told = tokio::time::timeout(LIMIT, async {
                let mut child = command.spawn()?;
                if let Some(mut stdin) = child.stdin.take() {
                    stdin.write_all(text.as_bytes()).await?;
                    stdin.write_all(b"\n").await?;
                }
                child.wait().await
            });
            match told.await {
                Ok(Ok(status)) if status.success() => {}
                Ok(Ok(status)) => tracing::warn!("the notify command `{shown}` ended with {status}"),
                Ok(Err(error)) => tracing::warn!("the notify command `{shown}` cannot be run: {error}"),
                Err(_late) => tracing::warn!("the notify command `{shown}` took longer than {LIMIT:?}"),
            }
        });
    }
}

impl Observer for Notifying {
    fn event(&self, run: &Run, event: &Recorded<Event>) {
        if let Event::HookCalled { call, .. } = &event.event
            && call.kind == CallKind::Notify
        {
            self.send(run, &call.shown);
        }
        self.inner.event(run, event);
    }

    fn notice(&self, notice: &Notice) {
        self.inner.notice(notice);
    }

    fn printed(&self, job: &JobId, stream: Stream, bytes: &[u8]) {
        self.inner.printed(job, stream, bytes);
    }
}
