//! Jobs as another user, through a real sudo.

use std::collections::BTreeMap;
use std::path::Path;

use crate::common::{Kept, Noted, exit_of, host, job, run_id, until};
use piton_core::run::Refusal;
use piton_runner::transport::{JobEnd, Launch, Transport as _};
use piton_ssh::{Hosts, Options};

fn hosts(sh: &str, base: &Path) -> Hosts {
    let base = Some(base.to_str().unwrap().to_owned());
    Hosts::new(BTreeMap::new(), Options { sh: sh.to_owned(), base, ..Options::default() })
}

#[tokio::test]
async fn a_job_becomes_the_user_with_its_values_work_and_outputs() {
    for sh in ["dash", "bash --posix", "busybox sh", "ksh", "mksh"] {
        for user in ["nobody", "root"] {
            let dir = tempfile::tempdir().unwrap();
            let hosts = hosts(sh, dir.path());
            let run = run_id();
            let script = "id -un; printf '%s.' \"$value\"; echo x >\"$PITON_WORK/file\" && cat file; cat; \
                          echo a=1 >>\"$PITON_OUTPUT\"; tr '\\0' '\\n' </proc/$PPID/cmdline | grep -c secret; exit 6";
            let mut job = job(run, &host("local"), "a", script);
            job.env = vec![("value".to_owned(), "it's\n$(secret) \\ \u{1F600}".to_owned())];
            // Names that the scripts themselves use.
            job.env.extend(["shell", "script", "own", "env", "line"].map(|name| (name.to_owned(), "/none".to_owned())));
            job.become_user = Some(user.to_owned());
            let mut kept = Kept::default();
            let end = hosts.carry(&job, Launch::Fresh, &mut kept, &Noted::default()).await;
            let JobEnd::Exited { exit, outputs, boot: _ } = end else { panic!("{sh} {user}: {end:?}") };
            assert_eq!(exit.0, 6, "{sh} {user}: {}", kept.err());
            assert_eq!(kept.out(), format!("{user}\nit's\n$(secret) \\ \u{1F600}.x\n0\n"), "{sh} {user}");
            assert_eq!(outputs.unwrap(), b"a=1\n", "{sh} {user}");
            hosts.clear(run, &host("local")).await;
            assert!(!Path::new(&format!("/var/tmp/piton-65534/{run}")).exists(), "{sh} {user}");
            assert!(!dir.path().join(run.to_string()).exists(), "{sh} {user}");
        }
    }
}

#[tokio::test]
async fn who_cannot_be_become_is_refused_and_nothing_is_claimed() {
    let dir = tempfile::tempdir().unwrap();
    let hosts = hosts("sh", dir.path());
    let mut job = job(run_id(), &host("local"), "a", "true");
    job.become_user = Some("no-such-user".to_owned());
    let end = hosts.carry(&job, Launch::Fresh, &mut Kept::default(), &Noted::default()).await;
    let JobEnd::Refused(Refusal::Refused(why)) = end else { panic!("{end:?}") };
    assert!(why.contains("no-such-user"), "{why}");
    job.become_user = Some("-x".to_owned());
    let end = hosts.carry(&job, Launch::Fresh, &mut Kept::default(), &Noted::default()).await;
    assert!(matches!(end, JobEnd::Refused(Refusal::Refused(_))), "{end:?}");
    job.become_user = None;
    let end = hosts.carry(&job, Launch::Fresh, &mut Kept::default(), &Noted::default()).await;
    assert_eq!(exit_of(&end), 0);
}

#[tokio::test]
async fn a_stopped_job_of_another_user_leaves_nothing_alive() {
    let dir = tempfile::tempdir().unwrap();
    let hosts = hosts("sh", dir.path());
    let run = run_id();
    let script = "trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 1000; :' & echo up; while :; do sleep 1000; done";
    let mut job = job(run, &host("local"), "a", script);
    job.become_user = Some("nobody".to_owned());
    let (mut kept, noted) = (Kept::default(), Noted::default());
    let (end, stopped) = tokio::join!(hosts.carry(&job, Launch::Fresh, &mut kept, &noted), async {
        until("the job is up", || !noted.printed.lock().unwrap().is_empty()).await;
        hosts.stop(&job, 1, &Noted::default()).await
    });
    assert_eq!(stopped, Ok(()));
    assert_ne!(exit_of(&end), 0);
    let mark = format!("PITON_JOB={run}/");
    for proc in std::fs::read_dir("/proc").unwrap().flatten() {
        let environ = std::fs::read(proc.path().join("environ")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&environ).contains(&mark), "{:?} lives", proc.path());
    }
    hosts.clear(run, &host("local")).await;
}
