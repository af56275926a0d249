//! The figures of `docs/src/performance.md`: Piton and what it is held against, in turn, in one run.
//!
//! `scripts/bench` builds everything in release and runs this. It needs root (for its private sshd), ninja, and about
//! 3 GiB of room in `/tmp`. `scripts/bench NAME…` measures only those named.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use piton_testkit::sshd::Sshd;

type Any<T> = Result<T, Box<dyn std::error::Error>>;
type Case = fn(&Bench) -> Any<()>;

struct Bench {
    sshd: Sshd,
    piton: PathBuf,
    runtime: tokio::runtime::Runtime,
}

fn main() -> Any<()> {
    let piton = std::env::current_exe()?.ancestors().nth(2).ok_or("no target directory")?.join("piton");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let bench = Bench { sshd: Sshd::start(), piton, runtime };
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let cases: [(&str, Case); 8] = [
        ("steps", steps),
        ("single", single),
        ("hosts", hosts),
        ("output", output),
        ("local", local),
        ("floor", floor),
        ("waiting", waiting),
        ("transfer", transfer),
    ];
    for (name, case) in cases {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            println!("## {name}");
            case(&bench)?;
        }
    }
    Ok(())
}

impl Bench {
    fn dir(&self) -> &Path {
        self.sshd.dir()
    }

    /// A project whose inventory has `h` and, by other loopback addresses, `h1` to `h50`; and these steps.
    fn project(&self, steps: &str) -> Any<PathBuf> {
        let project = self.dir().join("project");
        std::fs::create_dir_all(project.join("runbooks"))?;
        std::fs::write(project.join("piton.toml"), "")?;
        let mut inventory = "hosts:\n".to_owned();
        for number in 0..=50 {
            let (name, address) = match number {
                0 => ("h".to_owned(), "127.0.0.1".to_owned()),
                n => (format!("h{n}"), format!("127.0.1.{n}")),
            };
            inventory.push_str(&format!(
                "  {name}: {{ ssh: {{ address: {address}, user: root, port: {}, identity: {}, known_hosts: {}, config: /dev/null }} }}\n",
                self.sshd.port(),
                self.sshd.path("user_key").display(),
                self.sshd.path("known_hosts").display(),
            ));
        }
        std::fs::write(project.join("inventory.yaml"), inventory)?;
        std::fs::write(project.join("runbooks/bench.yaml"), format!("runbook: bench\ntitle: bench\nsteps:\n{steps}"))?;
        Ok(project)
    }

    fn piton(&self, project: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(&self.piton);
        command.args(words).current_dir(project).env("PITON_STATE", self.dir().join("state")).stdin(Stdio::null());
        command
    }

    fn run(&self, project: &Path) -> Any<Duration> {
        timed(&mut self.piton(project, &["run", "bench"]))
    }

    fn ssh(&self, words: &[&str]) -> Command {
        let mut command = self.client("ssh", "-p");
        command.arg("root@127.0.0.1").args(words);
        command
    }

    /// ssh or scp, which name the port by another letter, with what it takes to be let in.
    fn client(&self, program: &str, port: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["-F", "/dev/null", "-o", "BatchMode=yes", "-i"]).arg(self.sshd.path("user_key"));
        command.arg("-o").arg(format!("UserKnownHostsFile={}", self.sshd.path("known_hosts").display()));
        command.args([port, &self.sshd.port().to_string()]).stdin(Stdio::null());
        command
    }
}

