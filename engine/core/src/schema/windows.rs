//! The form of windows and schedules.

use super::Form::{Any, Duration, Either, List, Map, Matching, Maybe, OneOrMore, Shape as A, Text, Word};
use super::{Shape, may, must};
use crate::schedule::words;

const NAME: &str = r"^[a-z][a-z0-9_-]*$";
const TIME_OF_DAY: &str = r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$";
const BLACKOUTS: super::Form = Either(&[Text, A("blackout"), List(&Either(&[Text, A("blackout")]))]);

const EXAMPLE: &str = "
zone: Europe/Berlin
blackouts: 2026-12-24..2027-01-01
windows:
  nightly: { title: Each night, cron: 0 22 * * MON-FRI, zone: UTC, duration: 6h, cutoff: 30m }
  patchday: { days: second saturday, at: '02:00', duration: 4h, blackouts: [2026-12-12, { calendar: holidays.ics }, { from: 2026-05-01T12:00, to: 2026-05-02, why: May }, { date: 2026-05-03 }] }
schedules:
  patch: { title: Patch, window: patchday, runbook: rolling-restart, params: { batch: 2 }, hosts: [hypervisors], missed: skip, late: 10m }
";

/// Every map of a document of windows; the first is the document.
pub(super) const SHAPES: &[Shape] = &[
    Shape {
        name: "windows file",
        help: "The hours in which scheduled work may run, and what is started in them.",
        fields: &[
            may("zone", Text, "The time zone of its windows, by its name in the IANA database."),
            may("blackouts", Maybe(&BLACKOUTS), "When none of its windows is open."),
            may("windows", Maybe(&Map(NAME, &A("window"))), "Windows by name."),
            may("schedules", Maybe(&Map(NAME, &A("schedule"))), "Schedules by name."),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "window",
        help: "Hours in which work may run. It opens by `cron`, or by `days` and `at`.",
        fields: &[
            may("title", Text, "One line for people."),
            may("zone", Text, "The time zone of its clock, by its name in the IANA database."),
            may(
                "cron",
                OneOrMore(&Text),
                "When it opens: minute, hour, day of the month, month, day of the week; with six fields, seconds come first.",
            ),
            may(
                "days",
                OneOrMore(&Text),
                "On which days it opens: `saturday`, `second saturday`, `weekdays`, `every day`, `last day`, `day 15`.",
            ),
            may("at", OneOrMore(&Matching(TIME_OF_DAY)), "At what time of these days."),
            must("duration", Duration, "How long it is open."),
            may("cutoff", Duration, "So long before its end nothing begins any more (0s)."),
            may("blackouts", Maybe(&BLACKOUTS), "When it stays shut, on top of what the file says."),
        ],
        one_of: &["cron", "days"],
        example: EXAMPLE,
    },
    Shape {
        name: "blackout",
        help: "Time in which windows stay shut.",
        fields: &[
            may("date", Text, "A day."),
            may("from", Text, "The first day, or a time by the clock of the window."),
            may("to", Text, "The last day, or a time."),
            may("calendar", Text, "An iCalendar file, relative to this one: each of its events is a blackout."),
            may("why", Text, "Why, for people."),
        ],
        one_of: &["date", "from", "calendar"],
        example: EXAMPLE,
    },
    Shape {
        name: "schedule",
        help: "What is started each time that a window opens.",
        fields: &[
            may("title", Text, "One line for people."),
            must("window", Matching(NAME), "The window."),
            must("runbook", Matching(NAME), "What it starts."),
            may("params", Maybe(&Map("", &Any)), "Values for the runbook's parameters."),
            may("hosts", OneOrMore(&Text), "Values for the runbook's one parameter that takes hosts."),
            may("missed", Word(words::missed), "What becomes of starts that nobody made in time (skip)."),
            may("late", Duration, "How long after the opening a start is still in time (5m)."),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
];
