//! Rhai's errors in our words: what is wrong, in which file, line and column, and who called.

#![expect(clippy::wildcard_enum_match_arm, reason = "the enum is Rhai's, and may grow")]

use rhai::{EvalAltResult, ParseError, Position};

use crate::engine::{self, Ended, MAX_OPERATIONS};

/// How many callers are named.
const MAX_CALLERS: usize = 8;

/// Why an evaluation ended badly.
#[derive(Debug)]
pub(crate) struct Wrong {
    /// In words, with the place.
    pub(crate) said: String,
    /// Whether it went over a limit: then its place may not be known yet.
    pub(crate) limit: bool,
}

impl From<String> for Wrong {
    fn from(said: String) -> Self {
        Self { said, limit: false }
    }
}

/// `file:line:column: message`.
pub(crate) fn syntax(file: &str, error: &ParseError) -> String {
    format!("{}{}", there(file, error.1), error.0)
}

/// `file:line:column: message (called in file:line:column by …)`.
pub(crate) fn error(mut error: EvalAltResult, file: &str) -> Wrong {
    let mut file = file.to_owned();
    let mut callers = Vec::new();
    loop {
        match error {
            EvalAltResult::ErrorInFunctionCall(name, source, inner, position) => {
                // A call that comes from the wrapper around a named function is no call of anybody's.
                if !file.is_empty() {
                    callers.push(format!("{}`{name}`", there(&file, position)));
                }
                if !source.is_empty() {
                    file = source;
                }
                error = *inner;
            }
            EvalAltResult::ErrorInModule(name, inner, _) => {
                file = name;
                error = *inner;
            }
            _ => break,
        }
    }
    let mut position = error.take_position();
    let limit = error.is_system_exception();
    if limit {
        // As Rhai tells it, what goes over a limit has the place of the outermost call.
        let (script, at) = engine::at();
        if !at.is_none() {
            (file, position) = (script, at);
        }
    }
    let message = message(&error);
    let called = match callers.is_empty() {
        true => String::new(),
        false => {
            callers.reverse();
            let more = if callers.len() > MAX_CALLERS { ", …" } else { "" };
            callers.truncate(MAX_CALLERS);
            format!(" (called at {}{more})", callers.join(", "))
        }
    };
    let stopped =
        matches!(&error, EvalAltResult::ErrorTerminated(why, _) if why.clone().try_cast() == Some(Ended::Stopped));
    Wrong { said: format!("{}{message}{called}", there(&file, position)), limit: limit && !stopped }
}

fn message(error: &EvalAltResult) -> String {
    match error {
        EvalAltResult::ErrorRuntime(value, _) => match value.clone().into_string() {
            Ok(text) => text,
            Err(_) => format!("it throws {value}"),
        },
        EvalAltResult::ErrorTooManyOperations(_) => too_long(),
        EvalAltResult::ErrorTerminated(why, _) => match why.clone().try_cast::<Ended>() {
            Some(Ended::TooLong) => too_long(),
            Some(Ended::TooLarge) => "it takes too much memory".to_owned(),
            Some(Ended::Stopped) => "the hook was stopped".to_owned(),
            None => why.to_string(),
        },
        EvalAltResult::ErrorStackOverflow(_) => "functions call each other too deep".to_owned(),
        EvalAltResult::ErrorVariableNotFound(name, _) => format!("there is no `{name}` here"),
        EvalAltResult::ErrorFunctionNotFound(signature, _) => {
            // What takes no text says so by the types that it was given.
            format!("there is no function `{}`", signature.replace("&str | ImmutableString | String", "text"))
        }
        other => other.to_string(),
    }
}

/// What is said of a hook that went on to its end after it had used up its operations.
pub(crate) fn exhausted() -> Wrong {
    let (script, at) = engine::at();
    Wrong { said: format!("{}{}", there(&script, at), too_long()), limit: true }
}

fn too_long() -> String {
    format!("it takes more than {MAX_OPERATIONS} operations")
}

/// `file:line:column`, as far as that is known.
pub(crate) fn place(file: &str, position: Position) -> String {
    match (file.is_empty(), position.line(), position.position()) {
        (true, ..) => String::new(),
        (false, Some(line), column) => format!("{file}:{line}:{}", column.unwrap_or(1)),
        (false, None, _) => file.to_owned(),
    }
}

/// The same before what is said of it.
fn there(file: &str, position: Position) -> String {
    let place = place(file, position);
    if place.is_empty() { place } else { format!("{place}: ") }
}
