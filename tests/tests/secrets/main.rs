//! Secrets, with a real sshd: whatever a script does with one, it is in no file, on no screen and in no list of processes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod sources;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use piton_testkit::sshd::Sshd;
use piton_tests::cli::{Place, Ran};
use piton_tests::lab::wait_for;

const PITON: &str = env!("CARGO_BIN_EXE_piton-under-test");

/// A secret that no other test has, and that every way of writing texts has to do something with.
fn secret(test: &str) -> String {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    format!("{test}'{}/\"{nanos}+$x %{:x}", std::process::id(), nanos.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// What must not be found anywhere: the secret, either half of it, and what is the same in every base64 of it.
fn traces(secret: &str) -> Vec<String> {
    let (left, right) = secret.split_at(secret.len() / 2);
    let encoded = |before: &str| {
        let script = format!("printf '%s%s' '{before}' \"$s\" | base64 -w0");
        let out = Command::new("sh").args(["-c", &script]).env("s", secret).output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let text = text.trim_end_matches('=').to_owned();
        text[(before.len() * 8).div_ceil(6)..text.len() - 1].to_owned()
    };
    let mut traces = vec![secret.to_owned(), left.to_owned(), right.to_owned()];
    traces.extend(["", "x", "xy"].map(encoded));
    traces
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// The files below a directory that hold a trace of the secret.
fn leaks(dir: &Path, secret: &str, but: &[PathBuf]) -> Vec<String> {
    let traces = traces(secret);
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() && !but.contains(&path) {
                let bytes = fs::read(&path).unwrap_or_default();
                found.extend(traces.iter().filter(|t| holds(&bytes, t)).map(|t| format!("{}: {t}", path.display())));
            }
        }
    }
    found
}

/// Where the secret stands in the list of processes: in a command line, or in the environment of anything but a job.
fn seen_in_processes(secret: &str) -> Vec<String> {
    let traces = traces(secret);
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        if entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()) {
            let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
            let (line, environ) = (read("cmdline"), read("environ"));
            let is_job = holds(&environ, "PITON_JOB=");
            for trace in &traces {
                if holds(&line, trace) || (!is_job && holds(&environ, trace)) {
                    found.push(format!("{:?}: {}", entry.file_name(), String::from_utf8_lossy(&line)));
                }
            }
        }
    }
    found
}

#[track_caller]
fn nowhere(ran: &Ran, secret: &str) {
    for trace in traces(secret) {
        assert!(!ran.out.contains(&trace) && !ran.err.contains(&trace), "{trace:?} was said: {ran:?}");
    }
}

fn fifo(path: &Path) -> PathBuf {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    path.to_owned()
}

/// Waits for whoever writes into the pipe, as long as the engine lives.
fn hear(fifo: &Path, engine: &mut Child) {
    // Linux's O_NONBLOCK: opening does not wait for a writer (open(2)).
    let mut pipe = fs::OpenOptions::new().read(true).custom_flags(0o4000).open(fifo).unwrap();
    let heard = std::cell::RefCell::new((String::new(), &mut pipe, engine));
    wait_for(&|| format!("nobody wrote into {}", fifo.display()), &|| {
        let (word, pipe, engine) = &mut *heard.borrow_mut();
        if engine.try_wait().unwrap().is_some() {
            let mut why = String::new();
            engine.stderr.take().unwrap().read_to_string(&mut why).unwrap();
            panic!("the engine ended: {why}");
        }
        let _not_yet = pipe.read_to_string(word);
        (word == "here\n").then_some(())
    });
}

/// Lets whoever reads the pipe go on.
fn let_go(fifo: &Path) {
    fs::OpenOptions::new().write(true).open(fifo).unwrap().write_all(b"go\n").unwrap();
}

