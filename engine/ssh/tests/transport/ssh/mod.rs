//! Jobs over a real sshd on a loopback port: login shells, refused channels, killed connections, changed keys.

mod refused;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::common::{Kept, Mounted, Noted, exit_of, host, job, run_id, until};
use piton_core::ids::HostName;
use piton_core::run::{LossCause, Refusal};
use piton_runner::observer::Notice;
use piton_runner::transport::{JobEnd, Launch, Transport as _};
use piton_ssh::{Hosts, Options};
use piton_testkit::sshd::Sshd;

fn options(sshd: &Sshd) -> Options {
    let base = Some(sshd.path("jobs").to_str().unwrap().to_owned());
    Options { control_dir: Some(sshd.dir().to_owned()), base, ..Options::default() }
}

fn hosts(sshd: &Sshd, options: Options) -> Hosts {
    Hosts::new(BTreeMap::from([(h(), sshd.host())]), options)
}

fn h() -> HostName {
    host("hv1")
}

async fn run(hosts: &Hosts, step: &str, script: &str) -> (JobEnd, Kept) {
    let mut kept = Kept::default();
    let end = hosts.carry(&job(run_id(), &h(), step, script), Launch::Fresh, &mut kept, &Noted::default()).await;
    (end, kept)
}

#[tokio::test]
async fn many_jobs_at_once_on_a_server_that_allows_few_sessions() {
    for sessions in [1, 2, 10] {
        let sshd = Sshd::with(&format!("MaxSessions {sessions}"));
        let hosts = Arc::new(hosts(&sshd, options(&sshd)));
        let mut going = tokio::task::JoinSet::new();
        for n in 0..30 {
            let hosts = Arc::clone(&hosts);
            going.spawn(async move {
                let script = if n % 10 == 0 { "echo a; sleep 1; echo b" } else { "echo a; echo b" };
                run(&hosts, "a", script).await
            });
        }
        while let Some(done) = going.join_next().await {
            let (end, kept) = done.unwrap();
            assert_eq!(exit_of(&end), 0, "{sessions}");
            assert_eq!(kept.out(), "a\nb\n", "{sessions}");
        }
    }
}

/// A login shell as an account may have it: a banner, rc noise without a newline at its end, then the shell itself.
fn login_shell(sshd: &Sshd, shell: &str) -> String {
    let path = sshd.path("login");
    let text = format!(
        "#!/bin/sh\necho 'Welcome to @piton!'; printf 'no newline'; echo warning >&2\nexec {shell} -c \"$SSH_ORIGINAL_COMMAND\"\n"
    );
    std::fs::write(&path, text).unwrap();
    std::process::Command::new("chmod").args(["755", path.to_str().unwrap()]).status().unwrap();
    format!("ForceCommand {}", path.display())
}

#[tokio::test]
async fn any_login_shell_and_any_banner_will_do() {
    for shell in ["dash", "bash", "fish", "tcsh", "csh", "mksh", "ksh"] {
        let mut sshd = Sshd::start();
        let line = login_shell(&sshd, shell);
        sshd.down();
        let more = Sshd::with(&line);
        std::fs::create_dir_all(sshd.dir()).unwrap();
        let hosts = hosts(&more, options(&more));
        let (end, kept) = run(&hosts, "a", "echo out; echo err >&2; exit 5").await;
        assert_eq!(exit_of(&end), 5, "{shell}");
        assert_eq!((kept.out().as_str(), kept.err().as_str()), ("out\n", "err\n"), "{shell}");
    }
}

/// A job that prints 60 numbered lines, one each 50 ms.
const LINES: &str =
    "i=0; while [ $i -lt 60 ]; do echo line $i; echo err $i >&2; i=$((i + 1)); sleep 0.05; done; exit 4";

fn lines(word: &str) -> String {
    (0..60).map(|i| format!("{word} {i}\n")).collect()
}

fn kill(pid: u32) {
    std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
}

