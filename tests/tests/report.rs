//! `piton report`: what it tells, in every form; that nothing a host printed becomes more than text; that it is bounded.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use insta::assert_snapshot;
use piton_tests::cli::Place;
use serde_json::Value;

const PITON: &str = env!("CARGO_BIN_EXE_piton-under-test");

/// `lost` kills itself and what waits for it, the first time; `gate` fails until a file is there.
const STORY: &str = r#"runbook: story
title: A <long> night | with pipes
params:
  dir: { type: path }
steps:
  - id: first
    title: Look round
    run: |
      echo "<script>alert('first')</script> & more"
      printf 'red \033[31m ``` \001 \357\277\277\n' >&2
      echo "version=1 <2>" >> "$PITON_OUTPUT"
    undo: echo "first taken back"
  - id: lost
    run: |
      if ! [ -e "$dir/once" ]; then touch "$dir/once"; kill -9 $PPID $$; fi
      echo again
  - id: gate
    verify: { run: 'test -e "$dir/open"' }
    run: echo "at the gate"
"#;

fn place() -> Place {
    Place::with_runbook(PITON, "story", STORY)
}

/// The run as far as the step whose outcome nobody knows.
fn unknown(place: &Place) {
    let dir = place.outside("story");
    std::fs::create_dir(&dir).unwrap();
    let ran = place.piton(&["run", "story", &format!("dir={}", dir.display())]);
    assert_eq!(ran.code, 5, "{}", ran.err);
}

/// The run as far as the gate, which is closed: an unknown outcome was settled by a person.
fn parked(place: &Place) {
    unknown(place);
    let said = place.piton(&["retry", "latest", "lost", "--why", "looked: it <had> not happened"]);
    assert_eq!(said.code, 0, "{}", said.err);
    place.wait(&["--json", "ls"], |out| {
        let run: Value = serde_json::from_str(out).unwrap();
        run["state"] == "parked" && run["owner"].is_null()
    });
}

fn undone(place: &Place) {
    parked(place);
    let said = place.piton(&["undo", "latest", "--why", "the gate stays closed"]);
    assert_eq!(said.code, 0, "{}", said.err);
    place.wait(&["--json", "ls"], |out| serde_json::from_str::<Value>(out).unwrap()["state"] == "undone");
}

