//! Steps that are many, as a person meets them: items found out while the run goes on, rolling changes, calls.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod called;
mod hooked;

use std::collections::BTreeSet;
use std::path::Path;

use piton_testkit::sshd::Sshd;
use piton_tests::cli::Place;
use piton_tests::lab::wait_for;

const PITON: &str = env!("CARGO_BIN_EXE_piton-under-test");

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

const GUESTS: &str = r#"
runbook: evacuate
params:
  witness: { type: path }
steps:
  - id: guests
    hosts: hv1
    run: |
      n=1
      while [ $n -le 25 ]; do all="$all\"guest $n\","; n=$((n + 1)); done
      printf '{"all": [%s]}' "${all%,}" > "$PITON_OUTPUT"
  - id: move
    for_each: steps.guests.outputs.all
    max_parallel: 3
    steps:
      - id: stop
        hosts: hv1
        run: |
          echo "+ $PITON_ITEM" >> "$witness"
          sleep 0.05
      - id: start
        hosts: hv2
        run: |
          sleep 0.05
          echo "- $item" >> "$witness"
  - id: after
    run: echo after >> "$witness"
"#;

#[test]
fn guests_found_while_the_run_goes_on_move_three_at_a_time_though_the_engine_is_killed_twice() {
    let sshd = Sshd::start();
    let place = Place::with_hosts(PITON, &[("hv1", &sshd), ("hv2", &sshd)]);
    place.write("runbooks/evacuate.yaml", GUESTS);
    let witness = place.outside("witness");
    std::fs::write(&witness, "").unwrap();
    let param = format!("witness={}", witness.display());
    let plan = place.piton(&["plan", "evacuate", &param]);
    assert!(plan.out.contains("known when it runs"), "{}{}", plan.out, plan.err);
    let mut engine = place.start(&["run", "evacuate", &param]);
    for seen in [8, 25] {
        wait_for(&|| format!("{:?}", lines(&witness)), &|| (lines(&witness).len() >= seen).then_some(()));
        // SIGKILL: it has no say in this.
        engine.kill().unwrap();
        engine.wait().unwrap();
        engine = place.start(&["resume", "--latest"]);
    }
    let end = engine.wait_with_output().unwrap();
    assert_eq!(end.status.code(), Some(0), "{}", String::from_utf8_lossy(&end.stderr));
    let said = lines(&witness);
    let mut under_way = BTreeSet::new();
    for line in &said[..50] {
        match line.split_at(2) {
            ("+ ", guest) => assert!(under_way.insert(guest.to_owned()), "{guest} was stopped twice: {said:?}"),
            (_, guest) => assert!(under_way.remove(guest), "{guest} was started without having been stopped: {said:?}"),
        }
        assert!(under_way.len() <= 3, "{under_way:?} were under way at once");
    }
    assert_eq!(said[50..], ["after"]);
    let guests: BTreeSet<&str> = said.iter().filter_map(|line| line.strip_prefix("- ")).collect();
    assert_eq!(guests.len(), 25);
    let show = place.piton(&["show", "latest"]).out;
    assert!(show.contains("start[hv2/guest 25]"), "{show}");
    let why = place.piton(&["why", "latest", "stop[guest 7]"]);
    assert!(
        why.out.contains("stop[hv1/guest 7] succeeded") && why.out.contains("has 25 items"),
        "{}{}",
        why.out,
        why.err
    );
    assert_eq!(place.piton(&["verify", "latest"]).code, 0);
    assert!(place.piton(&["graph", "latest"]).out.contains("25 succeeded"));
}

const ROLLING: &str = r#"
runbook: roll
on_failure: undo
max_parallel: 256
params:
  witness: { type: path }
  bad: { type: string, default: none }
steps:
  - id: roll
    hosts: fleet
    batch: [1, 5, "20%"]
    steps:
      - id: drain
        run: echo "drain $PLACE" >> "$witness"
        env: { PLACE: "{{ host.name }}" }
        undo: echo "fill $PLACE" >> "$witness"
      - id: upgrade
        run: |
          echo "upgrade $PLACE" >> "$witness"
          test "$PLACE" != "$bad"
        env: { PLACE: "{{ host.name }}" }
        undo: echo "downgrade $PLACE" >> "$witness"
        verify: grep -q "upgrade $PLACE" "$witness"
