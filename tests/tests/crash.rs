//! Engines that are killed, stopped, doubled; connections that break: every step's effect happens once, or is known to be unknown.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::path::Path;
use std::process::{Child, Command};

use piton_testkit::sshd::Sshd;
use piton_tests::cli::{Place, Ran};
use piton_tests::lab::wait_for;

const PITON: &str = env!("CARGO_BIN_EXE_piton-under-test");

fn seed() -> u64 {
    match std::env::var("PITON_TEST_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => std::collections::hash_map::RandomState::new().build_hasher().finish(),
    }
}

/// SplitMix64: a small generator with a seed that can be printed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }
}

/// Thirty steps, on the host and on this machine in turn; each leaves one line with its name.
fn thirty(place: &Place, witness: &Path) {
    let mut yaml =
        "runbook: thirty\ntitle: thirty steps that leave a trace\nparams:\n  witness: { type: path }\nsteps:\n"
            .to_owned();
    for step in 0..30 {
        let hosts = if step % 3 == 2 { "local" } else { "h" };
        yaml.push_str(&format!(
            "  - id: s{step}\n    hosts: {hosts}\n    run: |\n      echo s{step} >> \"$witness\"\n      sleep 0.02\n      echo said by s{step}\n"
        ));
    }
    place.write("runbooks/thirty.yaml", &yaml);
    std::fs::write(witness, "").unwrap();
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn counted(path: &Path) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for line in lines(path) {
        *counts.entry(line).or_default() += 1;
    }
    counts
}

fn kill(mut child: Child) {
    // SIGKILL; it may have come to its end by itself.
    let _over = child.kill();
    child.wait().unwrap();
}

fn latest(place: &Place) -> String {
    place.piton(&["--json", "ls", "--all", "--limit", "1"]).json()[0]["run"].as_str().unwrap().to_owned()
}

/// Fifty times: the engine dies at a random moment. Each step's effect is there once, in order, and its output too.
#[test]
fn killed_at_random_moments_nothing_is_done_twice_and_nothing_is_lost() {
    let sshd = Sshd::start();
    let seed = seed();
    let mut dice = Dice(seed);
    for round in 0..10 {
        let place = Place::with_host(PITON, &sshd);
        let witness = place.outside("witness");
        thirty(&place, &witness);
        let param = format!("witness={}", witness.display());
        let mut engine = place.start(&["run", "thirty", &param]);
        let mut at = 0;
        for _ in 0..5 {
            at += 1 + dice.below(5);
            let wanted = usize::try_from(at).unwrap();
            wait_until(|| lines(&witness).len() >= wanted || engine.try_wait().unwrap().is_some());
            // Somewhere within the step: a busy wait is no wait for anything, only a different moment each time.
            for n in 0..dice.below(3_000_000) {
                std::hint::black_box(n);
            }
            kill(engine);
            engine = place.start(&["resume", "--latest"]);
        }
        let end = engine.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&end.stderr).into_owned() + String::from_utf8_lossy(&end.stdout).as_ref();
        assert_eq!(end.status.code(), Some(0), "seed {seed}, round {round}: {said}");
        let expected: Vec<String> = (0..30).map(|step| format!("s{step}")).collect();
        assert_eq!(lines(&witness), expected, "seed {seed}, round {round}");
        let run = latest(&place);
        for step in [0, 13, 29] {
            let logs = place.piton(&["logs", &run, &format!("s{step}"), "--raw"]);
            assert_eq!(logs.out, format!("said by s{step}\n"), "seed {seed}, round {round}: {}", logs.err);
        }
        assert_eq!(place.piton(&["verify", &run]).code, 0);
    }
}

/// Asks without a pause, for things that happen within milliseconds.
fn wait_until(mut done: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !done() {
        assert!(begun.elapsed().as_secs() < 60, "it never came");
        std::thread::yield_now();
    }
}

