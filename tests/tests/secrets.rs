//! Secrets, with a real sshd: whatever a script does with one, it is in no file, on no screen and in no list of processes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

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

fn said(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
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
        let first = said(engine);
        nowhere(&first, &secret);
        assert_eq!(leaks(&place.state(), &secret, &[]), [""; 0]);

        let second = place.start(&["resume", "--latest"]);
        let_go(&go);
        let second = said(second);
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

/// Whoever takes a run over fetches its secrets anew; without them nothing is followed, and nothing is lost.
#[test]
fn a_source_that_is_gone_parks_the_run_and_one_that_is_back_lets_it_go_on() {
    let sshd = Sshd::start();
    let place = Place::with_host(PITON, &sshd);
    let secret = secret("gone");
    let key = place.outside("key");
    fs::write(&key, &secret).unwrap();
    let (here, go) = chatty(&place, "h");
    let mut engine = place.start(&["run", "chatty", "--secret", &format!("token=file:{}", key.display())]);
    hear(&here, &mut engine);
    engine.kill().unwrap();
    engine.wait().unwrap();
    fs::remove_file(&key).unwrap();

    let parked = place.piton(&["resume", "--latest"]);
    assert_eq!(parked.code, 5, "{parked:?}");
    let why = format!("{} cannot be read: No such file or directory", key.display());
    assert!(parked.err.contains("the secret token cannot be had: ") && parked.err.contains(&why), "{parked:?}");
    assert!(parked.err.contains("--secret token=SOURCE"), "{parked:?}");
    let shown = place.piton(&["show", "latest", "--json"]);
    assert!(shown.out.contains(r#""secret":"token""#), "{shown:?}");
    let why = place.piton(&["why", "latest", "after[h]"]);
    assert_eq!(why.code, 0, "{why:?}");

    let_go(&go);
    let elsewhere = place.outside("elsewhere");
    fs::write(&elsewhere, &secret).unwrap();
    let ended = place.piton(&["resume", "--latest", "--secret", &format!("token=file:{}", elsewhere.display())]);
    assert_eq!(ended.code, 0, "{ended:?}");
    nowhere(&ended, &secret);
    assert!(!ended.err.contains("changed"), "{ended:?}");
    let logs = place.piton(&["logs", "latest", "talk"]);
    assert_eq!(plain(&logs), LOGS);
    assert_eq!(leaks(place.state().parent().unwrap(), &secret, &[elsewhere]), [""; 0]);
}

/// The old text is not known any more, so nothing that a job prints which has it can be kept.
#[test]
fn a_secret_that_changed_is_said_and_what_has_the_old_one_is_not_kept() {
    let sshd = Sshd::start();
    let place = Place::with_host(PITON, &sshd);
    let (old, new) = (secret("old"), secret("new"));
    let key = place.outside("key");
    fs::write(&key, &old).unwrap();
    let (here, go) = chatty(&place, "h");
    let mut engine = place.start(&["run", "chatty", "--secret", &format!("token=file:{}", key.display())]);
    hear(&here, &mut engine);
    place.wait(&["logs", "latest", "talk"], |out| out.contains("begin"));
    engine.kill().unwrap();
    engine.wait().unwrap();
    fs::write(&key, &new).unwrap();
    // Two engines later it is still the old one that the job has.
    let mut second = place.start(&["resume", "--latest"]);
    place.wait(&["show", "latest", "--events"], |out| out.contains("`token` changed since this run last had it"));
    second.kill().unwrap();
    nowhere(&said(second), &old);
    let third = place.start(&["resume", "--latest"]);
    let_go(&go);
    let third = said(third);
    // What it put out by name is not taken, so nobody knows whether it did its work.
    assert_eq!(third.code, 5, "{third:?}");
    nowhere(&third, &old);
    nowhere(&third, &new);
    assert!(third.err.contains("a secret has changed since this began"), "{third:?}");
    let logs = place.piton(&["logs", "latest", "talk"]);
    assert!(logs.out.contains("begin") && !logs.out.contains("end"), "{logs:?}");
    let all = format!("{}{}", logs.out, logs.err);
    assert!(all.contains("from here on nothing is kept"), "{all}");
    let base = place.state().parent().unwrap().to_owned();
    assert_eq!(leaks(&place.state(), &old, &[]), [""; 0]);
    assert_eq!(leaks(&base, &new, &[key]), [""; 0]);
}

/// An engine in the background has the environment of whoever started it, and nothing else.
#[test]
fn a_run_in_the_background_has_what_is_in_the_environment() {
    let place = Place::new(PITON);
    let secret = secret("background");
    fs::write(place.outside("expected"), &secret).unwrap();
    place.write("runbooks/login.yaml", &format!(
        "runbook: login\nparams: {{ token: {{ type: secret, from: \"env:LOGIN_TOKEN\" }} }}\nsteps:\n  - id: a\n    run: |\n      [ \"$token\" = \"$(cat {})\" ] && echo \"got $token\" \"${{LOGIN_TOKEN-and not by inheritance}}\"\n",
        place.outside("expected").display()
    ));
    let ran = place.command(&["run", "login", "--detach"]).env("LOGIN_TOKEN", &secret).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let logs = place.wait(&["logs", "latest", "a"], |out| out.contains("got"));
    assert_eq!(logs, "got *** and not by inheritance\n");
    place.wait(&["ls", "--all"], |out| out.contains("succeeded"));
    assert_eq!(leaks(&place.state(), &secret, &[]), [""; 0]);

    // What is typed in cannot be left to it.
    let refused = place.piton(&["run", "login", "--detach", "--secret", "token=prompt"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("is to be typed in, which an engine in the background cannot ask for"), "{refused:?}");
}

/// Nothing starts without its secrets, and no message says what was given.
#[test]
fn what_is_no_secret_is_refused_before_anything_starts() {
    let place = Place::new(PITON);
    place.write("runbooks/r.yaml", "runbook: r\nparams: { token: { type: secret }, other: { type: string, default: x } }\nsteps: [{ id: a, run: 'echo $token' }]\n");
    fs::write(place.outside("short"), "pin\n").unwrap();
    fs::write(place.outside("empty"), "\n").unwrap();
    let file = |name: &str| format!("token=file:{}", place.outside(name).display());
    for (words, code, says) in [
        (vec!["run", "r"], 3, "the secret `token` cannot be had: nothing says where it comes from"),
        (vec!["run", "r", "token=hunter2hunter2"], 3, "`token` is a secret: its text is not given like this"),
        (vec!["run", "r", "--secret", "hunter2hunter2"], 2, "is not of the form NAME=SOURCE"),
        (vec!["run", "r", "--secret", "token=hunter2hunter2"], 2, "a secret comes from `env:NAME`"),
        (vec!["run", "r", "--secret", "tokn=env:X"], 3, "did you mean `token`?"),
        (vec!["run", "r", "--secret", "other=env:X"], 3, "the parameter `other` is not a secret"),
        (vec!["run", "r", "--secret", "token=env:NOT_SET"], 3, "the environment variable NOT_SET is not set"),
        (vec!["run", "r", "--secret", &file("short")], 3, "it has fewer than 4 bytes"),
        (vec!["run", "r", "--secret", &file("empty")], 3, "it is empty"),
        (vec!["run", "r", "--secret", "token=cmd:echo hunter2hunter2; exit 3"], 3, "failed (exit status: 3)"),
    ] {
        let ran = place.piton(&words);
        assert_eq!(ran.code, code, "{words:?}: {ran:?}");
        assert!(ran.err.contains(says), "{words:?}: {ran:?}");
        let command = words.iter().any(|word| word.contains("cmd:"));
        assert!(command || !ran.err.contains("hunter2"), "{words:?}: {ran:?}");
    }
    assert_eq!(place.piton(&["--json", "ls", "--all"]).json().len(), 0, "nothing was started");
    assert_eq!(place.piton(&["check"]).code, 0);
    let plan = place.piton(&["plan", "r", "--secret", "token=env:NOT_SET"]);
    assert!(
        plan.out.contains("secrets\n  token from env:NOT_SET\n") && plan.out.contains("   secrets  token\n"),
        "{plan:?}"
    );
}

/// The project may say where secrets come from; a file that is put with one is closed before it has it.
#[test]
fn the_project_names_sources_and_a_file_with_a_secret_is_closed() {
    let sshd = Sshd::start();
    let place = Place::with_host(PITON, &sshd);
    let secret = secret("put");
    place.write("piton.toml", "[secrets]\ntoken = \"cmd:cat key\"\n");
    let key = place.write("key", &secret);
    let target = sshd.path("target");
    place.write("runbooks/r.yaml", &format!(
        "runbook: r\nparams: {{ token: {{ type: secret }} }}\nsteps:\n  - id: p\n    hosts: h\n    put: {{ content: \"a={{{{ token }}}}\\nb\\n\", to: {}, mode: \"0600\", secret: true }}\n  - id: again\n    hosts: h\n    run: 'grep -q b {}'\n",
        target.display(), target.display()
    ));
    let ran = place.piton(&["run", "r"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(fs::read_to_string(&target).unwrap(), format!("a={secret}\nb\n"));
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
    let events = place.piton(&["--json", "show", "latest", "--events"]);
    // The digest is that of the text with the secret hidden, which tells nothing of the secret.
    let digest = piton_core::digest::Digest::of(b"a=***\nb\n");
    assert!(events.out.contains(&digest.to_string()), "{events:?}");
    assert_eq!(leaks(place.state().parent().unwrap(), &secret, &[key]), [""; 0]);
    assert_eq!(leaks(sshd.dir(), &secret, &[target]), [""; 0]);

    place.write("piton.toml", "[secrets]\ntoken = \"hunter2hunter2\"\n");
    let faulty = place.piton(&["check"]);
    assert_eq!(faulty.code, 3, "{faulty:?}");
    assert!(faulty.err.contains("the secret `token`: a secret comes from"), "{faulty:?}");
}

/// What is typed in is not shown, and reaches the script.
#[test]
fn a_secret_is_typed_in_without_being_shown() {
    let place = Place::new(PITON);
    let secret = "typed-in-and-not-shown";
    place.write(
        "runbooks/r.yaml",
        "runbook: r\nparams: { token: { type: secret } }\nsteps: [{ id: a, run: 'echo got $token ${#token}' }]\n",
    );
    let command = place.command(&["run", "r"]);
    let program = command.get_program().to_owned();
    // script(1) gives it a terminal of its own.
    let mut terminal = Command::new("script")
        .args(["-qec", &format!("{} run r", program.to_str().unwrap()), "/dev/null"])
        .current_dir(place.project())
        .env_clear()
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keys = terminal.stdin.take().unwrap();
    let mut screen = terminal.stdout.take().unwrap();
    let mut shown = Vec::new();
    let mut byte = [0];
    while !holds(&shown, "token (not shown): ") {
        assert_eq!(screen.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&shown));
        shown.push(byte[0]);
    }
    // With a slip of the finger that is taken back.
    keys.write_all(format!("{secret}X\u{7f}\r").as_bytes()).unwrap();
    screen.read_to_end(&mut shown).unwrap();
    let shown = String::from_utf8_lossy(&shown).into_owned();
    assert!(terminal.wait().unwrap().success(), "{shown}");
    assert!(!shown.contains("typed-in"), "{shown}");
    let logs = place.piton(&["logs", "latest", "a"]);
    assert_eq!(logs.out, format!("got *** {}\n", secret.len()));
    assert_eq!(leaks(&place.state(), secret, &[]), [""; 0]);
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