"#;

/// Forty hosts that are one sshd under forty names, and six with one each, among them in the first batches.
fn fleet() -> (Place, Vec<Sshd>) {
    let sshds: Vec<Sshd> = (0..7).map(|_| Sshd::start()).collect();
    let mut names: Vec<(String, usize)> = (0..40).map(|n| (format!("s{n:02}"), 6)).collect();
    for (real, at) in [0, 2, 4, 9, 20, 45].into_iter().enumerate() {
        names.insert(at, (format!("r{real}"), real));
    }
    let hosts: Vec<(&str, &Sshd)> = names.iter().map(|(name, sshd)| (name.as_str(), &sshds[*sshd])).collect();
    let place = Place::with_hosts(PITON, &hosts);
    let group: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    place.add("inventory.yaml", &format!("groups:\n  fleet: [{}]\n", group.join(", ")));
    (place, sshds)
}

/// What a witness saw of a rolling change.
struct Seen(Vec<String>);

impl Seen {
    fn read(witness: &Path) -> Self {
        Self(lines(witness))
    }

    /// The hosts of which it saw this, in that order.
    fn of(&self, word: &str) -> Vec<String> {
        let host = |line: &String| line.strip_prefix(word)?.strip_prefix(' ').map(str::to_owned);
        self.0.iter().filter_map(host).collect()
    }

    fn set(&self, word: &str) -> BTreeSet<String> {
        let all = self.of(word);
        let set: BTreeSet<String> = all.iter().cloned().collect();
        assert_eq!(all.len(), set.len(), "{word} was done twice: {:?}", self.0);
        set
    }

    fn at(&self, line: &str) -> usize {
        self.0.iter().position(|l| l == line).unwrap_or_else(|| panic!("{line}: {:?}", self.0))
    }
}

fn batches(place: &Place, runbook: &str, param: &str) -> Vec<Vec<String>> {
    let plan = place.piton(&["--json", "plan", runbook, param]).json().remove(0);
    serde_json::from_value(plan["batches"]["roll"].clone()).unwrap()
}