#[test]
fn somebody_who_was_not_there_can_read_what_happened() {
    let place = place();
    undone(&place);
    let told = place.piton(&["report", "latest"]);
    assert_eq!((told.code, told.err.as_str()), (0, ""));
    let (story, plan) = told.out.split_once("## The plan").unwrap();
    assert!(plan.contains("at the gate") && plan.contains("way back  first"), "{plan}");
    // When an engine takes a run over depends on how soon the one before it let it go.
    let facts = regex::Regex::new(r"\d+ facts").unwrap();
    let steady = facts.replace(&place.steady(story), "N facts").into_owned();
    let lines: Vec<&str> = steady.lines().filter(|line| !line.contains("engine")).collect();
    assert_snapshot!(lines.join("\n"), @r"
    # story: A \<long\> night \| with pipes

    ann@MACHINE asked for story at DATE. The run was undone after SPAN: 2 succeeded, 1 parked. People stepped in 2 times.

    | | |
    | --- | --- |
    | run | `RUN` |
    | state | **undone** |
    | asked for by | ann@MACHINE |
    | began | DATE |
    | ended | DATE, after SPAN |
    | times are in | UTC |
    | plan | `DIGEST` |
    | journal | N facts, unchanged since they were written (`DIGEST`) |
    | param `dir` | HERE/story |

    ## What went wrong

    - **lost\[local\]**, now succeeded
      - main 1 is lost: it began, its process is gone, and it left no exit status
    - **gate\[local\]**, now parked: its \`verify\` did not pass in time: it exited with status 1
      - failed: its \`verify\` did not pass in time: it exited with status 1

    ## Unknown outcomes

    - DATE **lost\[local\]**: it began, its process is gone, and it left no exit status
      - waits for a decision: outcome unknown: it began, its process is gone, and it left no exit status
      - ann@MACHINE says retry lost\[local\] (looked: it \<had\> not happened)
      - succeeded in SPAN

    ## What people said

    | when | who | what | why |
    | --- | --- | --- | --- |
    | DATE | ann@MACHINE | retry lost\[local\] | looked: it \<had\> not happened |
    | DATE | ann@MACHINE | undo | the gate stays closed |

    ## Tasks

    | task | state | tries | began | took | |
    | --- | --- | --- | --- | --- | --- |
    | first\[local\] | succeeded | 1 | TIME | SPAN | taken back |
    | lost\[local\] | succeeded | 2 | TIME | SPAN |  |
    | gate\[local\] | parked | 1 | TIME |  | its \`verify\` did not pass in time: it exited with status 1 |

    ## Timeline

    | time | task | |
    | --- | --- | --- |
    | DATE |  | ann@MACHINE asked for story |
    | DATE | first\[local\] | started |
    | DATE | first\[local\] | succeeded in SPAN |
    | DATE | lost\[local\] | started |
    | DATE | lost\[local\] | main 1 is lost: it began, its process is gone, and it left no exit status |
    | DATE | lost\[local\] | waits for a decision: outcome unknown: it began, its process is gone, and it left no exit status |
    | DATE |  | ann@MACHINE says retry lost\[local\] (looked: it \<had\> not happened) |
    | DATE | lost\[local\] | started, attempt 2 |
    | DATE | lost\[local\] | succeeded in SPAN |
    | DATE | gate\[local\] | started |
    | DATE | gate\[local\] | failed: its \`verify\` did not pass in time: it exited with status 1 |
    | DATE | gate\[local\] | waits for a decision |
    | DATE |  | ann@MACHINE says undo (the gate stays closed) |
    | DATE |  | what was done is being taken back |
    | DATE | first\[local\] | undo started |
    | DATE | first\[local\] | was taken back |
    | DATE |  | the run was undone after SPAN |

    ## Attempts, and what they printed

    ### first\[local\]

    Look round

    - **attempt 1** began TIME, took SPAN
      - action: exited with status 0

        stdout:

        ```text
        <script>alert('first')</script> & more
        ```


        stderr:

        ````text
        red ␛[31m ``` ␁ �
        ````

    - **undo** began TIME, took SPAN
      - undo: exited with status 0

        stdout:

        ```text
        first taken back
        ```

    - output version = 1 \<2\>

    ### lost\[local\]

    - **attempt 1** began TIME, took SPAN
      - action: lost: it began, its process is gone, and it left no exit status
    - **attempt 2** began TIME, took SPAN
      - action: exited with status 0

        stdout:

        ```text
        again
        ```


    ### gate\[local\]

    - **attempt 1** began TIME, took SPAN: its \`verify\` did not pass in time: it exited with status 1
      - action: exited with status 0

        stdout:

        ```text
        at the gate
        ```

      - verify: exited with status 1
    ");
}

#[test]
fn a_run_that_waits_or_goes_on_can_be_told_as_well() {
    let place = place();
    parked(&place);
    let told: Value = serde_json::from_str(&place.piton(&["--json", "report", "latest"]).out).unwrap();
    assert_eq!((&told["state"], &told["over"]), (&Value::from("parked"), &Value::from(false)));
    assert!(told["summary"].as_str().unwrap().contains("It waits for a person to decide"), "{told}");
    assert_eq!(told["tasks"][2]["attempts"][0]["jobs"][1]["end"], "exited with status 1", "{told}");

    place.write("runbooks/long.yaml", "runbook: long\nsteps: [{ id: wait, wait: { for: 1h } }]\n");
    let id = place.piton(&["run", "long", "--detach"]).out.trim().to_owned();
    place.wait(&["show", &id], |out| out.contains("pausing"));
    let told = place.piton(&["report", &id]);
    assert!(told.out.contains("It is still going on"), "{}", told.out);
    assert!(told.out.contains("- **attempt 1** began"), "{}", told.out);
    assert_eq!(place.piton(&["cancel", &id]).code, 0);
    place.wait(&["report", &id], |out| out.contains("The run was cancelled"));
}

#[test]
fn what_hosts_print_is_text_and_nothing_else_in_html() {
    let place = place();
    undone(&place);
    let file = place.outside("report.html");
    let told = place.piton(&["report", "latest", "-o", &file.display().to_string()]);
    assert_eq!((told.code, told.out.as_str()), (0, ""), "{}", told.err);
    let page = std::fs::read_to_string(file).unwrap();
    assert!(page.starts_with("<!doctype html>"), "{page}");
    for bad in ["<script", "<long>", "<had>", "<2>", "http:", "https:", "src=", "url(", "@import", "<link", "\u{1b}"] {
        assert!(!page.contains(bad), "{bad} in {page}");
    }
    for good in ["&#60;script&#62;alert(", "prefers-color-scheme: dark", "the gate stays closed", "␛[31m", "taken back"]
    {
        assert!(page.contains(good), "{good} is not in {page}");
    }
    // With void elements closed, it is well-formed.
    let closed = page.replace("<!doctype html>", "").replace("charset=\"utf-8\">", "charset=\"utf-8\"/>");
    let metas = regex::Regex::new(r#"(<meta name=[^>]*|<meta http-equiv=[^>]*)>"#).unwrap();
    let closed = metas.replace_all(&closed, "$1/>").replace("<details open>", "<details>");
    roxmltree::Document::parse(&closed).unwrap_or_else(|error| panic!("{error}:\n{closed}"));
}

#[test]
fn junit_tells_an_unknown_outcome_as_an_error() {
    let place = place();
    unknown(&place);
    let told = place.piton(&["report", "latest", "--format", "junit"]);
    let document = roxmltree::Document::parse(&told.out).unwrap_or_else(|error| panic!("{error}:\n{}", told.out));
    let suite = document.descendants().find(|node| node.has_tag_name("testsuite")).unwrap();
    let numbers = ["tests", "failures", "errors", "skipped"].map(|name| suite.attribute(name).unwrap().to_owned());
    assert_eq!(numbers, ["3", "0", "1", "1"]);
    let error = suite.descendants().find(|node| node.has_tag_name("error")).unwrap();
    assert_eq!(error.parent().unwrap().attribute("name"), Some("lost[local]"));
    assert!(error.attribute("message").unwrap().contains("outcome unknown"), "{}", told.out);
}

#[test]
fn junit_is_what_ci_servers_read() {
    let place = place();
    undone(&place);
    let told = place.piton(&["report", "latest", "--format", "junit"]);
    let document = roxmltree::Document::parse(&told.out).unwrap_or_else(|error| panic!("{error}:\n{}", told.out));
    let suite = document.descendants().find(|node| node.has_tag_name("testsuite")).unwrap();
    let numbers = ["tests", "failures", "errors", "skipped"].map(|name| suite.attribute(name).unwrap().to_owned());
    assert_eq!(numbers, ["3", "1", "0", "0"]);
    let cases: Vec<_> = suite.children().filter(|node| node.has_tag_name("testcase")).collect();
    let names: Vec<_> = cases.iter().map(|case| case.attribute("name").unwrap()).collect();
    assert_eq!(names, ["first[local]", "lost[local]", "gate[local]"]);
    assert!(cases.iter().all(|case| case.attribute("time").unwrap().parse::<f64>().is_ok()));
    let children = |case: &roxmltree::Node<'_, '_>| -> Vec<String> {
        case.children().filter(|node| node.is_element()).map(|node| node.tag_name().name().to_owned()).collect()
    };
    assert_eq!(children(&cases[0]), ["system-out", "system-err"]);
    assert_eq!(children(&cases[2]), ["failure", "system-out"]);
    let out = cases[0].children().find(|node| node.has_tag_name("system-out")).unwrap().text().unwrap();
    assert!(out.contains("<script>alert('first')</script> & more"), "{out}");
    let failure = cases[2].children().find(|node| node.has_tag_name("failure")).unwrap();
    assert_eq!(failure.attribute("message"), Some("its `verify` did not pass in time: it exited with status 1"));
}

#[test]
fn a_report_is_short_whatever_was_printed() {
    let place = place();
    let book = "runbook: loud\nsteps:\n  - { id: loud, run: 'seq 1 3000000; seq 1 3000000 >&2' }\n";
    place.write("runbooks/loud.yaml", book);
    assert_eq!(place.piton(&["-q", "run", "loud"]).code, 0);
    for format in ["markdown", "html", "json", "junit"] {
        let told = place.piton(&["report", "latest", "--format", format]);
        assert_eq!(told.code, 0, "{}", told.err);
        assert!(told.out.len() < 60_000, "{format} has {} bytes", told.out.len());
        // The first line, the last, and what was left out between them: 22888896 bytes in all.
        for part in ["1\n2\n3\n", "2999999\n3000000", "21.8MiB left out"] {
            let part = if format == "json" { part.replace('\n', "\\n") } else { part.to_owned() };
            let text = told.out.replace("\n    ", "\n");
            assert!(text.contains(&part), "{part:?} is not in {format}: {text}");
        }
    }
}

#[test]
fn what_was_not_kept_is_said_and_a_changed_journal_is_seen() {
    let place = place();
    let book = "runbook: quiet\nsteps:\n  - { id: quiet, no_log: true, run: 'echo something' }\n";
    place.write("runbooks/quiet.yaml", book);
    assert_eq!(place.piton(&["run", "quiet"]).code, 0);
    let told = place.piton(&["report", "latest"]);
    assert!(told.out.contains("[… 10B that were not kept …]"), "{}", told.out);
    assert!(told.out.contains("facts, unchanged since they were written"), "{}", told.out);
    assert_eq!(place.piton(&["report", "latest", "-o", "/no/such/place"]).code, 2);
}
