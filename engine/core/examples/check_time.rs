//! How long it takes to read and check a large runbook: `cargo run --release --example check_time [STEPS]`.

use std::fmt::Write as _;
use std::time::Instant;

use piton_core::fault::Source;

/// A runbook of so many steps, with what steps commonly have.
fn document(steps: usize) -> String {
    let mut text = String::from(
        "runbook: large\ntitle: Large\nparams:\n  vm: { type: name, default: web1 }\n  hosts_: { type: hosts, default: [hv1] }\nsteps:\n",
    );
    for n in 0..steps {
        let before = n.saturating_sub(1);
        let read =
            if n == 0 { "params.vm != \"\"".to_owned() } else { format!("steps.s{before}.exit == 0 && vm != \"x\"") };
        let _ = write!(
            text,
            "  - id: s{n}\n    title: Step number {n}\n    hosts: \"{{{{ hosts_ }}}}\"\n    when: {read}\n    unless: test -e \"$vm-{n}\"\n    \
             run: |\n      set -e\n      touch \"$vm-{n}\"\n      echo \"n=$N\" >> \"$PITON_OUTPUT\"\n    \
             env: {{ N: \"{{{{ params.vm }}}}-{n}\" }}\n    verify: {{ run: test -e \"$vm-{n}\", within: 30s, every: 1s }}\n    undo: rm \"$vm-{n}\"\n    \
             retry: {{ times: 3, delay: 1s, on: [timeout, 7] }}\n    timeout: 5m\n"
        );
    }
    text
}

#[expect(clippy::disallowed_methods, reason = "this measures; nothing of the core depends on it")]
fn main() {
    let steps = std::env::args().nth(1).and_then(|steps| steps.parse().ok()).unwrap_or(10_000);
    let text = document(steps);
    let source = Source { name: "large.yaml".into(), text: text.into() };
    for _ in 0..5 {
        let start = Instant::now();
        let (runbook, faults) = piton_core::runbook::parse(&source);
        let took = start.elapsed();
        let read = runbook.map_or(0, |runbook| runbook.steps.len());
        println!("{read} steps, {} bytes, {} faults: {took:?}", source.text.len(), faults.len());
    }
}
