//! When windows open: the lists were computed by hand, with a calendar.

use crate::schedule::testing::{at, openings, shown, window};
use crate::schedule::{Opening, Window};

/// Each case: zone, fields, from when on, and the next openings by the clock of the zone.
fn check(zone: &str, fields: &str, from: &str, expected: &[&str]) {
    let window = window(zone, &format!("duration: 1h, {fields}"));
    assert_eq!(openings(&window, from, expected.len()), expected, "{zone} {fields}");
}

#[test]
fn a_time_of_day_that_the_clock_leaves_out_is_the_first_moment_after_the_gap() {
    // Berlin, 29 March 2026: after 01:59:59 comes 03:00:00.
    let by_cron = "cron: 30 2 * * *";
    let by_days = "days: every day, at: '02:30'";
    for fields in [by_cron, by_days] {
        check(
            "Europe/Berlin",
            fields,
            "2026-03-27T12:00:00Z",
            &["Sat 2026-03-28 02:30:00+01:00", "Sun 2026-03-29 03:00:00+02:00", "Mon 2026-03-30 02:30:00+02:00"],
        );
    }
    // New York, 8 March 2026: after 01:59:59 comes 03:00:00.
    check(
        "America/New_York",
        "cron: 0 2 * * *",
        "2026-03-07T00:00:00Z",
        &["Sat 2026-03-07 02:00:00-05:00", "Sun 2026-03-08 03:00:00-04:00", "Mon 2026-03-09 02:00:00-04:00"],
    );
    // A list of hours is a list of times of day; what falls together counts once.
    check(
        "Europe/Berlin",
        "cron: '0 1,2,3 * * *'",
        "2026-03-28T20:00:00Z",
        &["Sun 2026-03-29 01:00:00+01:00", "Sun 2026-03-29 03:00:00+02:00", "Mon 2026-03-30 01:00:00+02:00"],
    );
}

#[test]
fn a_time_of_day_that_comes_twice_counts_once_the_first_time() {
    // Berlin, 25 October 2026: after 02:59:59 summer time comes 02:00:00 winter time.
    for fields in ["cron: 30 2 * * *", "cron: '0 30 2 * * *'", "days: every day, at: '02:30'"] {
        check(
            "Europe/Berlin",
            fields,
            "2026-10-23T12:00:00Z",
            &["Sat 2026-10-24 02:30:00+02:00", "Sun 2026-10-25 02:30:00+02:00", "Mon 2026-10-26 02:30:00+01:00"],
        );
    }
    // New York, 1 November 2026: after 01:59:59 summer time comes 01:00:00 winter time.
    check(
        "America/New_York",
        "cron: '15,45 1 * * *'",
        "2026-10-31T12:00:00Z",
        &["Sun 2026-11-01 01:15:00-04:00", "Sun 2026-11-01 01:45:00-04:00", "Mon 2026-11-02 01:15:00-05:00"],
    );
}

#[test]
fn what_goes_on_all_the_time_follows_the_hours_as_they_pass() {
    check(
        "Europe/Berlin",
        "cron: 0 * * * *",
        "2026-03-29T00:00:00Z",
        &["Sun 2026-03-29 01:00:00+01:00", "Sun 2026-03-29 03:00:00+02:00", "Sun 2026-03-29 04:00:00+02:00"],
    );
    check(
        "Europe/Berlin",
        "cron: 0 * * * *",
        "2026-10-24T23:00:00Z",
        &[
            "Sun 2026-10-25 01:00:00+02:00",
            "Sun 2026-10-25 02:00:00+02:00",
            "Sun 2026-10-25 02:00:00+01:00",
            "Sun 2026-10-25 03:00:00+01:00",
        ],
    );
    check(
        "America/New_York",
        "cron: '*/30 * * * *'",
        "2026-11-01T05:30:00Z",
        &[
            "Sun 2026-11-01 01:30:00-04:00",
            "Sun 2026-11-01 01:00:00-05:00",
            "Sun 2026-11-01 01:30:00-05:00",
            "Sun 2026-11-01 02:00:00-05:00",
        ],
    );
}