#[tokio::test]
async fn output_is_complete_and_single_through_killed_connections() {
    let sshd = Sshd::start();
    let hosts = hosts(&sshd, options(&sshd));
    let job = job(run_id(), &h(), "a", LINES);
    let (mut kept, noted) = (Kept::default(), Noted::default());
    let end = tokio::join!(hosts.carry(&job, Launch::Fresh, &mut kept, &noted), async {
        for so_far in [40, 250, 500] {
            until("some lines have come", || noted.printed.lock().unwrap().len() > so_far).await;
            for pid in sshd.serving() {
                kill(pid);
            }
        }
    })
    .0;
    assert_eq!(exit_of(&end), 4);
    assert_eq!(kept.out(), lines("line"));
    assert_eq!(kept.err(), lines("err"));
    assert!(noted.notices.lock().unwrap().iter().any(|n| matches!(n, Notice::Connected { .. })));
    assert_eq!(*noted.launches.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_server_that_goes_away_and_comes_back_is_found_again() {
    let mut sshd = Sshd::start();
    let hosts = hosts(&sshd, options(&sshd));
    let job = job(run_id(), &h(), "a", LINES);
    let (mut kept, noted) = (Kept::default(), Noted::default());
    let end = tokio::join!(hosts.carry(&job, Launch::Fresh, &mut kept, &noted), async {
        until("some lines have come", || noted.printed.lock().unwrap().len() > 40).await;
        let serving = sshd.serving();
        sshd.down();
        serving.into_iter().for_each(kill);
        until("it was noticed", || !noted.notices.lock().unwrap().is_empty()).await;
        sshd.up();
    })
    .0;
    assert_eq!(exit_of(&end), 4);
    assert_eq!(kept.out(), lines("line"));
    assert_eq!(kept.err(), lines("err"));
}

#[tokio::test]
async fn a_server_that_never_comes_back_leaves_the_outcome_unknown() {
    let mut sshd = Sshd::start();
    let hosts = hosts(&sshd, Options { lost_limit: Duration::from_secs(1), ..options(&sshd) });
    let job = job(run_id(), &h(), "a", "echo up; sleep 5");
    let (mut kept, noted) = (Kept::default(), Noted::default());
    let end = tokio::join!(hosts.carry(&job, Launch::Fresh, &mut kept, &noted), async {
        until("it is up", || !noted.printed.lock().unwrap().is_empty()).await;
        let serving = sshd.serving();
        sshd.down();
        serving.into_iter().for_each(kill);
    })
    .0;
    assert!(matches!(end, JobEnd::Lost(LossCause::Unreachable(_))), "{end:?}");
}

#[tokio::test]
async fn a_host_that_was_started_anew_has_lost_its_jobs() {
    let sshd = Sshd::start();
    let boot = sshd.path("boot_id");
    std::fs::write(&boot, "first\n").unwrap();
    let options = Options { boot_id_path: boot.to_str().unwrap().to_owned(), ..options(&sshd) };
    let hosts = hosts(&sshd, options);
    let job = job(run_id(), &h(), "a", "echo up; sleep 30");
    let (mut kept, noted) = (Kept::default(), Noted::default());
    let (end, stopped) = tokio::join!(hosts.carry(&job, Launch::Fresh, &mut kept, &noted), async {
        until("it is up", || !noted.printed.lock().unwrap().is_empty()).await;
        hosts.stop(&job, 0, &Noted::default()).await.unwrap();
        std::fs::write(&boot, "second\n").unwrap();
    });
    let () = stopped;
    assert_eq!(exit_of(&end), 137);
    drop(end);
    // As if the job had still been running when the host went down.
    let state = sshd.path("jobs").join(job.run.to_string()).join("a@hv1.1.main1.state");
    let text = std::fs::read_to_string(&state).unwrap();
    std::fs::write(&state, text.replace("exit 137 end", "            ")).unwrap();
    let fresh = self::hosts(&sshd, Options { boot_id_path: boot.to_str().unwrap().to_owned(), ..self::options(&sshd) });
    let end = fresh.carry(&job, Launch::Never { boot: None }, &mut kept, &noted).await;
    assert_eq!(end, JobEnd::Lost(LossCause::HostRebooted));
}

#[tokio::test]
async fn a_full_disk_on_the_host_refuses_the_job_or_lets_it_end_but_never_leaves_it_unknown() {
    let sshd = Sshd::start();
    let small = Mounted::new(sshd.path("small"), "size=64k,mode=700");
    let base = Some(small.path().to_str().unwrap().to_owned());
    let hosts = hosts(&sshd, Options { base, ..options(&sshd) });
    let (end, kept) = run(&hosts, "a", "head -c 1000000 /dev/zero; exit 9").await;
    assert_eq!(exit_of(&end), 9, "the status has its room from the beginning");
    assert!(!kept.out.is_empty() && kept.out.len() < 64 * 1024, "what fitted is there: {}", kept.out.len());
    let (end, _) = run(&hosts, "b", "true").await;
    let JobEnd::Refused(Refusal::Refused(why)) = end else { panic!("{end:?}") };
    assert!(why.contains("cannot write in") || why.contains("No space left"), "{why}");
}

#[tokio::test]
async fn ping_tells_what_the_host_is() {
    let sshd = Sshd::start();
    let pong = hosts(&sshd, options(&sshd)).ping(&h()).await.unwrap();
    assert_eq!(pong.boot.0, std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim());
    assert!(pong.system.starts_with("Linux ") && pong.uptime > 0, "{pong:?}");
}

#[tokio::test]
async fn a_connection_that_freezes_is_noticed_and_another_one_goes_on() {
    let sshd = Sshd::start();
    let hosts = hosts(&sshd, Options { alive_interval: Duration::from_secs(1), ..options(&sshd) });
    let job = job(run_id(), &h(), "a", LINES);
    let (mut kept, noted) = (Kept::default(), Noted::default());
    let send = |signal: &str, pid: u32| {
        assert!(std::process::Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
    };
    let (end, frozen) = tokio::join!(hosts.carry(&job, Launch::Fresh, &mut kept, &noted), async {
        until("some lines have come", || noted.printed.lock().unwrap().len() > 40).await;
        let frozen = sshd.serving();
        frozen.iter().for_each(|pid| send("-STOP", *pid));
        frozen
    });
    frozen.into_iter().for_each(|pid| send("-KILL", pid));
    assert_eq!(exit_of(&end), 4);
    assert_eq!(kept.out(), lines("line"));
    assert_eq!(kept.err(), lines("err"));
    assert!(noted.notices.lock().unwrap().iter().any(|n| matches!(n, Notice::Connected { .. })));
}

#[tokio::test]
async fn a_home_that_cannot_be_written_is_no_hindrance() {
    let sshd = Sshd::start();
    let _home = Mounted::new(sshd.path("home"), "ro");
    let hosts = hosts(&sshd, Options { base: None, ..options(&sshd) });
    let mut kept = Kept::default();
    let job = job(run_id(), &h(), "a", "echo $PITON_WORK");
    let end = hosts.carry(&job, Launch::Fresh, &mut kept, &Noted::default()).await;
    assert_eq!(exit_of(&end), 0);
    assert_eq!(kept.out(), format!("/var/tmp/piton-0/{}/work\n", job.run));
    hosts.clear(job.run, &h()).await;
    std::fs::remove_file(format!("/var/tmp/piton-0/{}.ended", job.run)).unwrap();
}

#[tokio::test]
async fn jobs_run_once_while_connections_die_all_the_time() {
    // Connections die all the time while jobs are launched: each job still runs exactly once.
    let sshd = Sshd::start();
    let hosts = Arc::new(hosts(&sshd, options(&sshd)));
    let count = sshd.path("count");
    let mut going = tokio::task::JoinSet::new();
    for n in 0..40 {
        let hosts = Arc::clone(&hosts);
        let script = format!("echo {n} >>{}", count.display());
        going.spawn(async move {
            let mut job = job(run_id(), &h(), "a", &script);
            job.env = vec![("filler".to_owned(), "x".repeat(50_000))];
            let (mut kept, noted) = (Kept::default(), Noted::default());
            (hosts.carry(&job, Launch::Fresh, &mut kept, &noted).await, kept)
        });
    }
    let mut every = tokio::time::interval(Duration::from_millis(200));
    let mut rounds = 0;
    while !going.is_empty() {
        tokio::select! {
            Some(done) = going.join_next() => {
                let (end, kept) = done.unwrap();
                assert_eq!(exit_of(&end), 0, "{}", kept.err());
            }
            _ = every.tick(), if rounds < 12 => {
                rounds += 1;
                sshd.serving().into_iter().for_each(kill);
            }
        }
    }
    let text = std::fs::read_to_string(&count).unwrap();
    let mut numbers: Vec<u32> = text.lines().map(|line| line.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn more_hosts_than_connections_take_turns() {
    let sshd = Sshd::start();
    let known = (1..=8).map(|n| (host(&format!("h{n}")), sshd.host_at(&format!("127.0.1.{n}")))).collect();
    let hosts = Arc::new(Hosts::new(known, Options { max_connections: 2, ..options(&sshd) }));
    let mut going = tokio::task::JoinSet::new();
    for n in 1..=8 {
        let hosts = Arc::clone(&hosts);
        going.spawn(async move {
            let job = job(run_id(), &host(&format!("h{n}")), "a", "sleep 0.3");
            hosts.carry(&job, Launch::Fresh, &mut Kept::default(), &Noted::default()).await
        });
    }
    let mut every = tokio::time::interval(Duration::from_millis(20));
    while !going.is_empty() {
        tokio::select! {
            Some(done) = going.join_next() => assert_eq!(exit_of(&done.unwrap()), 0),
            // A connection that is being closed may still be there for a moment, beside the one that took its place.
            _ = every.tick() => assert!(sshd.serving().len() <= 4, "{:?}", sshd.serving()),
        }
    }
}

#[tokio::test]
async fn a_host_behind_a_jump_host_is_reached() {
    let sshd = Sshd::start();
    let mut there = sshd.host_at("127.0.1.5");
    // What the inventory says of the host does not hold for the jump host: that is in ssh's own configuration.
    let (key, known) = (sshd.path("user_key"), sshd.path("known_hosts"));
    let config = format!("IdentityFile {}\nUserKnownHostsFile {}\n", key.display(), known.display());
    std::fs::write(sshd.path("config"), config).unwrap();
    there.ssh.config = Some(sshd.path("config").to_str().unwrap().to_owned());
    there.ssh.jump = Some(format!("root@127.0.0.1:{}", sshd.port()));
    let hosts = Hosts::new(BTreeMap::from([(h(), there)]), options(&sshd));
    let (end, kept) = run(&hosts, "a", "echo there").await;
    assert_eq!(exit_of(&end), 0);
    assert_eq!(kept.out(), "there\n");
    assert!(sshd.serving().len() >= 2, "one to the jump host, one through it");
}