fn timed(command: &mut Command) -> Any<Duration> {
    let begun = Instant::now();
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if status.success() { Ok(begun.elapsed()) } else { Err(format!("{command:?}: {status}").into()) }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

/// Prints pairs and the median of their ratios.
fn compare(what: &str, pairs: &[(f64, f64)]) {
    let ratio = median(pairs.iter().map(|(ours, theirs)| ours / theirs).collect());
    let (ours, theirs) = (median(pairs.iter().map(|p| p.0).collect()), median(pairs.iter().map(|p| p.1).collect()));
    let all: Vec<String> = pairs.iter().map(|(a, b)| format!("{:.2}", a / b)).collect();
    println!("{what}: piton {ours:.1} ms, other {theirs:.1} ms, ratio {ratio:.2} (pairs {})", all.join(" "));
}

fn chain(count: usize, host: &str) -> String {
    (0..count).map(|n| format!("  - {{ id: s{n}, hosts: {host}, run: 'true' }}\n")).collect()
}

/// 100 steps over a warm connection with the journal on, against the same commands through the bare native mux.
fn steps(bench: &Bench) -> Any<()> {
    let control = bench.dir().join("c");
    std::fs::create_dir_all(&control)?;
    let session = Arc::new(bench.runtime.block_on(bench.sshd.session(&control)));
    let one = bench.project(&chain(1, "h"))?;
    let mut pairs = Vec::new();
    for _ in 0..7 {
        bench.project(&chain(1, "h"))?;
        let first = bench.run(&one)?;
        bench.project(&chain(101, "h"))?;
        let all = bench.run(&one)?;
        let session = session.clone();
        let bare = bench.runtime.block_on(async move {
            let begun = Instant::now();
            for _ in 0..100 {
                session.clone().arc_raw_command("true").status().await?;
            }
            Ok::<_, openssh::Error>(begun.elapsed())
        })?;
        pairs.push((ms(all.saturating_sub(first)), ms(bare)));
    }
    compare("100 sequential steps, warm (whole run of 101 less whole run of 1)", &pairs);
    Ok(())
}

/// One trivial step as a whole process, against `ssh host true`.
fn single(bench: &Bench) -> Any<()> {
    let project = bench.project(&chain(1, "h"))?;
    let mut pairs = Vec::new();
    for _ in 0..11 {
        pairs.push((ms(bench.run(&project)?), ms(timed(&mut bench.ssh(&["true"]))?)));
    }
    compare("one step, cold, whole process", &pairs);
    println!("difference: median {:.1} ms", median(pairs.iter().map(|(a, b)| a - b).collect()));
    Ok(())
}

/// One step on 50 hosts, cold, against a bare program that opens the same 50 sessions and runs `true`.
fn hosts(bench: &Bench) -> Any<()> {
    let names: Vec<String> = (1..=50).map(|n| format!("h{n}")).collect();
    let project = bench.project(&format!("  - {{ id: s, hosts: [{}], run: 'true' }}\n", names.join(", ")))?;
    let control = bench.dir().join("c");
    std::fs::create_dir_all(&control)?;
    let mut pairs = Vec::new();
    for _ in 0..5 {
        let ours = bench.run(&project)?;
        let begun = Instant::now();
        bench.runtime.block_on(async {
            let all = (1..=50).map(|n| {
                let control = control.clone();
                let sshd = &bench.sshd;
                async move {
                    let session = sshd.session_at(&format!("127.0.1.{n}"), &control).await;
                    session.raw_command("true").status().await?;
                    session.close().await
                }
            });
            futures_util::future::try_join_all(all).await
        })?;
        pairs.push((ms(ours), ms(begun.elapsed())));
    }
    compare("one step on 50 hosts, cold", &pairs);
    Ok(())
}

/// 1 GiB of output, against `ssh host cat` as it is, and with the cipher that Piton asks for; and what it costs in memory,
/// also to read it again.
fn output(bench: &Bench) -> Any<()> {
    let file = bench.dir().join("gib");
    timed(
        Command::new("sh")
            .args(["-c", "yes 'a line of output that is neither short nor long' | head -c 1073741824 > \"$0\""])
            .arg(&file),
    )?;
    let project = bench.project(&format!("  - {{ id: s, hosts: h, run: 'cat {}' }}\n", file.display()))?;
    let (mut pairs, mut same) = (Vec::new(), Vec::new());
    let mut peak = 0;
    for _ in 0..5 {
        let begun = Instant::now();
        let child =
            bench.piton(&project, &["-q", "run", "bench"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        peak = peak.max(peak_of(child)?);
        let ours = begun.elapsed();
        let name = file.display().to_string();
        pairs.push((ms(ours), ms(timed(&mut bench.ssh(&["cat", &name]))?)));
        same.push((ms(ours), ms(timed(&mut bench.ssh(&["-c", "aes256-gcm@openssh.com", "cat", &name]))?)));
    }
    compare("1 GiB of output", &pairs);
    compare("the same, against ssh with AES-GCM", &same);
    println!(
        "throughput against ssh cat: {:.2}; peak memory of the engine {:.1} MiB",
        1.0 / median(pairs.iter().map(|(a, b)| a / b).collect()),
        peak as f64 / 1024.0
    );
    let reader = bench.piton(&project, &["logs", "latest", "s", "--raw"]).stdout(Stdio::null()).spawn()?;
    println!("`logs` of it: peak memory {:.1} MiB", peak_of(reader)? as f64 / 1024.0);
    Ok(())
}

/// 1 GiB from one host to another through this machine, against `scp -3`: compared at the end, which scp does not do, and not.
fn transfer(bench: &Bench) -> Any<()> {
    let (file, copy) = (bench.dir().join("gib"), bench.dir().join("copy"));
    let fill = "head -c 1073741824 /dev/urandom > \"$0\"";
    timed(Command::new("sh").args(["-c", fill]).arg(&file))?;
    for (what, checksum) in [("compared", "true"), ("not compared", "false")] {
        let (from, to) = (file.display(), copy.display());
        let project = bench.project(&format!(
            "  - {{ id: t, transfer: {{ from: 'h1:{from}', to: 'h2:{to}', checksum: {checksum} }} }}\n"
        ))?;
        let mut pairs = Vec::new();
        for _ in 0..3 {
            let ours = bench.run(&project)?;
            std::fs::remove_file(&copy)?;
            let ends = [format!("root@127.0.1.1:{from}"), format!("root@127.0.1.2:{to}")];
            pairs.push((ms(ours), ms(timed(bench.client("scp", "-P").arg("-3").args(ends))?)));
            std::fs::remove_file(&copy)?;
        }
        compare(&format!("1 GiB from host to host, {what}, against scp -3"), &pairs);
    }
    Ok(std::fs::remove_file(&file)?)
}

/// Peak memory in KiB of a process (proc(5), VmHWM), looked at until it ends.
fn peak_of(mut child: Child) -> Any<u64> {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait()?.is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let found = text.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(found.unwrap_or(0));
        std::thread::park_timeout(Duration::from_millis(10));
    }
    Ok(peak)
}

/// Local no-op steps against ninja on the same graph.
fn local(bench: &Bench) -> Any<()> {
    let dir = bench.dir().join("ninja");
    std::fs::create_dir_all(&dir)?;
    let mut each = Vec::new();
    for (count, rounds) in [(1_000, 5), (10_000, 1)] {
        for wide in [false, true] {
            let mut graph = "rule t\n  command = true\n".to_owned();
            let mut steps = String::new();
            for n in 0..count {
                let before = if wide || n == 0 { String::new() } else { format!(" o{}", n - 1) };
                graph.push_str(&format!("build o{n}: t{before}\n"));
                let needs = if wide { ", needs: []" } else { "" };
                steps.push_str(&format!("  - {{ id: s{n}, run: 'true'{needs} }}\n"));
            }
            std::fs::write(dir.join("build.ninja"), graph)?;
            let project = bench.project(&steps)?;
            let mut pairs = Vec::new();
            for _ in 0..rounds {
                let ours = bench.run(&project)?;
                for leftover in [".ninja_log", ".ninja_deps"] {
                    let _there_or_not = std::fs::remove_file(dir.join(leftover));
                }
                pairs.push((ms(ours), ms(timed(Command::new("ninja").arg("-C").arg(&dir))?)));
            }
            let shape = if wide { "wide" } else { "chain" };
            compare(&format!("{count} local steps, {shape}, against ninja"), &pairs);
            each.push((count, shape, median(pairs.iter().map(|p| p.0).collect()) / count as f64));
        }
    }
    for (count, shape, cost) in each {
        println!("{shape} of {count}: {cost:.2} ms a step");
    }
    Ok(())
}

/// What a job on this machine costs before there is an engine: a shell in a session of its own, against a shell; and the
/// least that keeps what we promise (written durably before it begins, a session of its own, an exit status in a file), against
/// ninja.
fn floor(bench: &Bench) -> Any<()> {
    let log = File::create(bench.dir().join("log"))?;
    let thousand = |words: &[&str], durable: bool| -> Any<Duration> {
        let begun = Instant::now();
        for _ in 0..1_000 {
            if durable {
                (&log).write_all(&[b'x'; 512])?;
                log.sync_data()?;
            }
            Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).status()?;
        }
        Ok(begun.elapsed())
    };
    let mut pairs = Vec::new();
    for _ in 0..5 {
        let ours = thousand(&["/usr/bin/setsid", "/bin/sh", "-c", "true"], false)?;
        pairs.push((ms(ours), ms(thousand(&["/bin/sh", "-c", "true"], false)?)));
    }
    compare("1,000 times `setsid sh -c true`, against `sh -c true`", &pairs);

    let graph: String = (0..1_000).map(|n| format!("build o{}: t o{n}\n", n + 1)).collect();
    std::fs::write(bench.dir().join("build.ninja"), format!("rule t\n  command = true\nbuild o0: phony\n{graph}"))?;
    let status = bench.dir().join("status").display().to_string();
    let mut pairs = Vec::new();
    for _ in 0..5 {
        let supervised = ["/usr/bin/setsid", "/bin/sh", "-c", "sh -c true; echo $? >\"$0\"", &status];
        let ours = thousand(&supervised, true)?;
        let _there_or_not = std::fs::remove_file(bench.dir().join(".ninja_log"));
        pairs.push((ms(ours), ms(timed(Command::new("ninja").arg("-C").arg(bench.dir()))?)));
    }
    compare("1,000 times write, sync, `setsid sh -c 'sh -c true; echo $? >FILE'`, against ninja's chain", &pairs);
    Ok(())
}

/// A run that only waits: memory, and how often it wakes up.
fn waiting(bench: &Bench) -> Any<()> {
    let project = bench.project("  - { id: w, wait: { for: 1h } }\n")?;
    let mut child = bench.piton(&project, &["run", "bench"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let pid = child.id();
    // A measurement of idleness takes time by its nature: first it settles, then it is watched.
    let span = Duration::from_secs(20);
    let pause = |span: Duration| {
        let until = Instant::now() + span;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            std::thread::park_timeout(left);
        }
    };
    pause(Duration::from_secs(3));
    let before = switches(pid)?;
    pause(span);
    let after = switches(pid)?;
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let rss = text.lines().find(|l| l.starts_with("VmRSS")).unwrap_or_default().to_owned();
    child.kill()?;
    child.wait()?;
    println!("waiting: {rss}; {:.2} wake-ups a second over all threads", (after - before) as f64 / span.as_secs_f64());
    Ok(())
}

/// Voluntary context switches of all threads: each is a wake-up (proc(5)).
fn switches(pid: u32) -> Any<u64> {
    let mut sum = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(thread?.path().join("status"))?;
        let count = text.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:")?.trim().parse::<u64>().ok());
        sum += count.unwrap_or(0);
    }
    Ok(sum)
}
