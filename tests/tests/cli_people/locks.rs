//! Locks between runs.

use super::*;

#[test]
fn a_run_waits_for_the_locks_of_another_and_all_of_it_can_be_seen() {
    let place = Place::with_runbook(PITON, "keeper", &keeper("locks: [\"vm/web1\", { name: images, shared: true }]\n"));
    let dir = format!("dir={}", place.outside("").display());
    // Before anything has run, so that nothing is known of how long it takes.
    assert_snapshot!(place.snapshot(&["plan", "keeper", &dir, "name=b"]), @r#"
    exit 0
    --- stdout
    keeper
    from    runbooks/keeper.yaml
    digest  DIGEST
    tasks   1 on 1 host, 256 at once at most, on failure stop and ask
    locks   images (shared), vm/web1
    params
      dir = HERE/
      name = b

    1. keep
       hosts    local
       needs    nothing
       run
         | touch "$dir/$name.begun"
         | while ! test -e "$dir/$name.go"; do sleep 0.05; done

    way back  none
    no undo   keep
    "#);
    let first = place.start(&["run", "keeper", &dir, "name=a"]);
    place.wait_for_file(&place.outside("a.begun"));
    let second = place.start(&["run", "keeper", &dir, "name=b"]);
    place.wait(&["locks"], |out| out.contains("waits"));
    assert_snapshot!(place.snapshot(&["locks"]), @"
    exit 0
    --- stdout
    LOCK                      SINCE                RUN                         STATE      RUNBOOK                   TASK
    images (shared)  holds    DATE  RUN  running    keeper
    images (shared)  waits    DATE  RUN  locked     keeper
    vm/web1          holds    DATE  RUN  running    keeper
    vm/web1          waits    DATE  RUN  locked     keeper
    ");
    assert_snapshot!(place.snapshot(&["ls"]), @"
    exit 0
    --- stdout
    RUN                         STATE      CREATED                 TOOK  RUNBOOK                   TITLE
    RUN  locked     DATE SPAN  keeper
                                waits for images (shared), vm/web1
    RUN  running    DATE SPAN  keeper
    ");
    assert_snapshot!(place.snapshot(&["why", "latest", "keep"]), @"
    exit 0
    --- stdout
    keep[local] waits for the locks of the run: images (shared), vm/web1 (run RUN holds images, vm/web1)
    ");
    assert_snapshot!(place.snapshot(&["show", "latest"]), @"
    exit 0
    --- stdout
    keeper
    run      RUN
    state    running, SPAN
    asked    DATE by ann@MACHINE
    engine   ENGINE
    waits    for images (shared), vm/web1
    param    dir = HERE/
    param    name = b

    TASK         STATE      TRIES      TOOK
    keep[local]  waiting
    ");
    let lines = place.piton(&["locks", "vm", "--json"]).json();
    assert_eq!((lines.len(), &lines[0]["state"], &lines[1]["behind"][0]), (2, &"holds".into(), &lines[0]["run"]));
    assert!(!place.outside("b.begun").exists(), "nothing of it has begun");
    std::fs::write(place.outside("a.go"), "").unwrap();
    std::fs::write(place.outside("b.go"), "").unwrap();
    assert_eq!(Ran::of(first).code, 0);
    let ran = Ran::of(second);
    assert_eq!(ran.code, 0);
    assert_snapshot!(place.steady(&ran.err), @"
    TIME the run waits for images (shared), vm/web1 (run RUN holds images, vm/web1)
    TIME keep[local] started
    TIME keep[local] succeeded in SPAN
    Run RUN succeeded after SPAN; 1 succeeded.
    ");
    assert_snapshot!(place.snapshot(&["locks"]), @"
    exit 0
    --- stderr
    Nobody holds or waits for a lock.
    ");
    assert_snapshot!(place.snapshot(&["show", "latest", "--events"]), @"
    exit 0
    --- stdout
         1  TIME ann@MACHINE asked for keeper
         2  TIME engine ENGINE drives the run
         3  TIME the run stands in the queue for images (shared), vm/web1
         4  TIME the run has its locks
         5  TIME keep[local] started
         6  TIME keep[local] main 1 exited with status 0
         7  TIME keep[local] succeeded in SPAN
         8  TIME the steps under `finally` begin
         9  TIME the run succeeded after SPAN
    ");
}

/// The engine of the holder is killed: the lock is the run's, and stays; when the run is taken up and over, it goes on.
#[test]
fn a_killed_holder_keeps_its_lock_until_its_run_is_over() {
    let place = Place::with_runbook(PITON, "keeper", &keeper("locks: vm/web1\n"));
    let dir = format!("dir={}", place.outside("").display());
    let mut first = place.start(&["run", "keeper", &dir, "name=a"]);
    place.wait_for_file(&place.outside("a.begun"));
    first.kill().unwrap();
    first.wait().unwrap();
    let held = place.piton(&["locks"]);
    assert!(held.out.contains("vm/web1") && held.out.contains("holds") && held.out.contains("adrift"), "{}", held.out);
    // Whoever comes takes the run up in the background, and waits for it like for any other.
    let second = place.start(&["run", "keeper", &dir, "name=b"]);
    place.wait(&["locks"], |out| out.contains("waits") && !out.contains("adrift"));
    assert!(!place.outside("b.begun").exists());
    std::fs::write(place.outside("a.go"), "").unwrap();
    place.wait_for_file(&place.outside("b.begun"));
    std::fs::write(place.outside("b.go"), "").unwrap();
    let ran = Ran::of(second);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(place.piton(&["locks"]).err, "Nobody holds or waits for a lock.\n");
}

/// Run 1 holds a and wants b, run 2 holds b and wants a: the one that asks last is told, and the other goes on.
#[test]
fn two_runs_with_crossing_locks_do_not_wait_for_ever() {
    let place = Place::new(PITON);
    let yaml = r#"runbook: cross
params:
  dir: { type: path }
  own: { type: name }
  other: { type: name }
locks: ["{{ own }}"]
on_failure: continue
steps:
  - id: hold
    run: |
      touch "$dir/$own.holds"
      while ! test -e "$dir/$other.holds"; do sleep 0.05; done
  - id: cross
    locks: ["{{ other }}"]
    run: echo "$own crossed"
"#;
    place.write("runbooks/cross.yaml", yaml);
    let dir = format!("dir={}", place.outside("").display());
    let one = place.start(&["run", "cross", &dir, "own=a", "other=b"]);
    let two = place.start(&["run", "cross", &dir, "own=b", "other=a"]);
    let (one, two) = (Ran::of(one), Ran::of(two));
    let mut codes = [one.code, two.code];
    codes.sort_unstable();
    assert_eq!(codes, [0, 4], "{}\n{}", one.err, two.err);
    let refused = if one.code == 4 { &one.err } else { &two.err };
    assert!(refused.contains("would be to wait for ever: run "), "{refused}");
    assert_eq!(place.piton(&["locks"]).err, "Nobody holds or waits for a lock.\n");
}

/// Twenty processes, three at a time.
#[test]
fn twenty_runs_on_a_counted_lock_are_never_more_than_three() {
    let place = Place::new(PITON);
    let yaml = r#"runbook: slots
params:
  dir: { type: path }
steps:
  - id: work
    locks: { name: slots, count: 3 }
    run: |
      mkdir "$dir/in.$$"
      set -- "$dir"/in.*
      echo "$#" >> "$dir/seen"
      sleep 0.3
      rmdir "$dir/in.$$"
"#;
    place.write("runbooks/slots.yaml", yaml);
    let dir = format!("dir={}", place.outside("").display());
    let runs: Vec<Child> = (0..20).map(|_| place.start(&["run", "slots", &dir])).collect();
    for run in runs {
        let ran = Ran::of(run);
        assert_eq!(ran.code, 0, "{}", ran.err);
    }
    let seen = std::fs::read_to_string(place.outside("seen")).unwrap();
    let seen: Vec<u32> = seen.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(seen.len(), 20);
    assert!(seen.iter().all(|&at_once| at_once <= 3), "{seen:?}");
    assert!(seen.iter().any(|&at_once| at_once > 1), "they ran one after the other: {seen:?}");
    assert_eq!(place.piton(&["locks"]).err, "Nobody holds or waits for a lock.\n");
}
