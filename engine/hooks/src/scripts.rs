//! The project's scripts: which of them a hook uses, and what `import` finds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use piton_core::runbook::{Hook, HookCode};
use rhai::{AST, Engine, EvalAltResult, Expr, Module, ModuleResolver, Position, Shared, Stmt};

type SharedModule = Shared<Module>;

use crate::engine;

/// Finds modules among the scripts of the plan, and nowhere else.
pub(crate) struct Scripts {
    texts: BTreeMap<String, String>,
    /// `None` while a module is being made: it imports itself.
    made: Mutex<BTreeMap<String, Option<SharedModule>>>,
}

impl Scripts {
    pub(crate) fn new(texts: BTreeMap<String, String>) -> Self {
        Self { texts, made: Mutex::default() }
    }
}

/// The name by which people know a script.
pub(crate) fn file_name(script: &str) -> String {
    format!("scripts/{script}.rhai")
}

impl ModuleResolver for Scripts {
    fn resolve(
        &self,
        engine: &Engine,
        _source: Option<&str>,
        path: &str,
        position: Position,
    ) -> Result<SharedModule, Box<EvalAltResult>> {
        let made = |made: &Mutex<BTreeMap<String, Option<SharedModule>>>| {
            made.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
        };
        match made(&self.made) {
            Some(Some(module)) => return Ok(module),
            Some(None) => {
                let why = format!("{} imports itself", file_name(path));
                return Err(EvalAltResult::ErrorRuntime(why.into(), position).into());
            }
            None => {}
        }
        let Some(text) = self.texts.get(path) else {
            return Err(EvalAltResult::ErrorRuntime(missing(path, self.texts.keys()).into(), position).into());
        };
        let set = |module| self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), module);
        set(None);
        let module = engine.compile(text).map_err(EvalAltResult::from).map_err(Box::new).and_then(|mut ast| {
            ast.set_source(file_name(path));
            Module::eval_ast_as_new(rhai::Scope::new(), &ast, engine)
        });
        match module {
            Ok(module) => {
                let module: SharedModule = Arc::new(module);
                set(Some(module.clone()));
                Ok(module)
            }
            Err(error) => Err(EvalAltResult::ErrorInModule(file_name(path), error, position).into()),
        }
    }
}

pub(crate) fn missing<'k>(path: &str, there: impl Iterator<Item = &'k String>) -> String {
    let there: Vec<&str> = there.map(String::as_str).collect();
    let near = piton_core::fault::nearest(path, there.iter().copied());
    let shown: String = path.chars().take(60).collect();
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "only the project's scripts can be imported, by their names without `.rhai`".to_owned(),
    };
    format!("there is no script `{}` in scripts/; {hint}", shown.escape_debug())
}

/// The scripts that these hooks use, directly or through others: what goes into the plan. `all` are the project's scripts.
/// What is not there, or cannot be read, is left out: [`crate::check_hooks`] complains about it.
pub fn used<'h>(hooks: impl IntoIterator<Item = &'h Hook>, all: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let engine = engine::bare();
    let mut open = Vec::new();
    for hook in hooks {
        match &hook.code {
            HookCode::Function { script, .. } => open.push(script.clone()),
            HookCode::Text(text) => {
                open.extend(engine.compile(text).iter().flat_map(imports).map(|import| import.script))
            }
        }
    }
    let mut used = BTreeMap::new();
    while let Some(name) = open.pop() {
        if let Some(text) = all.get(&name)
            && used.insert(name, text.clone()).is_none()
        {
            open.extend(engine.compile(text).iter().flat_map(imports).map(|import| import.script));
        }
    }
    used
}

/// One `import` of a script by a constant name.
pub(crate) struct Import {
    /// What it imports.
    pub(crate) script: String,
    /// As what.
    pub(crate) alias: String,
    /// Where that stands.
    pub(crate) position: Position,
}

/// What a script imports by constant names.
pub(crate) fn imports(ast: &AST) -> Vec<Import> {
    let mut found = Vec::new();
    ast.walk(&mut |path| {
        if let Some(rhai::ASTNode::Stmt(Stmt::Import(import, _))) = path.last()
            && let (Expr::StringConstant(name, position), alias) = import.as_ref()
        {
            found.push(Import { script: name.to_string(), alias: alias.name.to_string(), position: *position });
        }
        true
    });
    found
}
