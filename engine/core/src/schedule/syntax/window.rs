//! A window as it is written.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::Around;
use super::blackout::{self, Written};
use crate::fault::{Fault, FaultCode};
use crate::ids::WindowName;
use crate::schedule::moments::{self, Moments};
use crate::schedule::window::{MAX_OPEN, Window, in_order};
use crate::time::show_duration;
use crate::yaml::read::{Fields, Reader, shorten};
use crate::yaml::{Entry, Node};

/// What the document says for all of its windows.
pub(super) struct Defaults<'d> {
    pub(super) zone: Option<TimeZone>,
    /// Whether it names one, be it a good one or not.
    pub(super) zone_said: bool,
    pub(super) blackouts: &'d [Written],
}

/// Reads a window.
pub(super) fn read(
    reader: &mut Reader<'_>,
    entry: &Entry<'_>,
    name: Option<WindowName>,
    defaults: &Defaults<'_>,
    around: &Around<'_>,
) -> Option<Window> {
    let before = reader.faults.len();
    let mut fields = reader.fields(&entry.value, "window")?;
    let title = fields.take("title").and_then(|node| reader.text(node, "title")).unwrap_or_default().to_owned();
    let own_zone = fields.take("zone");
    let zone = match own_zone {
        Some(node) => zone(reader, node, around),
        None => defaults.zone.clone(),
    };
    if own_zone.is_none() && !defaults.zone_said {
        let hint = "name one of the IANA database here or at the top of the file: `zone: Europe/Berlin`";
        reader.missing(entry.key_span, "window", "zone", hint);
    }
    let when = when(reader, entry, &mut fields);
    let duration = match fields.take("duration") {
        Some(node) => {
            let duration = reader.duration(node, "duration");
            if duration.is_some_and(|duration| duration.is_zero() || duration > MAX_OPEN) {
                let message = format!("a window is open for 1ms to {}", show_duration(MAX_OPEN));
                reader.fault(FaultCode::BadValue, node.span, message);
            }
            duration
        }
        None => {
            reader.missing(entry.key_span, "window", "duration", "say how long it is open, such as `duration: 4h`");
            None
        }
    };
    let cutoff_node = fields.take("cutoff");
    let cutoff = cutoff_node.and_then(|node| reader.duration(node, "cutoff")).unwrap_or(Duration::ZERO);
    if let Some(node) = cutoff_node
        && duration.is_some_and(|duration| cutoff >= duration)
    {
        let message = "`cutoff` is as long as the window: nothing could ever begin in it";
        reader.fault(FaultCode::BadValue, node.span, message);
    }
    let mut blackouts = defaults.blackouts.to_vec();
    blackouts.extend(fields.take("blackouts").map(|node| blackout::list(reader, node, around)).unwrap_or_default());
    reader.finish(&fields);
    if reader.faults.len() > before {
        return None;
    }
    let (written, moments) = when?;
    let zone = zone?;
    let blackouts = in_order(blackouts.iter().filter_map(|written| written.in_zone(&zone)).collect());
    Some(Window { name: name?, title, zone, written, duration: duration?, cutoff, moments, blackouts })
}

/// Reads the name of a zone.
pub(super) fn zone(reader: &mut Reader<'_>, node: &Node<'_>, around: &Around<'_>) -> Option<TimeZone> {
    let name = reader.text(node, "zone")?;
    let zone = (around.zone)(name);
    if zone.is_none() {
        let message = format!("there is no time zone `{}`", shorten(name));
        let names = (around.zone_names)();
        let fault = Fault::at(FaultCode::BadValue, reader.source, node.span, message);
        let fault = fault.did_you_mean(name, names.iter().map(String::as_str));
        let hint = "zones have the names of the IANA database, such as Europe/Berlin or UTC";
        reader.push(if fault.hint.is_none() { fault.hint(hint) } else { fault });
    }
    zone
}

