//! What is started: in time, late, after a time in which nobody was there.

use crate::schedule::testing::{at, shown, table};
use crate::schedule::{LeftOut, Schedule, Timetable, Window};
use crate::time::Timestamp;

fn timetable(missed: &str) -> Timetable {
    table(&format!(
        "zone: Europe/Berlin\nwindows:\n  night: {{ cron: 0 22 * * *, duration: 4h, cutoff: 1h, blackouts: 2026-10-28 }}\n\
         schedules:\n  patch: {{ window: night, runbook: r, {missed} }}\n"
    ))
}

fn parts(table: &Timetable) -> (&Schedule, &Window) {
    let schedule = table.schedules.values().next().unwrap();
    (schedule, table.window_of(schedule).unwrap())
}

/// What is decided when the service looks at these moments, beginning at the first.
fn looked(missed: &str, moments: &[&str]) -> Vec<String> {
    let table = timetable(missed);
    let (schedule, window) = parts(&table);
    let mut decided = at(moments[0]);
    let mut all = Vec::new();
    for moment in &moments[1..] {
        let due = schedule.due(window, decided, at(moment));
        assert!(due.decided >= decided);
        let day = |time: Timestamp| shown(window, time)[4..].to_owned();
        all.extend(due.left_out.iter().map(|(time, why)| format!("{} left out: {why:?}", day(*time))));
        all.extend(due.starts.iter().map(|start| format!("{} started at {}", day(start.at), day(at(moment)))));
        decided = due.decided;
    }
    all
}

#[test]
fn a_start_is_made_once_in_time() {
    let seen = looked(
        "missed: skip",
        &[
            "2026-10-23T12:00:00Z",
            "2026-10-23T19:59:59Z",
            "2026-10-23T20:00:00Z",
            "2026-10-23T20:00:00Z",
            "2026-10-23T21:00:00Z",
            "2026-10-24T20:04:00Z",
        ],
    );
    assert_eq!(
        seen,
        [
            "2026-10-23 22:00:00+02:00 started at 2026-10-23 22:00:00+02:00",
            "2026-10-24 22:00:00+02:00 started at 2026-10-24 22:04:00+02:00",
        ]
    );
}

/// Away from the 24th, 12:00, to the 26th, 23:30, which is 90 minutes into a window; the clock changes meanwhile.
const AWAY: [&str; 4] =
    ["2026-10-24T10:00:00Z", "2026-10-26T22:30:00Z", "2026-10-26T22:31:00Z", "2026-10-27T21:00:00Z"];

#[test]
fn what_was_missed_is_skipped() {
    assert_eq!(
        looked("missed: skip", &AWAY),
        [
            "2026-10-24 22:00:00+02:00 left out: Missed",
            "2026-10-25 22:00:00+01:00 left out: Missed",
            "2026-10-26 22:00:00+01:00 left out: Missed",
            // The blackout of the 28th closes it at midnight, an hour is the cutoff: an hour is left.
            "2026-10-27 22:00:00+01:00 started at 2026-10-27 22:00:00+01:00",
        ]
    );
    // Whoever says how late is late enough has it so.
    assert_eq!(
        looked("missed: skip, late: 2h", &AWAY)[2],
        "2026-10-26 22:00:00+01:00 started at 2026-10-26 23:30:00+01:00"
    );
}

/// Back while the window is closed, and looked at again in it.
const CLOSED: [&str; 4] =
    ["2026-10-24T10:00:00Z", "2026-10-26T10:00:00Z", "2026-10-26T12:00:00Z", "2026-10-26T21:00:00Z"];

