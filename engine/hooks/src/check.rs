//! What can be seen of a hook before it is evaluated: whether it can be parsed, whether what it calls and imports exists.

#![expect(clippy::wildcard_enum_match_arm, reason = "the enums are Rhai's, and may grow")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use piton_core::fault::{Fault, FaultCode, Place, Source, Span, nearest};
use piton_core::runbook::{Hook, HookCode};
use rhai::{AST, ASTNode, Engine, Expr, FnCallExpr, Position, Stmt};

use crate::api::Api;
use crate::clash::clashes;
use crate::engine;
use crate::scripts::{file_name, imports, missing};

/// Everything that is wrong with a script of the project: `source` is its text, `all` are all of the project's scripts.
pub fn check_script(source: &Source, all: &BTreeMap<String, String>) -> Vec<Fault> {
    let place = |position: Position| {
        let (line, column) = (position.line().unwrap_or(1), position.position().unwrap_or(1));
        Some(Place { source: source.clone(), span: span_at(&source.text, line, column) })
    };
    faults(&source.text, all, &place)
}

/// Everything that is wrong with a runbook's hooks: functions that do not exist, texts that cannot be parsed. What is wrong
/// inside of the project's scripts is the business of [`check_script`].
pub fn check_hooks<'h>(
    hooks: impl IntoIterator<Item = &'h Hook>,
    source: &Source,
    all: &BTreeMap<String, String>,
) -> Vec<Fault> {
    let mut found = Vec::new();
    for hook in hooks {
        match &hook.code {
            HookCode::Text(text) => {
                let place = |position: Position| {
                    let (line, column) = (position.line().unwrap_or(1), position.position().unwrap_or(1));
                    Some(hook.place(source, line, column))
                };
                found.extend(faults(text, all, &place));
            }
            HookCode::Function { script, function } => {
                let fault = |message: String, hint: Option<String>| {
                    let place = Some(Place { source: source.clone(), span: hook.span });
                    Fault { code: FaultCode::BadExpression, message, place, hint }
                };
                let Some(text) = all.get(script) else {
                    let message = format!("there is no script {}", file_name(script));
                    let near = nearest(script, all.keys().map(String::as_str));
                    found.push(fault(message, near.map(|near| format!("did you mean `{near}`?"))));
                    continue;
                };
                // A script that cannot be parsed is complained about where it stands.
                let Ok(ast) = engine::bare().compile(text) else { continue };
                if let Err((message, hint)) = has(&ast, script, function, hook.args.len()) {
                    found.push(fault(message, hint));
                }
            }
        }
    }
    found
}

/// Whether a script has a public function of this name and number of arguments.
fn has(ast: &AST, script: &str, function: &str, args: usize) -> Result<(), (String, Option<String>)> {
    let public = || ast.iter_functions().filter(|f| matches!(f.access, rhai::FnAccess::Public));
    let same: Vec<usize> = public().filter(|f| f.name == function).map(|f| f.params.len()).collect();
    if same.contains(&args) {
        return Ok(());
    }
    let file = file_name(script);
    if same.is_empty() {
        let names: Vec<&str> = public().map(|f| f.name).filter(|name| !name.starts_with("anon$")).collect();
        let hint = match nearest(function, names.iter().copied()) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if names.is_empty() => None,
            None => Some(format!("it has {}", names.join(", "))),
        };
        return Err((format!("{file} has no function `{function}`"), hint));
    }
    Err((format!("`{function}` of {file} takes {}, and is given {args}", arguments(&same)), None))
}

fn arguments(counts: &[usize]) -> String {
    let mut counts = counts.to_vec();
    counts.sort_unstable();
    counts.dedup();
    let all: Vec<String> = counts.iter().map(usize::to_string).collect();
    let word = if all == ["1"] { "argument" } else { "arguments" };
    format!("{} {word}", all.join(" or "))
}

type Finds<'p> = dyn Fn(Position) -> Option<Place> + 'p;