/// A step that prints its secret in two pieces, and waits in between; then in other forms, and puts it out by name.
fn chatty(place: &Place, hosts: &str) -> (PathBuf, PathBuf) {
    let (here, go) = (fifo(&place.outside("here")), fifo(&place.outside("go")));
    place.write(
        "runbooks/chatty.yaml",
        &format!(
            r#"
runbook: chatty
title: Says what it must not
params:
  token: {{ type: secret }}
  here: {{ type: path, default: {} }}
  gate: {{ type: path, default: {} }}
steps:
  - id: talk
    hosts: {hosts}
    shell: bash
    run: |
      half=$((${{#token}} / 2))
      printf 'begin %s' "${{token:0:half}}"
      echo here >"$here"
      read -r _ <"$gate"
      printf '%s end\n' "${{token:half}}"
      printf %s "$token" | base64
      printf 'x%s' "$token" | base64 -w 20
      printf '%s' "$token" | od -An -tx1 | tr -d ' \n'
      printf '\n%q\n' "$token"
      printf '%s' "$token" >&2
      printf 'plain=%s\n' "$token" >>"$PITON_OUTPUT"
  - id: after
    hosts: {hosts}
    env: {{ RENAMED: "<{{{{ token }}}}>", SEEN: "{{{{ steps.talk.outputs.plain }}}}" }}
    run: |
      [ "$RENAMED" = "<$token>" ] && [ "$SEEN" = '***' ] || exit 1
      printf '%s %s\n' "$RENAMED" "$SEEN"
"#,
            here.display(),
            go.display()
        ),
    );
    (here, go)
}

/// Its output without headings; line breaks are shown as `|`. Of what stands before the secret in base64, `x`, one character
/// and a half are left.
const LOGS: &str = "|begin *** end|***|e?***|***|***|||***";

fn plain(logs: &Ran) -> String {
    let headings = regex::Regex::new("==>.*<==").unwrap();
    let text = headings.replace_all(&logs.out, "").into_owned();
    regex::Regex::new(r"\ne.\*").unwrap().replace(&text, "\ne?*").replace('\n', "|")
}

/// A crash while half of the secret has been printed: neither half is anywhere, then or later.
#[test]
fn a_secret_that_is_printed_in_pieces_is_nowhere_also_after_a_crash_in_between() {
    let sshd = Sshd::start();
    for hosts in ["h", "local"] {
        let place = Place::with_host(PITON, &sshd);
        let secret = secret("pieces");
        let key = place.outside("key");
        fs::write(&key, format!("{secret}\n")).unwrap();
        let (here, go) = chatty(&place, hosts);
        let source = format!("token=file:{}", key.display());
        let mut engine = place.start(&["run", "chatty", "--secret", &source]);
        hear(&here, &mut engine);
        // What came before the secret is there at once, of the secret nothing is.
        let logs = place.wait(&["logs", "latest", "talk"], |out| out.contains("begin"));
        assert_eq!(logs.trim_end(), "begin");
        assert_eq!(seen_in_processes(&secret), [""; 0]);
        assert_eq!(leaks(&place.state(), &secret, &[]), [""; 0]);
        engine.kill().unwrap();
        let first = Ran::of(engine);
        nowhere(&first, &secret);
        assert_eq!(leaks(&place.state(), &secret, &[]), [""; 0]);

        let second = place.start(&["resume", "--latest"]);
        let_go(&go);
        let second = Ran::of(second);
        assert_eq!(second.code, 0, "{second:?}");
        nowhere(&second, &secret);
        let logs = place.piton(&["logs", "latest", "talk"]);
        nowhere(&logs, &secret);
        assert_eq!(plain(&logs), LOGS);
        for words in [
            &["show", "latest", "--json"][..],
            &["show", "latest", "--events", "--json"],
            &["show", "latest"],
            &["why", "latest", "talk[h]"],
            &["logs", "latest"],
        ] {
            let ran = place.piton(words);
            nowhere(&ran, &secret);
        }
        assert!(place.piton(&["show", "latest", "--json"]).out.contains(r#""plain":"***""#));
        assert_eq!(place.piton(&["verify", "latest"]).code, 0);
        assert_eq!(seen_in_processes(&secret), [""; 0]);
        assert_eq!(leaks(place.state().parent().unwrap(), &secret, &[key]), [""; 0]);
        assert_eq!(leaks(sshd.dir(), &secret, &[]), [""; 0], "the host keeps nothing");
    }
}

/// Through sudo a secret goes on standard input, and the files of another user go with the job.
#[test]
fn a_job_of_another_user_has_its_secret_and_leaves_none() {
    let sshd = Sshd::start();
    let place = Place::with_host(PITON, &sshd);
    let secret = secret("become");
    let key = place.outside("key");
    fs::write(&key, &secret).unwrap();
    place.write(
        "runbooks/r.yaml",
        "runbook: r\nparams: { token: { type: secret } }\nsteps:\n  - id: a\n    hosts: h\n    become: nobody\n    run: |\n      echo \"$(id -un) has $token\"\n      tr '\\0' '\\n' </proc/$PPID/cmdline | grep -c \"^$token\" >&2\n      echo \"out=$token\" >>\"$PITON_OUTPUT\"\n",
    );
    let ran = place.piton(&["run", "r", "--secret", &format!("token=file:{}", key.display())]);
    assert_eq!(ran.code, 0, "{ran:?}");
    nowhere(&ran, &secret);
    let logs = place.piton(&["logs", "latest", "a"]);
    // Its parent's command line has none: the 0 is what grep counted.
    assert!(logs.out.contains("nobody has ***\n") && logs.out.ends_with("\n0\n"), "{logs:?}");
    let shown = place.piton(&["--json", "show", "latest"]);
    assert!(shown.out.contains(r#""out":"***""#), "{shown:?}");
    assert_eq!(leaks(place.state().parent().unwrap(), &secret, &[key]), [""; 0]);
    for dir in [sshd.dir(), Path::new("/var/tmp/piton-65534"), Path::new("/dev/shm/piton-65534")] {
        assert_eq!(leaks(dir, &secret, &[]), [""; 0]);
    }
}

/// In a test of a runbook nothing is fetched: each secret is a stand-in.
#[test]
fn a_test_of_a_runbook_has_stand_ins_for_secrets() {
    let place = Place::new(PITON);
    place.write(
        "runbooks/r.yaml",
        "runbook: r\nparams: { token: { type: secret, from: \"env:NOT_SET_ANYWHERE\" } }\nsteps:\n  - id: a\n    run: login \"$token\"\n",
    );
    place.write(
        "runbooks/r.test.yaml",
        "test: r\ntests:\n  - name: it logs in\n    answers:\n      - { step: a, stdout: \"in as simulated-token\" }\n    expect: { outcome: succeeded }\n",
    );
    let ran = place.piton(&["test", "r"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}