#[test]
fn one_run_stands_for_all_that_was_missed() {
    assert_eq!(
        looked("missed: once", &AWAY),
        [
            "2026-10-24 22:00:00+02:00 left out: MadeUp",
            "2026-10-25 22:00:00+01:00 left out: MadeUp",
            "2026-10-26 22:00:00+01:00 started at 2026-10-26 23:30:00+01:00",
            "2026-10-27 22:00:00+01:00 started at 2026-10-27 22:00:00+01:00",
        ]
    );
    // Back while the window is closed: nothing begins outside of it, and the next start stands for those before.
    assert_eq!(
        looked("missed: once", &CLOSED),
        [
            "2026-10-24 22:00:00+02:00 left out: MadeUp",
            "2026-10-25 22:00:00+01:00 left out: MadeUp",
            "2026-10-26 22:00:00+01:00 started at 2026-10-26 22:00:00+01:00",
        ]
    );
    // In the cutoff nothing begins either.
    let cutoff = ["2026-10-24T10:00:00Z", "2026-10-25T00:10:00Z", "2026-10-25T21:00:00Z"];
    assert_eq!(
        looked("missed: once", &cutoff),
        [
            "2026-10-24 22:00:00+02:00 left out: MadeUp",
            "2026-10-25 22:00:00+01:00 started at 2026-10-25 22:00:00+01:00",
        ]
    );
}

#[test]
fn each_that_was_missed_is_made_up_for_while_the_window_is_open() {
    assert_eq!(
        looked("missed: each", &AWAY),
        [
            "2026-10-24 22:00:00+02:00 started at 2026-10-26 23:30:00+01:00",
            "2026-10-25 22:00:00+01:00 started at 2026-10-26 23:30:00+01:00",
            "2026-10-26 22:00:00+01:00 started at 2026-10-26 23:30:00+01:00",
            "2026-10-27 22:00:00+01:00 started at 2026-10-27 22:00:00+01:00",
        ]
    );
    assert_eq!(
        looked("missed: each", &CLOSED),
        [
            "2026-10-24 22:00:00+02:00 started at 2026-10-26 22:00:00+01:00",
            "2026-10-25 22:00:00+01:00 started at 2026-10-26 22:00:00+01:00",
            "2026-10-26 22:00:00+01:00 started at 2026-10-26 22:00:00+01:00",
        ]
    );
}

#[test]
fn a_blackout_leaves_out_what_no_policy_makes_up_for() {
    let over = ["2026-10-28T12:00:00Z", "2026-10-28T21:00:00Z", "2026-10-29T21:00:00Z"];
    for missed in ["skip", "once", "each"] {
        assert_eq!(
            looked(&format!("missed: {missed}"), &over),
            [
                "2026-10-28 22:00:00+01:00 left out: Blackout",
                "2026-10-29 22:00:00+01:00 started at 2026-10-29 22:00:00+01:00",
            ]
        );
    }
}

#[test]
fn a_long_absence_is_cut_short() {
    let table = table(
        "zone: UTC\nwindows: { w: { cron: '* * * * * *', duration: 1m } }\nschedules: { s: { window: w, runbook: r, missed: each } }\n",
    );
    let (schedule, window) = parts(&table);
    let due = schedule.due(window, at("2026-01-01T00:00:00Z"), at("2026-01-01T06:00:00Z"));
    assert_eq!(due.starts.len(), crate::schedule::MAX_LOOKED_AT);
    assert_eq!(due.left_out.len(), 1);
    assert_eq!(due.left_out[0].1, LeftOut::TooMany);
    assert_eq!(due.starts.last().unwrap().at, at("2026-01-01T06:00:00Z"));
}

#[test]
fn a_start_has_one_id_and_no_other_start_has_it() {
    let table = timetable("missed: skip");
    let (schedule, window) = parts(&table);
    let start = schedule.due(window, at("2026-10-23T12:00:00Z"), at("2026-10-23T20:00:00Z")).starts[0];
    let id = start.run_id("/srv/ops", &schedule.name);
    // It must never change: a service of a newer version would start again what an older one has started.
    assert_eq!(id.to_string(), "01M5N5JKG0G8RB0D5SYPN40AHP");
    assert_eq!(id, start.run_id("/srv/ops", &schedule.name));
    assert_ne!(id, start.run_id("/srv/other", &schedule.name));
    assert_ne!(id, start.run_id("/srv/ops", &"patch2".parse().unwrap()));
}
