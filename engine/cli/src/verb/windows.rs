//! `piton windows`.

mod simulate;

use clap::Subcommand;
use piton_core::schedule::{Occurrence, Schedule, Timetable, Window};
use piton_core::time::Timestamp;
use piton_runner::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::cli::Globals;
use crate::exit::{Code, Failure, count};
use crate::project::{self, Project};
use crate::screen::{BOLD, GREEN, Screen};
use crate::times::{self, iso};
use crate::timetable;
use crate::visible::visible;

/// Show when windows open next, and what is started then
///
/// Windows and schedules stand in `windows/*.yaml` of the project. Times are shown by the clock of the window's zone.
/// `piton serve` starts what is due.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Only the windows and schedules of this name
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// How many openings of each window to show
    #[arg(short = 'n', long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    next: u32,
    /// As if it were TIME: 2026-11-21T10:02:11Z, `2026-11-21 10:02` (by the clock here), or 10m (so long ago)
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Simulate(simulate::Args),
    /// Find every fault of windows and schedules at once, also in what they start
    Check,
}

pub(crate) async fn run(args: Args, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
    let Some(project) = project::find(globals.project.as_deref())? else {
        return Err(Failure::usage(format!("there is no project here ({} marks one)", project::FILE))
            .hint("windows belong to a project; choose one with -C DIR"));
    };
    match &args.verb {
        Some(Verb::Simulate(args)) => simulate::run(args, &project, screen),
        Some(Verb::Check) => check(&project, screen).await,
        None => show(&args, &project, screen),
    }
}

/// The timetable, or its faults.
fn good(project: &Project) -> Result<Timetable, Failure> {
    match timetable::load(project)? {
        (Some(table), _) => Ok(table),
        (None, faults) => Err(Failure::Faults(faults)),
    }
}

/// The moment that is meant, or now.
fn moment(from: Option<&str>) -> Result<Timestamp, Failure> {
    let now = SystemClock.now();
    from.map_or(Ok(now), |text| times::read(text, now).map_err(Failure::usage))
}

async fn check(project: &Project, screen: &Screen) -> Result<Code, Failure> {
    let (table, mut faults) = timetable::load(project)?;
    if let Some(table) = &table {
        faults.append(&mut timetable::check(project, table).await?);
    }
    let Some(table) = table.filter(|_| faults.is_empty()) else { return Err(Failure::Faults(faults)) };
    let mut out = screen.out();
    let (windows, schedules) = (table.windows.len(), table.schedules.len());
    if screen.json {
        out.json(&json!({ "windows": windows, "schedules": schedules, "faults": [] }))?;
    } else {
        let ok = out.paint(GREEN, "ok");
        out.line(format_args!("{ok}  {}, {}", count(windows, "window"), count(schedules, "schedule")))?;
    }
    out.flush()?;
    Ok(Code::Succeeded)
}

/// One opening of a window.
struct Line<'t> {
    window: &'t Window,
    opening: Occurrence,
    open: bool,
    schedules: Vec<&'t Schedule>,
}

