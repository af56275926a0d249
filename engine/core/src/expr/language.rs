//! The language of everything that is written in Rhai: expressions, models in tests, hooks. What it is made of, which functions
//! all of them have, and how its values become those of the journal.

use regex::{Regex, RegexBuilder};
use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage, BasicMathPackage,
    BasicStringPackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{Array, Dynamic, Engine, EvalAltResult, ImmutableString, OptimizationLevel};

use crate::value::{Map, Value};

/// How large a compiled regular expression may be, in bytes.
const MAX_REGEX: usize = 1 << 20;
/// How deep a value may nest on its way out.
const MAX_DEPTH: usize = 64;

type Made<T> = Result<T, Box<EvalAltResult>>;

/// An engine without effects: packages, shared functions, and limits on texts (in bytes) and on lists and maps (in items).
/// Limits on operations, depth and names are for whoever asks.
pub fn language(max_string: usize, max_items: usize) -> Engine {
    let mut engine = Engine::new_raw();
    ArithmeticPackage::new().register_into_engine(&mut engine);
    LogicPackage::new().register_into_engine(&mut engine);
    BasicStringPackage::new().register_into_engine(&mut engine);
    MoreStringPackage::new().register_into_engine(&mut engine);
    BasicMathPackage::new().register_into_engine(&mut engine);
    BasicArrayPackage::new().register_into_engine(&mut engine);
    BasicMapPackage::new().register_into_engine(&mut engine);
    BasicIteratorPackage::new().register_into_engine(&mut engine);
    BasicFnPackage::new().register_into_engine(&mut engine);

    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_fail_on_invalid_map_property(true);
    // Without this, Rhai's own comparison of text with a number (always false) comes before ours (an error).
    engine.set_fast_operators(false);
    engine.set_max_string_size(max_string);
    engine.set_max_array_size(max_items);
    engine.set_max_map_size(max_items);
    for symbol in ["eval", "print", "debug"] {
        engine.disable_symbol(symbol);
    }
    add_functions(&mut engine, max_string, max_items);
    refuse_mixed_comparisons(&mut engine);
    engine
}

/// A regular expression, of bounded size.
///
/// # Errors
/// What is wrong with it, for people, in one line.
pub fn regex(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(MAX_REGEX).build().map_err(|error| {
        if matches!(error, regex::Error::CompiledTooBig(_)) {
            return "the regular expression is too large".to_owned();
        }
        // The last line says what is wrong, those before it draw an arrow.
        let text = error.to_string();
        text.lines().last().unwrap_or("it cannot be read").trim_start_matches("error: ").to_owned()
    })
}

/// The functions that expressions and hooks share; those that make large things out of small ones know what is too large.
fn add_functions(engine: &mut Engine, max_string: usize, max_items: usize) {
    engine.register_fn("size", |text: &str| -> Made<i64> {
        let bytes = crate::time::parse_size(text)?;
        i64::try_from(bytes).map_err(|_| "the size is too large".into())
    });
    engine.register_fn("duration", |text: &str| -> Made<Dynamic> {
        let span = crate::time::parse_duration(text)?;
        Ok(match (span.subsec_nanos(), i64::try_from(span.as_secs())) {
            (0, Ok(seconds)) => seconds.into(),
            _ => span.as_secs_f64().into(),
        })
    });
    engine.register_fn("matches", |text: &str, pattern: &str| -> Made<bool> { Ok(regex(pattern)?.is_match(text)) });
    engine.register_fn("lines", move |text: &str| -> Made<Array> {
        let lines = text.trim_end_matches(['\n', '\r']).lines();
        let lines: Array = lines.map(Into::into).take(max_items + 1).collect();
        if lines.len() > max_items { Err("there are too many lines".into()) } else { Ok(lines) }
    });
    engine.register_fn("trim", |text: &str| -> String { text.trim().to_owned() });
    engine.register_fn("replace", move |text: &str, old: &str, new: &str| -> Made<String> {
        let grown = text.matches(old).count().saturating_mul(new.len()).saturating_add(text.len());
        if grown > max_string { Err("the text becomes too large".into()) } else { Ok(text.replace(old, new)) }
    });
    engine.register_fn("parse_json", |text: &str| -> Made<Dynamic> {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("this is not JSON: {error}"))?;
        Ok(to_dynamic(&value))
    });
}

/// Rhai compares values of different types without complaint, and the answer is always no. What a script puts out is text,
/// so `steps.disk.outputs.free > 5` would never be true, and nobody would notice.
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

/// A value as Rhai has it. Numbers that are no 64-bit integers become floating-point numbers.
pub fn to_dynamic(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(it) => (*it).into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.into(),
            (None, Some(real)) => real.into(),
            (None, None) => Dynamic::UNIT,
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => Dynamic::from_array(items.iter().map(to_dynamic).collect()),
        Value::Object(map) => {
            Dynamic::from_map(map.iter().map(|(key, value)| (key.as_str().into(), to_dynamic(value))).collect())
        }
    }
}

/// A value that the journal can hold.
///
/// # Errors
/// For anything but text, numbers, booleans, lists and maps, and for what nests too deep.
pub fn from_dynamic(value: &Dynamic) -> Result<Value, String> {
    within(value, 0)
}

fn within(value: &Dynamic, depth: usize) -> Result<Value, String> {
    if depth > MAX_DEPTH {
        return Err("the value nests too deep".to_owned());
    }
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(it) = value.as_bool() {
        return Ok(it.into());
    }
    if let Ok(it) = value.as_int() {
        return Ok(it.into());
    }
    if let Ok(it) = value.as_float() {
        let number = serde_json::Number::from_f64(it).map(Value::Number);
        return number.ok_or_else(|| format!("the value is {it}, which is not a number that can be kept"));
    }
    if let Ok(it) = value.as_char() {
        return Ok(it.to_string().into());
    }
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return Ok(text.as_str().into());
    }
    if let Some(items) = value.read_lock::<Array>() {
        return items.iter().map(|item| within(item, depth + 1)).collect::<Result<Vec<_>, _>>().map(Value::Array);
    }
    if let Some(map) = value.read_lock::<rhai::Map>() {
        let entries = map.iter().map(|(key, value)| Ok((key.to_string(), within(value, depth + 1)?)));
        return entries.collect::<Result<Map<String, Value>, String>>().map(Value::Object);
    }
    let kind = value.type_name().rsplit("::").next().unwrap_or_default().to_lowercase();
    Err(format!("the value is a {kind}, not text, number, boolean, list or map"))
}
