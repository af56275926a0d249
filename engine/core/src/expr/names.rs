//! Which names an expression uses, and the paths that can be looked up without Rhai.

#![expect(clippy::wildcard_enum_match_arm, reason = "the enums are Rhai's, and may grow")]

use std::collections::BTreeSet;

use rhai::{AST, ASTFlags, ASTNode, BinaryExpr, Expr as Node, Stmt};

use super::engine::offset_in;
use super::{ExprError, Scope};
use crate::ids::StepId;
use crate::value::Value;

/// What an expression names.
#[derive(Default)]
pub(super) struct Names {
    pub(super) roots: BTreeSet<String>,
    pub(super) steps: BTreeSet<StepId>,
    pub(super) params: BTreeSet<String>,
    /// The paths with only constant parts: to say what is missing when Rhai only says that something is.
    pub(super) paths: Vec<Vec<String>>,
}

/// Words that Rhai keeps for itself: they cannot be variables, nor stand after a dot.
const RESERVED: &[&str] = &[
    "Fn",
    "as",
    "async",
    "await",
    "break",
    "call",
    "case",
    "catch",
    "const",
    "continue",
    "curry",
    "debug",
    "default",
    "do",
    "else",
    "eval",
    "export",
    "false",
    "fn",
    "for",
    "go",
    "goto",
    "if",
    "import",
    "in",
    "is",
    "is_def_fn",
    "is_def_var",
    "let",
    "loop",
    "match",
    "module",
    "new",
    "nil",
    "null",
    "package",
    "print",
    "private",
    "protected",
    "public",
    "return",
    "shared",
    "spawn",
    "static",
    "super",
    "switch",
    "sync",
    "this",
    "thread",
    "throw",
    "true",
    "try",
    "type_of",
    "until",
    "use",
    "var",
    "void",
    "while",
    "with",
    "yield",
];

/// Whether Rhai keeps the word for itself, so that no variable can have it as its name.
pub fn is_reserved(word: &str) -> bool {
    RESERVED.binary_search(&word).is_ok()
}

/// The parts of `a.b.c`, where the source is nothing else.
pub(super) fn plain_path(source: &str) -> Option<Vec<String>> {
    let parts: Vec<&str> = source.trim_matches([' ', '\n', '\r', '\t']).split('.').collect();
    let plain = |part: &&str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !is_reserved(part)
    };
    (parts.len() <= 32 && parts.iter().all(plain)).then(|| parts.into_iter().map(str::to_owned).collect())
}

/// What a path did not find.
pub(super) struct Missing {
    message: String,
    /// Whether it was looked for in a map (or among the variables), not in a text, number or list.
    pub(super) in_map: bool,
}

impl From<Missing> for ExprError {
    fn from(missing: Missing) -> Self {
        Self::new(missing.message)
    }
}

/// Follows a path into the scope.
pub(super) fn resolve<'s>(path: &[String], scope: &'s Scope) -> Result<&'s Value, Missing> {
    let mut at = match path.first() {
        Some(root) => scope.0.get(root).ok_or_else(|| missing(root, "here", scope.0.keys()))?,
        None => return Err(Missing { message: "there is no path".into(), in_map: true }),
    };
    for (index, part) in path.iter().enumerate().skip(1) {
        let parent = path[..index].join(".");
        at = match at {
            Value::Object(map) => map.get(part).ok_or_else(|| missing(part, &format!("in `{parent}`"), map.keys()))?,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                let kind = crate::value::kind(at);
                let message = format!("there is no `{part}` in `{parent}`: it is {kind}");
                return Err(Missing { message, in_map: false });
            }
        };
    }
    Ok(at)
}

fn missing<'k>(name: &str, place: &str, there: impl Iterator<Item = &'k String>) -> Missing {
    let there: Vec<&str> = there.map(String::as_str).collect();
    let mut message = format!("there is no `{name}` {place}");
    if there.is_empty() {
        message.push_str("; it is empty");
    } else {
        let more = if there.len() > 12 { ", …" } else { "" };
        let list: Vec<String> = there.iter().take(12).map(|name| format!("`{name}`")).collect();
        message.push_str(&format!("; there is {}{more}", list.join(", ")));
    }
    Missing { message, in_map: true }
}

impl Names {
    pub(super) fn of_path(path: &[String]) -> Result<Self, ExprError> {
        let mut names = Self::default();
        names.roots.extend(path.first().cloned());
        names.take_words(path, None)?;
        Ok(names)
    }

    pub(super) fn of_ast(ast: &AST, source: &str) -> Result<Self, ExprError> {
        let mut names = Self::default();
        let mut own: BTreeSet<String> =
            ast.iter_functions().flat_map(|function| function.params.into_iter().map(str::to_owned)).collect();
        let mut fault = None;
        ast.walk(&mut |path: &[ASTNode<'_>]| {
            let Some((node, above)) = path.split_last() else { return true };
            let result = match node {
                ASTNode::Stmt(Stmt::Var(variable, ..)) => {
                    own.insert(variable.0.name.to_string());
                    Ok(())
                }
                ASTNode::Expr(node) => names.take(node, above, source),
                _ => Ok(()),
            };
            fault = result.err();
            fault.is_none()
        });
        names.roots.retain(|root| !own.contains(root));
        names.paths.retain(|path| path.first().is_none_or(|root| !own.contains(root)));
        fault.map_or(Ok(names), Err)
    }

