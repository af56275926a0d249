//! Values that travel through a run: parameters, outputs, facts. JSON, so that the journal can hold them.

pub use serde_json::{Map, Value};

/// A value as it reaches a command, as one environment variable or one word.
///
/// Strings as they are; numbers and booleans as JSON writes them; null as nothing; a list one item a line
/// (items are refused a line break when the parameter is read); anything nested as JSON.
pub fn to_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
        Value::Array(items) if items.iter().any(|i| i.is_array() || i.is_object()) => value.to_string(),
        Value::Array(items) => items.iter().map(to_text).collect::<Vec<_>>().join("\n"),
    }
}

/// What a value is, in words for messages: `a text`, `a number`, `a boolean`, `a list`, `a map`, `nothing`.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
