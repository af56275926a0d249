//! Jobs that have their host start anew, over a real sshd that goes down and comes back with another boot id.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use crate::common::{Kept, Noted, exit_of, host, job, run_id, until};
use piton_core::run::{BootId, LossCause, Refusal};
use piton_runner::transport::{Ends, JobEnd, JobSpec, Launch, Transport as _};
use piton_ssh::{Hosts, Options};
use piton_testkit::sshd::Sshd;

/// A host whose boot id is in a file, and which goes down with all that runs on it.
struct Booted {
    sshd: Sshd,
    boot: std::path::PathBuf,
}

impl Booted {
    fn new() -> Self {
        let sshd = Sshd::start();
        let boot = sshd.path("boot_id");
        std::fs::write(&boot, "first\n").unwrap();
        Self { sshd, boot }
    }

    fn hosts(&self) -> Hosts {
        let base = Some(self.sshd.path("jobs").to_str().unwrap().to_owned());
        let boot_id_path = self.boot.to_str().unwrap().to_owned();
        let control_dir = Some(self.sshd.dir().to_owned());
        let options = Options { control_dir, base, boot_id_path, ..Options::default() };
        Hosts::new(BTreeMap::from([(host("hv1"), self.sshd.host())]), options)
    }

    /// It goes down: first with TERM for what runs on it, then without.
    fn down(&mut self, leader: &str, signals: &[&str]) {
        for signal in signals {
            self.each_of("pkill", leader, &[signal]);
        }
        let serving = self.sshd.serving();
        self.sshd.down();
        for pid in serving {
            let _gone = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
    }

    /// Says something about each process of a job's session; whether there was one.
    fn each_of(&self, program: &str, leader: &str, arguments: &[&str]) -> bool {
        let session = std::fs::read_to_string(self.sshd.path(leader)).unwrap();
        std::process::Command::new(program)
            .args(arguments)
            .args(["-s", session.trim()])
            .output()
            .unwrap()
            .status
            .success()
    }

    /// What a real host's end would have ended is ended.
    async fn nothing_is_left(&self, leader: &str) {
        self.each_of("pkill", leader, &["-KILL"]);
        until("nothing of it runs any more", || !self.each_of("pgrep", leader, &[])).await;
    }

    fn up(&mut self) {
        std::fs::write(&self.boot, "second\n").unwrap();
        self.sshd.up();
    }
}

/// A job that has its host start anew; its session's leader is in a file.
fn reboot(host: &Booted, name: &str, and: &str) -> JobSpec {
    let leader = host.sshd.path(name);
    // As another user it is not the script that leads its session.
    let script = format!(
        "trap 'exit 0' TERM; read -r _ _ _ _ _ session _ </proc/self/stat; echo $session >{}.new; mv {0}.new {0}; {and}; \
         while :; do sleep 1; done",
        leader.display()
    );
    JobSpec { ends: Ends::Reboot, ..job(run_id(), &crate::common::host("hv1"), name, &script) }
}

#[tokio::test]
async fn a_reboot_is_over_when_the_host_answers_anew_and_not_before() {
    // What is left of a job depends on what the host's end does to it first.
    for (name, signals) in [("ended", &["-TERM"][..]), ("killed", &["-KILL"]), ("cut", &[])] {
        let mut host = Booted::new();
        let (hosts, job) = (host.hosts(), reboot(&host, name, ":"));
        let (mut kept, noted) = (Kept::default(), Noted::default());
        let leader = host.sshd.path(name);
        let notices = || noted.notices.lock().unwrap().len();
        let end = tokio::join!(hosts.carry(&job, Launch::Fresh, &mut kept, &noted), async {
            until("it runs", || noted.started.lock().unwrap().is_some() && leader.exists()).await;
            host.down(name, signals);
            until("that is noticed", || notices() > 0).await;
            host.up();
        });
        assert_eq!(end.0, JobEnd::Lost(LossCause::HostRebooted), "{name}");
        assert_eq!(
            *noted.started.lock().unwrap(),
            Some(BootId("first".into())),
            "{name}: what tells later that it was"
        );
        assert_eq!(*noted.launches.lock().unwrap(), 1);
        host.nothing_is_left(name).await;
    }
}

#[tokio::test]
async fn an_engine_that_comes_later_sees_that_the_host_was_started_anew_and_asks_for_nothing() {
    let mut host = Booted::new();
    let job = reboot(&host, "a", ":");
    let noted = Noted::default();
    let leader = host.sshd.path("a");
    {
        let (hosts, mut kept) = (host.hosts(), Kept::default());
        tokio::select! {
            end = hosts.carry(&job, Launch::Fresh, &mut kept, &noted) => panic!("{end:?}"),
            () = until("it runs", || leader.exists()) => {}
        }
    }
    host.down("a", &["-TERM", "-KILL"]);
    // Where jobs are kept may be gone as well: /tmp and /dev/shm are empty after a start.
    for files in ["there", "gone"] {
        if files == "gone" {
            std::fs::remove_dir_all(host.sshd.path("jobs")).unwrap();
        } else {
            host.up();
        }
        let before = std::fs::read_to_string(&leader).unwrap();
        let noted = Noted::default();
        let launch = Launch::Never { boot: Some(BootId("first".into())) };
        let end = host.hosts().carry(&job, launch, &mut Kept::default(), &noted).await;
        assert_eq!(end, JobEnd::Lost(LossCause::HostRebooted), "{files}");
        assert_eq!(*noted.launches.lock().unwrap(), 0, "{files}");
        assert_eq!(std::fs::read_to_string(&leader).unwrap(), before, "{files}: it did not run again");
    }
}

#[tokio::test]
async fn a_host_that_does_not_go_down_is_still_the_same() {
    let host = Booted::new();
    let hosts = host.hosts();
    for (name, script, exit) in [("failed", "exit 3", 3), ("ended", "exit 0", 0)] {
        let mut job = reboot(&host, name, script);
        let noted = Noted::default();
        let mut kept = Kept::default();
        if exit == 0 {
            tokio::select! {
                end = hosts.carry(&job, Launch::Fresh, &mut kept, &noted) => panic!("{end:?}"),
                () = until("it has ended and is waited for", || noted.started.lock().unwrap().is_some()) => {}
            }
            hosts.stop(&job, 0, &noted).await.unwrap();
            job.ends = Ends::RebootByNow;
            let end = hosts.carry(&job, Launch::Never { boot: None }, &mut kept, &noted).await;
            assert_eq!(exit_of(&end), 0);
        } else {
            let end = hosts.carry(&job, Launch::Fresh, &mut kept, &noted).await;
            assert_eq!(exit_of(&end), exit, "{name}");
        }
    }
}

/// As another user: its session is one of sudo's, and its state is kept by whoever logs in.
#[tokio::test]
async fn a_reboot_as_another_user_is_over_when_the_host_answers_anew() {
    for (name, signals) in [("ended", &["-TERM"][..]), ("killed", &["-KILL"]), ("cut", &[])] {
        let mut host = Booted::new();
        // A place that `nobody` can write to.
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(host.sshd.dir(), open).unwrap();
        let mut job = reboot(&host, name, "id -un");
        job.become_user = Some("nobody".to_owned());
        let (hosts, mut kept, noted) = (host.hosts(), Kept::default(), Noted::default());
        let leader = host.sshd.path(name);
        let notices = || noted.notices.lock().unwrap().len();
        let said = || String::from_utf8_lossy(&noted.printed.lock().unwrap()).contains("nobody");
        let end = tokio::join!(hosts.carry(&job, Launch::Fresh, &mut kept, &noted), async {
            until("it runs as nobody", || leader.exists() && said()).await;
            host.down(name, signals);
            until("that is noticed", || notices() > 0).await;
            host.up();
        });
        assert_eq!(end.0, JobEnd::Lost(LossCause::HostRebooted), "{name}");
        assert_eq!(*noted.launches.lock().unwrap(), 1, "{name}: it was asked for once");
        host.nothing_is_left(name).await;
        hosts.clear(job.run, &crate::common::host("hv1")).await;
    }
}

#[tokio::test]
async fn who_cannot_be_become_reboots_nothing() {
    let host = Booted::new();
    let mut job = reboot(&host, "a", ":");
    job.become_user = Some("no-such-user".to_owned());
    let end = host.hosts().carry(&job, Launch::Fresh, &mut Kept::default(), &Noted::default()).await;
    let JobEnd::Refused(Refusal::Refused(why)) = end else { panic!("{end:?}") };
    assert!(why.contains("no-such-user"), "{why}");
    assert!(!host.sshd.path("a").exists(), "nothing of it ran");
}
