//! Steps that are many, as a person meets them: items found out while the run goes on, rolling changes, calls.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::collections::BTreeSet;
use std::path::Path;

use piton_testkit::sshd::Sshd;
use piton_tests::cli::Place;
use piton_tests::lab::wait_for;

const PITON: &str = env!("CARGO_BIN_EXE_piton-under-test");

/// A place whose inventory has these hosts, all of them one real sshd on this machine.
fn place(sshd: &Sshd, hosts: &[&str]) -> Place {
    let place = Place::new(PITON);
    let ssh = sshd.host().ssh;
    let text = |value: &Option<String>| value.clone().unwrap();
    let mut inventory = "hosts:\n".to_owned();
    for host in hosts {
        inventory.push_str(&format!(
            "  {host}:\n    ssh: {{ address: {}, user: root, port: {}, identity: {}, known_hosts: {}, config: /dev/null }}\n",
            text(&ssh.address),
            sshd.port(),
            text(&ssh.identity),
            text(&ssh.known_hosts)
        ));
    }
    place.write("inventory.yaml", &inventory);
    place
}

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
    let place = place(&sshd, &["hv1", "hv2"]);
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
params:
  witness: { type: path }
steps:
  - id: roll
    hosts: [n1, n2, n3, n4, n5, n6]
    batch: [1, 2, "50%"]
    steps:
      - id: drain
        run: echo "drain $PITON_HOST" >> "$witness"
        env: { PLACE: "{{ host.name }}" }
        undo: echo "fill $PLACE" >> "$witness"
      - id: upgrade
        run: |
          echo "upgrade $PLACE" >> "$witness"
          test "$PLACE" != n3
        env: { PLACE: "{{ host.name }}" }
        undo: echo "downgrade $PLACE" >> "$witness"
        verify: grep -q "upgrade $PLACE" "$witness"
"#;

#[test]
fn a_rolling_change_that_fails_in_its_second_batch_stops_there_and_is_taken_back_as_planned() {
    let sshd = Sshd::start();
    let place = place(&sshd, &["n1", "n2", "n3", "n4", "n5", "n6"]);
    place.write("runbooks/roll.yaml", &ROLLING.replace("$PITON_HOST", "$PLACE"));
    let witness = place.outside("witness");
    let param = format!("witness={}", witness.display());
    let plan = place.piton(&["--json", "plan", "roll", &param]).json().remove(0);
    let batches: Vec<Vec<String>> = serde_json::from_value(plan["batches"]["roll"].clone()).unwrap();
    assert_eq!(batches, [vec!["n1"], vec!["n2", "n3"], vec!["n4", "n5", "n6"]]);
    let text = place.piton(&["plan", "roll", &param]).out;
    assert!(text.contains("batches  1, 2, 3 of hosts") && text.contains("2: n2, n3"), "{text}");

    let ran = place.piton(&["run", "roll", &param]);
    assert_ne!(ran.code, 0);
    let said = lines(&witness);
    let of = |word: &str| -> Vec<String> {
        let mut hosts: Vec<String> =
            said.iter().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' ').map(str::to_owned)).collect();
        hosts.sort();
        hosts
    };
    // Exactly the first two batches ran, and all of them is taken back, the last one first.
    let begun = batches[..2].concat();
    for word in ["drain", "fill"] {
        assert_eq!(of(word), begun, "{word}: {said:?}");
    }
    // Whether n2 was upgraded before n3 failed is a matter of moments; what was, is taken back.
    assert!(of("upgrade").contains(&"n3".to_owned()) && !of("upgrade").contains(&"n4".to_owned()), "{said:?}");
    assert_eq!(of("upgrade"), of("downgrade"), "{said:?}");
    let at = |line: &str| said.iter().position(|l| l == line).unwrap_or_else(|| panic!("{line}: {said:?}"));
    assert!(at("upgrade n1") < at("drain n2") && at("upgrade n1") < at("drain n3"), "{said:?}");
    assert!(
        at("downgrade n3") < at("fill n3") && at("fill n3") < at("downgrade n1") && at("downgrade n1") < at("fill n1")
    );
    let show = place.piton(&["show", "latest"]).out;
    assert!(!show.lines().any(|l| l.starts_with("drain[n4]") && !l.contains("waiting")), "{show}");
}

#[test]
fn calls_are_checked_across_files() {
    let place = Place::new(PITON);
    place.write("runbooks/a.yaml", "runbook: a\nsteps:\n  - { id: x, call: b }\n");
    place.write("runbooks/b.yaml", "runbook: b\nsteps:\n  - { id: x, call: { runbook: c, with: { n: many } } }\n");
    place.write(
        "runbooks/c.yaml",
        "runbook: c\nparams: { n: { type: integer }, m: { type: name } }\nsteps:\n  - { id: x, call: a }\n  - { id: y, call: d }\n",
    );
    let ran = place.piton(&["check"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    for said in [
        "runbooks cannot call each other in a circle: a → b → c → a",
        "runbooks/c.yaml:4:20",
        "`c` refuses its parameter `n`: `many` is not a whole number",
        "`c` needs a value for `m`",
        "runbooks/b.yaml:3:",
        "there is no runbook `d`",
    ] {
        assert!(ran.err.contains(said), "{said}: {}", ran.err);
    }
    place.write("runbooks/a.yaml", "runbook: a\nsteps:\n  - { id: x, call: b }\n");
    place.write("runbooks/b.yaml", "runbook: b\nsteps:\n  - { id: x, rum: y }\n");
    let ran = place.piton(&["plan", "a"]);
    assert!(ran.err.contains("runbooks/b.yaml:3:14") && ran.err.contains("no field `rum`"), "{}", ran.err);
    place.write("runbooks/b.yaml", "runbook: b\nparams: { n: { type: integer } }\noutputs: { twice: \"{{ n * 2 }}\" }\nsteps:\n  - { id: x, run: echo $n }\n");
    place.write("runbooks/a.yaml", "runbook: a\nsteps:\n  - { id: x, call: { runbook: b, with: { n: 21 } } }\n  - { id: y, assert: [steps.x.outputs.twice == 42] }\n");
    let ran = place.piton(&["run", "a"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(place.piton(&["show", "latest"]).out.contains("x/x[local]"));
}
