//! The plan: runbook, parameters and inventory made into an immutable graph of tasks.

mod build;
mod calls;
mod diff;
mod edges;
mod graph;
mod grow;
mod hosts;
mod items;
mod order;
mod shape;

pub use build::Surroundings;
pub(crate) use build::param_scope;
pub use diff::{FieldChange, PlanDiff, StepChange};
pub(crate) use graph::{GATE, Unit};
pub use graph::{TaskGraph, TaskIndex};
pub use items::{Item, MAX_GROWN, MAX_ITEMS, batch_sizes, read_items};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::expr::Template;
use crate::ids::{HostName, ParamName, RunbookName};
use crate::inventory::Host;
use crate::lock::Lock;
use crate::runbook::{OnFailure, Param, SecretSource, Step};
use crate::value::Value;

/// An immutable plan. It is stored with the run; a resume never reads the YAML again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The version of this form; see [`Plan::VERSION`].
    pub version: u32,
    /// The runbook's name.
    pub runbook: RunbookName,
    /// The runbook's title.
    pub title: String,
    /// What happens when a task fails, unless its step says otherwise.
    pub on_failure: OnFailure,
    /// How many tasks may be in flight at once.
    pub max_parallel: u32,
    /// What the run must have for itself, in the order of the names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<Lock>,
    /// Every declared parameter with its value, but for secrets.
    pub params: BTreeMap<ParamName, Value>,
    /// Where the secrets come from. An optional one that comes from nowhere is a parameter without a value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<ParamName, SecretSource>,
    /// The hosts that the plan touches, as the inventory described them then.
    pub hosts: BTreeMap<HostName, Host>,
    /// The directory that relative paths of `put` and `get` begin from; absolute.
    pub project: String,
    /// The scripts that its hooks use, by name without `.rhai`: what they said when the plan was made.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scripts: BTreeMap<String, String>,
    /// First those under `steps`, then those under `finally`.
    pub steps: Vec<PlannedStep>,
}

/// A step whose hosts are known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// As written.
    pub step: Step,
    /// Where it runs; empty where no host is involved (`assert`, `wait for`).
    pub hosts: Vec<HostName>,
    /// What it waits for.
    pub needs: Vec<Need>,
    /// Whether it stands under `finally`.
    pub finally: bool,
    /// The block or call that it stands in, an index into [`Plan::steps`]; always before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<usize>,
    /// The items of its `for_each`, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<Item>>,
    /// What is known of the runbook that it calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called: Option<Called>,
}

/// A called runbook, as far as it is not among the steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Called {
    /// Its parameters as declared.
    pub declared: Vec<Param>,
    /// Those whose values are known when the plan is made.
    pub params: BTreeMap<ParamName, Value>,
    /// What it gives to its caller.
    pub outputs: BTreeMap<ParamName, Template>,
}

/// What a step waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// Index into [`Plan::steps`].
    pub step: usize,
    /// Whether each host waits for itself only.
    pub per_host: bool,
    /// Whether each item waits for itself only: both stand in the same `for_each`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub per_item: bool,
}

impl Plan {
    /// The version that this engine writes.
    pub const VERSION: u32 = 2;

    /// BLAKE3 over the plan as JSON.
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_json().as_bytes())
    }

    /// The plan as it is stored.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a plan has only string keys and finite numbers")
    }

    /// Reads a stored plan.
    pub fn from_json(json: &str) -> Result<Self, String> {
        let plan: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if plan.version > Self::VERSION {
            return Err(format!(
                "it was made by a newer Piton (form {}, this one knows {})",
                plan.version,
                Self::VERSION
            ));
        }
        let steps = plan.steps.len();
        if plan.steps.iter().enumerate().any(|(i, s)| s.needs.iter().any(|n| n.step >= steps || n.step == i)) {
            return Err("a step needs a step that is not there".to_owned());
        }
        if plan.steps.iter().enumerate().any(|(i, s)| s.parent.is_some_and(|parent| parent >= i)) {
            return Err("a step stands in a block that comes after it".to_owned());
        }
        Ok(plan)
    }
}
