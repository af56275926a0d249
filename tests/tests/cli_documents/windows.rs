//! `piton windows`: what opens when, what would run, and what is wrong with it.

use super::*;

const WINDOWS: &str = r#"zone: Europe/Berlin
blackouts:
  - { from: 2026-12-24, to: 2026-12-26, why: Christmas }
  - calendar: holidays.ics
windows:
  nightly: { cron: "30 2 * * *", duration: 2h, cutoff: 15m }
  patchday: { title: Patches, days: second saturday, at: "22:00", duration: 6h }
  markets: { zone: America/New_York, cron: "0 0 9 * * MON-FRI", duration: 7h30m }
"#;

const SCHEDULES: &str = r#"schedules:
  patch: { title: Patch all, window: patchday, runbook: copy, hosts: both, params: { size: 1G, note: it } , missed: once }
  clean: { window: nightly, runbook: tidy }
"#;

const HOLIDAYS: &str = "BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:20251225\nRRULE:FREQ=YEARLY\nSUMMARY:Christmas Day\nEND:VEVENT\nBEGIN:VEVENT\nUID:2\nDTSTART;VALUE=DATE:20261026\nSUMMARY:Day off\nEND:VEVENT\nEND:VCALENDAR\n";

fn windows() -> Place {
    let place = project();
    place.write("runbooks/tidy.yaml", "runbook: tidy\nsteps:\n  - { id: sweep, exec: [true] }\n");
    place.write("windows/hours.yaml", WINDOWS);
    place.write("windows/work/all.yaml", SCHEDULES);
    place.write("windows/holidays.ics", HOLIDAYS);
    place
}

