//! Jobs on the engine's own machine, with each shell that a host may have as its `sh`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::common::{Kept, Noted, exit_of, host, job, run_id, until};
use piton_core::run::{LossCause, Refusal};
use piton_runner::transport::{JobEnd, Launch, Transport as _};
use piton_ssh::{Hosts, Options};

const SHELLS: [&str; 5] = ["dash", "bash --posix", "busybox sh", "ksh", "mksh"];

fn hosts(sh: &str, base: &std::path::Path) -> Hosts {
    let base = Some(base.to_str().unwrap().to_owned());
    Hosts::new(BTreeMap::new(), Options { sh: sh.to_owned(), base, ..Options::default() })
}

#[tokio::test]
async fn values_arrive_unchanged_in_every_shell() {
    let values = [
        "",
        "plain",
        "$(touch /tmp/piton-injected)",
        "'; touch /tmp/piton-injected #",
        "a\nb\n",
        "\n",
        "\\n\\",
        "-rf",
        "`id`",
        "\u{1F600} ü",
        "!x!",
        "%s%n",
        " lead and trail ",
        "export x='1'",
        "==0",
        "*",
    ];
    let long = "x y'\n".repeat(20_000);
    for sh in SHELLS {
        let dir = tempfile::tempdir().unwrap();
        let hosts = hosts(sh, dir.path());
        for value in values.into_iter().chain([long.as_str()]) {
            let mut job = job(run_id(), &host("local"), "a", "printf '%s.' \"$value\"; exit 7");
            job.env = vec![("value".to_owned(), value.to_owned())];
            let mut kept = Kept::default();
            let end = hosts.carry(&job, Launch::Fresh, &mut kept, &Noted::default()).await;
            assert_eq!(exit_of(&end), 7, "{sh}: {}", kept.err());
            assert_eq!(kept.out(), format!("{value}."), "{sh}");
            assert_eq!(kept.err(), "", "{sh}");
        }
        assert!(!std::path::Path::new("/tmp/piton-injected").exists());
    }
}

#[tokio::test]
async fn a_job_has_what_is_promised_and_its_outputs_come_back() {
    for sh in SHELLS {
        let dir = tempfile::tempdir().unwrap();
        let hosts = hosts(sh, dir.path());
        let script = "echo out; echo err >&2; echo a=1 >>\"$PITON_OUTPUT\"; pwd; echo $PITON_WORK; umask; \
                      echo $PITON_RUN $PITON_TASK $PITON_ATTEMPT $PITON_HOST $PITON_JOB; cat; \
                      grep SigIgn /proc/self/status; cut -d' ' -f6 /proc/$$/stat; echo $$";
        let run = run_id();
        let job = job(run, &host("local"), "a", script);
        let mut kept = Kept::default();
        let end = hosts.carry(&job, Launch::Fresh, &mut kept, &Noted::default()).await;
        let JobEnd::Exited { exit, outputs, boot } = end else { panic!("{end:?}") };
        assert_eq!(exit.0, 0, "{sh}: {}", kept.err());
        assert_eq!(outputs.unwrap(), b"a=1\n");
        assert_eq!(boot.0, std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim());
        let out = kept.out();
        let lines: Vec<&str> = out.lines().collect();
        let work = format!("{}/{run}/work", dir.path().display());
        assert_eq!(lines[0], "out");
        assert_eq!(lines[1..3], [work.as_str(), &work]);
        assert_eq!(lines[3].trim_start_matches('0'), "22", "{sh}: the umask is not ours");
        assert_eq!(lines[4], format!("{run} a[local] 1 local {run}/a@local.1.main1"));
        assert!(lines[5].starts_with("SigIgn") && lines[5].ends_with("0000"), "{sh}: {}", lines[5]);
        assert_eq!(lines[6], lines[7], "{sh}: the job leads its session");
        assert_eq!(kept.err(), "err\n");
    }
}