#[test]
fn days_and_cron_say_the_same() {
    let from = "2026-11-01T00:00:00Z";
    // The Saturdays of November and December 2026: 7, 14, 21, 28; 5, 12, 19, 26. January 2027: 2, 9.
    for fields in
        ["cron: 0 2 * * SAT#2", "days: second saturday, at: '02:00'", "days: [second Saturday], at: ['02:00']"]
    {
        check(
            "UTC",
            fields,
            from,
            &["Sat 2026-11-14 02:00:00+00:00", "Sat 2026-12-12 02:00:00+00:00", "Sat 2027-01-09 02:00:00+00:00"],
        );
    }
    for fields in ["cron: 0 2 * * FRI#L", "days: last friday, at: '02:00'"] {
        check("UTC", fields, from, &["Fri 2026-11-27 02:00:00+00:00", "Fri 2026-12-25 02:00:00+00:00"]);
    }
    for fields in ["cron: 0 2 L * *", "days: last day, at: '02:00'"] {
        check(
            "UTC",
            fields,
            from,
            &[
                "Mon 2026-11-30 02:00:00+00:00",
                "Thu 2026-12-31 02:00:00+00:00",
                "Sun 2027-01-31 02:00:00+00:00",
                "Sun 2027-02-28 02:00:00+00:00",
            ],
        );
    }
    // The weekday nearest to the 15th: 15 November 2026 is a Sunday, 15 December a Tuesday.
    check("UTC", "cron: 0 2 15W * *", from, &["Mon 2026-11-16 02:00:00+00:00", "Tue 2026-12-15 02:00:00+00:00"]);
    check(
        "UTC",
        "days: [monday, thursday], at: ['22:00', '04:30:10']",
        "2026-11-19T12:00:00Z",
        &[
            "Thu 2026-11-19 22:00:00+00:00",
            "Mon 2026-11-23 04:30:10+00:00",
            "Mon 2026-11-23 22:00:00+00:00",
            "Thu 2026-11-26 04:30:10+00:00",
        ],
    );
    check(
        "UTC",
        "cron: '*/20 0 3 * * SUN'",
        from,
        &[
            "Sun 2026-11-01 03:00:00+00:00",
            "Sun 2026-11-01 03:00:20+00:00",
            "Sun 2026-11-01 03:00:40+00:00",
            "Sun 2026-11-08 03:00:00+00:00",
        ],
    );
    check("UTC", "cron: 0 0 29 2 *", from, &["Tue 2028-02-29 00:00:00+00:00", "Sun 2032-02-29 00:00:00+00:00"]);
}

/// By the clock of the window: when it opens, from when on nothing begins, when it closes; or why it stays shut.
fn opened(window: &Window, from: &str, count: usize) -> Vec<String> {
    let mut after = at(from);
    let mut all = Vec::new();
    for _ in 0..count {
        let opening = window.opening_after(after).unwrap();
        after = opening.at();
        all.push(match opening {
            Opening::Opens(it) => {
                let cut = it.cut.map(|why| format!(" ({why})")).unwrap_or_default();
                format!(
                    "{} .. {} .. {}{cut}",
                    shown(window, it.opens),
                    shown(window, it.last_start),
                    shown(window, it.closes)
                )
            }
            Opening::Shut { at, why } => format!("{} shut: {why}", shown(window, at)),
        });
    }
    all
}

#[test]
fn a_window_is_open_for_time_that_passes() {
    let window = window("Europe/Berlin", "cron: 0 22 * * SAT, duration: 6h, cutoff: 90m");
    assert_eq!(
        opened(&window, "2026-03-21T22:00:00Z", 1),
        ["Sat 2026-03-28 22:00:00+01:00 .. Sun 2026-03-29 03:30:00+02:00 .. Sun 2026-03-29 05:00:00+02:00"]
    );
    assert_eq!(
        opened(&window, "2026-10-17T22:00:00Z", 1),
        ["Sat 2026-10-24 22:00:00+02:00 .. Sun 2026-10-25 02:30:00+02:00 .. Sun 2026-10-25 03:00:00+01:00"]
    );
}

