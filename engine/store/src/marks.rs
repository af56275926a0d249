//! The marks of schedules: a small file, replaced as a whole.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use piton_core::ids::ScheduleName;
use piton_runner::journal::JournalError;
use piton_runner::marks::{Mark, Marks};
use rustix::fs::{FlockOperation, flock};

use crate::place::{io_error, make_dir, sync_dir, unusable};

/// Marks by project and schedule.
type All = BTreeMap<String, BTreeMap<ScheduleName, Mark>>;

/// Keeps marks in `STATE/schedules.json`. Any number of processes may share it: whoever changes it holds a lock.
#[derive(Debug, Clone)]
pub struct FileMarks {
    dir: PathBuf,
}

impl FileMarks {
    /// The marks of a state directory.
    pub fn new(state_dir: &Path) -> Self {
        Self { dir: state_dir.to_owned() }
    }

    fn path(&self) -> PathBuf {
        self.dir.join("schedules.json")
    }

    fn read(&self) -> Result<All, JournalError> {
        let path = self.path();
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| unusable(&path, format!("is not what was written there: {error}"))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(All::new()),
            Err(error) => Err(io_error(&path, "reading", &error)),
        }
    }

    fn write(&self, project: &str, schedule: &ScheduleName, mark: Mark) -> Result<(), JournalError> {
        let failed = |doing: &'static str| move |error| io_error(&self.dir, doing, &error);
        make_dir(&self.dir).map_err(failed("making the directory"))?;
        // The lock goes with the open file, also when the process dies.
        let lock = self.open(&self.dir.join("schedules.lock")).map_err(failed("opening the lock"))?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| failed("locking")(error.into()))?;
        let mut all = self.read()?;
        let marks = all.entry(project.to_owned()).or_default();
        if marks.get(schedule).is_some_and(|old| old.rule == mark.rule && old.decided >= mark.decided) {
            return Ok(());
        }
        marks.insert(schedule.clone(), mark);
        let text = serde_json::to_vec_pretty(&all).map_err(|error| unusable(&self.path(), error.to_string()))?;
        let new = self.dir.join("schedules.json.new");
        let mut file = self.open(&new).map_err(failed("writing"))?;
        file.set_len(0)
            .and_then(|()| file.write_all(&text))
            .and_then(|()| file.sync_all())
            .map_err(failed("writing"))?;
        std::fs::rename(&new, self.path()).map_err(failed("renaming"))?;
        sync_dir(&self.dir).map_err(failed("syncing"))
    }

    fn open(&self, path: &Path) -> std::io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
    }
}

#[async_trait]
impl Marks for FileMarks {
    async fn mark(&self, project: &str, schedule: &ScheduleName) -> Result<Option<Mark>, JournalError> {
        Ok(self.read()?.get(project).and_then(|marks| marks.get(schedule)).cloned())
    }

    async fn set(&self, project: &str, schedule: &ScheduleName, mark: Mark) -> Result<(), JournalError> {
        let (marks, project, schedule) = (self.clone(), project.to_owned(), schedule.clone());
        let written = tokio::task::spawn_blocking(move || marks.write(&project, &schedule, mark)).await;
        written.unwrap_or_else(|error| Err(unusable(&self.path(), error.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use piton_core::time::Timestamp;

    fn mark(decided: i64, rule: &str) -> Mark {
        Mark { decided: Timestamp(decided), rule: rule.to_owned() }
    }

    #[tokio::test]
    async fn a_mark_goes_forward_and_is_there_for_the_next_process() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let (one, two) = (FileMarks::new(&state), FileMarks::new(&state));
        let name: ScheduleName = "patch".parse().unwrap();
        assert_eq!(one.mark("/p", &name).await, Ok(None));
        one.set("/p", &name, mark(5, "a")).await.unwrap();
        two.set("/q", &name, mark(1, "a")).await.unwrap();
        two.set("/p", &name, mark(3, "a")).await.unwrap();
        assert_eq!(two.mark("/p", &name).await, Ok(Some(mark(5, "a"))));
        assert_eq!(one.mark("/q", &name).await, Ok(Some(mark(1, "a"))));
        // By another rule, what was decided before says nothing.
        two.set("/p", &name, mark(4, "b")).await.unwrap();
        assert_eq!(one.mark("/p", &name).await, Ok(Some(mark(4, "b"))));
    }

    #[tokio::test]
    async fn what_is_damaged_is_said_and_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("schedules.json"), "{").unwrap();
        let marks = FileMarks::new(dir.path());
        let name: ScheduleName = "patch".parse().unwrap();
        assert!(marks.mark("/p", &name).await.is_err());
        assert!(marks.set("/p", &name, mark(1, "a")).await.is_err());
        assert_eq!(std::fs::read_to_string(dir.path().join("schedules.json")).unwrap(), "{");
    }
}
