//! What needs nothing from outside: texts, regular expressions, sizes, durations, JSON, YAML.

use piton_core::time::{parse_duration, parse_size, show_duration, show_size};
use piton_core::value::Value;
use regex::{Regex, RegexBuilder};
use rhai::{Array, Dynamic, Engine, ImmutableString};

use super::Made;
use crate::convert::{from_dynamic, to_dynamic};
use crate::engine::{MAX_ITEMS, MAX_STRING};

/// How large a compiled regular expression may be, in bytes.
const MAX_REGEX: usize = 1 << 20;

/// Registers them.
pub(crate) fn register(engine: &mut Engine) {
    engine.register_fn("size", |text: &str| -> Made<i64> {
        i64::try_from(parse_size(text)?).map_err(|_| "the size is too large".into())
    });
    engine.register_fn("show_size", |bytes: i64| -> Made<String> {
        u64::try_from(bytes).map(show_size).map_err(|_| "a size is not negative".into())
    });
    engine.register_fn("duration", |text: &str| -> Made<i64> {
        i64::try_from(parse_duration(text)?.as_secs()).map_err(|_| "the duration is too long".into())
    });
    engine.register_fn("show_duration", |seconds: i64| -> Made<String> {
        let span = u64::try_from(seconds).map(std::time::Duration::from_secs);
        span.map(show_duration).map_err(|_| "a duration is not negative".into())
    });
    engine.register_fn("lines", |text: &str| -> Made<Array> {
        let lines = text.trim_end_matches(['\n', '\r']).lines().map(Dynamic::from_text);
        let lines: Array = lines.take(MAX_ITEMS + 1).collect();
        if lines.len() > MAX_ITEMS { Err("there are too many lines".into()) } else { Ok(lines) }
    });
    engine.register_fn("words", |text: &str| -> Made<Array> {
        let words: Array = text.split_whitespace().map(Dynamic::from_text).take(MAX_ITEMS + 1).collect();
        if words.len() > MAX_ITEMS { Err("there are too many words".into()) } else { Ok(words) }
    });
    engine.register_fn("trim", |text: &str| -> String { text.trim().to_owned() });
    engine.register_fn("replace", |text: &str, old: &str, new: &str| -> Made<String> {
        let grown = text.matches(old).count().saturating_mul(new.len()).saturating_add(text.len());
        if grown > MAX_STRING { Err("the text becomes too large".into()) } else { Ok(text.replace(old, new)) }
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
    engine.register_fn("matches", |text: &str, pattern: &str| -> Made<bool> { Ok(regex(pattern)?.is_match(text)) });
    engine.register_fn("find", |text: &str, pattern: &str| -> Made<Dynamic> {
        let regex = regex(pattern)?;
        Ok(regex.captures(text).map_or(Dynamic::UNIT, |found| groups(&regex, &found)))
    });
    engine.register_fn("find_all", |text: &str, pattern: &str| -> Made<Array> {
        let regex = regex(pattern)?;
        let found: Array = regex.captures_iter(text).map(|found| groups(&regex, &found)).take(MAX_ITEMS + 1).collect();
        if found.len() > MAX_ITEMS { Err("there are too many matches".into()) } else { Ok(found) }
    });
    engine.register_fn("parse_json", |text: &str| -> Made<Dynamic> {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("this is not JSON: {error}"))?;
        Ok(to_dynamic(&value))
    });
    engine.register_fn("to_json", |value: Dynamic| -> Made<String> {
        let text = serde_json::to_string(&from_dynamic(&value)?).map_err(|error| error.to_string())?;
        if text.len() > MAX_STRING { Err("the text becomes too large".into()) } else { Ok(text) }
    });
    engine.register_fn("parse_yaml", |text: &str| -> Made<Dynamic> {
        let value: Value = serde_saphyr::from_str(text).map_err(|error| format!("this is not YAML: {error}"))?;
        Ok(to_dynamic(&value))
    });
    refuse_mixed_comparisons(engine);
}

trait FromText {
    fn from_text(text: &str) -> Self;
}

impl FromText for Dynamic {
    fn from_text(text: &str) -> Self {
        ImmutableString::from(text).into()
    }
}

fn regex(pattern: &str) -> Made<Regex> {
    Ok(RegexBuilder::new(pattern).size_limit(MAX_REGEX).build().map_err(|error| error.to_string())?)
}

/// With groups, a map of them: by number (`"0"` is the whole), and by name where they have one.
fn groups(regex: &Regex, found: &regex::Captures<'_>) -> Dynamic {
    let value = |group: Option<regex::Match<'_>>| group.map_or(Dynamic::UNIT, |g| Dynamic::from_text(g.as_str()));
    let mut map: rhai::Map =
        found.iter().enumerate().map(|(number, group)| (number.to_string().into(), value(group))).collect();
    for name in regex.capture_names().flatten() {
        map.insert(name.into(), value(found.name(name)));
    }
    Dynamic::from_map(map)
}

/// Rhai compares values of different types without complaint, and the answer is always no. What a script puts out is text,
/// so `host.run(…).out > 5` would never be true, and nobody would notice.
fn refuse_mixed_comparisons(engine: &mut Engine) {
    const NUMBER: &str =
        "this compares text with a number; `parse_int(text)` or `parse_float(text)` makes a number of it";
    const BOOLEAN: &str = "this compares text with a boolean; compare with \"true\" or \"false\" instead";
    for operator in ["==", "!=", "<", "<=", ">", ">="] {
        engine.register_fn(operator, |_: &str, _: i64| -> Made<bool> { Err(NUMBER.into()) });
        engine.register_fn(operator, |_: i64, _: &str| -> Made<bool> { Err(NUMBER.into()) });
        engine.register_fn(operator, |_: &str, _: f64| -> Made<bool> { Err(NUMBER.into()) });
        engine.register_fn(operator, |_: f64, _: &str| -> Made<bool> { Err(NUMBER.into()) });
        engine.register_fn(operator, |_: &str, _: bool| -> Made<bool> { Err(BOOLEAN.into()) });
        engine.register_fn(operator, |_: bool, _: &str| -> Made<bool> { Err(BOOLEAN.into()) });
    }
}
