//! What the service tells: lines on stderr, and with `--json` on stdout.

use piton_core::schedule::LeftOut;
use piton_core::time::Timestamp;
use piton_daemon::scheduler::{Teller, Told};
use serde_json::{Value, json};

use crate::exit::count;
use crate::faults;
use crate::screen::Screen;
use crate::times::iso;

/// Tells everything to whoever looks on.
pub(super) struct Log(pub(super) Screen);

impl Teller for Log {
    fn tell(&self, told: &Told<'_>) {
        let screen = &self.0;
        self.json(told);
        match told {
            Told::InForce(table) => screen.note(format_args!(
                "in force: {}, {}",
                count(table.windows.len(), "window"),
                count(table.schedules.len(), "schedule")
            )),
            Told::Faulty { faults, old } => {
                faults::report(&Screen { json: false, ..*screen }, faults);
                let what = if *old { "those before stay in force" } else { "nothing is started" };
                screen.error(format_args!("the windows are faulty: {what}"), None);
            }
            Told::Started { schedule, start, run } => screen.note(format_args!(
                "schedule {}: run {run} of {} started for {}",
                schedule.name,
                schedule.runbook,
                iso(start.at)
            )),
            Told::LeftOut { schedule, starts } => {
                let Some((last, why)) = starts.last() else { return };
                let why = reason(*why);
                match starts.len() {
                    1 => screen.note(format_args!("schedule {}: {} was left out: {why}", schedule.name, iso(*last))),
                    many => screen.note(format_args!(
                        "schedule {}: {} were left out, the last {}: {why}",
                        schedule.name,
                        count(many, "start"),
                        iso(*last)
                    )),
                }
            }
            Told::Cannot { schedule, start, why } => screen.error(
                format_args!("schedule {}: {} cannot be started: {why}", schedule.name, iso(start.at)),
                Some("it is tried again for as long as the schedule allows".to_owned()),
            ),
            Told::Trouble(error) => screen.error(format_args!("what is due cannot be decided: {error}"), None),
        }
    }
}

impl Log {
    fn json(&self, told: &Told<'_>) {
        if !self.0.json {
            return;
        }
        let mut out = self.0.out();
        // Whoever went away does not keep the service from working.
        let _nobody_reads = out.json(&as_json(told)).and_then(|()| out.flush());
    }
}

fn as_json(told: &Told<'_>) -> Value {
    match told {
        Told::InForce(table) => {
            json!({ "told": "in_force", "windows": table.windows.len(), "schedules": table.schedules.len() })
        }
        Told::Faulty { faults, old } => {
            json!({ "told": "faulty", "old_in_force": old, "faults": faults::to_json(faults) })
        }
        Told::Started { schedule, start, run } => json!({
            "told": "started", "schedule": schedule.name, "runbook": schedule.runbook, "run": run, "start": iso(start.at),
        }),
        Told::LeftOut { schedule, starts } => json!({
            "told": "left_out", "schedule": schedule.name,
            "starts": starts.iter().map(|(at, why)| left_out(*at, *why)).collect::<Vec<_>>(),
        }),
        Told::Cannot { schedule, start, why } => {
            json!({ "told": "cannot", "schedule": schedule.name, "start": iso(start.at), "why": why })
        }
        Told::Trouble(error) => json!({ "told": "trouble", "why": error.to_string() }),
    }
}

fn left_out(at: Timestamp, why: LeftOut) -> Value {
    let word = match why {
        LeftOut::Missed => "missed",
        LeftOut::MadeUp => "made_up",
        LeftOut::Blackout => "blackout",
        LeftOut::TooMany => "too_many",
    };
    json!({ "start": iso(at), "why": word })
}

fn reason(why: LeftOut) -> &'static str {
    match why {
        LeftOut::Missed => "it was missed",
        LeftOut::MadeUp => "a newer start stands for it",
        LeftOut::Blackout => "a blackout",
        LeftOut::TooMany => "it is too long ago",
    }
}