fn show(args: &Args, project: &Project, screen: &Screen) -> Result<Code, Failure> {
    let table = good(project)?;
    let now = moment(args.from.as_deref())?;
    let lines = lines(&table, args, now);
    if let Some(name) = args.name.as_ref().filter(|name| !known(&table, name)) {
        return Err(Failure::usage(format!("there is no window or schedule `{}`", visible(name.as_bytes())))
            .hint("`piton windows` shows those there are"));
    }
    let mut out = screen.out();
    if screen.json {
        for line in &lines {
            out.json(&as_json(line))?;
        }
        out.flush()?;
        return Ok(Code::Succeeded);
    }
    if lines.is_empty() {
        screen.note(format_args!("There are no windows: write them to {}/NAME.yaml.", timetable::DIR));
        return Ok(Code::Succeeded);
    }
    let width = table.windows.keys().map(|name| name.as_str().len()).max().unwrap_or(6).clamp(6, 32);
    let zones = table.windows.values().map(|window| zone(window).len()).max().unwrap_or(4).clamp(4, 24);
    let head = format!("{:width$}  {:4}  {:27}  {:27}  {:zones$}  STARTS", "WINDOW", "", "OPENS", "CLOSES", "ZONE");
    out.line(out.paint(BOLD, head.trim_end()))?;
    for line in &lines {
        let state = if line.open { out.paint(GREEN, "open") } else { "    ".to_owned() };
        let (opens, closes) = (shown(line.window, line.opening.opens), shown(line.window, line.opening.closes));
        let starts: Vec<String> = line.schedules.iter().map(|schedule| schedule.name.to_string()).collect();
        let starts = if starts.is_empty() { "-".to_owned() } else { starts.join(", ") };
        let cut = line.opening.cut.as_deref().map(|why| format!("  (closed early: {})", visible(why.as_bytes())));
        let (name, zone, cut) = (&line.window.name, zone(line.window), cut.unwrap_or_default());
        let text = format!("{name:width$}  {state}  {opens:27}  {closes:27}  {zone:zones$}  {starts}{cut}");
        out.line(text.trim_end())?;
    }
    out.flush()?;
    Ok(Code::Succeeded)
}

fn known(table: &Timetable, name: &str) -> bool {
    table.windows.keys().any(|known| known.as_str() == name)
        || table.schedules.keys().any(|known| known.as_str() == name)
}

fn lines<'t>(table: &'t Timetable, args: &Args, now: Timestamp) -> Vec<Line<'t>> {
    let mut lines = Vec::new();
    for window in table.windows.values() {
        let mut schedules: Vec<&Schedule> = table.schedules_of(&window.name).collect();
        if let Some(name) = args.name.as_deref().filter(|name| *name != window.name.as_str()) {
            schedules.retain(|schedule| schedule.name.as_str() == name);
            if schedules.is_empty() {
                continue;
            }
        }
        let open = window.open_at(now);
        lines.extend(open.map(|opening| Line { window, opening, open: true, schedules: schedules.clone() }));
        let mut after = now;
        for _ in 0..args.next {
            let Some(opening) = window.next(after) else { break };
            after = opening.opens;
            lines.push(Line { window, opening, open: false, schedules: schedules.clone() });
        }
    }
    lines.sort_by(|a, b| (a.opening.opens, &a.window.name).cmp(&(b.opening.opens, &b.window.name)));
    lines
}

fn as_json(line: &Line<'_>) -> Value {
    let Line { window, opening, .. } = line;
    json!({
        "window": window.name,
        "title": window.title,
        "zone": zone(window),
        "when": window.written,
        "open": line.open,
        "opens": iso(opening.opens),
        "last_start": iso(opening.last_start),
        "closes": iso(opening.closes),
        "opens_there": shown(window, opening.opens),
        "closed_early": opening.cut,
        "starts": line.schedules.iter().map(|schedule| started(schedule)).collect::<Vec<_>>(),
    })
}

/// A schedule for programs.
fn started(schedule: &Schedule) -> Value {
    json!({
        "schedule": schedule.name,
        "title": schedule.title,
        "runbook": schedule.runbook,
        "params": schedule.params,
        "hosts": schedule.hosts,
        "missed": schedule.missed.word(),
    })
}

/// The zone's name.
fn zone(window: &Window) -> String {
    window.zone.iana_name().unwrap_or("UTC").to_owned()
}

/// `Sat 2026-12-12 02:00 +01:00`, by the clock of the window; with seconds where they are not 0.
fn shown(window: &Window, at: Timestamp) -> String {
    let Some(time) = window.zoned(at) else { return iso(at) };
    let form = if time.second() == 0 { "%a %Y-%m-%d %H:%M %:z" } else { "%a %Y-%m-%d %H:%M:%S %:z" };
    time.strftime(form).to_string()
}
