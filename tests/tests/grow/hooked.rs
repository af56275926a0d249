//! Hooks of steps that are many: for items, and in runbooks that are called for items. Each call of each is made once.

use super::*;

/// What the journal has of the calls of hooks: of which hook each is, and its number.
fn calls(place: &Place) -> Vec<(String, u64)> {
    let events = place.piton(&["--json", "show", "latest", "--events"]).json();
    let called = events.iter().filter(|e| e["event"]["type"] == "hook_called");
    called.map(|e| (e["event"]["hook"].to_string(), e["event"]["call"]["number"].as_u64().unwrap())).collect()
}

/// Runs it to its end. Everything is done in stages, so many at a time; each stage waits for a file that lets it end. The engine
/// is killed when all of a stage are under way, and again when the first of the next one is.
fn run_and_kill(place: &Place, runbook: &str, many: usize, stages: usize) -> Vec<String> {
    let (witness, gate) = (place.outside("witness"), place.outside("gate"));
    std::fs::write(&witness, "").unwrap();
    std::fs::create_dir(&gate).unwrap();
    let come_to = |count: usize| {
        wait_for(&|| format!("{:?}", lines(&witness)), &|| (lines(&witness).len() >= count).then_some(()));
    };
    let params = [format!("witness={}", witness.display()), format!("gate={}", gate.display())];
    let mut engine = place.start(&["run", runbook, &params[0], &params[1]]);
    for stage in 1..=stages {
        for count in [many * (stage - 1) + 1, many * stage] {
            come_to(count);
            engine.kill().unwrap();
            engine.wait().unwrap();
            engine = place.start(&["resume", "--latest"]);
        }
        std::fs::write(gate.join(stage.to_string()), "").unwrap();
    }
    let end = engine.wait_with_output().unwrap();
    assert_eq!(end.status.code(), Some(0), "{}{:?}", String::from_utf8_lossy(&end.stderr), lines(&witness));
    lines(&witness)
}

const EACH: &str = r#"
runbook: each
params:
  witness: { type: path }
  gate: { type: path }