#[test]
fn five_runs_at_once_share_one_state_directory() {
    let sshd = Sshd::start();
    let place = Place::with_host(PITON, &sshd);
    let witness = place.outside("witness");
    thirty(&place, &witness);
    let param = format!("witness={}", witness.display());
    let runs: Vec<Child> = (0..5).map(|_| place.start(&["run", "thirty", &param])).collect();
    for run in runs {
        let end = run.wait_with_output().unwrap();
        assert_eq!(end.status.code(), Some(0), "{}", String::from_utf8_lossy(&end.stderr));
    }
    let counts = counted(&witness);
    assert_eq!(counts.len(), 30);
    assert!(counts.values().all(|&count| count == 5), "{counts:?}");
    assert_eq!(place.piton(&["verify", "--all"]).code, 0);
}

/// An engine stands still past its lease; another takes the run over; the first wakes up and is refused.
#[test]
fn an_engine_that_slept_past_its_lease_starts_nothing() {
    let sshd = Sshd::start();
    let place = Place::with_host(PITON, &sshd);
    let witness = place.outside("witness");
    thirty(&place, &witness);
    let param = format!("witness={}", witness.display());
    let first = place.start(&["run", "thirty", &param]);
    wait_until(|| lines(&witness).len() >= 5);
    signal(&first, "STOP");
    let run = latest(&place);
    // `resume` waits for the lease to expire: the sleeper holds it, and is not dead.
    let second = place.piton(&["resume", &run]);
    assert_eq!(second.code, 0, "{second:?}");
    signal(&first, "CONT");
    let first = first.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&first.stderr).into_owned();
    assert!(said.contains("is stale"), "it was refused, and says so: {said}");
    let counts = counted(&witness);
    assert_eq!(counts.len(), 30);
    assert!(counts.values().all(|&count| count == 1), "{counts:?}");
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

const TALKER: &str = r#"
runbook: talker
title: A step that prints a line each 20 ms
params:
  witness: { type: path }
steps:
  - id: talk
    hosts: h
    run: |
      echo began >> "$witness"
      i=0
      while [ $i -lt 300 ]; do echo "line $i"; i=$((i + 1)); sleep 0.02; done
"#;

fn talking(place: &Place, sshd: &Sshd, trouble: impl FnOnce(&Sshd)) -> Ran {
    place.write("runbooks/talker.yaml", TALKER);
    let witness = place.outside("witness");
    let run = place.start(&["run", "talker", &format!("witness={}", witness.display())]);
    place.wait_for_file(&witness);
    let id = latest(place);
    // Some of it has come, and some has not.
    place.wait(&["logs", &id, "talk", "--raw"], |out| out.lines().count() > 20);
    trouble(sshd);
    let end = run.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&end.stderr).into_owned();
    assert_eq!(end.status.code(), Some(0), "{said}");
    assert_eq!(lines(&witness), ["began"]);
    let expected: String = (0..300).map(|i| format!("line {i}\n")).collect();
    let logs = place.piton(&["logs", &id, "talk", "--raw"]);
    assert_eq!(logs.out, expected);
    logs
}

/// The processes that serve the connection die in the middle of a step, as when a line is cut.
#[test]
fn a_connection_that_breaks_loses_no_output_and_repeats_none() {
    let sshd = Sshd::start();
    let place = Place::with_host(PITON, &sshd);
    talking(&place, &sshd, |sshd| {
        for pid in sshd.serving() {
            Command::new("kill").args(["-s", "KILL", &pid.to_string()]).status().unwrap();
        }
    });
}

/// The ssh master on this side is killed.
#[test]
fn a_killed_ssh_master_is_replaced() {
    let sshd = Sshd::start();
    let place = Place::with_host(PITON, &sshd);
    let port = sshd.port().to_string();
    talking(&place, &sshd, |_| {
        let masters = masters(&port);
        assert!(!masters.is_empty(), "there is a connection");
        for pid in masters {
            Command::new("kill").args(["-s", "KILL", &pid]).status().unwrap();
        }
    });
}

