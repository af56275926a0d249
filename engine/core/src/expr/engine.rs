//! The Rhai engine behind expressions: what it may do, and how much of it.

#![expect(clippy::wildcard_enum_match_arm, reason = "the enums are Rhai's, and may grow")]

use std::cell::Cell;
use std::sync::LazyLock;

use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage, BasicMathPackage,
    BasicStringPackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{AST, Array, Dynamic, Engine, EvalAltResult, ImmutableString, OptimizationLevel, Position};

use super::names::{Names, resolve};
use super::{ExprError, Scope};
use crate::value::{Map, Value};

/// How long an expression may be, in bytes.
pub(super) const MAX_SOURCE: usize = 16 << 10;
/// How many steps of evaluation an expression may take. Enough for a list of some ten thousand items.
const MAX_OPERATIONS: u64 = 100_000;
/// The same for one call of a function in a test.
const SCRIPT_OPERATIONS: u64 = 1_000_000;
/// How large a text may become, in bytes.
const MAX_STRING: usize = 1 << 20;
/// How many items a list or map may get.
const MAX_ITEMS: usize = 100_000;
/// How large a compiled regular expression may be, in bytes.
const MAX_REGEX: usize = 1 << 20;
/// How deep a value may nest on its way out of an expression.
const MAX_DEPTH: usize = 64;

thread_local! {
    /// Rhai gives each call of a function such as a `sort` comparator a fresh count; this one goes on.
    static OPERATIONS: Cell<u64> = const { Cell::new(0) };
}

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut engine = without_effects();
    engine.set_max_operations(MAX_OPERATIONS);
    engine.set_max_variables(64);
    engine.set_max_functions(16);
    engine.on_progress(|_| count_up_to(MAX_OPERATIONS));
    engine
});

/// An engine for the functions that a person writes into a test, with more room than an expression has.
/// Each call begins with [`reset_operations`].
pub(crate) fn script_engine() -> Engine {
    let mut engine = without_effects();
    engine.set_max_operations(SCRIPT_OPERATIONS);
    engine.set_max_variables(256);
    engine.set_max_functions(256);
    engine.on_progress(|_| count_up_to(SCRIPT_OPERATIONS));
    engine
}

/// Lets a function begin with nothing counted against it.
pub(crate) fn reset_operations() {
    OPERATIONS.set(0);
}

fn count_up_to(limit: u64) -> Option<Dynamic> {
    let count = OPERATIONS.get() + 1;
    OPERATIONS.set(count);
    (count > limit).then_some(Dynamic::UNIT)
}

/// What expressions and scripts have in common: the packages, our functions, and limits on size and depth.
fn without_effects() -> Engine {
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
    engine.set_max_expr_depths(48, 24);
    engine.set_max_call_levels(16);
    engine.set_max_string_size(MAX_STRING);
    engine.set_max_array_size(MAX_ITEMS);
    engine.set_max_map_size(MAX_ITEMS);
    for symbol in ["eval", "print", "debug", "import", "export", "::"] {
        engine.disable_symbol(symbol);
    }
    add_functions(&mut engine);
    refuse_mixed_comparisons(&mut engine);
    engine
}

type Made<T> = Result<T, Box<EvalAltResult>>;

fn add_functions(engine: &mut Engine) {
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
    engine.register_fn("matches", |text: &str, regex: &str| -> Made<bool> {
        let regex = regex::RegexBuilder::new(regex).size_limit(MAX_REGEX).build().map_err(|e| e.to_string())?;
        Ok(regex.is_match(text))
    });
    engine.register_fn("lines", |text: &str| -> Made<Array> {
        let lines: Array = text.trim_end_matches(['\n', '\r']).lines().map(Dynamic::from_iter_text).collect();
        if lines.len() > MAX_ITEMS { Err("there are too many lines".into()) } else { Ok(lines) }
    });
    engine.register_fn("trim", |text: &str| -> String { text.trim().to_owned() });
    engine.register_fn("replace", |text: &str, old: &str, new: &str| -> Made<String> {
        let grown = text.matches(old).count().saturating_mul(new.len()).saturating_add(text.len());
        if grown > MAX_STRING { Err("the text becomes too large".into()) } else { Ok(text.replace(old, new)) }
    });
    engine.register_fn("parse_json", |text: &str| -> Made<Dynamic> {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("this is not JSON: {error}"))?;
        Ok(to_dynamic(&value))
    });
}

