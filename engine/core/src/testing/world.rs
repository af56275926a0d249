//! The simulated hosts' states.

use std::collections::BTreeMap;

use crate::expr::Scope;
use crate::ids::{HostName, ParamName};
use crate::value::{Map, Value};

use super::{Change, Tree};

/// Where under a host's state its files are: a map from path to content.
const FILES: &str = "files";

/// The states of all simulated hosts: a map of whatever the test wants to know of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct World {
    hosts: BTreeMap<HostName, Map<String, Value>>,
    params: Map<String, Value>,
}

impl World {
    /// The world as a test begins with it; `params` are the plan's.
    pub fn new(states: &BTreeMap<HostName, Map<String, Value>>, params: &BTreeMap<ParamName, Value>) -> Self {
        let params = params.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
        Self { hosts: states.clone(), params }
    }

    /// The state of a host; empty where nothing is known of it.
    pub fn state(&self, host: &HostName) -> Map<String, Value> {
        self.hosts.get(host).cloned().unwrap_or_default()
    }

    /// Makes a change; tells whether anything is different now.
    pub fn change(&mut self, host: &HostName, change: &Change) -> bool {
        let before = self.state(host);
        let mut after = Value::Object(before.clone());
        match change {
            Change::Merge(patch) => merge(&mut after, patch),
            Change::Replace(state) => after = Value::Object(state.clone()),
        }
        let after = match after {
            Value::Object(map) => map,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
        };
        let differs = after != before;
        self.hosts.insert(host.clone(), after);
        differs
    }

    /// The content of a file on a host.
    pub fn file(&self, host: &HostName, path: &str) -> Option<&str> {
        self.hosts.get(host)?.get(FILES)?.get(path)?.as_str()
    }

    /// Writes a file on a host; tells whether anything is different now.
    pub fn write(&mut self, host: &HostName, path: &str, content: &str) -> bool {
        let files = Map::from_iter([(path.to_owned(), Value::from(content))]);
        let patch = Map::from_iter([(FILES.to_owned(), Value::Object(files))]);
        self.change(host, &Change::Merge(Value::Object(patch)))
    }

    /// All states, as expressions see them under `hosts`.
    pub fn to_value(&self) -> Value {
        Value::Object(self.hosts.iter().map(|(name, s)| (name.to_string(), Value::Object(s.clone()))).collect())
    }

    /// What expressions can name: the parameters, the states of all hosts now, and those that were before.
    pub(super) fn scope(&self, before: &Self) -> Scope {
        let mut scope = Scope::default();
        scope.0.insert("params".to_owned(), Value::Object(self.params.clone()));
        scope.0.insert("hosts".to_owned(), self.to_value());
        scope.0.insert("before".to_owned(), before.to_value());
        scope
    }
}

/// Merges a patch into a value as RFC 7396 has it: maps are merged, `null` takes away, everything else replaces.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

impl Tree {
    /// The value with its templates rendered; a text that is one expression keeps the expression's type.
    pub fn value(&self, scope: &Scope) -> Result<Value, String> {
        Ok(match self {
            Self::Plain(value) => value.clone(),
            Self::Text(template) => template.value(scope).map_err(|error| error.to_string())?,
            Self::List(items) => Value::Array(items.iter().map(|i| i.value(scope)).collect::<Result<_, _>>()?),
            Self::Map(entries) => {
                let mut map = Map::new();
                for (key, value) in entries {
                    map.insert(key.render(scope).map_err(|error| error.to_string())?, value.value(scope)?);
                }
                Value::Object(map)
            }
        })
    }
}
