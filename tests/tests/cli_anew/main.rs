//! A run that is done again from where it failed, and a run that goes on with a corrected runbook.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod onto;
mod rerun;

use insta::assert_snapshot;
use piton_tests::cli::Place;

const PITON: &str = env!("CARGO_BIN_EXE_piton-under-test");

/// How `show` begins once such a run has succeeded.
const SUCCEEDED: &str = "move  Move a guest
run      RUN
state    succeeded, SPAN
asked    DATE by ann@MACHINE
param    dir = HERE/
param    keep = 3600

";

/// Each step leaves a trace; `copy` fails until there is a file.
const MOVE: &str = r#"runbook: move
title: Move a guest
params:
  dir: { type: path }
  keep: { type: duration, default: 1h }
on_failure: continue
steps:
  - id: facts
    run: |
      echo facts >> "$dir/trace"
      echo "disk=/data/web1" >> "$PITON_OUTPUT"
  - id: apart
    needs: []
    run: echo apart >> "$dir/trace"
  - id: copy
    needs: [facts]
    env: { disk: "{{ steps.facts.outputs.disk }}" }
    run: |
      echo "copy $disk" >> "$dir/trace"
      test -e "$dir/open"
  - id: start
    run: echo start >> "$dir/trace"
finally:
  - id: tidy
    run: echo tidy >> "$dir/trace"
"#;

fn place() -> Place {
    Place::with_runbook(PITON, "move", MOVE)
}

fn ran(place: &Place, code: i32) -> String {
    let dir = format!("dir={}", place.outside("").display());
    let ran = place.piton(&["run", "move", &dir, "-q"]);
    assert_eq!(ran.code, code, "{}", ran.err);
    ran.out.trim().to_owned()
}

/// What left a trace since this was last asked, sorted: some of it happens side by side.
fn trace(place: &Place) -> Vec<String> {
    let path = place.outside("trace");
    let mut lines: Vec<String> =
        std::fs::read_to_string(&path).unwrap_or_default().lines().map(str::to_owned).collect();
    lines.sort();
    std::fs::write(path, "").unwrap();
    lines
}

/// `hold` fails until it may begin, and then waits until it may end.
const HOLD: &str = r#"runbook: hold
params:
  dir: { type: path }
on_failure: continue
steps:
  - id: facts
    run: |
      echo facts >> "$dir/trace"
      echo "disk=/data/web1" >> "$PITON_OUTPUT"
  - id: hold
    env: { disk: "{{ steps.facts.outputs.disk }}" }
    run: |
      test -e "$dir/open" || exit 1
      echo "hold $disk" >> "$dir/trace"
      touch "$dir/begun"
      while ! test -e "$dir/go"; do sleep 0.1; done
  - id: last
    run: echo last >> "$dir/trace"
"#;
