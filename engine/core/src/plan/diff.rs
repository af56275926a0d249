//! What differs between two plans: steps added, removed, changed field by field.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::digest::Digest;
use crate::ids::StepId;
use crate::time::show_duration;
use crate::value::{Map, Value};

use super::{Plan, PlannedStep};

/// What differs between a plan and one that is to follow it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PlanDiff {
    /// What concerns the run as a whole: `title`, `on_failure`, `params.vm`, `hosts.hv1.ssh.address`, …
    pub plan: Vec<FieldChange>,
    /// Steps that only the new plan has, in its order.
    pub added: Vec<StepId>,
    /// Steps that only the old plan has, in its order.
    pub removed: Vec<StepId>,
    /// Steps that both have and that are not the same, in the order of the old plan.
    pub changed: Vec<StepChange>,
}

/// A step that is not the same in both plans.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepChange {
    /// Which.
    pub step: StepId,
    /// What differs.
    pub fields: Vec<FieldChange>,
}

/// A field that is not the same in both.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldChange {
    /// Its name, with dots: `run.text`, `retry.times`, `needs`, `hosts`.
    pub field: String,
    /// The old value; null: it was not there.
    pub before: Value,
    /// The new value; null: it is not there any more.
    pub after: Value,
}

impl FieldChange {
    /// Whether the field only serves people, and what the step does is the same.
    pub fn is_wording(&self) -> bool {
        matches!(self.field.as_str(), "title" | "estimate") || self.field.starts_with("tags")
    }
}

impl PlanDiff {
    /// Whether there is no difference.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether what differs only serves people.
    pub fn is_wording(&self) -> bool {
        let steps = self.changed.iter().flat_map(|change| &change.fields);
        self.added.is_empty() && self.removed.is_empty() && self.plan.iter().chain(steps).all(FieldChange::is_wording)
    }
}

impl Plan {
    /// What differs if `new` follows this plan. Where a step was written, and how its hosts were named, is no difference.
    pub fn diff(&self, new: &Self) -> PlanDiff {
        let (old_steps, new_steps) = (by_id(self), by_id(new));
        let only = |plan: &Self, other: &BTreeMap<&StepId, usize>| {
            let ids = plan.steps.iter().map(|s| &s.step.id).filter(|id| !other.contains_key(id));
            ids.cloned().collect::<Vec<StepId>>()
        };
        let changed = self.steps.iter().filter_map(|step| {
            let after = &new.steps[*new_steps.get(&step.step.id)?];
            let fields = compare(&self.fields(step), &new.fields(after));
            (!fields.is_empty()).then(|| StepChange { step: step.step.id.clone(), fields })
        });
        PlanDiff {
            plan: compare(&self.whole(), &new.whole()),
            added: only(new, &old_steps),
            removed: only(self, &new_steps),
            changed: changed.collect(),
        }
    }

    /// Everything but the steps, flat.
    fn whole(&self) -> BTreeMap<String, Value> {
        let mut all = object(serde_json::to_value(self));
        for name in ["version", "project", "steps", "scripts"] {
            all.remove(name);
        }
        let mut flat = BTreeMap::new();
        flatten(&mut flat, "", Value::Object(all));
        flat
    }

    /// A step's fields, flat, with needs and hosts by name.
    fn fields(&self, planned: &PlannedStep) -> BTreeMap<String, Value> {
        let mut all = object(serde_json::to_value(planned));
        let step = object(all.remove("step").ok_or(()));
        let names = planned.needs.iter().map(|need| {
            let id = &self.steps[need.step].step.id;
            Value::from(if need.per_host && planned.hosts.len() > 1 {
                format!("{id} (each host for itself)")
            } else {
                id.to_string()
            })
        });
        all.insert("needs".to_owned(), names.collect());
        for (name, value) in step {
            match (name.as_str(), value) {
                ("id" | "span" | "needs" | "hosts", _) => {}
                ("action", Value::Object(action)) => all.extend(action),
                (_, value) => drop(all.insert(name, value)),
            }
        }
        if planned.step.has_hook() {
            // Which of the functions a hook comes to is not known before: each script that the run has can matter.
            let digest = |text: &String| Value::from(Digest::of(text.as_bytes()).to_string());
            let digests = self.scripts.iter().map(|(name, text)| (name.clone(), digest(text)));
            all.insert("scripts".to_owned(), Value::Object(digests.collect()));
        }
        let mut flat = BTreeMap::new();
        flatten(&mut flat, "", Value::Object(all));
        flat.retain(|name, _| !name.ends_with(".span.start") && !name.ends_with(".span.end"));
        flat
    }
}

fn by_id(plan: &Plan) -> BTreeMap<&StepId, usize> {
    plan.steps.iter().enumerate().map(|(index, planned)| (&planned.step.id, index)).collect()
}

fn object<E>(value: Result<Value, E>) -> Map<String, Value> {
    match value {
        Ok(Value::Object(map)) => map,
        Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) | Err(_) => Map::new(),
    }
}

/// Objects become names with dots; what is null or empty is as good as not there.
fn flatten(into: &mut BTreeMap<String, Value>, name: &str, value: Value) {
    match value {
        Value::Object(map) if is_duration(&map) => {
            let span: Result<std::time::Duration, _> = serde_json::from_value(Value::Object(map));
            into.insert(name.to_owned(), span.map_or(Value::Null, |span| Value::from(show_duration(span))));
        }
        Value::Object(map) => {
            for (key, value) in map {
                let name = if name.is_empty() { key } else { format!("{name}.{key}") };
                flatten(into, &name, value);
            }
        }
        Value::Null => {}
        Value::Array(items) if items.is_empty() => {}
        value @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            into.insert(name.to_owned(), value);
        }
    }
}

/// As serde writes a [`std::time::Duration`].
fn is_duration(map: &Map<String, Value>) -> bool {
    map.len() == 2 && map.contains_key("secs") && map.contains_key("nanos")
}

fn compare(old: &BTreeMap<String, Value>, new: &BTreeMap<String, Value>) -> Vec<FieldChange> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changes = names.into_iter().filter_map(|name| {
        let (before, after) = (old.get(name), new.get(name));
        (before != after).then(|| FieldChange {
            field: name.clone(),
            before: before.cloned().unwrap_or_default(),
            after: after.cloned().unwrap_or_default(),
        })
    });
    changes.collect()
}
