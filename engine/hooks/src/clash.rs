//! Functions that are mistaken for each other when their scripts come together.
//!
//! Rhai 1.27 looks a function up once per name and number of arguments, and goes on with what it found when it enters a
//! function of another module (`Engine::call_script_fn` adds that module's functions, and begins no new
//! `FnResolutionCache`). So a script that calls its own `look(x)` can get the `look(x)` of a script that was used before.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, ASTNode, Engine, Expr, FnCallExpr, Position, Stmt};

use crate::engine;
use crate::scripts::{file_name, imports};

/// A function's name and how many arguments it takes.
type Signature = (String, usize);

/// What a script has, and what it calls without saying whose it is.
struct Part {
    functions: BTreeSet<Signature>,
    calls: BTreeSet<Signature>,
}

impl Part {
    fn of(ast: &AST) -> Self {
        let named = ast.iter_functions().filter(|f| !f.name.starts_with("anon$"));
        let functions = named.map(|f| (f.name.to_owned(), f.params.len())).collect();
        let mut calls = BTreeSet::new();
        let mut call = |call: &FnCallExpr| {
            if call.namespace.path.is_empty() {
                calls.insert((call.name.to_string(), call.args.len()));
            }
        };
        ast.walk(&mut |path: &[ASTNode<'_>]| {
            match path.last() {
                Some(ASTNode::Stmt(Stmt::FnCall(found, _)) | ASTNode::Expr(Expr::FnCall(found, _))) => call(found),
                // `x.f(y)` is also a way to call a script's `f(y)`.
                Some(ASTNode::Expr(Expr::MethodCall(found, _))) => call(found),
                _ => {}
            }
            true
        });
        Self { functions, calls }
    }

    fn has_and_calls(&self, signature: &Signature) -> bool {
        self.functions.contains(signature) && self.calls.contains(signature)
    }
}

/// Which functions of a script, or of a hook's text, and of what it imports could be taken for each other: where that comes from,
/// and what is said. What an imported script has brought together is told there.
pub(crate) fn clashes(own: &AST, all: &BTreeMap<String, String>) -> Vec<(Position, String)> {
    let engine = engine::bare();
    let mut parts = BTreeMap::from([(String::new(), Part::of(own))]);
    let mut reaches = Vec::new();
    for import in imports(own) {
        reaches.push((import.position, reach(&engine, &import.script, all, &mut parts)));
    }
    let mut found = Vec::new();
    let names: Vec<&String> = parts.keys().collect();
    for (n, one) in names.iter().enumerate() {
        for other in names.iter().skip(n + 1) {
            if reaches.iter().any(|(_, reach)| reach.contains(*one) && reach.contains(*other)) {
                continue;
            }
            let Some((position, _)) = reaches.iter().find(|(_, reach)| reach.contains(*other)) else { continue };
            let (Some(first), Some(second)) = (parts.get(*one), parts.get(*other)) else { continue };
            for signature in first.functions.intersection(&second.functions) {
                if first.has_and_calls(signature) || second.has_and_calls(signature) {
                    found.push((*position, said(signature, one, other)));
                }
            }
        }
    }
    found
}

fn said((name, args): &Signature, one: &str, other: &str) -> String {
    let one = if one.is_empty() { "here".to_owned() } else { format!("in {}", file_name(one)) };
    let word = if *args == 1 { "argument" } else { "arguments" };
    format!(
        "there is a `{name}` with {args} {word} {one} and in {}: one would be called for the other",
        file_name(other)
    )
}

/// A script and all that it imports, directly or through others.
fn reach(
    engine: &Engine,
    script: &str,
    all: &BTreeMap<String, String>,
    parts: &mut BTreeMap<String, Part>,
) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![script.to_owned()];
    while let Some(name) = open.pop() {
        // A script that is not there, or cannot be parsed, is complained about elsewhere.
        let Some(ast) = all.get(&name).and_then(|text| engine.compile(text).ok()) else { continue };
        if reached.insert(name.clone()) {
            open.extend(imports(&ast).into_iter().map(|import| import.script));
            parts.entry(name).or_insert_with(|| Part::of(&ast));
        }
    }
    reached
}
