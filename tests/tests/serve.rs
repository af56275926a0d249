//! `piton serve` as a process: started twice, killed, stopped, and given faulty documents.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use piton_tests::cli::Place;
use piton_tests::lab::wait_for;
use serde_json::{Value, json};

const PITON: &str = env!("CARGO_BIN_EXE_piton-under-test");

const EACH_SECOND: &str = "zone: UTC
windows: { always: { cron: '* * * * * *', duration: 1h } }
schedules: { tick: { window: always, runbook: tick, missed: each } }
";

/// A service whose process goes with the test.
struct Service {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Service {
    fn start(place: &Place, name: &str) -> Self {
        let (out, err) = (place.outside(&format!("{name}.out")), place.outside(&format!("{name}.err")));
        let child = place
            .command(&["serve", "--json"])
            .stdout(Stdio::from(File::create(&out).unwrap()))
            .stderr(Stdio::from(File::create(&err).unwrap()))
            .spawn()
            .unwrap();
        Self { child, out, err }
    }

    fn told(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.out).unwrap();
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.err).unwrap()
    }

    /// The starts that this process made.
    fn started(&self) -> Vec<String> {
        let told = self.told();
        told.iter().filter(|line| line["told"] == "started").map(|line| line["start"].to_string()).collect()
    }

    fn wait(&self, wanted: impl Fn(&Self) -> bool) {
        wait_for(&|| format!("the service said {:?}\n{}", self.told(), self.log()), &|| wanted(self).then_some(()));
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Asks it to end, and waits for that.
    fn stop(mut self) -> i32 {
        self.signal("-TERM");
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn ticking() -> Place {
    let place = Place::with_runbook(PITON, "tick", "runbook: tick\nsteps: [{ id: tick, exec: ['true'] }]\n");
    place.write("windows/w.yaml", EACH_SECOND);
    place
}

fn runs(place: &Place) -> Vec<Value> {
    place.piton(&["ls", "--all", "--json"]).json()
}

#[test]
fn two_services_make_each_start_once_and_drive_it() {
    let place = ticking();
    let (one, two) = (Service::start(&place, "one"), Service::start(&place, "two"));
    one.wait(|one| one.started().len() + two.started().len() >= 6);
    assert_eq!((one.log().matches("error").count(), two.log().matches("error").count()), (0, 0), "{}", one.log());
    let (first, second) = (one.started(), two.started());
    let ids: BTreeSet<String> = [one.told(), two.told()]
        .concat()
        .iter()
        .filter(|line| line["told"] == "started")
        .map(|line| line["run"].to_string())
        .collect();
    assert_eq!(two.stop(), 0);
    // What the one that ended had begun, the other one finishes.
    wait_for(&|| format!("{:?}", runs(&place)), &|| {
        let over: BTreeSet<String> = runs(&place)
            .iter()
            .filter(|run| run["state"] == "succeeded" && run["by"] == "schedule tick")
            .map(|run| run["run"].to_string())
            .collect();
        ids.is_subset(&over).then_some(())
    });
    let both: BTreeSet<&String> = first.iter().chain(&second).collect();
    assert_eq!(both.len(), first.len() + second.len(), "a start was made by both: {first:?} {second:?}");
    assert_eq!(one.stop(), 0);
}

#[test]
fn a_faulty_version_is_told_and_the_old_one_stays_in_force() {
    let place = ticking();
    let service = Service::start(&place, "service");
    service.wait(|service| !service.started().is_empty());
    place.write("windows/w.yaml", &EACH_SECOND.replace("UTC", "Mars/Olympus"));
    service.wait(|service| service.log().contains("the windows are faulty: those before stay in force"));
    assert!(service.log().contains("there is no time zone `Mars/Olympus`"), "{}", service.log());
    let before = service.started().len();
    service.wait(|service| service.started().len() > before + 1);
    // A good version is in force without anybody saying so to the process.
    place.write("windows/w.yaml", "zone: UTC\nwindows: { yearly: { cron: 0 0 1 1 *, duration: 1h } }\n");
    service.wait(|service| service.told().iter().filter(|line| line["told"] == "in_force").count() == 2);
    let told = service.told();
    assert_eq!(told.last().unwrap(), &json!({ "told": "in_force", "windows": 1, "schedules": 0 }));
    assert_eq!(service.stop(), 0);
}

/// Killed with a job under way: the next one goes on with it. The start was due while nobody was there.
#[test]
fn a_killed_service_loses_nothing_and_repeats_nothing() {
    let script = "runbook: wait\nparams: { dir: { type: path } }\nsteps:\n  - id: wait\n    run: |\n      echo begun >> \"$dir/begun\"\n      while ! test -e \"$dir/go\"; do sleep 0.1; done\n";
    let place = Place::with_runbook(PITON, "wait", script);
    let dir = place.outside("");
    // It opened a minute ago; the mark says that a service was there an hour ago, and since then nobody was.
    let now = jiff::Timestamp::now();
    let opened = (now - jiff::SignedDuration::from_mins(1)).strftime("%S %M %H %d %m *").to_string();
    place.write(
        "windows/w.yaml",
        &format!("zone: UTC\nwindows: {{ w: {{ cron: '{opened}', duration: 1h }} }}\nschedules: {{ s: {{ window: w, runbook: wait, params: {{ dir: {} }} }} }}\n", dir.display()),
    );
    let project = place.project().canonicalize().unwrap();
    let decided = now.as_millisecond() - 3_600_000;
    let marks = json!({ project.to_str().unwrap(): { "s": { "decided": decided, "rule": format!("UTC {opened}") } } });
    fs::write(place.state().join("schedules.json"), marks.to_string()).unwrap();

    let first = Service::start(&place, "first");
    place.wait_for_file(&place.outside("begun"));
    first.signal("-KILL");
    drop(first);
    let second = Service::start(&place, "second");
    second.wait(|second| !second.told().is_empty());
    fs::write(place.outside("go"), "").unwrap();
    wait_for(&|| format!("{:?} {}", runs(&place), second.log()), &|| {
        runs(&place).iter().any(|run| run["state"] == "succeeded").then_some(())
    });
    assert_eq!(runs(&place).len(), 1);
    assert_eq!(fs::read_to_string(place.outside("begun")).unwrap().lines().count(), 1, "the job ran once");
    assert!(second.started().is_empty(), "{:?}", second.told());
    // A third one has nothing to do either.
    assert_eq!(second.stop(), 0);
    let third = Service::start(&place, "third");
    third.wait(|third| third.told().iter().any(|line| line["told"] == "in_force"));
    assert_eq!(third.stop(), 0);
    assert_eq!(runs(&place).len(), 1);
}

#[test]
fn a_schedule_that_cannot_be_started_is_told_and_keeps_no_other_from_being_started() {
    let place = ticking();
    place.write("windows/more.yaml", "schedules: { broken: { window: always, runbook: tick, params: { x: 1 } } }\n");
    let service = Service::start(&place, "service");
    service.wait(|service| {
        let told = service.told();
        let has =
            |word: &str, schedule: &str| told.iter().any(|line| line["told"] == word && line["schedule"] == schedule);
        has("cannot", "broken") && has("started", "tick")
    });
    assert!(service.log().contains("has no parameter `x`"), "{}", service.log());
    assert_eq!(service.stop(), 0);
}