#[tokio::test]
async fn exit_codes_and_signals_are_told_as_a_shell_tells_them() {
    for sh in SHELLS {
        let dir = tempfile::tempdir().unwrap();
        let hosts = hosts(sh, dir.path());
        for (script, code) in [("true", 0), ("exit 255", 255), ("exit 127", 127), ("kill -9 $$", 137), ("kill $$", 143)]
        {
            let job = job(run_id(), &host("local"), "a", script);
            let end = hosts.carry(&job, Launch::Fresh, &mut Kept::default(), &Noted::default()).await;
            assert_eq!(exit_of(&end), code, "{sh}: {script}");
        }
        let mut missing = job(run_id(), &host("local"), "a", "true");
        missing.shell = "no-such-shell".to_owned();
        let end = hosts.carry(&missing, Launch::Fresh, &mut Kept::default(), &Noted::default()).await;
        assert_eq!(end, JobEnd::Refused(Refusal::Refused("there is no program no-such-shell".to_owned())), "{sh}");
    }
}

#[tokio::test]
async fn two_controllers_launch_the_same_attempt_and_it_runs_once() {
    for sh in SHELLS {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (hosts(sh, dir.path()), hosts(sh, dir.path()));
        for _ in 0..10 {
            let job = job(run_id(), &host("local"), "a", "echo ran >>\"$PITON_WORK/count\"; cat \"$PITON_WORK/count\"");
            let (mut a, mut b) = (Kept::default(), Kept::default());
            let (x, y) = (Noted::default(), Noted::default());
            let ends =
                tokio::join!(one.carry(&job, Launch::Fresh, &mut a, &x), two.carry(&job, Launch::Fresh, &mut b, &y));
            assert_eq!((exit_of(&ends.0), exit_of(&ends.1)), (0, 0), "{sh}");
            assert_eq!((a.out().as_str(), b.out().as_str()), ("ran\n", "ran\n"), "{sh}");
        }
    }
}

#[tokio::test]
async fn output_of_a_long_job_comes_while_it_runs_and_is_complete() {
    for sh in SHELLS {
        let dir = tempfile::tempdir().unwrap();
        let hosts = hosts(sh, dir.path());
        let go = dir.path().join("go");
        let script = format!(
            "echo first; echo oops >&2; until [ -e {} ]; do sleep 0.05; done; head -c 3000000 /dev/zero; echo last",
            go.display()
        );
        let job = job(run_id(), &host("local"), "a", &script);
        let (mut kept, noted) = (Kept::default(), Noted::default());
        let end = tokio::join!(hosts.carry(&job, Launch::Fresh, &mut kept, &noted), async {
            until("the first line came while the job ran", || noted.printed.lock().unwrap().len() >= 11).await;
            std::fs::write(&go, "").unwrap();
        })
        .0;
        assert_eq!(exit_of(&end), 0);
        assert!(noted.started.lock().unwrap().is_some());
        assert_eq!(kept.out.len(), 3_000_000 + 6 + 5, "{sh}");
        assert!(kept.out().ends_with("\0last\n"));
        assert_eq!(kept.err(), "oops\n");
    }
}

#[tokio::test]
async fn whoever_comes_later_follows_and_collects_the_same() {
    for sh in SHELLS {
        let dir = tempfile::tempdir().unwrap();
        let go = dir.path().join("go");
        let script = format!("echo one; until [ -e {} ]; do sleep 0.05; done; echo two; exit 3", go.display());
        let job = job(run_id(), &host("local"), "a", &script);
        let mut kept = Kept::default();
        let noted = Noted::default();
        let first = hosts(sh, dir.path());
        tokio::select! {
            end = first.carry(&job, Launch::Fresh, &mut kept, &noted) => panic!("{end:?}"),
            () = until("the job runs", || noted.printed.lock().unwrap().len() == 4) => {}
        }
        drop(first);
        let second = hosts(sh, dir.path());
        let later = Noted::default();
        let end = tokio::join!(second.carry(&job, Launch::Never { boot: None }, &mut kept, &later), async {
            until("it is seen to run", || later.started.lock().unwrap().is_some()).await;
            std::fs::write(&go, "").unwrap();
        })
        .0;
        assert_eq!(exit_of(&end), 3);
        assert_eq!(kept.out(), "one\ntwo\n", "{sh}");
        assert_eq!(*later.launches.lock().unwrap(), 0);
    }
}

