//! Values of parameters: from the command line, from documents, against their declaration.
//!
//! # How a value reaches a script
//!
//! As the environment variable that has the parameter's name, in the form of [`crate::value::to_text`]: texts as they are, numbers and
//! booleans as JSON writes them, a duration in seconds, a size in bytes, lists with one item a line, and nothing (an empty
//! variable) where an optional parameter has no value. So no value may contain NUL, and no item of a list a line break.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Number;

use super::{Param, ParamKind};
use crate::expr::regex;
use crate::fault::{Fault, FaultCode};
use crate::ids::{HostName, ParamName};
use crate::time::{parse_duration, parse_size, show_duration, show_size};
use crate::value::{Value, kind};
use crate::yaml::read::shorten;

/// Reads what was given as `name=value` for the declared parameters: every one has a value afterwards (`null` where an
/// optional one has neither value nor default), but for secrets, which never have one.
///
/// # Errors
/// All faults at once: parameters that do not exist, required ones that are missing, values that are refused.
pub fn read_params(
    params: &[Param],
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<ParamName, Value>, Vec<Fault>> {
    let mut faults = Vec::new();
    for name in given.keys() {
        if !params.iter().any(|param| param.name.as_str() == name) {
            let fault = Fault::bare(FaultCode::UnknownParam, format!("there is no parameter `{}`", shorten(name)));
            let names: Vec<&str> = params.iter().map(|param| param.name.as_str()).collect();
            let mut fault = fault.did_you_mean(name, names.iter().copied());
            if fault.hint.is_none() {
                fault = fault.hint(match names.is_empty() {
                    true => "the runbook takes no parameters".to_owned(),
                    false => format!("there is {}", names.join(", ")),
                });
            }
            faults.push(fault);
        }
    }
    let mut values = BTreeMap::new();
    for param in params {
        if param.kind == ParamKind::Secret {
            if given.contains_key(param.name.as_str()) {
                faults.push(given_openly(param));
            }
            continue;
        }
        let value = match given.get(param.name.as_str()) {
            Some(text) => read_value(param, text).map_err(|why| {
                Fault::bare(FaultCode::BadParam, format!("`{}`: {why}", param.name)).maybe_hint(&param.help)
            }),
            None => match (&param.default, param.required) {
                (Some(default), _) => Ok(default.clone()),
                (None, false) => Ok(Value::Null),
                (None, true) => {
                    let message = format!("the parameter `{}` has no value; give {}", param.name, example(param));
                    Err(Fault::bare(FaultCode::BadParam, message).maybe_hint(&param.help))
                }
            },
        };
        match value {
            Ok(value) => drop(values.insert(param.name.clone(), value)),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(values) } else { Err(faults) }
}

/// A secret on a command line is one that others have seen: the list of processes shows it, and the shell keeps it.
fn given_openly(param: &Param) -> Fault {
    let name = &param.name;
    let message = format!("`{name}` is a secret: its text is not given like this, where others can read it");
    let hint =
        format!("say where it comes from: `--secret {name}=env:NAME`, `{name}=file:PATH` or `{name}=cmd:COMMAND`");
    Fault::bare(FaultCode::BadParam, message).hint(hint)
}

impl Fault {
    fn maybe_hint(self, help: &str) -> Self {
        if help.is_empty() { self } else { self.hint(help) }
    }
}

fn example(param: &Param) -> String {
    let value = match &param.kind {
        ParamKind::String => "TEXT",
        ParamKind::Name => "NAME",
        ParamKind::Host => "HOST",
        ParamKind::Hosts => "HOST,HOST",
        ParamKind::Integer | ParamKind::Number => "NUMBER",
        ParamKind::Boolean => "true|false",
        ParamKind::Duration => "5m",
        ParamKind::Size => "10G",
        ParamKind::Path => "/PATH",
        ParamKind::Enum(choices) => return format!("{}={}", param.name, choices.join("|")),
        ParamKind::List => "ITEM,ITEM",
        ParamKind::Secret => "env:NAME",
    };
    format!("{}={value}", param.name)
}

/// Reads a value from text, as it stands after `name=` on the command line.
///
/// Lists and hosts are separated by commas (hosts by spaces as well); a list that begins with `[` is read as JSON, for items with
/// commas in them.
///
/// # Errors
/// Says in words why the declaration refuses the value.
pub fn read_value(param: &Param, text: &str) -> Result<Value, String> {
    let value = match &param.kind {
        ParamKind::Integer => match text.trim().parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => return Err(format!("`{}` is not a whole number (of 64 bits)", shorten(text))),
        },
        ParamKind::Number => match text.trim().parse::<f64>().ok().and_then(Number::from_f64) {
            Some(number) => match text.trim().parse::<i64>() {
                Ok(whole) => whole.into(),
                Err(_) => Value::Number(number),
            },
            None => return Err(format!("`{}` is not a number", shorten(text))),
        },
        ParamKind::Boolean => match text.trim() {
            "true" => true.into(),
            "false" => false.into(),
            _ => return Err(format!("`{}` is not `true` or `false`", shorten(text))),
        },
        ParamKind::List if text.trim_start().starts_with('[') => {
            serde_json::from_str(text).map_err(|error| format!("this list is not JSON: {error}"))?
        }
        ParamKind::List => split(text, |c| c == ','),
        ParamKind::Hosts => split(text, |c| c == ',' || c.is_whitespace()),
        ParamKind::String
        | ParamKind::Name
        | ParamKind::Host
        | ParamKind::Duration
        | ParamKind::Size
        | ParamKind::Path
        | ParamKind::Secret
        | ParamKind::Enum(_) => text.into(),
    };
    check_value(param, &value)
}

/// Reads an argument of a call: a text as on the command line, anything else as in a document.
///
/// # Errors
/// Says in words why the declaration refuses the value.
pub fn read_argument(param: &Param, value: &Value) -> Result<Value, String> {
    match value {
        Value::String(text) => read_value(param, text),
        Value::Null if !param.required => Ok(Value::Null),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            check_value(param, value)
        }
    }
}

