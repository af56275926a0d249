//! The moments that a rule names: cron patterns, and the forms for people that become such patterns.
//!
//! # When clocks change
//! As crond does it (cron(8) of Debian, "Daylight Saving Time and other time changes"; croner keeps to it):
//! a time of day that the clock leaves out is taken at the first moment after the gap; one that comes twice is taken
//! once, the first time. A pattern that goes on all the time (`*` or `*/N` for hours, minutes or seconds) follows the
//! hours as they pass instead: nothing in the gap, and the hour that comes twice counts twice.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Zoned;

/// Into how many patterns of one time of day each a pattern is split, at most: each minute of a day.
const MAX_SPLIT: usize = 1_440;

/// A set of moments.
#[derive(Debug, Clone)]
pub(super) struct Moments {
    crons: Vec<Cron>,
}

impl Moments {
    /// Reads a cron pattern: five fields, or six with seconds before them; `L`, `#`, `W`, names, and nicknames such as `@daily`.
    pub(super) fn cron(pattern: &str) -> Result<Self, String> {
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let read = |pattern: &str| parser.parse(pattern).map_err(|error| said(&error.to_string()));
        let whole = read(pattern)?;
        let crons = match times_of_day(pattern) {
            // A list of hours is a list of times of day, each with the rule for those.
            Some(split) => split.iter().map(|one| read(one)).collect::<Result<Vec<_>, _>>()?,
            None => vec![whole],
        };
        let moments = Self { crons };
        let long_ago = jiff::civil::date(2000, 1, 1).to_zoned(jiff::tz::TimeZone::UTC);
        if long_ago.is_ok_and(|long_ago| moments.after(&long_ago).is_none()) {
            return Err("there is no such day".to_owned());
        }
        Ok(moments)
    }

    /// The moments of both.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.crons.extend(other.crons);
        self
    }

    /// The first moment after this one; `None` at the end of the calendar.
    pub(super) fn after(&self, at: &Zoned) -> Option<Zoned> {
        self.crons.iter().filter_map(|cron| cron.find_next_occurrence(at, false).ok()).filter(|next| next > at).min()
    }

    /// The last moment that is not after this one.
    pub(super) fn not_after(&self, at: &Zoned) -> Option<Zoned> {
        // Backwards, the library takes the later of two equal times of day; forwards the earlier. What is asked for here is
        // what comes forwards, so the search begins a little earlier and goes forwards.
        let last = |cron: &Cron| {
            let before = cron.find_previous_occurrence(at, true).ok().filter(|last| last <= at)?;
            let hours = jiff::Span::new().hours(3);
            let mut last = None;
            let mut from = before.checked_sub(hours).ok()?;
            while let Some(next) =
                cron.find_next_occurrence(&from, false).ok().filter(|next| *next > from && next <= at)
            {
                last = Some(next.clone());
                from = next;
            }
            last.or(Some(before))
        };
        self.crons.iter().filter_map(last).max()
    }
}

/// What the library says, as part of a sentence of ours.
fn said(error: &str) -> String {
    let text = ["Component error: ", "Invalid pattern: ", "Pattern contains illegal characters: "]
        .iter()
        .find_map(|head| error.strip_prefix(head))
        .unwrap_or(error);
    text.trim_end_matches('.').to_owned()
}

/// A pattern without `*` in seconds, minutes and hours as patterns of one time of day each.
fn times_of_day(pattern: &str) -> Option<Vec<String>> {
    let fields: Vec<&str> = pattern.split_whitespace().collect();
    let (seconds, minutes, hours, days) = match fields.as_slice() {
        [minutes, hours, days @ ..] if days.len() == 3 => (&"0", minutes, hours, days),
        [seconds, minutes, hours, days @ ..] if days.len() == 3 => (seconds, minutes, hours, days),
        _ => return None,
    };
    let (seconds, minutes, hours) = (values(seconds)?, values(minutes)?, values(hours)?);
    let many = seconds.len() * minutes.len() * hours.len();
    if !(2..=MAX_SPLIT).contains(&many) {
        return None;
    }
    let days = days.join(" ");
    let each = hours.iter().flat_map(|hour| minutes.iter().map(move |minute| (hour, minute)));
    Some(
        each.flat_map(|(hour, minute)| seconds.iter().map(move |second| (second, minute, hour)))
            .map(|(second, minute, hour)| format!("{second} {minute} {hour} {days}"))
            .collect(),
    )
}