#[test]
fn the_next_openings_are_shown_by_the_clock_of_their_zone() {
    let place = windows();
    assert_snapshot!(place.snapshot(&["windows", "--from", "2026-10-24T23:00:00Z", "-n", "2"]), @"
    exit 0
    --- stdout
    WINDOW          OPENS                        CLOSES                       ZONE              STARTS
    nightly         Sun 2026-10-25 02:30 +02:00  Sun 2026-10-25 03:30 +01:00  Europe/Berlin     clean
    nightly         Tue 2026-10-27 02:30 +01:00  Tue 2026-10-27 04:30 +01:00  Europe/Berlin     clean
    markets         Tue 2026-10-27 09:00 -04:00  Tue 2026-10-27 16:30 -04:00  America/New_York  -
    markets         Wed 2026-10-28 09:00 -04:00  Wed 2026-10-28 16:30 -04:00  America/New_York  -
    patchday        Sat 2026-11-14 22:00 +01:00  Sun 2026-11-15 04:00 +01:00  Europe/Berlin     patch
    patchday        Sat 2026-12-12 22:00 +01:00  Sun 2026-12-13 04:00 +01:00  Europe/Berlin     patch
    ");
    // 02:30 is there twice that night: the window opens once, and is open for two hours that pass.
    assert_snapshot!(place.snapshot(&["windows", "clean", "--from", "2026-10-25T01:00:00Z", "-n", "1"]), @"
    exit 0
    --- stdout
    WINDOW          OPENS                        CLOSES                       ZONE              STARTS
    nightly   open  Sun 2026-10-25 02:30 +02:00  Sun 2026-10-25 03:30 +01:00  Europe/Berlin     clean
    nightly         Tue 2026-10-27 02:30 +01:00  Tue 2026-10-27 04:30 +01:00  Europe/Berlin     clean
    ");
    let ran = place.piton(&["windows", "patch", "--from", "2026-10-24T23:00:00Z", "-n", "1", "--json"]);
    assert_snapshot!(ran.out, @r#"{"closed_early":null,"closes":"2026-11-15T03:00:00.000Z","last_start":"2026-11-15T03:00:00.000Z","open":false,"opens":"2026-11-14T21:00:00.000Z","opens_there":"Sat 2026-11-14 22:00 +01:00","starts":[{"hosts":["both"],"missed":"once","params":{"note":"it","size":"1G"},"runbook":"copy","schedule":"patch","title":"Patch all"}],"title":"Patches","when":"second saturday at 22:00","window":"patchday","zone":"Europe/Berlin"}"#);
    assert_snapshot!(place.snapshot(&["windows", "patches"]), @"
    exit 2
    --- stderr
    error: there is no window or schedule `patches`
    hint: `piton windows` shows those there are
    ");
}

#[test]
fn a_simulation_shows_what_would_run_when() {
    let place = windows();
    assert_snapshot!(place.snapshot(&["windows", "simulate", "--days", "4", "--from", "2026-10-23T22:00:00Z"]), @"
    exit 0
    --- stdout
    WHEN                         WINDOW    STARTS
    Sat 2026-10-24 02:30 +02:00  nightly   clean (tidy)
    Sun 2026-10-25 02:30 +02:00  nightly   clean (tidy)
    Mon 2026-10-26 02:30 +01:00  nightly   nothing: Day off
    Mon 2026-10-26 09:00 -04:00  markets   nothing: Day off
    Tue 2026-10-27 02:30 +01:00  nightly   clean (tidy)
    Tue 2026-10-27 09:00 -04:00  markets   -
    --- stderr
    3 starts in 4 days from DATE.
    ");
    let long = place.piton(&["windows", "simulate", "--days", "90", "--from", "2026-10-01T00:00:00Z", "--json"]);
    let lines = long.json();
    let of = |name: &str| lines.iter().filter(|line| line["schedule"] == name).count();
    // The second Saturdays of October, November and December; 90 nights less the three of Christmas and the day off.
    assert_eq!((of("patch"), of("clean")), (3, 86));
    assert_eq!(lines.iter().filter(|line| line["shut"] == "Christmas").count(), 5);
    assert_snapshot!(lines[0], @r#"{"at":"2026-10-01T00:30:00.000Z","closes":"2026-10-01T02:30:00.000Z","hosts":null,"missed":"skip","params":{},"runbook":"tidy","schedule":"clean","there":"Thu 2026-10-01 02:30 +02:00","title":"","window":"nightly","zone":"Europe/Berlin"}"#);
    assert_snapshot!(place.snapshot(&["windows", "simulate", "--from", "2026-10-23T22:00:00Z", "--limit", "1"]), @"
    exit 0
    --- stdout
    WHEN                         WINDOW    STARTS
    Sat 2026-10-24 02:30 +02:00  nightly   clean (tidy)
    --- stderr
    1 start in 30 days from DATE.
    There is more: this is cut off after 1 line (--limit).
    ");
}

#[test]
fn every_fault_of_windows_is_told() {
    let place = windows();
    assert_snapshot!(place.snapshot(&["windows", "check"]), @"
    exit 0
    --- stdout
    ok  3 windows, 2 schedules
    ");
    assert!(place.piton(&["check"]).out.contains("ok  windows  3 windows, 2 schedules\n"));
    let one = place.piton(&["check", "windows/hours.yaml"]).out;
    assert_eq!(one, "ok  inventory.yaml  2 hosts\nok  windows  3 windows, 2 schedules\n");
    place.write(
        "windows/more.yaml",
        "zone: Mars/Olympus\nwindows:\n  w: { cron: 61 * * * *, duration: 1h }\nschedules:\n  s: { window: nigthly, runbook: tidy }\n",
    );
    assert_snapshot!(place.snapshot(&["windows", "check"]), @"
    exit 3
    --- stderr
    error[bad-value]: there is no time zone `Mars/Olympus`
     --> windows/more.yaml:1:7
      |
    1 | zone: Mars/Olympus
      |       ^^^^^^^^^^^^
      |
      = help: zones have the names of the IANA database, such as Europe/Berlin or UTC

    error[bad-value]: `61 * * * *` is no cron pattern: Number out of bounds
     --> windows/more.yaml:3:14
      |
    3 |   w: { cron: 61 * * * *, duration: 1h }
      |              ^^^^^^^^^^
      |
      = help: it has minute, hour, day of the month, month and day of the week, and may have seconds before them

    error[unknown-window]: there is no window `nigthly`
     --> windows/more.yaml:5:16
      |
    5 |   s: { window: nigthly, runbook: tidy }
      |                ^^^^^^^
      |
      = help: did you mean `nightly`?

    3 faults in windows/more.yaml
    ");
    let (shown, checked) = (place.piton(&["windows"]), place.piton(&["check"]));
    assert_eq!((shown.code, checked.code), (3, 3));
    assert!(checked.err.contains("Mars/Olympus"), "{}", checked.err);
    let json = place.piton(&["windows", "check", "--json"]).json();
    assert_eq!(json[0]["faults"].as_array().unwrap().len(), 3);
}

#[test]
fn what_a_schedule_starts_is_looked_over() {
    let place = windows();
    place.write(
        "windows/work/all.yaml",
        "schedules:\n  a: { window: nightly, runbook: tydy }\n  b: { window: nightly, runbook: tidy, hosts: both, params: { size: 1 } }\n  \
         c: { window: nightly, runbook: copy, params: { size: large, to: c } }\n  d: { window: nightly, runbook: copy, params: { to: [nowhere] } }\n  \
         e: { window: nightly, runbook: quiet, params: { key: x } }\n  f: { window: nightly, runbook: quiet }\n",
    );
    place.write(
        "runbooks/quiet.yaml",
        "runbook: quiet\nparams: { key: { type: secret }, vm: { type: name } }\nsteps: [{ id: a, run: 'true' }]\n",
    );
    assert_snapshot!(place.snapshot(&["windows", "check"]), @"
    exit 3
    --- stderr
    error[unknown-runbook]: there is no runbook `tydy` in HERE/project
     --> windows/work/all.yaml:2:34
      |
    2 |   a: { window: nightly, runbook: tydy }
      |                                  ^^^^
      |
      = help: did you mean tidy?

    error[bad-param]: `hosts`: the runbook `tidy` has no parameter that takes hosts
     --> windows/work/all.yaml:3:34
      |
    3 |   b: { window: nightly, runbook: tidy, hosts: both, params: { size: 1 } }
      |                                  ^^^^
      |
      = help: give hosts under `params`, by the parameter's name

    error[unknown-param]: the runbook `tidy` has no parameter `size`
     --> windows/work/all.yaml:3:34
      |
    3 |   b: { window: nightly, runbook: tidy, hosts: both, params: { size: 1 } }
      |                                  ^^^^

    error[bad-param]: the parameter `size`: `large` is not a size: write for example 512, 10M or 20GiB
     --> windows/work/all.yaml:4:34
      |
    4 |   c: { window: nightly, runbook: copy, params: { size: large, to: c } }
      |                                  ^^^^

    error[secret-leak]: the parameter `key` is a secret, which no document may hold
     --> windows/work/all.yaml:6:34
      |
    6 |   e: { window: nightly, runbook: quiet, params: { key: x } }
      |                                  ^^^^^
      |
      = help: say in piton.toml where it comes from

    error[bad-param]: the parameter `vm` has no value; give vm=NAME
     --> windows/work/all.yaml:6:34
      |
    6 |   e: { window: nightly, runbook: quiet, params: { key: x } }
      |                                  ^^^^^
      |
      = help: give it under `params` of the schedule

    error[bad-param]: the parameter `vm` has no value; give vm=NAME
     --> windows/work/all.yaml:7:34
      |
    7 |   f: { window: nightly, runbook: quiet }
      |                                  ^^^^^
      |
      = help: give it under `params` of the schedule

    7 faults in windows/work/all.yaml
    ");
}

#[test]
fn a_project_without_windows_says_so() {
    let place = project();
    assert_snapshot!(place.snapshot(&["windows"]), @"
    exit 0
    --- stderr
    There are no windows: write them to windows/NAME.yaml.
    ");
    assert_snapshot!(Place::empty(PITON).snapshot(&["windows"]), @"
    exit 2
    --- stderr
    error: there is no project here (piton.toml marks one)
    hint: windows belong to a project; choose one with -C DIR
    ");
}
