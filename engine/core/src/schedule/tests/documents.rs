//! What is wrong with documents, all at once.

use crate::schedule::testing::{parse, source};

fn faults(text: &str) -> Vec<String> {
    parse(&[source("windows/w.yaml", text)]).1.iter().map(ToString::to_string).collect()
}

#[test]
fn every_fault_is_told_at_once() {
    let text = "zone: Europe/Berlni
windows:
  a: { cron: '0 25 * * *', duration: 4h }
  b: { days: second caturday, at: '24:00', duration: 40d }
  c: { cron: 0 2 * * *, days: monday, duration: 1h, cutoff: 1h, colour: red }
  d: { at: '02:00' }
  E: { duration: 1h }
  f: { cron: 0 0 30 2 *, duration: 1h, blackouts: [2026-13-01, 2026-02-02..2026-02-01, { why: x }, { calendar: none.ics }, { calendar: broken.ics }, { calendar: deep.ics }] }
schedules:
  s: { window: nightly, missed: twice }
  t: { window: b, runbook: Rolling, missed: once, late: 5m }
";
    insta::assert_snapshot!(faults(text).join("\n"), @r#"
    windows/w.yaml:1:7: bad-value: there is no time zone `Europe/Berlni` (did you mean `Europe/Berlin`?)
    windows/w.yaml:3:14: bad-value: `0 25 * * *` is no cron pattern: Number out of bounds (it has minute, hour, day of the month, month and day of the week, and may have seconds before them)
    windows/w.yaml:4:14: bad-value: `second caturday` names no days (write for example `saturday`, `second saturday`, `last friday`, `weekdays`, `every day`, `last day` or `day 15`)
    windows/w.yaml:4:35: bad-value: `24:00` is no time of day: write for example 22:00
    windows/w.yaml:4:54: bad-value: a window is open for 1ms to 31d
    windows/w.yaml:5:31: conflict: `cron` says days and times already (leave out one of them)
    windows/w.yaml:5:61: bad-value: `cutoff` is as long as the window: nothing could ever begin in it
    windows/w.yaml:5:65: unknown-field: `window` has no field `colour` (there is `title`, `zone`, `cron`, `days`, `at`, `duration`, `cutoff`, `blackouts`)
    windows/w.yaml:6:3: missing-field: `window` needs `duration` (say how long it is open, such as `duration: 4h`)
    windows/w.yaml:6:12: missing-field: `window` needs `days` (say on which days: `days: every day`, `days: second saturday`)
    windows/w.yaml:7:3: bad-name: `E` is not a window name: a lower-case letter, then lower-case letters, digits, `-` or `_`, 64 at most
    windows/w.yaml:7:3: missing-field: `window` needs `cron` (say when it opens: `cron: "0 22 * * SAT"`, or `days: second saturday` and `at: "22:00"`)
    windows/w.yaml:8:14: bad-value: `0 0 30 2 *` is no cron pattern: there is no such day (it has minute, hour, day of the month, month and day of the week, and may have seconds before them)
    windows/w.yaml:8:52: bad-value: `2026-13-01` is neither a date nor a time (write 2026-12-24, 2026-12-24..2027-01-01, or 2026-12-24T18:00 by the clock of the window)
    windows/w.yaml:8:64: bad-value: the blackout ends before it begins
    windows/w.yaml:8:88: conflict: a blackout has `date`, or `from` and `to`, or `calendar` (write for example `{ date: 2026-12-24, why: Christmas }`)
    windows/w.yaml:8:112: bad-value: none.ics cannot be read: No such file or directory (os error 2)
    windows/w.yaml:8:136: bad-value: broken.ics: `an event`: `soon` is neither a date nor a time
    windows/w.yaml:8:162: bad-value: deep.ics: is not an iCalendar file: components stand too deep in each other
    windows/w.yaml:10:3: missing-field: `schedule` needs `runbook` (name what it starts)
    windows/w.yaml:10:33: bad-value: `missed` cannot be `twice` (it is one of `skip`, `once`, `each`)
    windows/w.yaml:11:28: bad-name: `Rolling` is not a runbook name: a lower-case letter, then lower-case letters, digits, `-` or `_`, 64 at most
    windows/w.yaml:11:57: conflict: `late` says when a start is missed and skipped; here what is missed is made up for (leave `late` out, or write `missed: skip`)
    windows/w.yaml:10:16: unknown-window: there is no window `nightly` (windows stand under `windows`)
    "#);
}

#[test]
fn names_are_unique_in_all_documents_and_a_zone_must_be_named() {
    let one = source(
        "windows/one.yaml",
        "windows:\n  w: { cron: 0 2 * * *, duration: 1h }\nschedules:\n  s: { window: x, runbook: r }\n",
    );
    let two = source(
        "windows/two.yaml",
        "zone: UTC\nwindows:\n  w: { cron: 0 2 * * *, duration: 1h }\n  x: { cron: '@daily', duration: 1h }\nschedules:\n  s: { window: w, runbook: r }\n",
    );
    let told: Vec<String> = parse(&[one, two]).1.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    windows/one.yaml:2:3: missing-field: `window` needs `zone` (name one of the IANA database here or at the top of the file: `zone: Europe/Berlin`)
    windows/two.yaml:3:3: duplicate: there is a window `w` already: windows/one.yaml:2
    windows/two.yaml:6:3: duplicate: there is a schedule `s` already: windows/one.yaml:4
    ");
}