#[test]
fn a_rolling_change_that_fails_in_its_second_batch_stops_there_and_is_taken_back_as_planned() {
    let (place, _sshds) = fleet();
    place.write("runbooks/roll.yaml", ROLLING);
    // The same, one task at a time: then there is exactly one order in which it can happen.
    place.write("runbooks/one.yaml", &ROLLING.replace("runbook: roll", "runbook: one").replace("256", "1"));
    let (first, second) = (place.outside("first"), place.outside("second"));
    let param = format!("witness={}", first.display());
    let batches = batches(&place, "roll", &param);
    let sizes: Vec<usize> = batches.iter().map(Vec::len).collect();
    assert_eq!(
        (sizes.as_slice(), &batches[0], batches[1][3].as_str()),
        (&[1, 5, 9, 9, 9, 9, 4][..], &vec!["r0".to_owned()], "r2")
    );
    let text = place.piton(&["plan", "roll", &param]).out;
    for says in [
        "batches  1, 5, 9, 9, 9, 9, 4 of hosts",
        "2: s00, r1, s01, r2, s02",
        "upgrade, then drain (the last batch first)",
    ] {
        assert!(text.contains(says), "{says}: {text}");
    }

    // All of a batch at once: what began is exactly the first two batches, and all of it is taken back.
    let ran = place.piton(&["run", "roll", &param, "bad=r2"]);
    assert_eq!(ran.code, 4, "{}{}", ran.out, ran.err);
    let seen = Seen::read(&first);
    let begun: BTreeSet<String> = batches[..2].concat().into_iter().collect();
    assert_eq!((seen.set("drain"), seen.set("fill")), (begun.clone(), begun.clone()), "{:?}", seen.0);
    // Whether another host of the batch was upgraded before r2 failed is a matter of moments; what was, is taken back.
    assert_eq!(seen.set("upgrade"), seen.set("downgrade"), "{:?}", seen.0);
    assert!(seen.set("upgrade").contains("r2") && seen.set("upgrade").is_subset(&begun), "{:?}", seen.0);
    for other in &batches[1] {
        assert!(seen.at("upgrade r0") < seen.at(&format!("drain {other}")), "{:?}", seen.0);
        assert!(seen.at(&format!("fill {other}")) < seen.at("downgrade r0"), "{:?}", seen.0);
    }
    for host in seen.set("downgrade") {
        assert!(seen.at(&format!("downgrade {host}")) < seen.at(&format!("fill {host}")), "{:?}", seen.0);
    }
    let show = place.piton(&["--json", "show", "latest"]).json().remove(0);
    let tasks = show["tasks"].as_array().unwrap();
    let untouched = tasks.iter().filter(|t| t["attempts"].as_u64() == Some(0)).count();
    assert_eq!((tasks.len(), untouched), (92, 92 - 6 - seen.of("upgrade").len()), "{show}");

    // One at a time: what is taken back is the planned way back from the failed task on, word for word.
    let param = format!("witness={}", second.display());
    let plan = place.piton(&["--json", "plan", "one", &param, "--undo"]).json().remove(0);
    let way: Vec<String> =
        plan["undo"].as_array().unwrap().iter().map(|u| u["task"].as_str().unwrap().to_owned()).collect();
    assert_eq!(way.len(), 92);
    let from = way.iter().position(|task| task == "upgrade[r2]").unwrap();
    assert_eq!(place.piton(&["run", "one", &param, "bad=r2"]).code, 4);
    let seen = Seen::read(&second);
    let said = |task: &String, words: [&str; 2]| match task.trim_end_matches(']').split_once('[').unwrap() {
        ("drain", host) => format!("{} {host}", words[0]),
        (_, host) => format!("{} {host}", words[1]),
    };
    let done = way[from..].iter().rev().map(|task| said(task, ["drain", "upgrade"]));
    let undone = way[from..].iter().map(|task| said(task, ["fill", "downgrade"]));
    assert_eq!(seen.0, done.chain(undone).collect::<Vec<_>>());
}

#[test]
fn a_rolling_change_goes_past_a_host_that_may_fail() {
    let (place, _sshds) = fleet();
    let tolerant = ROLLING.replace("    steps:\n", "    max_failures: 1\n    steps:\n");
    assert_ne!(tolerant, ROLLING);
    place.write("runbooks/roll.yaml", &tolerant);
    let witness = place.outside("witness");
    let param = format!("witness={}", witness.display());
    let batches = batches(&place, "roll", &param);
    // Alone in its batch: with its failure the batch is over.
    let ran = place.piton(&["run", "roll", &param, "bad=r0"]);
    assert_eq!(ran.code, 4, "a host failed, and that is not forgotten: {}{}", ran.out, ran.err);
    assert_eq!(Seen::read(&witness).set("upgrade").len(), 46);
    std::fs::remove_file(&witness).unwrap();
    let ran = place.piton(&["run", "roll", &param, "bad=r2"]);
    assert_eq!(ran.code, 4, "{}{}", ran.out, ran.err);
    let seen = Seen::read(&witness);
    let all: BTreeSet<String> = batches.concat().into_iter().collect();
    let show = place.piton(&["show", "latest"]).out;
    assert_eq!((seen.set("drain"), seen.set("upgrade")), (all.clone(), all), "{show}");
    assert!(seen.of("fill").is_empty() && seen.of("downgrade").is_empty(), "{:?}", seen.0);
    for (before, after) in batches.iter().zip(&batches[1..]) {
        let last = before.iter().map(|host| seen.at(&format!("upgrade {host}"))).max();
        let first = after.iter().map(|host| seen.at(&format!("drain {host}"))).min();
        assert!(last < first, "{after:?} began before {before:?} was over: {:?}", seen.0);
    }
}

const WORK: &str = r#"
runbook: work
params:
  name: { type: name }
  gate: { type: path }
  witness: { type: path }
