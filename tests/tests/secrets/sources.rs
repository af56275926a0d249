//! Where secrets come from, and what becomes of a run without them.

use super::*;

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
    nowhere(&Ran::of(second), &old);
    let third = place.start(&["resume", "--latest"]);
    let_go(&go);
    let third = Ran::of(third);
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
    let place = Place::with_runbook(
        PITON,
        "r",
        "runbook: r\nparams: { token: { type: secret }, other: { type: string, default: x } }\nsteps: [{ id: a, run: 'echo $token' }]\n",
    );
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