/// Reads when it opens: `cron`, or `days` and `at`.
fn when(reader: &mut Reader<'_>, entry: &Entry<'_>, fields: &mut Fields<'_>) -> Option<(String, Moments)> {
    let (cron, days, at) = (fields.take("cron"), fields.take("days"), fields.take("at"));
    match (cron, days, at) {
        (Some(node), None, None) => {
            let patterns = texts(reader, node, "cron")?;
            let mut all: Option<Moments> = None;
            for (pattern, node) in &patterns {
                match Moments::cron(pattern) {
                    Ok(moments) => all = Some(joined(all, moments)),
                    Err(why) => bad_cron(reader, node, pattern, &why),
                }
            }
            let written: Vec<&str> = patterns.iter().map(|(pattern, _)| pattern.as_str()).collect();
            Some((written.join(", "), all?))
        }
        (None, Some(days), Some(at)) => {
            let (days, times) = (texts(reader, days, "days"), texts(reader, at, "at"));
            let (days, times) = (days?, times?);
            let mut tails = Vec::new();
            for (text, node) in &days {
                match moments::days(text) {
                    Ok(tail) => tails.push(tail),
                    Err(why) => {
                        let hint = "write for example `saturday`, `second saturday`, `last friday`, `weekdays`, \
                                    `every day`, `last day` or `day 15`";
                        reader.fault_with(FaultCode::BadValue, node.span, why, hint);
                    }
                }
            }
            let mut all: Option<Moments> = None;
            for (text, node) in &times {
                let head = match moments::time_of_day(text) {
                    Ok(head) => head,
                    Err(why) => {
                        reader.fault(FaultCode::BadValue, node.span, why);
                        continue;
                    }
                };
                for tail in &tails {
                    match Moments::cron(&format!("{head} {tail}")) {
                        Ok(moments) => all = Some(joined(all, moments)),
                        Err(why) => reader.fault(FaultCode::BadValue, node.span, why),
                    }
                }
            }
            let say = |texts: &[(String, &Node<'_>)]| {
                texts.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(", ")
            };
            Some((format!("{} at {}", say(&days), say(&times)), all?))
        }
        (None, Some(node), None) => {
            reader.missing(node.span, "window", "at", "say at what time of day: `at: \"22:00\"`");
            None
        }
        (None, None, Some(node)) => {
            reader.missing(
                node.span,
                "window",
                "days",
                "say on which days: `days: every day`, `days: second saturday`",
            );
            None
        }
        (Some(_), Some(other), _) | (Some(_), None, Some(other)) => {
            let message = "`cron` says days and times already";
            reader.fault_with(FaultCode::Conflict, other.span, message, "leave out one of them");
            None
        }
        (None, None, None) => {
            let hint = "say when it opens: `cron: \"0 22 * * SAT\"`, or `days: second saturday` and `at: \"22:00\"`";
            reader.missing(entry.key_span, "window", "cron", hint);
            None
        }
    }
}

fn joined(all: Option<Moments>, more: Moments) -> Moments {
    match all {
        Some(all) => all.and(more),
        None => more,
    }
}

fn bad_cron(reader: &mut Reader<'_>, node: &Node<'_>, pattern: &str, why: &str) {
    let message = format!("`{}` is no cron pattern: {why}", shorten(pattern));
    let hint = "it has minute, hour, day of the month, month and day of the week, and may have seconds before them";
    reader.fault_with(FaultCode::BadValue, node.span, message, hint);
}

/// One text, or a list of texts, with where each stands.
fn texts<'n>(reader: &mut Reader<'_>, node: &'n Node<'n>, what: &str) -> Option<Vec<(String, &'n Node<'n>)>> {
    let items = reader.one_or_list(node, what)?;
    if items.is_empty() {
        reader.fault(FaultCode::BadValue, node.span, format!("`{what}` is an empty list"));
        return None;
    }
    let texts: Vec<_> = items.iter().map(|item| reader.text(item, what).map(|text| (text.to_owned(), item))).collect();
    texts.into_iter().collect()
}
