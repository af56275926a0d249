//! What happens to a run when the process that drives it goes away, in every way in which it can.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command};

use piton_tests::cli::Place;

const PITON: &str = env!("CARGO_BIN_EXE_piton-under-test");

/// Waits for a file, and writes down each time that it begins.
const WAIT: &str = r#"runbook: wait
params:
  dir: { type: path }
steps:
  - id: wait
    run: |
      echo begun >> "$dir/begun"
      while ! test -e "$dir/go"; do sleep 0.1; done
      echo over
"#;

struct Waiting {
    place: Place,
    child: Child,
    id: String,
}

/// A run whose job has begun.
fn waiting(arguments: &[&str]) -> Waiting {
    let place = Place::with_runbook(PITON, "wait", WAIT);
    let dir = format!("dir={}", place.outside("").display());
    let mut child = place.start(&[&["run", "wait", &dir], arguments].concat());
    let mut id = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut id).unwrap();
    place.wait_for_file(&place.outside("begun"));
    Waiting { place, child, id: id.trim().to_owned() }
}

impl Waiting {
    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Lets the job end, and says how often it had begun.
    fn go(&self) -> usize {
        std::fs::write(self.place.outside("go"), "").unwrap();
        std::fs::read_to_string(self.place.outside("begun")).unwrap().lines().count()
    }

    fn end(mut self) -> (i32, String, Place) {
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        let mut err = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (code, err, self.place)
    }
}

#[test]
fn a_killed_engine_loses_nothing_and_repeats_nothing() {
    let waiting = waiting(&[]);
    waiting.signal("-KILL");
    let id = waiting.id.clone();
    let child = waiting.place.start(&["resume", "--latest"]);
    assert_eq!(waiting.go(), 1);
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), id);
    assert!(err.contains("took the run over"), "{err}");
    assert_eq!(waiting.go(), 1, "it began once");
    let (_, _, place) = waiting.end();
    assert_eq!(place.piton(&["logs", "latest"]).out, "over\n");
    assert_eq!(place.piton(&["verify", "latest"]).code, 0);
}

#[test]
fn a_terminated_engine_hands_its_run_to_one_in_the_background() {
    for signal in ["-TERM", "-HUP", "-INT"] {
        let waiting = waiting(&[]);
        waiting.signal(signal);
        let id = waiting.id.clone();
        let place = waiting.place.project();
        let place_state = waiting.place.state();
        assert!(place.exists() && place_state.exists());
        let held = waiting.place.wait(&["ls", "--json"], |out| {
            out.contains("\"state\":\"running\"") && !out.contains(&format!(":{}:", waiting.child.id()))
        });
        assert!(held.contains(&id), "{held}");
        assert_eq!(waiting.go(), 1);
        let (code, err, place) = waiting.end();
        assert_eq!(code, 130, "{signal}: {err}");
        assert!(err.contains("The run goes on in the background"), "{err}");
        assert_eq!(place.piton(&["watch", &id]).code, 0);
        let begun = std::fs::read_to_string(place.outside("begun")).unwrap();
        assert_eq!(begun, "begun\n", "{signal}: it began once");
    }
}

#[test]
fn a_detached_run_goes_on_and_can_be_watched_and_cancelled() {
    let waiting = waiting(&["--detach"]);
    let id = waiting.id.clone();
    let watching = waiting.place.start(&["watch", &id]);
    let ran = waiting.place.piton(&["cancel", &id, "--why", "enough"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let output = watching.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(6), "{}", String::from_utf8_lossy(&output.stderr));
    let (code, err, _) = waiting.end();
    assert_eq!(code, 0, "{err}");
}

#[test]
fn a_run_that_another_engine_drives_is_only_watched() {
    let waiting = waiting(&[]);
    let mut resuming = waiting.place.start(&["resume", &waiting.id]);
    let mut err = BufReader::new(resuming.stderr.take().unwrap());
    let mut line = String::new();
    err.read_line(&mut line).unwrap();
    assert!(line.starts_with("Engine ") && line.contains("is it alive?"), "{line}");
    assert_eq!(waiting.go(), 1);
    assert_eq!(resuming.wait().unwrap().code(), Some(0));
    assert_eq!(waiting.end().0, 0);
}

#[test]
fn the_next_run_takes_up_what_a_crash_left_behind() {
    let waiting = waiting(&[]);
    waiting.signal("-KILL");
    let id = waiting.id.clone();
    assert_eq!(waiting.go(), 1);
    let (_, _, place) = waiting.end();
    place.write("runbooks/ok.yaml", "runbook: ok\nsteps:\n  - id: a\n    run: 'true'\n");
    place.wait(&["ls", "--json"], |out| out.contains("\"state\":\"adrift\""));
    let ran = place.piton(&["run", "ok"]);
    assert!(ran.code == 0 && ran.err.contains("taken up in the background: "), "{}", ran.err);
    place.wait(&["ls", "--json", "--runbook", "wait"], |out| out.contains("\"state\":\"succeeded\""));
    assert_eq!(place.piton(&["show", &id]).code, 0);
}

#[test]
fn a_reader_that_goes_away_stops_nothing() {
    let place = Place::with_runbook(PITON, "ok", "runbook: ok\nsteps:\n  - id: a\n    run: seq 100000\n");
    let mut child = place.start(&["run", "ok"]);
    drop(child.stdout.take());
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    for arguments in [&["ls", "--all"][..], &["logs", "latest"], &["show", "latest", "--events", "--json"]] {
        let mut child = place.start(arguments);
        drop(child.stdout.take());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""), "{arguments:?}");
    }
}