#[test]
fn blackouts_keep_shut_and_close_early() {
    let fields = "cron: 0 22 * * *, duration: 4h, cutoff: 1h, blackouts: [2026-12-24..2026-12-25, { from: 2026-12-28T23:30, to: 2026-12-28T23:40, why: audit }, { from: 2026-12-29T22:30, to: 2026-12-29T23:00, why: short }]";
    let window = window("Europe/Berlin", fields);
    assert_eq!(
        opened(&window, "2026-12-22T22:00:00Z", 7),
        [
            "Wed 2026-12-23 22:00:00+01:00 .. Wed 2026-12-23 23:00:00+01:00 .. Thu 2026-12-24 00:00:00+01:00 (blackout)",
            "Thu 2026-12-24 22:00:00+01:00 shut: blackout",
            "Fri 2026-12-25 22:00:00+01:00 shut: blackout",
            "Sat 2026-12-26 22:00:00+01:00 .. Sun 2026-12-27 01:00:00+01:00 .. Sun 2026-12-27 02:00:00+01:00",
            "Sun 2026-12-27 22:00:00+01:00 .. Mon 2026-12-28 01:00:00+01:00 .. Mon 2026-12-28 02:00:00+01:00",
            "Mon 2026-12-28 22:00:00+01:00 .. Mon 2026-12-28 22:30:00+01:00 .. Mon 2026-12-28 23:30:00+01:00 (audit)",
            // Less than the cutoff is left.
            "Tue 2026-12-29 22:00:00+01:00 shut: short",
        ]
    );
}

#[test]
fn a_calendar_of_events_is_blackouts() {
    let window = window("Europe/Berlin", "cron: 0 17 * * *, duration: 2h, blackouts: { calendar: holidays.ics }");
    let shut = |from: &str, days: usize| -> Vec<String> {
        let all = opened(&window, from, days);
        all.into_iter().filter(|line| line.contains("shut") || line.contains('(')).collect()
    };
    // All day, every year since 2020; the folded line is one.
    assert_eq!(shut("2026-09-20T00:00:00Z", 30), ["Sat 2026-10-03 17:00:00+02:00 shut: Unity Day"]);
    assert_eq!(shut("2031-10-01T00:00:00Z", 5), ["Fri 2031-10-03 17:00:00+02:00 shut: Unity Day"]);
    // The day of DTEND is not in it.
    assert_eq!(
        shut("2026-04-30T00:00:00Z", 8),
        [
            "Fri 2026-05-01 17:00:00+02:00 shut: Long weekend",
            "Sat 2026-05-02 17:00:00+02:00 shut: Long weekend",
            "Sun 2026-05-03 17:00:00+02:00 shut: Long weekend",
        ]
    );
    // 12:00 to 14:00 in New York is 18:00 to 20:00 in Berlin.
    assert_eq!(
        shut("2026-06-01T00:00:00Z", 20),
        [
            "Wed 2026-06-10 17:00:00+02:00 .. Wed 2026-06-10 18:00:00+02:00 .. Wed 2026-06-10 18:00:00+02:00 (Audit, part 1)"
        ]
    );
    // What was called off does not count.
    assert!(shut("2026-06-28T00:00:00Z", 8).is_empty());
}

#[test]
fn a_window_is_open_from_its_first_moment_to_before_its_last() {
    let window = window("Europe/Berlin", "cron: 30 2 * * *, duration: 24h, blackouts: 2026-10-27");
    let open = |time: &str| window.open_at(at(time)).map(|it| shown(&window, it.opens));
    // 03:00 summer time on 29 March is the first moment after the gap: 01:00 UTC.
    assert_eq!(open("2026-03-29T00:59:59.999Z").unwrap(), "Sat 2026-03-28 02:30:00+01:00");
    assert_eq!(open("2026-03-29T01:00:00Z").unwrap(), "Sun 2026-03-29 03:00:00+02:00");
    // 02:30 comes twice on 25 October: it opened the first time, at 00:30 UTC.
    assert_eq!(open("2026-10-25T00:30:00Z").unwrap(), "Sun 2026-10-25 02:30:00+02:00");
    assert_eq!(open("2026-10-25T01:30:00Z").unwrap(), "Sun 2026-10-25 02:30:00+02:00");
    // 24 hours later the clock shows 01:30, and it opens again at 02:30.
    assert_eq!(open("2026-10-26T00:29:59Z").unwrap(), "Sun 2026-10-25 02:30:00+02:00");
    assert_eq!(open("2026-10-26T00:30:00Z"), None);
    assert_eq!(open("2026-10-26T01:30:00Z").unwrap(), "Mon 2026-10-26 02:30:00+01:00");
    // The blackout of the 27th closes it at midnight.
    assert_eq!(open("2026-10-26T23:00:00Z"), None);
    assert_eq!(open("2026-10-27T12:00:00Z"), None);
}
