//! How fast a gigabyte of output comes, and in how much memory, against `cat` through the bare openssh native mux.
//!
//! `cargo run --release -p piton-ssh --example stream` — a private sshd on a loopback port.

use std::collections::BTreeMap;
use std::time::Instant;

use async_trait::async_trait;
use piton_core::ids::{AttemptId, JobId, Part, RunId, TaskId};
use piton_core::run::{BootId, Printed};
use piton_runner::observer::Notice;
use piton_runner::output::{JobOutput, OutputError, Stream};
use piton_runner::transport::{JobEnd, JobSpec, Launch, News, Transport};
use piton_ssh::{Hosts, Options};
use piton_testkit::sshd::Sshd;

const LEN: u64 = 1 << 30;
const ROUNDS: u32 = 3;

/// Counts.
#[derive(Default)]
struct Counted {
    out: u64,
    err: u64,
}

#[async_trait]
impl JobOutput for Counted {
    fn position(&self, stream: Stream) -> u64 {
        match stream {
            Stream::Out => self.out,
            Stream::Err => self.err,
        }
    }

    async fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), OutputError> {
        match stream {
            Stream::Out => self.out += bytes.len() as u64,
            Stream::Err => self.err += bytes.len() as u64,
        }
        Ok(())
    }

    async fn head(&mut self) -> Result<(Vec<u8>, bool), OutputError> {
        Ok((Vec::new(), false))
    }

    async fn finish(&mut self) -> Result<Printed, OutputError> {
        Ok(Printed::default())
    }
}

struct Deaf;

impl News for Deaf {
    fn launching(&self) {}
    fn started(&self, _boot: BootId) {}
    fn printed(&self, _stream: Stream, _bytes: &[u8]) {}
    fn notice(&self, notice: Notice) {
        eprintln!("{notice:?}");
    }
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc is there");
    status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_owned()
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let sshd = Sshd::start();
    let control = sshd.dir().join("c");
    std::fs::create_dir_all(&control).expect("a directory");
    let file = sshd.path("file");
    let mut made = std::process::Command::new("head");
    made.args(["-c", &LEN.to_string(), "/dev/zero"]).stdout(std::fs::File::create(&file).expect("a file"));
    assert!(made.status().expect("head is there").success());
    let base = Some(sshd.path("jobs").display().to_string());
    let options = Options { control_dir: Some(control.clone()), base, ..Options::default() };
    let host: piton_core::ids::HostName = "h".parse().expect("a host");
    let hosts = Hosts::new(BTreeMap::from([(host.clone(), sshd.host())]), options);
    let session = sshd.session(&control).await;
    let run = RunId::from_parts(1, u128::from(std::process::id()));
    for round in 1..=ROUNDS {
        let begun = Instant::now();
        let mut child = session
            .command("cat")
            .arg(file.display().to_string())
            .stdout(openssh::Stdio::piped())
            .spawn()
            .await
            .expect("cat runs");
        let mut out = child.stdout().take().expect("a pipe");
        let bytes = tokio::io::copy(&mut out, &mut tokio::io::sink()).await.expect("it comes");
        assert_eq!(bytes, LEN);
        let bare = begun.elapsed().as_secs_f64();
        let task = TaskId { step: "s".parse().expect("a step"), host: Some(host.clone()) };
        let id = JobId { attempt: AttemptId { task, number: round }, part: Part::Main, round: 1 };
        let (shell, script) = ("sh".to_owned(), format!("cat {}\n", file.display()));
        let spec = JobSpec { run, id, host: host.clone(), shell, script, env: Vec::new(), become_user: None };
        let mut counted = Counted::default();
        let begun = Instant::now();
        let end = hosts.carry(&spec, Launch::Fresh, &mut counted, &Deaf).await;
        assert!(matches!(end, JobEnd::Exited { exit, .. } if exit.is_success()), "{end:?}");
        assert_eq!(counted.out, LEN);
        let ours = begun.elapsed().as_secs_f64();
        hosts.forget(run, &host, std::slice::from_ref(&spec.id)).await;
        let ratio = bare / ours;
        println!("bare {bare:.2} s, ours {ours:.2} s: {ratio:.2} of its throughput; {}", peak_memory());
    }
}