/// Reads an argument of a call that a template gave: as [`read_argument`] does, and a number for a duration is seconds, which is
/// what durations are to expressions.
///
/// # Errors
/// Says in words why the declaration refuses the value.
pub(crate) fn read_computed(param: &Param, value: &Value) -> Result<Value, String> {
    if value.is_number() { keep_value(param, value) } else { read_argument(param, value) }
}

fn split(text: &str, at: impl Fn(char) -> bool) -> Value {
    text.split(at).map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect()
}

/// Takes a value that a plan holds, where a declaration like this one gave it its form before: a duration is in seconds.
///
/// # Errors
/// Says in words why the declaration, as it is now, refuses the value.
pub fn keep_value(param: &Param, value: &Value) -> Result<Value, String> {
    match (&param.kind, value) {
        (ParamKind::Duration, Value::Number(seconds)) => check_value(param, &Value::from(format!("{seconds}s"))),
        (_, value) => check_value(param, value),
    }
}

/// Takes a value that came from a document (a default) and gives it the form that its declaration says: durations become
/// seconds, sizes bytes, one host a list of one.
///
/// # Errors
/// Says in words why the declaration refuses the value.
pub fn check_value(param: &Param, value: &Value) -> Result<Value, String> {
    let refused = |wanted: &str| format!("it takes {wanted}, not {}", kind(value));
    let text = |wanted: &str| value.as_str().ok_or_else(|| refused(wanted));
    match &param.kind {
        ParamKind::Secret => Err("a secret has no value that anybody could read".to_owned()),
        ParamKind::String => {
            let text = match value {
                Value::String(text) => text.clone(),
                // `default: 5` for a text is the text `5`.
                Value::Number(number) => number.to_string(),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return Err(refused("a text")),
            };
            no_nul(&text)?;
            bounds(param, length(&text), |n| format!("{n} characters"))?;
            pattern(param, &text)?;
            Ok(text.into())
        }
        ParamKind::Name => {
            let name = match value {
                Value::Number(number) => number.to_string(),
                Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                    text("a name")?.to_owned()
                }
            };
            let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+' | ':');
            if name.is_empty() || name.starts_with('-') || !name.chars().all(fits) {
                return Err(format!(
                    "`{}` is not a name: letters, digits, `.`, `_`, `-`, `@`, `+`, `:`, not beginning with `-`",
                    shorten(&name)
                ));
            }
            bounds(param, length(&name), |n| format!("{n} characters"))?;
            pattern(param, &name)?;
            Ok(name.into())
        }
        ParamKind::Host => {
            let name = HostName::new(text("the name of a host")?.trim()).map_err(|bad| bad.to_string())?;
            pattern(param, name.as_str())?;
            Ok(name.as_str().into())
        }
        ParamKind::Hosts => {
            let items = match value {
                Value::String(text) => match split(text, |c| c == ',' || c.is_whitespace()) {
                    Value::Array(items) => items,
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => Vec::new(),
                },
                Value::Array(items) => items.clone(),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
                    return Err(refused("hosts, groups or patterns"));
                }
            };
            if items.is_empty() {
                return Err("it names no host".into());
            }
            list(param, &items)
        }
        ParamKind::Integer => {
            let number = value.as_i64().ok_or_else(|| refused("a whole number"))?;
            #[expect(clippy::cast_precision_loss, reason = "limits beyond 2^53 do not matter")]
            bounds(param, number as f64, |n| n.to_string())?;
            Ok(number.into())
        }
        ParamKind::Number => {
            let number = value.as_f64().filter(|n| n.is_finite()).ok_or_else(|| refused("a number"))?;
            bounds(param, number, |n| n.to_string())?;
            Ok(value.clone())
        }
        ParamKind::Boolean => value.as_bool().map(Value::Bool).ok_or_else(|| refused("`true` or `false`")),
        ParamKind::Duration => {
            let span = match value {
                Value::Number(number) => parse_duration(&number.to_string())?,
                Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                    parse_duration(text("a duration such as 5m")?)?
                }
            };
            bounds(param, span.as_secs_f64(), |n| show_duration(std::time::Duration::from_secs_f64(n.max(0.0))))?;
            Ok(match span.subsec_nanos() {
                0 => span.as_secs().into(),
                _ => span.as_secs_f64().into(),
            })
        }
        ParamKind::Size => {
            let bytes = match value {
                Value::Number(number) => parse_size(&number.to_string())?,
                Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                    parse_size(text("a size such as 10G")?)?
                }
            };
            let bytes = i64::try_from(bytes).map_err(|_| "the size is too large".to_owned())?;
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "limits beyond 2^53 bytes do not matter, and they are not negative"
            )]
            bounds(param, bytes as f64, |n| show_size(n as u64))?;
            Ok(bytes.into())
        }
        ParamKind::Path => {
            let path = text("an absolute path")?;
            if !path.starts_with('/') {
                return Err(format!("`{}` is not an absolute path: it must begin with `/`", shorten(path)));
            }
            if path.chars().any(char::is_control) {
                return Err("the path contains a control character".into());
            }
            bounds(param, length(path), |n| format!("{n} characters"))?;
            pattern(param, path)?;
            Ok(path.into())
        }
        ParamKind::Enum(choices) => {
            let chosen = match value {
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => {
                    text("one of its choices")?.to_owned()
                }
            };
            match choices.contains(&chosen) {
                true => Ok(chosen.into()),
                false => Err(format!("`{}` is not one of {}", shorten(&chosen), choices.join(", "))),
            }
        }
        ParamKind::List => list(param, value.as_array().ok_or_else(|| refused("a list"))?),
    }
}