/// While it runs, and when it is over.
#[tokio::test]
async fn whoever_launches_what_was_launched_follows_it() {
    for sh in SHELLS {
        let dir = tempfile::tempdir().unwrap();
        let (go, ran) = (dir.path().join("go"), dir.path().join("ran"));
        let (gone, wait) = (go.display(), "sleep 0.05");
        let script = format!("echo x >>{}; echo one; until [ -e {gone} ]; do {wait}; done; echo two", ran.display());
        let job = job(run_id(), &host("local"), "a", &script);
        let (first, mut kept, noted) = (hosts(sh, dir.path()), Kept::default(), Noted::default());
        tokio::select! {
            end = first.carry(&job, Launch::Fresh, &mut kept, &noted) => panic!("{end:?}"),
            () = until("the job runs", || noted.printed.lock().unwrap().len() == 4) => {}
        }
        drop(first);
        for _ in 0..2 {
            let (other, mut kept, again) = (hosts(sh, dir.path()), Kept::default(), Noted::default());
            let end = tokio::join!(other.carry(&job, Launch::Fresh, &mut kept, &again), async {
                until("its output is seen", || !again.printed.lock().unwrap().is_empty()).await;
                std::fs::write(&go, "").unwrap();
            })
            .0;
            assert_eq!(exit_of(&end), 0, "{sh}");
            assert_eq!(kept.out(), "one\ntwo\n", "{sh}");
            assert_eq!(std::fs::read_to_string(&ran).unwrap(), "x\n", "{sh}: it ran once");
        }
    }
}

#[tokio::test]
async fn a_job_killed_together_with_its_shell_is_lost() {
    for sh in SHELLS {
        let dir = tempfile::tempdir().unwrap();
        let hosts = hosts(sh, dir.path());
        let job = job(run_id(), &host("local"), "a", "kill -9 $PPID; kill -9 $$");
        let end = hosts.carry(&job, Launch::Fresh, &mut Kept::default(), &Noted::default()).await;
        assert_eq!(end, JobEnd::Lost(LossCause::ProcessGone), "{sh}");
    }
}

#[tokio::test]
async fn a_stopped_job_leaves_nothing_alive() {
    for sh in SHELLS {
        let dir = tempfile::tempdir().unwrap();
        let hosts = hosts(sh, dir.path());
        let run = run_id();
        let script = "trap '' TERM; (trap '' TERM; sleep 1000) & setsid sh -c 'trap \"\" TERM; sleep 1000; :' & \
                      setsid sleep 1000 & echo up; while :; do sleep 1000; done";
        let job = job(run, &host("local"), "a", script);
        let (mut kept, noted) = (Kept::default(), Noted::default());
        let (end, stopped) = tokio::join!(hosts.carry(&job, Launch::Fresh, &mut kept, &noted), async {
            until("the job is up", || !noted.printed.lock().unwrap().is_empty()).await;
            hosts.stop(&job, 1, &Noted::default()).await
        });
        assert_eq!(stopped, Ok(()), "{sh}");
        assert_eq!(exit_of(&end), 137, "{sh}");
        let mark = format!("PITON_JOB={run}/");
        for proc in std::fs::read_dir("/proc").unwrap().flatten() {
            let environ = std::fs::read(proc.path().join("environ")).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&environ).contains(&mark), "{sh}: {:?} lives", proc.path());
        }
    }
}

