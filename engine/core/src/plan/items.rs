//! The items of a `for_each`, and shares of them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ids::ItemName;
use crate::runbook::Share;
use crate::value::{Value, kind};

/// How many items a `for_each` may have.
pub const MAX_ITEMS: usize = 10_000;

/// How many tasks one `for_each` may grow into: its items times its steps times their hosts.
pub const MAX_GROWN: usize = 100_000;

/// The fields of a map that can name it, the first one that is there.
const NAMING: [&str; 2] = ["name", "id"];

/// One item of a `for_each`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// What tells it from the others.
    pub name: ItemName,
    /// The whole of it.
    pub value: Value,
}

/// Takes a list as items; each has a name of its own.
///
/// Texts, numbers and booleans are their own names; a map has its `name`, or else its `id`.
///
/// # Errors
/// In words, where it is no list, too long, or an item has no name or the name of another.
pub fn read_items(value: Value) -> Result<Vec<Item>, String> {
    let list = match value {
        Value::Array(list) => list,
        Value::String(_) => {
            return Err("it is a text, not a list; `lines(…)` or `.split(…)` makes a list of one".to_owned());
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
            return Err(format!("it is {}, not a list", kind(&other)));
        }
    };
    if list.len() > MAX_ITEMS {
        return Err(format!("there are {} items, and {MAX_ITEMS} at most are taken", list.len()));
    }
    let mut seen = BTreeSet::new();
    let mut items = Vec::with_capacity(list.len());
    for (number, value) in (1..).zip(list) {
        let name = name_of(&value).map_err(|why| format!("item {number} {why}"))?;
        if !seen.insert(name.clone()) {
            return Err(format!("item {number} has the name of an earlier one: `{name}`"));
        }
        if has_nul(&value) {
            return Err(format!("item {number} (`{name}`) contains a NUL character, which no command can take"));
        }
        items.push(Item { name, value });
    }
    Ok(items)
}

fn name_of(value: &Value) -> Result<ItemName, String> {
    let named = |text: &str| ItemName::new(text).map_err(|bad| format!("cannot be named: {bad}"));
    match value {
        Value::String(text) => named(text),
        Value::Number(_) | Value::Bool(_) => named(&value.to_string()),
        Value::Null | Value::Array(_) => Err(format!("is {}, which has no name", kind(value))),
        Value::Object(map) => {
            let field = NAMING.iter().find_map(|field| map.get(*field));
            match field {
                Some(Value::String(text)) => named(text),
                Some(number @ Value::Number(_)) => named(&number.to_string()),
                Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
                    Err("is a map whose `name` or `id` is neither a text nor a number".to_owned())
                }
                None => Err("is a map without a `name` or an `id`".to_owned()),
            }
        }
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(map) => map.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The sizes of the batches that `total` hosts or items go in; the last size repeats.
/// A percentage is of the total, rounded down, and never less than one.
pub fn batch_sizes(batch: &[Share], total: usize) -> Vec<usize> {
    let mut sizes = Vec::new();
    let (mut left, mut next) = (total, 0);
    while left > 0 {
        let Some(share) = batch.get(next.min(batch.len().saturating_sub(1))) else { return vec![total] };
        let size = share.of(total).clamp(1, left);
        sizes.push(size);
        left -= size;
        next += 1;
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn items_have_names_of_their_own() {
        let names = |value| {
            let items = read_items(value)?;
            Ok::<_, String>(items.iter().map(|i| i.name.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(names(json!(["a", 1, true, { "name": "x" }, { "id": 7, "disk": "y" }])).unwrap().len(), 5);
        assert_eq!(names(json!([])).unwrap(), [""; 0]);
        for (bad, says) in [
            (json!(["a", "a"]), "item 2 has the name of an earlier one: `a`"),
            (json!(["1", 1]), "item 2 has the name of an earlier one"),
            (json!([null]), "item 1 is nothing, which has no name"),
            (json!([[1]]), "item 1 is a list"),
            (json!([{ "disk": "x" }]), "without a `name` or an `id`"),
            (json!([{ "name": [] }]), "neither a text nor a number"),
            (json!(["a\nb"]), "item 1 cannot be named"),
            (json!([{ "name": "a", "x": "\0" }]), "NUL"),
            (json!("a b"), "it is a text, not a list"),
            (json!({ "a": 1 }), "it is a map, not a list"),
        ] {
            let error = names(bad).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        let many: Value = (0..=MAX_ITEMS).map(|n| json!(n)).collect();
        assert!(names(many).unwrap_err().contains("10000 at most"));
    }

    #[test]
    fn the_last_size_repeats_and_every_host_has_a_batch() {
        let sizes = |batch: &[Share], total| batch_sizes(batch, total);
        let (n, p) = (Share::Count, Share::Percent);
        assert_eq!(sizes(&[n(1), n(5), p(20)], 40), [1, 5, 8, 8, 8, 8, 2]);
        assert_eq!(sizes(&[n(3)], 7), [3, 3, 1]);
        assert_eq!(sizes(&[p(10)], 3), [1, 1, 1]);
        assert_eq!(sizes(&[p(100)], 3), [3]);
        assert_eq!(sizes(&[n(5)], 0), [0; 0]);
    }
}