fn list(param: &Param, items: &[Value]) -> Result<Value, String> {
    let mut texts = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let text = match item {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => item.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                return Err(format!("item {} is {}, not a text", index + 1, kind(item)));
            }
        };
        no_nul(&text)?;
        if text.contains(['\n', '\r']) {
            return Err(format!("item {} contains a line break; commands get a list with one item a line", index + 1));
        }
        pattern(param, &text)?;
        texts.push(Value::String(text));
    }
    #[expect(clippy::cast_precision_loss, reason = "no list has 2^53 items")]
    bounds(param, texts.len() as f64, |n| format!("{n} items"))?;
    Ok(Value::Array(texts))
}

fn no_nul(text: &str) -> Result<(), String> {
    if text.contains('\0') {
        return Err("it contains a NUL character, which neither a command line nor an environment can carry".into());
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "no text has 2^53 characters")]
fn length(text: &str) -> f64 {
    text.chars().count() as f64
}

fn bounds(param: &Param, number: f64, show: impl Fn(f64) -> String) -> Result<(), String> {
    match (param.min, param.max) {
        (Some(min), _) if number < min => Err(format!("it is {}, less than {}", show(number), show(min))),
        (_, Some(max)) if number > max => Err(format!("it is {}, more than {}", show(number), show(max))),
        _ => Ok(()),
    }
}

fn pattern(param: &Param, text: &str) -> Result<(), String> {
    let Some(pattern) = &param.pattern else { return Ok(()) };
    let regex = whole(pattern)?;
    if regex.is_match(text) { Ok(()) } else { Err(format!("`{}` does not match {pattern}", shorten(text))) }
}

/// A regular expression that the whole text must match.
pub(super) fn whole(pattern: &str) -> Result<Regex, String> {
    // First alone: `a)(b` must not become valid by what stands around it.
    regex(pattern)?;
    regex(&format!(r"\A(?:{pattern})\z"))
}

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
