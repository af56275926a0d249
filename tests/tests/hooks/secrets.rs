//! Secrets that hooks come by.

use super::*;

/// The files below a directory that hold a text.
fn holding(dir: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if fs::read(&path).unwrap_or_default().windows(text.len()).any(|w| w == text.as_bytes()) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

/// Whatever a hook does with a secret that a host prints, it is masked: in what the hook is told, in what it logs, puts out,
/// tells people and fails with, in the journal and in the output files.
#[test]
fn a_secret_that_a_hook_comes_by_is_nowhere() {
    let sshd = Sshd::start();
    let secret = format!("s3cret-of-hooks-{}", std::process::id());
    for hosts in ["h", "local"] {
        let place = Place::with_host(PITON, &sshd);
        let told = place.outside("told");
        place.write("piton.toml", &format!("[project]\nnotify = [\"tee\", \"-a\", \"{}\"]\n", told.display()));
        place.write(
            "runbooks/leaky.yaml",
            &format!(
                r#"
runbook: leaky
title: Says what it must not
params:
  token: {{ type: secret, from: "env:TOKEN" }}
steps:
  - id: talk
    hosts: {hosts}
    hook: |
      let seen = host.run("printf %s \"$token\"; printf 'kept=%s\\n' \"$token\" >> \"$PITON_OUTPUT\"");
      log("the token is " + seen.out);
      log(seen.out.sub_string(0, 9));
      notify("the token is " + seen.out);
      set_output("token", seen.out);
      set_output("kept", seen.outputs.kept);
      host.run("printf %s \"$token\" | base64 -w0").out;
      let why = "";
      try {{ host.run("echo \"$token\" >&2; echo \"$token\"; exit 3"); }} catch (e) {{ why = e; }}
      set_output("why", why);
      set_output("same", host.run("[ \"$1\" = \"$token\" ] || echo other", #{{ GIVEN: seen.out }}).out);
      fail("it was " + seen.out);
"#
            ),
        );
        let command = |words: &[&str]| {
            let output = place.command(words).env("TOKEN", &secret).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap() + std::str::from_utf8(&output.stderr).unwrap();
            (output.status.code(), text)
        };
        let (code, text) = command(&["run", "leaky"]);
        assert_eq!(code, Some(5), "{hosts}: {text}");
        assert!(!text.contains(&secret), "{hosts}: {text}");
        for words in [
            &["show", "latest", "--events"][..],
            &["--json", "show", "latest", "--events"],
            &["--json", "show", "latest"],
            &["logs", "latest", "talk"],
            &["logs", "latest", "talk", "--part", "call"],
            &["why", "latest", "talk"],
            &["report", "latest"],
            &["--json", "report", "latest"],
        ] {
            let (_code, text) = command(words);
            assert!(!text.contains(&secret) && !text.contains("s3cret-of"), "{hosts}: {words:?}: {text}");
        }
        let logs = place.piton(&["logs", "latest", "talk", "--raw"]);
        let said = logs.out.split("main1 stdout <==\n").last().unwrap();
        assert_eq!(said, "the token is ***\n***\n", "{hosts}: {}", logs.out);
        wait_for(&|| "nobody is told".to_owned(), &|| (lines(&told) == ["the token is ***"]).then_some(()));
        // Half of it is no accident either.
        assert_eq!(holding(&place.state(), "s3cret-of"), Vec::<String>::new(), "{hosts}");
        let base64 = String::from_utf8(
            Command::new("sh").args(["-c", &format!("printf %s '{secret}' | base64 -w0")]).output().unwrap().stdout,
        );
        assert_eq!(holding(&place.state(), &base64.unwrap()[..20]), Vec::<String>::new(), "{hosts}");
    }
}

/// A hook that puts a secret together of pieces, which nobody can know: the whole is masked wherever it would be kept or shown.
#[test]
fn a_secret_that_a_hook_puts_together_is_nowhere() {
    let secret = format!("left-{}-and-right-{}", std::process::id(), std::process::id());
    let place = Place::new(PITON);
    let told = place.outside("told");
    place.write("piton.toml", &format!("[project]\nnotify = [\"tee\", \"-a\", \"{}\"]\n", told.display()));
    place.write(
        "runbooks/pieces.yaml",
        r#"
runbook: pieces
title: Puts a secret together
params:
  token: { type: secret, from: "env:TOKEN" }
steps:
  - id: talk
    hosts: local
    hook: |
      let left = host.run("printf %s \"${token%%-and-*}\"").out;
      let right = host.run("printf %s \"${token#*-and-}\"").out;
      let whole = left + "-and-" + right;
      log("it is " + whole);
      notify("it is " + whole);
      host.exec(["true", whole]);
      set_output("whole", whole);
      set_output("inside", [#{ deep: whole }]);
  - id: fails
    hosts: local
    hook: |
      let left = host.run("printf %s \"${token%%-and-*}\"").out;
      let right = host.run("printf %s \"${token#*-and-}\"").out;
      fail("it is " + left + "-and-" + right);
"#,
    );
    let output = place.command(&["run", "pieces"]).env("TOKEN", &secret).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + std::str::from_utf8(&output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{text}");
    assert!(text.contains("it is ***") && !text.contains(&secret), "{text}");
    for words in [&["show", "latest", "--events"][..], &["--json", "show", "latest", "--events"], &["logs", "latest"]] {
        let ran = place.piton(words);
        assert!(ran.out.contains("***") && !ran.out.contains(&secret), "{words:?}: {}", ran.out);
    }
    wait_for(&|| "nobody is told".to_owned(), &|| (lines(&told) == ["it is ***"]).then_some(()));
    assert_eq!(holding(&place.state(), &secret), Vec::<String>::new());
}
