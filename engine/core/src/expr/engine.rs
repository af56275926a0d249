//! The Rhai engine behind expressions: what it may do, and how much of it.

#![expect(clippy::wildcard_enum_match_arm, reason = "the enums are Rhai's, and may grow")]

use std::cell::Cell;
use std::sync::LazyLock;

use rhai::{AST, Dynamic, Engine, EvalAltResult, Position};

use super::language::{from_dynamic, language, to_dynamic};
use super::names::{Names, resolve};
use super::{ExprError, Scope};
use crate::value::Value;

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

/// What expressions and scripts have in common.
fn without_effects() -> Engine {
    let mut engine = language(MAX_STRING, MAX_ITEMS);
    engine.set_max_expr_depths(48, 24);
    engine.set_max_call_levels(16);
    for symbol in ["import", "export", "::"] {
        engine.disable_symbol(symbol);
    }
    engine
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
        Ok(value) => from_dynamic(&value).map_err(ExprError::new),
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
