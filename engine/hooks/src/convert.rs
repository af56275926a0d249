//! Values between the journal (JSON) and Rhai.

use piton_core::value::{Map, Value};
use rhai::{Array, Dynamic, ImmutableString};

/// How deep a value may nest on its way out.
const MAX_DEPTH: usize = 64;

/// A value as Rhai has it. Numbers that are no 64-bit integers become floating-point numbers.
pub(crate) fn to_dynamic(value: &Value) -> Dynamic {
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
pub(crate) fn from_dynamic(value: &Dynamic) -> Result<Value, String> {
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
