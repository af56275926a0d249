//! What the first step costs on fifty hosts that nobody is connected to, against fifty bare sessions, in one run.
//!
//! `cargo run --release -p piton-ssh --example cold` — fifty loopback addresses, one private sshd.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use piton_core::ids::{AttemptId, HostName, JobId, Part, RunId, TaskId};
use piton_core::run::BootId;
use piton_runner::observer::Notice;
use piton_runner::output::{OutputSink, Stream};
use piton_runner::transport::{JobEnd, JobSpec, Launch, News, Transport};
use piton_ssh::{Hosts, Options};
use piton_testkit::hosts::NoOutput;
use piton_testkit::sshd::Sshd;

const HOSTS: u32 = 50;
const ROUNDS: u32 = 3;

struct Deaf;

impl News for Deaf {
    fn launching(&self) {}
    fn started(&self, _boot: BootId) {}
    fn printed(&self, _stream: Stream, _bytes: &[u8]) {}
    fn notice(&self, notice: Notice) {
        eprintln!("{notice:?}");
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let sshd = Arc::new(Sshd::start());
    let control = sshd.dir().join("c");
    std::fs::create_dir_all(&control).expect("a directory");
    let name = |n: u32| format!("h{n}").parse::<HostName>().expect("a host");
    let known: BTreeMap<_, _> = (1..=HOSTS).map(|n| (name(n), sshd.host_at(&format!("127.0.1.{n}")))).collect();
    let run = RunId::from_parts(1, u128::from(std::process::id()));
    for round in 0..ROUNDS {
        let begun = Instant::now();
        let mut going = tokio::task::JoinSet::new();
        for n in 1..=HOSTS {
            let (sshd, control) = (Arc::clone(&sshd), control.clone());
            going.spawn(async move {
                let session = sshd.session_at(&format!("127.0.1.{n}"), &control).await;
                let status = session.command("true").status().await.expect("it runs");
                assert!(status.success());
                session
            });
        }
        let sessions = going.join_all().await;
        let bare = begun.elapsed();
        drop(sessions);
        let options = Options { control_dir: Some(control.clone()), ..Options::default() };
        let hosts = Arc::new(Hosts::new(known.clone(), options));
        let begun = Instant::now();
        let mut going = tokio::task::JoinSet::new();
        for n in 1..=HOSTS {
            let (hosts, host) = (Arc::clone(&hosts), name(n));
            going.spawn(async move {
                let task = TaskId { step: "s".parse().expect("a step"), host: Some(host.clone()) };
                let id = JobId { attempt: AttemptId { task, number: round + 1 }, part: Part::Main, round: 1 };
                let mut out = NoOutput.open(run, &id, false).await.expect("it opens");
                let (shell, script) = ("sh".to_owned(), "true\n".to_owned());
                let spec = JobSpec { run, id, host, shell, script, env: Vec::new(), become_user: None };
                let end = hosts.carry(&spec, Launch::Fresh, out.as_mut(), &Deaf).await;
                assert!(matches!(end, JobEnd::Exited { exit, .. } if exit.is_success()), "{end:?}");
            });
        }
        going.join_all().await;
        let ours = begun.elapsed();
        let ratio = ours.as_secs_f64() / bare.as_secs_f64();
        println!("{HOSTS} hosts: bare {:.2} s, ours {:.2} s: ratio {ratio:.2}", bare.as_secs_f64(), ours.as_secs_f64());
    }
    let hosts = Hosts::new(known, Options { control_dir: Some(control), ..Options::default() });
    hosts.clear(run, &name(1)).await;
}
