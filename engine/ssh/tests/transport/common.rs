//! What the tests of the transport share: output kept in memory, news noted down, jobs in a few words.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use piton_core::ids::{AttemptId, HostName, JobId, Part, RunId, StepId, TaskId};
use piton_core::run::{BootId, Printed};
use piton_runner::observer::Notice;
use piton_runner::output::{JobOutput, OutputError, Stream};
use piton_runner::transport::{Ends, JobEnd, JobSpec, News};

/// Output kept in memory.
#[derive(Default)]
pub struct Kept {
    pub out: Vec<u8>,
    pub err: Vec<u8>,
}

impl Kept {
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.err).into_owned()
    }
}

#[async_trait]
impl JobOutput for Kept {
    fn position(&self, stream: Stream) -> u64 {
        match stream {
            Stream::Out => self.out.len() as u64,
            Stream::Err => self.err.len() as u64,
        }
    }

    async fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), OutputError> {
        match stream {
            Stream::Out => self.out.extend_from_slice(bytes),
            Stream::Err => self.err.extend_from_slice(bytes),
        }
        Ok(())
    }

    async fn head(&mut self) -> Result<(Vec<u8>, bool), OutputError> {
        Ok((self.out.clone(), true))
    }

    async fn finish(&mut self) -> Result<Printed, OutputError> {
        Ok(Printed::default())
    }
}

/// What was said while a job was carried.
#[derive(Default)]
pub struct Noted {
    pub launches: Mutex<u32>,
    pub started: Mutex<Option<BootId>>,
    pub printed: Mutex<Vec<u8>>,
    pub notices: Mutex<Vec<Notice>>,
    /// How far a transfer had come, each time.
    pub progress: Mutex<Vec<(u64, u64)>>,
}

impl News for Noted {
    fn launching(&self) {
        *self.launches.lock().unwrap() += 1;
    }
    fn started(&self, boot: BootId) {
        *self.started.lock().unwrap() = Some(boot);
    }
    fn printed(&self, _stream: Stream, bytes: &[u8]) {
        self.printed.lock().unwrap().extend_from_slice(bytes);
    }
    fn notice(&self, notice: Notice) {
        self.notices.lock().unwrap().push(notice);
    }
    fn progress(&self, moved: u64, total: u64) {
        self.progress.lock().unwrap().push((moved, total));
    }
}

/// A run that no other test has.
pub fn run_id() -> RunId {
    use std::hash::{BuildHasher as _, Hasher as _};
    let random = std::hash::RandomState::new().build_hasher().finish();
    RunId::from_parts(1_700_000_000_000, u128::from(random))
}

pub fn host(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

/// A job that runs `script` under sh.
pub fn job(run: RunId, host: &HostName, step: &str, script: &str) -> JobSpec {
    let task = TaskId::new(StepId::new(step).unwrap(), Some(host.clone()));
    let id = JobId { attempt: AttemptId { task, number: 1 }, part: Part::Main, round: 1 };
    JobSpec {
        run,
        id,
        host: host.clone(),
        shell: "sh".to_owned(),
        script: script.to_owned(),
        env: Vec::new(),
        secrets: Vec::new(),
        become_user: None,
        ends: Ends::Exit,
        call: None,
    }
}

/// The exit status, or a panic that says what came instead.
pub fn exit_of(end: &JobEnd) -> u8 {
    match end {
        JobEnd::Exited { exit, outputs: _, boot: _ } => exit.0,
        JobEnd::Lost(_) | JobEnd::Refused(_) | JobEnd::OutputFailed(_) => panic!("{end:?}"),
    }
}

/// Asks again and again until it is so, for half a minute at most.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let mut every = tokio::time::interval(Duration::from_millis(10));
    for _ in 0..3000 {
        every.tick().await;
        if is_so() {
            return;
        }
    }
    panic!("it never came to be that {what}");
}

/// A small file system of its own, in memory. Mounting takes root.
pub struct Mounted(std::path::PathBuf);

impl Mounted {
    /// Mounts it at `at`, which is made, with these options of tmpfs(5).
    pub fn new(at: std::path::PathBuf, options: &str) -> Self {
        std::fs::create_dir_all(&at).unwrap();
        let mut mount = std::process::Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&at).status().unwrap();
        assert!(mounted.success(), "this test mounts a file system: it runs as root");
        Self(at)
    }

    pub fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: something of a failed test may still stand in it.
        let _gone = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
