//! What holds for every window: looked at from anywhere, the openings are the same.

use proptest::prelude::*;

use crate::schedule::Window;
use crate::schedule::testing::{at, table, window};
use crate::time::Timestamp;

const HOUR: i64 = 3_600_000;

fn windows() -> impl Strategy<Value = Window> {
    let zones =
        prop::sample::select(vec!["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC", "Asia/Kolkata"]);
    let minute = prop_oneof![Just("*/7".to_owned()), (0..60u32).prop_map(|m| m.to_string()), Just("0,30".to_owned())];
    let hour = prop_oneof![
        Just("*".to_owned()),
        Just("*/2".to_owned()),
        (0..24u32).prop_map(|h| h.to_string()),
        Just("1-3".to_owned())
    ];
    let day = prop::sample::select(vec!["* * *", "* * SUN", "* * SAT#2", "L * *", "25,29 * *", "* * SAT,SUN"]);
    let blackout = prop::sample::select(vec![
        "[]",
        "2026-03-29",
        "[{ from: 2026-10-25T02:30, to: 2026-10-25T02:45 }, 2026-11-01]",
    ]);
    (zones, minute, hour, day, 1..50i64, blackout).prop_map(|(zone, minute, hour, day, hours, blackouts)| {
        window(zone, &format!("cron: '{minute} {hour} {day}', duration: {hours}h, blackouts: {blackouts}"))
    })
}

/// A moment of the days round the changes of the clock.
fn moments() -> impl Strategy<Value = Timestamp> {
    let changes = [
        "2026-03-08T07:00:00Z",
        "2026-03-29T01:00:00Z",
        "2026-10-25T01:00:00Z",
        "2026-11-01T06:00:00Z",
        "2026-04-04T15:00:00Z",
    ];
    (prop::sample::select(changes.to_vec()), -40 * 60..40 * 60i64)
        .prop_map(|(change, minutes)| Timestamp(at(change).0 + minutes * 60_000))
}

proptest! {
    /// From a later beginning the same openings come, no more and no fewer; each is later than the one before.
    #[test]
    fn openings_do_not_depend_on_where_one_looks_from(window in windows(), from in moments(), ahead in 0..30 * HOUR) {
        let list = |from: Timestamp| {
            let end = Timestamp(from.0.max(0) + 60 * HOUR);
            let mut all = Vec::new();
            let mut after = from;
            while let Some(opening) = window.opening_after(after).filter(|opening| opening.at() <= end) {
                prop_assert!(opening.at() > after);
                after = opening.at();
                all.push(opening);
            }
            Ok(all)
        };
        let later = Timestamp(from.0 + ahead);
        let (first, second) = (list(from)?, list(later)?);
        let common = |all: &[crate::schedule::Opening]| -> Vec<_> {
            all.iter().filter(|o| o.at() > later && o.at().0 <= from.0 + 60 * HOUR).cloned().collect()
        };
        prop_assert_eq!(common(&first), common(&second));
    }

    /// Whether it is open is what the openings before say.
    #[test]
    fn it_is_open_as_its_openings_say(window in windows(), now in moments()) {
        let mut after = Timestamp(now.0 - 51 * HOUR);
        let mut open = false;
        while let Some(next) = window.next(after).filter(|next| next.opens <= now) {
            open |= now < next.closes;
            after = next.opens;
        }
        prop_assert_eq!(window.open_at(now).is_some(), open);
    }

    /// However often the service looks, and however often it starts anew: each start is made or left out, and never twice.
    #[test]
    fn a_start_is_made_or_left_out_once(
        window in windows(),
        from in moments(),
        looks in prop::collection::vec(1..20 * HOUR, 1..30),
        missed in prop::sample::select(vec!["skip", "once", "each"]),
    ) {
        let table = table(&format!(
            "zone: UTC\nwindows: {{ w: {{ cron: 0 0 * * *, duration: 1h }} }}\nschedules: {{ s: {{ window: w, runbook: r, missed: {missed} }} }}\n"
        ));
        let schedule = table.schedules.values().next().unwrap();
        let (mut now, mut decided) = (from, from);
        let mut seen = std::collections::BTreeSet::new();
        for look in looks {
            now = Timestamp(now.0 + look);
            let due = schedule.due(&window, decided, now);
            for at in due.starts.iter().map(|start| start.at).chain(due.left_out.iter().map(|(at, _)| *at)) {
                prop_assert!(seen.insert(at), "{at:?} twice");
                prop_assert!(at <= now && at > from);
            }
            if !due.starts.is_empty() {
                let open = window.open_at(now);
                prop_assert!(open.is_some_and(|open| now < open.last_start));
            }
            decided = due.decided;
        }
        let mut after = from;
        while let Some(opening) = window.opening_after(after).filter(|opening| opening.at() <= decided) {
            after = opening.at();
            prop_assert!(seen.contains(&after), "{after:?} was forgotten");
        }
    }
}