/// The ssh processes of this test: those that connect to its sshd's port.
fn masters(port: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<_> = words.split(|b| *b == 0).map(String::from_utf8_lossy).collect();
        if words.first().is_some_and(|w| w.ends_with("ssh") || w.starts_with("ssh:")) && words.iter().any(|w| w == port)
        {
            found.push(pid);
        }
    }
    found
}

/// Values that would do harm anywhere else arrive as they are, and nothing is executed.
#[test]
fn values_arrive_unchanged_in_every_shell() {
    let sshd = Sshd::start();
    let place = Place::with_host(PITON, &sshd);
    let trap = place.outside("trap");
    let long = "x".repeat(100_000);
    let values = [
        format!("$(touch {})", trap.display()),
        format!("`touch {}`", trap.display()),
        format!("'; touch {} #", trap.display()),
        "line one\nline two\n\n".to_owned(),
        "-rf".to_owned(),
        "🧗 ñ 中文 \u{7f}\t".to_owned(),
        "*?[a-z] ~ ! \\ \\n %s $HOME".to_owned(),
        long,
    ];
    let mut yaml =
        "runbook: values\ntitle: values\nparams:\n  value: { type: string }\n  into: { type: path }\n  p_dir: { type: string, default: /nonexistent }\n  p_job: { type: string, default: /nonexistent }\nsteps:\n"
            .to_owned();
    for (number, shell) in ["dash", "bash", "busybox", "ksh", "mksh"].iter().enumerate() {
        let (shell, script) = match *shell {
            // `busybox FILE` is no shell: it is asked for its ash.
            "busybox" => ("sh", r#"busybox ash -c 'printf %s "$value"' > "$into/busybox""#.to_owned()),
            "mksh" => ("mksh", r#"print -rn -- "$value" > "$into/mksh""#.to_owned()),
            shell => (shell, format!(r#"printf %s "$value" > "$into/{shell}""#)),
        };
        yaml.push_str(&format!(
            "  - {{ id: s{number}, hosts: h, shell: {shell}, run: '{}' }}\n",
            script.replace('\'', "''")
        ));
    }
    yaml.push_str("  - { id: words, hosts: h, exec: [sh, -c, 'printf %s \"$1\" > \"$2/exec\"', piton, '{{ value }}', '{{ into }}'] }\n");
    place.write("runbooks/values.yaml", &yaml);
    for (number, value) in values.iter().enumerate() {
        let into = place.outside(&format!("v{number}"));
        std::fs::create_dir(&into).unwrap();
        let into_param = format!("into={}", into.display());
        let ran = place.piton(&["run", "values", &format!("value={value}"), &into_param]);
        assert_eq!(ran.code, 0, "{number}: {}", ran.err);
        for shell in ["dash", "bash", "busybox", "ksh", "mksh", "exec"] {
            let arrived = std::fs::read_to_string(into.join(shell)).unwrap();
            assert!(
                arrived == *value,
                "{shell}: value {number} arrived as {:?}",
                arrived.chars().take(200).collect::<String>()
            );
        }
    }
    assert!(!trap.exists(), "a value was executed");
}

/// A step that ignores TERM and has forked children is cancelled: nothing of it lives after.
#[test]
fn a_cancelled_step_leaves_nothing_alive() {
    let sshd = Sshd::start();
    let place = Place::with_host(PITON, &sshd);
    let mark = format!("31{}", std::process::id());
    place.write(
        "runbooks/stubborn.yaml",
        &format!(
            "runbook: stubborn\ntitle: stubborn\nparams:\n  witness: {{ type: path }}\nsteps:\n  - id: hold\n    hosts: h\n    run: |\n      trap '' TERM HUP INT\n      (trap '' TERM; sleep {mark}) &\n      setsid sleep {mark} &\n      echo began > \"$witness\"\n      sleep {mark}\n"
        ),
    );
    let witness = place.outside("witness");
    let run = place.start(&["run", "stubborn", &format!("witness={}", witness.display())]);
    place.wait_for_file(&witness);
    let sleepers = || {
        let found = std::fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
            let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&words).contains(&format!("sleep\0{mark}"))
        });
        found.count()
    };
    assert_eq!(sleepers(), 3);
    let id = latest(&place);
    let cancelled = place.piton(&["cancel", &id, "--why", "enough"]);
    assert_eq!(cancelled.code, 0, "{cancelled:?}");
    let end = run.wait_with_output().unwrap();
    assert_eq!(end.status.code(), Some(6), "{}", String::from_utf8_lossy(&end.stderr));
    assert_eq!(sleepers(), 0);
}

/// A disk of its own, full at will; gone when dropped.
struct Disk(std::path::PathBuf);

impl Disk {
    fn of(place: std::path::PathBuf, size: &str) -> Self {
        std::fs::create_dir(&place).unwrap();
        mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], &place);
        Self(place)
    }

    fn grow(&self, size: &str) {
        mount(&["-o", &format!("remount,size={size}")], &self.0);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What is left is a mount under a temporary directory.
        let _left = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(words: &[&str], place: &Path) {
    let done = Command::new("mount").args(words).arg(place).status().unwrap();
    assert!(done.success(), "mount {words:?}: this test needs root");
}

/// The disk with the journal and the output files is full: the run waits, says so, and goes on when there is room.
#[test]
fn lab_a_full_disk_holds_a_run_up_and_loses_nothing() {
    let place = Place::new(PITON);
    let disk = Disk::of(place.outside("disk"), "900k");
    let witness = place.outside("witness");
    place.write(
        "runbooks/large.yaml",
        "runbook: large\ntitle: large\nparams:\n  witness: { type: path }\nsteps:\n  - { id: a, run: 'echo a >> \"$witness\"; head -c 300000 /dev/zero' }\n  - { id: b, run: 'echo b >> \"$witness\"; head -c 700000 /dev/zero' }\n  - { id: c, run: 'echo c >> \"$witness\"' }\n",
    );
    let state = disk.0.join("state").display().to_string();
    let said = place.outside("said");
    let mut command = place.command(&["--state", &state, "run", "large", &format!("witness={}", witness.display())]);
    let run =
        command.stdout(std::process::Stdio::null()).stderr(std::fs::File::create(&said).unwrap()).spawn().unwrap();
    let full = || std::fs::read_to_string(&said).unwrap_or_default().contains("no space left");
    wait_for(&|| "it never says that the disk is full".to_owned(), &|| full().then_some(()));
    assert_eq!(lines(&witness), ["a", "b"]);
    disk.grow("20m");
    let end = run.wait_with_output().unwrap();
    assert_eq!(end.status.code(), Some(0), "{}", std::fs::read_to_string(&said).unwrap());
    assert_eq!(lines(&witness), ["a", "b", "c"]);
    let logs = place.piton(&["--state", &state, "logs", "latest", "b", "--raw"]);
    assert_eq!(logs.out.len(), 700_000);
    assert_eq!(place.piton(&["--state", &state, "verify", "latest"]).code, 0);
}

/// A word from another terminal reaches a run that waits, at once.
#[test]
fn every_verb_works_from_another_terminal() {
    let place =
        Place::with_runbook(PITON, "waits", "runbook: waits\ntitle: waits\nsteps:\n  - { id: w, wait: { for: 1h } }\n");
    let run = place.start(&["run", "waits"]);
    place.wait(&["--json", "ls"], |out| out.contains("running"));
    let id = latest(&place);
    assert!(place.piton(&["show", &id]).out.contains("pausing"));
    assert!(place.piton(&["why", &id, "w"]).code == 0);
    let refused = place.piton(&["skip", &id, "w", "--why", "no"]);
    assert_ne!(refused.code, 0, "it does not wait for a decision");
    assert_eq!(place.piton(&["cancel", &id, "--why", "enough"]).code, 0);
    assert_eq!(run.wait_with_output().unwrap().status.code(), Some(6));
    wait_for(&|| "it is over".to_owned(), &|| place.piton(&["show", &id]).out.contains("cancelled").then_some(()));
}
