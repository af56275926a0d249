//! What a step costs over a warm connection, against the same commands through the bare openssh native mux, in one run.
//!
//! `cargo run --release -p piton-ssh --example steps` — starts a private sshd on a loopback port by itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use piton_core::ids::{AttemptId, JobId, Part, RunId, TaskId};
use piton_core::run::BootId;
use piton_runner::observer::Notice;
use piton_runner::output::{OutputSink, Stream};
use piton_runner::transport::{JobEnd, JobSpec, Launch, News, Transport};
use piton_ssh::{Hosts, Options};
use piton_testkit::hosts::NoOutput;
use piton_testkit::sshd::Sshd;

const STEPS: u32 = 100;
const ROUNDS: u32 = 5;

struct Deaf;

impl News for Deaf {
    fn launching(&self) {}
    fn started(&self, _boot: BootId) {}
    fn printed(&self, _stream: Stream, _bytes: &[u8]) {}
    fn notice(&self, notice: Notice) {
        eprintln!("{notice:?}");
    }
}

async fn step(hosts: &Hosts, run: RunId, host: &str, number: u32) {
    let task = TaskId { step: "s".parse().expect("a step"), host: Some(host.parse().expect("a host")) };
    let id = JobId { attempt: AttemptId { task, number }, part: Part::Main, round: 1 };
    let mut out = NoOutput.open(run, &id, false).await.expect("it opens");
    let host = host.parse().expect("a host");
    let (shell, script) = ("sh".to_owned(), "true\n".to_owned());
    let spec = JobSpec { run, id, host, shell, script, env: Vec::new(), become_user: None };
    let end = hosts.carry(&spec, Launch::Fresh, out.as_mut(), &Deaf).await;
    assert!(matches!(end, JobEnd::Exited { exit, .. } if exit.is_success()), "{end:?}");
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let sshd = Sshd::start();
    let control = sshd.dir().join("c");
    std::fs::create_dir_all(&control).expect("a directory");
    let hosts = Hosts::new(
        BTreeMap::from([("h".parse().expect("a host"), sshd.host())]),
        Options { control_dir: Some(control.clone()), ..Options::default() },
    );
    let session = Arc::new(sshd.session(&control).await);
    let mut number = 0;
    let mut ratios = Vec::new();
    let run = |unix| RunId::from_parts(unix, u128::from(std::process::id()));
    for round in 0..=ROUNDS {
        // One of each by turns: what else the machine does hits all alike.
        let (mut bare, mut ours, mut local) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        for _ in 0..STEPS {
            let begun = Instant::now();
            let status = session.clone().arc_raw_command("true").status().await.expect("it runs");
            assert!(status.success());
            bare += begun.elapsed();
            number += 1;
            let begun = Instant::now();
            step(&hosts, run(1), "h", number).await;
            ours += begun.elapsed();
            let begun = Instant::now();
            step(&hosts, run(2), "local", number).await;
            local += begun.elapsed();
        }
        if round > 0 {
            let per = |d: Duration| d.as_secs_f64() * 1000.0 / f64::from(STEPS);
            let ratio = ours.as_secs_f64() / bare.as_secs_f64();
            println!(
                "bare {:.2} ms, ours {:.2} ms a step: ratio {ratio:.2}; local {:.2} ms",
                per(bare),
                per(ours),
                per(local)
            );
            ratios.push(ratio);
        }
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2}", ratios[ratios.len() / 2]);
    hosts.clear(run(1), &"h".parse().expect("a host")).await;
    hosts.clear(run(2), &"local".parse().expect("a host")).await;
}