fn faults(text: &str, all: &BTreeMap<String, String>, place: &Finds<'_>) -> Vec<Fault> {
    let fault = |position, message: String, hint: Option<String>| Fault {
        code: FaultCode::BadExpression,
        message,
        place: place(position),
        hint,
    };
    let ast = match engine::bare().compile(text) {
        Ok(ast) => ast,
        Err(error) => return vec![fault(error.1, error.0.to_string(), None)],
    };
    let modules: BTreeMap<String, String> =
        imports(&ast).into_iter().map(|import| (import.alias, import.script)).collect();
    let own: BTreeSet<(String, usize)> = ast.iter_functions().map(|f| (f.name.to_owned(), f.params.len())).collect();
    let variables = variables(&ast);
    let mut found = Vec::new();
    let mut look = |call: &FnCallExpr, position: Position, given: usize| {
        if call.is_operator_call() || call.name.starts_with("anon$") {
            return;
        }
        let name = call.name.as_str();
        if let Some(module) = call.namespace.path.first() {
            let Some(script) = modules.get(module.name.as_str()) else {
                if module.name != "global" {
                    found.push(fault(position, format!("nothing is imported as `{}`", module.name), None));
                }
                return;
            };
            let Some(ast) = all.get(script).and_then(|text| engine::bare().compile(text).ok()) else { return };
            if let Err((message, hint)) = has(&ast, script, name, given) {
                found.push(fault(position, message, hint));
            }
            return;
        }
        let known = |(n, args): &(String, usize)| n == name && *args == given;
        // A variable can hold a function: `f.call(…)`, or a closure under a name.
        if own.iter().any(known) || BUILT_IN.iter().any(known) || LANGUAGE.contains(&name) || variables.contains(name) {
            return;
        }
        let counts: Vec<usize> =
            own.iter().chain(BUILT_IN.iter()).filter(|(n, _)| n == name).map(|(_, a)| *a).collect();
        if counts.is_empty() {
            let names = own.iter().chain(BUILT_IN.iter()).map(|(n, _)| n.as_str());
            let hint = nearest(name, names).map(|near| format!("did you mean `{near}`?"));
            found.push(fault(position, format!("there is no function `{name}`"), hint));
        } else {
            let message = format!("`{name}` takes {}, and is given {given}", arguments(&counts));
            let hint = "what stands before the dot counts as the first one".to_owned();
            found.push(fault(position, message, Some(hint)));
        }
    };
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        match path.last() {
            Some(ASTNode::Stmt(Stmt::FnCall(call, position)) | ASTNode::Expr(Expr::FnCall(call, position))) => {
                look(call, *position, call.args.len());
            }
            Some(ASTNode::Expr(Expr::MethodCall(call, position))) => look(call, *position, call.args.len() + 1),
            _ => {}
        }
        true
    });
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        if let Some(ASTNode::Stmt(Stmt::Import(import, position))) = path.last() {
            match &import.0 {
                Expr::StringConstant(name, at) if !all.contains_key(name.as_str()) => {
                    found.push(fault(*at, missing(name, all.keys()), None));
                }
                Expr::StringConstant(..) => {}
                _ => {
                    let message = "`import` takes the name of a script, not an expression".to_owned();
                    found.push(fault(*position, message, Some("`import \"libvirt\" as v;`".to_owned())));
                }
            }
        }
        true
    });
    for (position, message) in clashes(&ast, all) {
        found.push(fault(position, message, Some("give one of them another name".to_owned())));
    }
    found.sort_by_key(|fault| fault.place.as_ref().map(|place| place.span));
    found.dedup();
    found
}

/// What the language itself knows, and no module lists.
const LANGUAGE: [&str; 8] = ["Fn", "call", "curry", "is_def_fn", "is_def_var", "is_shared", "type_of", "throw"];

/// The names and numbers of arguments of everything that comes with hooks.
static BUILT_IN: LazyLock<BTreeSet<(String, usize)>> = LazyLock::new(|| {
    let mut engine = engine::bare();
    Api::nowhere().register(&mut engine);
    signatures(&engine)
});

fn signatures(engine: &Engine) -> BTreeSet<(String, usize)> {
    let read = |text: String| {
        let (name, rest) = text.split_once('(')?;
        let mut depth = 0i32;
        let mut count = usize::from(!rest.starts_with(')'));
        for c in rest.chars() {
            match c {
                '(' | '<' | '[' => depth += 1,
                ')' if depth == 0 => break,
                ')' | '>' | ']' => depth -= 1,
                ',' if depth == 0 => count += 1,
                _ => {}
            }
        }
        Some((name.trim().to_owned(), count))
    };
    engine.gen_fn_signatures(true).into_iter().filter_map(read).collect()
}

fn variables(ast: &AST) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    found.extend(ast.iter_functions().flat_map(|f| f.params.into_iter().map(str::to_owned)));
    ast.walk(&mut |path| {
        if let Some(ASTNode::Stmt(Stmt::Var(variable, ..))) = path.last() {
            found.insert(variable.0.name.to_string());
        }
        true
    });
    found
}

fn span_at(text: &Arc<str>, line: usize, column: usize) -> Span {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    let offset = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
    let length = rest.get(offset..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    Span { start: start + offset, end: start + offset + length }
}