/// The numbers of a field of numbers, ranges and ranges with steps.
fn values(field: &str) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for part in field.split(',') {
        let (range, step) = part.split_once('/').map_or((part, Some(1)), |(range, step)| (range, step.parse().ok()));
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let (from, to): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
        all.extend((from..=to.min(59)).step_by(step.filter(|step| *step > 0)?));
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}

/// The weekdays, as people and as cron call them.
const WEEKDAYS: [(&str, &str); 7] = [
    ("monday", "MON"),
    ("tuesday", "TUE"),
    ("wednesday", "WED"),
    ("thursday", "THU"),
    ("friday", "FRI"),
    ("saturday", "SAT"),
    ("sunday", "SUN"),
];

/// Which of them in a month.
const NTH: [(&str, &str); 6] =
    [("first", "#1"), ("second", "#2"), ("third", "#3"), ("fourth", "#4"), ("fifth", "#5"), ("last", "#L")];

/// The last three fields of a cron pattern for `saturday`, `second saturday`, `every day`, `weekdays`, `last day`, `day 15`.
pub(super) fn days(text: &str) -> Result<String, String> {
    let words: Vec<String> = text.split_whitespace().map(str::to_ascii_lowercase).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let weekday = |word: &str| {
        let word = word.strip_suffix('s').unwrap_or(word);
        WEEKDAYS.iter().find(|(name, cron)| *name == word || cron.eq_ignore_ascii_case(word)).map(|(_, cron)| *cron)
    };
    let nth = |word: &str| NTH.iter().find(|(name, _)| *name == word).map(|(_, nth)| *nth);
    let found = match words.as_slice() {
        ["every", "day"] | ["daily"] => Some("* * *".to_owned()),
        ["weekdays"] => Some("* * MON-FRI".to_owned()),
        ["weekends"] => Some("* * SAT,SUN".to_owned()),
        ["first", "day"] => Some("1 * *".to_owned()),
        ["last", "day"] => Some("L * *".to_owned()),
        ["day", number] => {
            let number = number.parse::<u32>().ok().filter(|number| (1..=31).contains(number));
            number.map(|number| format!("{number} * *"))
        }
        [day] => weekday(day).map(|day| format!("* * {day}")),
        ["every", day] => weekday(day).map(|day| format!("* * {day}")),
        [which, day] => nth(which).zip(weekday(day)).map(|(nth, day)| format!("* * {day}{nth}")),
        _ => None,
    };
    found.ok_or_else(|| format!("`{}` names no days", crate::yaml::read::shorten(text)))
}

/// The first three fields of a cron pattern for a time of day: `22:00` or `22:00:30`.
pub(super) fn time_of_day(text: &str) -> Result<String, String> {
    let bad = || format!("`{}` is no time of day: write for example 22:00", crate::yaml::read::shorten(text));
    let two = |word: &str, most: u32| {
        let digits = word.len() == 2 && word.bytes().all(|b| b.is_ascii_digit());
        word.parse::<u32>().ok().filter(|number| digits && *number <= most)
    };
    let words: Vec<&str> = text.split(':').collect();
    let (hour, minute, second) = match words.as_slice() {
        [hour, minute] => (two(hour, 23), two(minute, 59), Some(0)),
        [hour, minute, second] => (two(hour, 23), two(minute, 59), two(second, 59)),
        _ => return Err(bad()),
    };
    match (hour, minute, second) {
        (Some(hour), Some(minute), Some(second)) => Ok(format!("{second} {minute} {hour}")),
        (_, _, _) => Err(bad()),
    }
}
