//! The run machine by cases: what follows from what.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

#[path = "run/anew.rs"]
mod anew;
#[path = "run/attempts.rs"]
mod attempts;
#[path = "run/back.rs"]
mod back;
#[path = "run/batch.rs"]
mod batch;
#[path = "run/failure.rs"]
mod failure;
#[path = "run/grow.rs"]
mod grow;
#[path = "run/hooks.rs"]
mod hooks;
#[path = "run/locks.rs"]
mod locks;
#[path = "run/order.rs"]
mod order;
#[path = "run/people.rs"]
mod people;
#[path = "run/property.rs"]
mod property;
#[path = "run/reboot.rs"]
mod reboot;
#[path = "run/scale.rs"]
mod scale;
#[path = "run/secrets.rs"]
mod secrets;
#[path = "run/transfer.rs"]
mod transfer;
#[path = "run/undo.rs"]
mod undo;
#[path = "run/unknown.rs"]
mod unknown;
#[path = "run/words.rs"]
mod words;

use piton_core::run::Event;

/// Events in short form, for comparing.
fn short(events: &[Event]) -> Vec<String> {
    let short = |event: &Event| {
        let json = serde_json::to_value(event).unwrap();
        let task = json.get("task").or_else(|| json.get("job").and_then(|j| j["attempt"].get("task")));
        let task = task.and_then(|t| t.as_str()).map(|t| format!(" {t}")).unwrap_or_default();
        format!("{}{task}", json["type"].as_str().unwrap())
    };
    events.iter().map(short).collect()
}