trait FromText {
    fn from_iter_text(text: &str) -> Self;
}

impl FromText for Dynamic {
    fn from_iter_text(text: &str) -> Self {
        ImmutableString::from(text).into()
    }
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

/// Parses one expression.
pub(super) fn compile(source: &str) -> Result<AST, ExprError> {
    ENGINE.compile_expression(source).map_err(|error| {
        let mut message = error.0.to_string();
        if message.contains("'='") {
            message.push_str("; `==` compares");
        }
        ExprError { message, offset: offset_in(source, error.1) }
    })
}

/// Evaluates an expression with those variables of the scope that it names.
pub(super) fn eval(ast: &AST, names: &Names, source: &str, scope: &Scope) -> Result<Value, ExprError> {
    let mut variables = rhai::Scope::new();
    for root in &names.roots {
        if let Some(value) = scope.0.get(root) {
            variables.push_constant_dynamic(root.as_str(), to_dynamic(value));
        }
    }
    OPERATIONS.set(0);
    let result: Result<Dynamic, _> = ENGINE.eval_ast_with_scope(&mut variables, ast);
    match result {
        Ok(value) => from_dynamic(&value),
        Err(error) => Err(explain(*error, names, source, scope)),
    }
}

/// Rhai's error in our words: without its own line and column, and with what there is where something is missing.
fn explain(mut error: EvalAltResult, names: &Names, source: &str, scope: &Scope) -> ExprError {
    while let EvalAltResult::ErrorInFunctionCall(_, _, inner, _) = error {
        error = *inner;
    }
    let position = error.take_position();
    let offset = offset_in(source, position);
    let message = match &error {
        EvalAltResult::ErrorPropertyNotFound(..) | EvalAltResult::ErrorDotExpr(..) => {
            let missing = names.paths.iter().find_map(|path| resolve(path, scope).err().filter(|m| m.in_map));
            match missing {
                Some(missing) => ExprError::from(missing).message,
                None => error.to_string(),
            }
        }
        EvalAltResult::ErrorVariableNotFound(name, _) if scope.0.contains_key(name) => {
            format!("`{name}` cannot be seen inside `|…|`, which knows only its own parameters")
        }
        EvalAltResult::ErrorVariableNotFound(name, _) => format!("there is no `{name}` here"),
        EvalAltResult::ErrorRuntime(text, _) => text.to_string(),
        EvalAltResult::ErrorTooManyOperations(_) | EvalAltResult::ErrorTerminated(..) => {
            format!("it takes more than {MAX_OPERATIONS} operations")
        }
        _ => error.to_string(),
    };
    ExprError { message, offset }
}

/// A byte offset for Rhai's line and column (in characters).
pub(crate) fn offset_in(source: &str, position: Position) -> Option<usize> {
    let line = position.line()?;
    let start: usize = source.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let rest = source.get(start..)?;
    let column = position.position().unwrap_or(1).saturating_sub(1);
    Some(start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at))
}

/// A value for Rhai.
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

/// A value from Rhai.
///
/// # Errors
/// When it cannot be written as JSON, or nests too deep.
pub(crate) fn from_dynamic(value: &Dynamic) -> Result<Value, ExprError> {
    nested_from_dynamic(value, 0)
}

fn nested_from_dynamic(value: &Dynamic, depth: usize) -> Result<Value, ExprError> {
    if depth > MAX_DEPTH {
        return Err(ExprError::new("the value nests too deep"));
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
        return serde_json::Number::from_f64(it)
            .map(Value::Number)
            .ok_or_else(|| ExprError::new(format!("the value is {it}, which is not a number that can be kept")));
    }
    if let Ok(it) = value.as_char() {
        return Ok(it.to_string().into());
    }
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return Ok(text.as_str().into());
    }
    if let Some(items) = value.read_lock::<Array>() {
        return items
            .iter()
            .map(|item| nested_from_dynamic(item, depth + 1))
            .collect::<Result<Vec<_>, _>>()
            .map(Value::Array);
    }
    if let Some(map) = value.read_lock::<rhai::Map>() {
        let entries = map.iter().map(|(key, value)| Ok((key.to_string(), nested_from_dynamic(value, depth + 1)?)));
        return entries.collect::<Result<Map<String, Value>, ExprError>>().map(Value::Object);
    }
    Err(ExprError::new(format!("the value is a {}, not text, number, boolean, list or map", value.type_name())))
}