steps:
  - id: gate
    repeat: safe
    run: until test -e "$gate"; do sleep 0.05; done
  - id: work
    for_each: [1, 2, 3, 4, 5, 6]
    run: |
      echo "+ $name $item" >> "$witness"
      sleep 0.2
      echo "- $name $item" >> "$witness"
"#;

#[test]
fn the_runs_of_one_engine_share_its_room() {
    let place = Place::with_runbook(PITON, "work", WORK);
    let (witness, go) = (place.outside("witness"), place.outside("go"));
    std::fs::write(&witness, "").unwrap();
    let params = [format!("witness={}", witness.display()), format!("gate={}", go.display())];
    let (mut runs, mut engines) = (Vec::new(), Vec::new());
    for name in ["name=a", "name=b"] {
        engines.push(place.start(&["run", "work", name, &params[0], &params[1]]));
        let show = || place.piton(&["--json", "show", "latest"]);
        let begun = || {
            let shown = show();
            let shown = if shown.code == 0 { shown.json().into_iter().next()? } else { return None };
            let id = shown["run"].as_str()?.to_owned();
            (!runs.contains(&id) && shown["tasks"][0]["state"] == "running").then_some(id)
        };
        let id = wait_for(&|| show().out, &begun);
        runs.push(id);
    }
    // Both are left to whoever comes.
    for engine in &mut engines {
        engine.kill().unwrap();
        engine.wait().unwrap();
    }
    let engine = place.start(&["engine", "--max-parallel", "2", &runs[0], &runs[1]]);
    std::fs::write(&go, "").unwrap();
    let end = engine.wait_with_output().unwrap();
    assert_eq!(end.status.code(), Some(0), "{}", String::from_utf8_lossy(&end.stderr));
    let said = lines(&witness);
    assert_eq!(said.len(), 24, "{said:?}");
    let mut under_way = BTreeSet::new();
    for line in &said {
        match line.split_at(2) {
            ("+ ", task) => assert!(under_way.insert(task), "{task} began twice: {said:?}"),
            (_, task) => assert!(under_way.remove(task), "{task} ended without having begun: {said:?}"),
        }
        assert!(under_way.len() <= 2, "{under_way:?} were under way at once: {said:?}");
    }
    // Neither has to wait until the other is done.
    let at = |line: &str| said.iter().position(|l| l == line).unwrap();
    assert!(at("+ a 1") < at("- b 6") && at("+ b 1") < at("- a 6"), "{said:?}");
}

/// Of three steps that need nothing one has begun, and waits for a file.
const TURNS: &str = r#"
runbook: turns
LIMIT
params: { gate: { type: path } }
steps:
  - { id: a, needs: [], repeat: safe, run: 'until test -e "$gate"; do sleep 0.05; done' }
  - { id: b, needs: [], run: "true" }
  - { id: c, needs: [], run: "true" }
"#;

#[test]
fn why_tells_whose_limit_keeps_a_task_back() {
    for (limit, project, says) in [
        ("max_parallel: 1", "", "b[local] waits for its turn: the run may have 1 under way at once"),
        (
            "max_parallel: 2",
            "[project]\nmax_parallel = 1\n",
            "b[local] waits for its turn: the engine has no room for more tasks of its runs (`max_parallel` in piton.toml is 1, ",
        ),
    ] {
        let place = Place::new(PITON);
        place.write("piton.toml", project);
        place.write("runbooks/turns.yaml", &TURNS.replace("LIMIT", limit));
        let gate = place.outside("gate");
        let mut engine = place.start(&["run", "turns", &format!("gate={}", gate.display())]);
        place.wait(&["show", "latest"], |out| out.contains("running"));
        let why = place.piton(&["why", "latest", "b"]);
        assert!(why.out.contains(says), "{limit}: {}{}", why.out, why.err);
        engine.kill().unwrap();
        engine.wait().unwrap();
        if !project.is_empty() {
            // The lease of an engine that was killed runs out.
            place.wait(&["why", "latest", "b"], |out| {
                out.contains("b[local] waits for an engine to go on with the run")
            });
        }
        std::fs::write(&gate, "").unwrap();
        assert_eq!(place.piton(&["resume", "latest"]).code, 0);
    }
}