    fn take(&mut self, node: &Node, above: &[ASTNode<'_>], source: &str) -> Result<(), ExprError> {
        match node {
            Node::Variable(variable, _, position) => {
                self.roots.insert(variable.1.to_string());
                let alone = !above.last().is_some_and(|parent| is_head_of(node, parent));
                if variable.1 == "steps" && alone {
                    return Err(whole_steps(offset_in(source, *position)));
                }
                Ok(())
            }
            Node::Dot(_, _, position) | Node::Index(_, _, position) => {
                if above.last().is_some_and(|parent| continues(node, parent)) {
                    return Ok(());
                }
                let offset = offset_in(source, *position);
                match constant_path(node) {
                    Some(path) => self.take_path(path, offset),
                    None => Ok(()),
                }
            }
            Node::FnCall(call, position) if call.is_operator_call() && call.name == "-" => {
                let (Some(left), Some(Node::Dot(right, ..) | Node::Index(right, ..))) =
                    (call.args.first().and_then(constant_path), call.args.get(1))
                else {
                    return Ok(());
                };
                let (Node::Variable(word, ..), [steps, step]) = (&right.lhs, left.as_slice()) else { return Ok(()) };
                if steps != "steps" {
                    return Ok(());
                }
                let id = format!("{step}-{}", word.1);
                Err(ExprError {
                    message: format!(
                        "`steps.{id}` means `steps.{step}` minus `{}`; write `steps[\"{id}\"]` if that is the step",
                        word.1
                    ),
                    offset: offset_in(source, *position),
                })
            }
            _ => Ok(()),
        }
    }

    fn take_path(&mut self, path: Vec<String>, offset: Option<usize>) -> Result<(), ExprError> {
        self.take_words(&path, offset)?;
        self.paths.push(path);
        Ok(())
    }

    fn take_words(&mut self, path: &[String], offset: Option<usize>) -> Result<(), ExprError> {
        if path.first().is_some_and(|root| root == "steps") {
            let Some(id) = path.get(1) else { return Err(whole_steps(offset)) };
            let id = StepId::new(id).map_err(|bad| ExprError { message: bad.to_string(), offset })?;
            self.steps.insert(id);
        }
        if path.first().is_some_and(|root| root == "params") {
            self.params.extend(path.get(1).cloned());
        }
        Ok(())
    }
}

fn whole_steps(offset: Option<usize>) -> ExprError {
    ExprError { message: "`steps` needs the id of a step: `steps.<id>` or `steps[\"<id>\"]`".into(), offset }
}

/// Whether `node` goes on with the chain that `parent` began: Rhai keeps `a.b.c` as `a.(b.c)`.
fn continues(node: &Node, parent: &ASTNode<'_>) -> bool {
    match parent {
        ASTNode::Expr(Node::Dot(pair, flags, _) | Node::Index(pair, flags, _)) => {
            !flags.contains(ASTFlags::BREAK) && std::ptr::eq(&raw const pair.rhs, node)
        }
        _ => false,
    }
}

/// Whether `node` is what the chain `parent` begins with.
fn is_head_of(node: &Node, parent: &ASTNode<'_>) -> bool {
    match parent {
        ASTNode::Expr(Node::Dot(pair, ..) | Node::Index(pair, ..)) => {
            // In the rest of a chain the left side is a property or an index, not a beginning.
            std::ptr::eq(&raw const pair.lhs, node)
        }
        _ => false,
    }
}

/// The beginning of a chain as a path of constants: at least the variable and what follows it.
/// `None` where it begins with something else, or goes on with something that is not constant at once.
fn constant_path(node: &Node) -> Option<Vec<String>> {
    let (Node::Dot(pair, flags, _) | Node::Index(pair, flags, _)) = node else { return None };
    let Node::Variable(root, ..) = &pair.lhs else { return None };
    let mut path = vec![root.1.to_string()];
    let (mut pair, mut flags): (&BinaryExpr, ASTFlags) = (pair, *flags);
    loop {
        let (part, next) = match &pair.rhs {
            Node::Dot(next, more, _) | Node::Index(next, more, _) if !flags.contains(ASTFlags::BREAK) => {
                (&next.lhs, Some((&**next, *more)))
            }
            last => (last, None),
        };
        match part {
            Node::Property(property, _) => path.push(property.2.to_string()),
            Node::StringConstant(text, _) => path.push(text.to_string()),
            _ => break,
        }
        match next {
            Some((next, more)) => (pair, flags) = (next, more),
            None => break,
        }
    }
    Some(path)
}
