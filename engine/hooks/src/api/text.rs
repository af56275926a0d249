//! What needs nothing from outside: texts, regular expressions, sizes, durations, JSON, YAML.

use std::time::Duration;

use piton_core::expr::{from_dynamic, regex, to_dynamic};
use piton_core::time::{show_duration, show_size};
use piton_core::value::Value;
use regex::Regex;
use rhai::{Array, Dynamic, Engine};

use super::Made;
use crate::engine::{MAX_ITEMS, MAX_STRING};

/// Registers them.
pub(crate) fn register(engine: &mut Engine) {
    engine.register_fn("show_size", |bytes: i64| -> Made<String> {
        u64::try_from(bytes).map(show_size).map_err(|_| "a size is not negative".into())
    });
    engine.register_fn("show_duration", |seconds: i64| -> Made<String> {
        let span = u64::try_from(seconds).map(Duration::from_secs);
        span.map(show_duration).map_err(|_| "a duration is not negative".into())
    });
    // `duration("250ms")` is a fraction.
    engine.register_fn("show_duration", |seconds: f64| -> Made<String> {
        Ok(Duration::try_from_secs_f64(seconds).map(show_duration).map_err(|error| error.to_string())?)
    });
    engine.register_fn("words", |text: &str| -> Made<Array> {
        let words: Array = text.split_whitespace().map(Into::into).take(MAX_ITEMS + 1).collect();
        if words.len() > MAX_ITEMS { Err("there are too many words".into()) } else { Ok(words) }
    });
    engine.register_fn("join", |items: Array, between: &str| -> Made<String> {
        let mut text = String::new();
        for (number, item) in items.iter().enumerate() {
            if number > 0 {
                text.push_str(between);
            }
            text.push_str(&piton_core::value::to_text(&from_dynamic(item)?));
            if text.len() > MAX_STRING {
                return Err("the text becomes too large".into());
            }
        }
        Ok(text)
    });
    engine.register_fn("find", |text: &str, pattern: &str| -> Made<Dynamic> {
        let regex = regex(pattern)?;
        Ok(regex.captures(text).map_or(Dynamic::UNIT, |found| groups(&regex, &found)))
    });
    engine.register_fn("find_all", |text: &str, pattern: &str| -> Made<Array> {
        let regex = regex(pattern)?;
        let found: Array = regex.captures_iter(text).map(|found| groups(&regex, &found)).take(MAX_ITEMS + 1).collect();
        if found.len() > MAX_ITEMS { Err("there are too many matches".into()) } else { Ok(found) }
    });
    engine.register_fn("to_json", |value: Dynamic| -> Made<String> {
        let text = serde_json::to_string(&from_dynamic(&value)?).map_err(|error| error.to_string())?;
        if text.len() > MAX_STRING { Err("the text becomes too large".into()) } else { Ok(text) }
    });
    engine.register_fn("parse_yaml", |text: &str| -> Made<Dynamic> {
        let value: Value = serde_saphyr::from_str(text).map_err(|error| format!("this is not YAML: {error}"))?;
        Ok(to_dynamic(&value))
    });
}

/// With groups, a map of them: by number (`"0"` is the whole), and by name where they have one.
fn groups(regex: &Regex, found: &regex::Captures<'_>) -> Dynamic {
    let value = |group: Option<regex::Match<'_>>| group.map_or(Dynamic::UNIT, |g| g.as_str().into());
    let mut map: rhai::Map =
        found.iter().enumerate().map(|(number, group)| (number.to_string().into(), value(group))).collect();
    for name in regex.capture_names().flatten() {
        map.insert(name.into(), value(found.name(name)));
    }
    Dynamic::from_map(map)
}