#[tokio::test]
async fn a_job_stopped_before_it_began_never_begins() {
    for sh in SHELLS {
        let dir = tempfile::tempdir().unwrap();
        let hosts = hosts(sh, dir.path());
        let job = job(run_id(), &host("local"), "a", "echo ran");
        assert_eq!(hosts.stop(&job, 1, &Noted::default()).await, Ok(()));
        for launch in [Launch::Fresh, Launch::Never { boot: None }] {
            let end = hosts.carry(&job, launch, &mut Kept::default(), &Noted::default()).await;
            assert_eq!(end, JobEnd::Refused(Refusal::Refused("it was stopped before it began".to_owned())), "{sh}");
        }
    }
}

#[tokio::test]
async fn after_clear_a_late_launch_is_refused_and_nothing_is_left() {
    for sh in SHELLS {
        let dir = tempfile::tempdir().unwrap();
        let hosts = hosts(sh, dir.path());
        let run = run_id();
        let here = host("local");
        let first = job(run, &here, "a", "echo x >file; echo y");
        assert_eq!(exit_of(&hosts.carry(&first, Launch::Fresh, &mut Kept::default(), &Noted::default()).await), 0);
        hosts.forget(run, &here, std::slice::from_ref(&first.id)).await;
        let names = |dir: &std::path::Path| {
            let mut names: Vec<_> =
                std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&dir.path().join(run.to_string())), ["a@local.1.main1.state", "work"], "{sh}");
        let again = hosts.carry(&first, Launch::Fresh, &mut Kept::default(), &Noted::default()).await;
        assert_eq!(again, JobEnd::Lost(LossCause::FilesGone), "{sh}: it ran once, and that is all we know");
        hosts.clear(run, &here).await;
        assert_eq!(names(dir.path()), [format!("{run}.ended")], "{sh}");
        let late = job(run, &here, "b", "echo ran");
        let end = hosts.carry(&late, Launch::Fresh, &mut Kept::default(), &Noted::default()).await;
        let over = "the run is over on this host: its files were removed";
        assert_eq!(end, JobEnd::Refused(Refusal::Refused(over.to_owned())), "{sh}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_started_only_on_the_same_boot() {
    use piton_core::run::BootId;
    use piton_core::time::Timestamp;
    let dir = tempfile::tempdir().unwrap();
    let hosts = Arc::new(hosts("sh", dir.path()));
    let here = host("local");
    let boot = BootId(std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim().to_owned());
    let other = BootId("another".to_owned());
    let now = Timestamp(1_000_000_000_000);
    let hour_ago = Timestamp(now.0 - 3_600_000 * 24 * 3650);
    let cases = [
        (Launch::Maybe { boot: Some(boot.clone()), since: now, now }, None),
        (Launch::Maybe { boot: None, since: now, now }, None),
        (Launch::Maybe { boot: Some(other.clone()), since: now, now }, Some(LossCause::HostRebooted)),
        (Launch::Maybe { boot: None, since: hour_ago, now }, Some(LossCause::HostRebooted)),
        (Launch::Never { boot: Some(boot) }, Some(LossCause::FilesGone)),
        (Launch::Never { boot: None }, Some(LossCause::FilesGone)),
        (Launch::Never { boot: Some(other) }, Some(LossCause::HostRebooted)),
    ];
    for (launch, lost) in cases {
        let job = job(run_id(), &here, "a", "true");
        let end = hosts.carry(&job, launch.clone(), &mut Kept::default(), &Noted::default()).await;
        match lost {
            Some(why) => assert_eq!(end, JobEnd::Lost(why), "{launch:?}"),
            None => assert_eq!(exit_of(&end), 0, "{launch:?}"),
        }
    }
}

#[tokio::test]
async fn what_nobody_came_back_for_is_swept_unless_it_lives_and_is_never_run_again() {
    use piton_core::time::Timestamp;
    for sh in SHELLS {
        let dir = tempfile::tempdir().unwrap();
        let here = host("local");
        let dead = job(run_id(), &here, "a", "echo ran >>\"$PITON_WORK/../../ran\"");
        let alive = job(run_id(), &here, "a", "setsid sh -c 'exec sleep 1000' & kill -9 $PPID; exec sleep 1000");
        let young = job(run_id(), &here, "a", "true");
        let before = hosts(sh, dir.path());
        for job in [&dead, &young] {
            let end = before.carry(job, Launch::Fresh, &mut Kept::default(), &Noted::default()).await;
            assert_eq!(exit_of(&end), 0, "{sh}");
        }
        let (mut kept, begun) = (Kept::default(), Noted::default());
        tokio::select! {
            end = before.carry(&alive, Launch::Fresh, &mut kept, &begun) => panic!("{end:?}"),
            () = until("the job lives without its shell", || begun.started.lock().unwrap().is_some()) => {}
        }
        std::fs::write(dir.path().join("old.ended"), "").unwrap();
        for name in [dead.run.to_string(), alive.run.to_string(), "old.ended".to_owned()] {
            let old =
                std::process::Command::new("touch").args(["-d", "90 days ago"]).arg(dir.path().join(name)).status();
            assert!(old.unwrap().success());
        }
        let after = hosts(sh, dir.path());
        after.ping(&here).await.unwrap();
        let there = |name: &str| dir.path().join(name).exists();
        until("the dead run is swept", || !there(&dead.run.to_string())).await;
        until("the old mark is swept", || !there("old.ended")).await;
        assert!(there(&alive.run.to_string()) && there(&young.run.to_string()), "{sh}");
        let now = Timestamp(1_000_000_000_000);
        let again = Launch::Maybe { boot: None, since: now, now };
        let end = after.carry(&dead, again, &mut Kept::default(), &Noted::default()).await;
        assert_eq!(end, JobEnd::Lost(LossCause::FilesGone), "{sh}");
        assert_eq!(std::fs::read_to_string(dir.path().join("ran")).unwrap(), "ran\n", "{sh}");
        assert_eq!(after.stop(&alive, 0, &Noted::default()).await, Ok(()), "{sh}");
    }
}

/// Carries `count` jobs at once and gives what each printed.
async fn together(hosts: &Hosts, count: usize, script: &str) -> Vec<String> {
    let run = run_id();
    let jobs: Vec<_> = (0..count).map(|n| job(run, &host("local"), &format!("s{n}"), script)).collect();
    let all = jobs.iter().map(|job| async {
        let mut kept = Kept::default();
        let end = hosts.carry(job, Launch::Fresh, &mut kept, &Noted::default()).await;
        assert_eq!(exit_of(&end), 0);
        kept.out()
    });
    futures_util::future::join_all(all).await
}

#[tokio::test]
async fn many_short_jobs_at_once_share_a_few_shells() {
    let dir = tempfile::tempdir().unwrap();
    let base = Some(dir.path().to_str().unwrap().to_owned());
    // Nobody gives up waiting for a shell, however slow this machine is today.
    let patience = std::time::Duration::from_secs(600);
    let hosts = Hosts::new(BTreeMap::new(), Options { base, patience, ..Options::default() });
    let mut shells = together(&hosts, 60, "echo $PPID").await;
    shells.sort();
    shells.dedup();
    let cores = std::thread::available_parallelism().unwrap().get();
    assert!(shells.len() <= (cores * 2).max(4), "{} shells", shells.len());
}

#[tokio::test]
async fn jobs_that_wait_for_each_other_all_run_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let all = ": >\"$PITON_TASK\"; while set -- s*; [ $# -lt 40 ]; do sleep 0.1; done; echo $#";
    let met = together(&hosts("sh", dir.path()), 40, all).await;
    assert_eq!(met, vec!["40\n".to_owned(); 40]);
}
