//! `piton windows simulate`.

use std::time::Duration;

use piton_core::schedule::{Happening, Schedule, What};
use piton_core::time::Timestamp;
use serde_json::{Value, json};

use super::{good, moment, shown, started, zone};
use crate::exit::{Code, Failure, count};
use crate::project::Project;
use crate::screen::{BOLD, Screen, YELLOW};
use crate::times::iso;
use crate::visible::visible;

/// Show what would run when, over some days from now, and what blackouts leave out
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many days of 24 hours
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3660))]
    days: u32,
    /// From TIME on: 2026-11-21T10:02:11Z, `2026-11-21 10:02` (by the clock here), or 10m (so long ago)
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Show at most so many lines
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
}

pub(super) fn run(args: &Args, project: &Project, screen: &Screen) -> Result<Code, Failure> {
    let table = good(project)?;
    let from = moment(args.from.as_deref())?;
    let to = from.plus(Duration::from_secs(u64::from(args.days) * 86_400));
    let limit = args.limit as usize;
    // One more shows whether there are more.
    let mut happenings = table.simulate(from, to, limit + 1);
    let more = happenings.len() > limit;
    happenings.truncate(limit);
    let mut out = screen.out();
    if screen.json {
        for happening in &happenings {
            for line in as_json(happening) {
                out.json(&line)?;
            }
        }
        out.flush()?;
    } else {
        let width = table.windows.keys().map(|name| name.as_str().len()).max().unwrap_or(6).clamp(6, 32);
        out.line(out.paint(BOLD, format_args!("{:27}  {:width$}  STARTS", "WHEN", "WINDOW")))?;
        for happening in &happenings {
            let at = shown(happening.window, happening.at);
            let name = &happening.window.name;
            let what = match &happening.what {
                What::Opens(_, schedules) => starts(schedules),
                What::Shut(why) => out.paint(YELLOW, format_args!("nothing: {}", visible(why.as_bytes()))),
            };
            out.line(format_args!("{at:27}  {name:width$}  {what}"))?;
        }
        out.flush()?;
        let starts: usize = happenings.iter().map(|it| it.starts().len()).sum();
        screen.note(format_args!("{} in {} from {}.", count(starts, "start"), days(args.days), iso(from)));
    }
    if more {
        screen.note(format_args!("There is more: this is cut off after {} (--limit).", count(limit, "line")));
    }
    Ok(Code::Succeeded)
}

fn days(days: u32) -> String {
    count(days as usize, "day")
}

fn starts(schedules: &[&Schedule]) -> String {
    if schedules.is_empty() {
        return "-".to_owned();
    }
    let each = |schedule: &&Schedule| match schedule.name.as_str() == schedule.runbook.as_str() {
        true => schedule.name.to_string(),
        false => format!("{} ({})", schedule.name, schedule.runbook),
    };
    schedules.iter().map(each).collect::<Vec<_>>().join(", ")
}

/// A line for each start, and for each opening that starts nothing.
fn as_json(happening: &Happening<'_>) -> Vec<Value> {
    let line = |what: Value| {
        let mut line = json!({
            "at": iso(happening.at),
            "there": shown(happening.window, happening.at),
            "zone": zone(happening.window),
            "window": happening.window.name,
        });
        if let (Value::Object(line), Value::Object(what)) = (&mut line, what) {
            line.extend(what);
        }
        line
    };
    let closes = |closes: Timestamp| json!({ "closes": iso(closes) });
    match &happening.what {
        What::Opens(opening, schedules) if schedules.is_empty() => vec![line(closes(opening.closes))],
        What::Opens(opening, schedules) => {
            let each = |schedule: &&Schedule| {
                let mut what = started(schedule);
                what["closes"] = Value::from(iso(opening.closes));
                line(what)
            };
            schedules.iter().map(each).collect()
        }
        What::Shut(why) => vec![line(json!({ "shut": why }))],
    }
}