steps:
  - id: list
    hosts: h1
    run: printf '{"all":["a","b c","d"]}' > "$PITON_OUTPUT"
  - id: each
    for_each: steps.list.outputs.all
    hosts: [h1, h2]
    hook: |
      let found = [];
      for n in ["1", "2", "3"] {
          let script = "echo \"$PITON_ITEM $WHERE $N\" >> \"$witness\"; until test -e \"$gate/$N\"; do sleep 0.05; done; echo \"n=$item/$N\" >> \"$PITON_OUTPUT\"";
          found.push(host.run(script, #{ N: n, WHERE: host.name }).outputs.n);
          log(item + " " + n);
      }
      #{ found: join(found, " ") }
  - id: after
    hosts: h1
    env: { FOUND: "{{ steps.each.items[\"b c\"].hosts.h2.outputs.found }}" }
    run: echo "after $FOUND" >> "$witness"
"#;

/// Three items on two hosts, three calls for each: eighteen calls, each made once.
#[test]
fn calls_of_a_hook_for_each_item_are_made_once() {
    let (one, two) = (Sshd::start(), Sshd::start());
    let place = Place::with_hosts(PITON, &[("h1", &one), ("h2", &two)]);
    place.write("runbooks/each.yaml", EACH);
    let said = run_and_kill(&place, "each", 6, 3);
    assert_eq!(said.last().unwrap(), "after b c/1 b c/2 b c/3");
    for item in ["a", "b c", "d"] {
        for host in ["h1", "h2"] {
            let of = format!("{item} {host} ");
            let its: Vec<&str> = said.iter().filter_map(|line| line.strip_prefix(&of)).collect();
            assert_eq!(its, ["1", "2", "3"], "{item} on {host}: {said:?}");
            let logs = place.piton(&["logs", "latest", &format!("each[{host}/{item}]"), "--raw"]);
            assert_eq!(logs.out, format!("{item} 1\n{item} 2\n{item} 3\n"), "{}", logs.err);
        }
    }
    assert_eq!(said.len(), 19, "{said:?}");
    let calls = calls(&place);
    assert_eq!(calls.len(), 18);
    assert_eq!(calls.iter().collect::<BTreeSet<_>>().len(), 18, "{calls:?}");
    assert_eq!(place.piton(&["verify", "latest"]).code, 0);
}

const INNER: &str = r#"
runbook: inner
params:
  name: { type: name }
  there: { type: host }
  witness: { type: path }
  gate: { type: path }
outputs:
  sum: "{{ steps.think.outputs.sum }}"
steps:
  - id: facts
    hosts: h1
    run: echo "size=4$name" >> "$PITON_OUTPUT"
  - id: think
    hosts: h1
    hook: |
      let size = steps.facts.outputs.size;
      host.run("echo \"$name here $SIZE\" >> \"$witness\"; until test -e \"$gate/1\"; do sleep 0.05; done", #{ SIZE: size });
      let far = host(params.there).run("echo \"$name there\" >> \"$witness\"; until test -e \"$gate/2\"; do sleep 0.05; done; echo $PITON_HOST");
      host.run("echo \"$name back\" >> \"$witness\"; until test -e \"$gate/3\"; do sleep 0.05; done");
      #{ sum: `${params.name} ${size} ${far.out}` }
  - id: act
    hosts: "{{ there }}"
    before: 'host.run("echo \"$name before\" >> \"$witness\"; until test -e \"$gate/4\"; do sleep 0.05; done");'
    run: |
      echo "$name act" >> "$witness"
      until test -e "$gate/5"; do sleep 0.05; done
    after: 'host.run("echo \"$name after\" >> \"$witness\"; until test -e \"$gate/6\"; do sleep 0.05; done");'
"#;

const OUTER: &str = r#"
runbook: outer
params:
  name: { type: name, default: outer }
  witness: { type: path }
  gate: { type: path }
steps:
  - id: each
    for_each: [a, b, c]
    call: { runbook: inner, with: { name: "{{ item }}", there: h2, witness: "{{ witness }}", gate: "{{ gate }}" } }
  - id: sum
    hook: |
      let all = [];
      for item in ["a", "b", "c"] { all.push(steps.each.items[item].outputs.sum); }
      #{ all: join(all, ", ") }
"#;

/// In a runbook that is called for each item a hook has the values of that call, and its calls are made once; also those of
/// hooks around an action.
#[test]
fn calls_of_hooks_in_called_runbooks_are_made_once() {
    let (one, two) = (Sshd::start(), Sshd::start());
    let place = Place::with_hosts(PITON, &[("h1", &one), ("h2", &two)]);
    place.write("runbooks/inner.yaml", INNER);
    place.write("runbooks/outer.yaml", OUTER);
    let said = run_and_kill(&place, "outer", 3, 6);
    for name in ["a", "b", "c"] {
        let of = format!("{name} ");
        let its: Vec<&str> = said.iter().filter_map(|line| line.strip_prefix(&of)).collect();
        assert_eq!(its, [&format!("here 4{name}"), "there", "back", "before", "act", "after"], "{said:?}");
    }
    assert_eq!(said.len(), 18, "{said:?}");
    let show = place.piton(&["--json", "show", "latest"]).json().remove(0);
    let sum = show["tasks"].as_array().unwrap().iter().find(|t| t["task"] == "sum").unwrap();
    assert_eq!(sum["outputs"]["all"], "a 4a h2, b 4b h2, c 4c h2", "{sum}");
    let calls = calls(&place);
    assert_eq!(calls.len(), 15, "{calls:?}");
    assert_eq!(calls.iter().collect::<BTreeSet<_>>().len(), 15, "{calls:?}");
    assert_eq!(place.piton(&["verify", "latest"]).code, 0);
}
