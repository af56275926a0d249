use std::sync::Arc;

use super::*;
use crate::fault::Source;
use crate::ids::RunId;
use crate::inventory::Inventory;
use crate::plan::Surroundings;
use crate::runbook::Library;

fn plan(steps: &str) -> Plan {
    let source = Source { name: "r".into(), text: format!("runbook: r\n{steps}\n").into() };
    let (runbook, faults) = crate::runbook::parse(&source);
    let inventory = Inventory::default();
    let around = Surroundings {
        inventory: &inventory,
        allow_unknown_hosts: true,
        project: "/",
        source: &source,
        library: &Library::new(),
    };
    Plan::build(runbook.unwrap_or_else(|| panic!("{faults:?}")), BTreeMap::new(), &around).unwrap()
}

fn seconds(span: u64) -> Duration {
    Duration::from_secs(span)
}

/// `a[h1]=1,2,3` means that the task took 1 s, 2 s and 3 s.
fn history(spans: &[&str]) -> History {
    let mut history = History::default();
    for line in spans {
        let (task, spans) = line.split_once('=').unwrap();
        for span in spans.split(',') {
            history.note(&task.parse().unwrap(), seconds(span.parse().unwrap()));
        }
    }
    history
}

#[test]
fn the_longest_way_counts() {
    let two = "{ id: a, hosts: [h1, h2], run: x }, { id: b, hosts: [h1, h2], run: x }";
    for (name, steps, spans, whole) in [
        ("one after the other", "{ id: a, run: x }, { id: b, run: x }", vec!["a[local]=3", "b[local]=4"], Some((7, 7))),
        (
            "side by side",
            "{ id: a, run: x }, { id: b, run: x, needs: [] }",
            vec!["a[local]=3", "b[local]=4"],
            Some((4, 4)),
        ),
        ("each host for itself", two, vec!["a[h1]=9", "a[h2]=1", "b[h1]=1", "b[h2]=5"], Some((10, 10))),
        ("another host tells", two, vec!["a[h1]=9", "b[h1]=1"], Some((10, 10))),
        ("what is known counts", "{ id: a, run: x }, { id: b, run: x }", vec!["b[local]=4"], Some((4, 4))),
        ("nothing is known", "{ id: a, run: x }", vec![], None),
        ("a wait says it itself", "{ id: a, wait: { for: 5s } }", vec![], Some((5, 5))),
        ("the author says", "{ id: a, run: x, estimate: 2m }, { id: b, run: x }", vec!["b[local]=4"], Some((124, 124))),
        ("what was seen says more", "{ id: a, run: x, estimate: 2m }", vec!["a[local]=3,3"], Some((3, 3))),
        ("other hosts say more", "{ id: a, hosts: [h1, h2], run: x, estimate: 2m }", vec!["a[h1]=3"], Some((3, 3))),
        ("nine of ten", "{ id: a, run: x }", vec!["a[local]=10,1,2,3,4,5,6,7,8,9"], Some((5, 9))),
        ("one of three", "{ id: a, run: x }", vec!["a[local]=7,1,2"], Some((2, 7))),
    ] {
        let found = Forecast::of_plan(&plan(&format!("steps: [{steps}]")), &history(&spans));
        let expected = whole.map(|(median, high)| Expected { median: seconds(median), high: seconds(high) });
        assert_eq!(found.map(|forecast| forecast.whole), expected, "{name}");
    }
    let barrier = "{ id: a, hosts: [h1, h2], run: x }, { id: b, hosts: [h1, h2], run: x, barrier: true }";
    let spans = history(&["a[h1]=9", "a[h2]=1", "b[h1]=1", "b[h2]=5"]);
    let found = Forecast::of_plan(&plan(&format!("steps: [{barrier}]")), &spans).unwrap();
    assert_eq!(found.whole.median, seconds(14), "all wait for all");
    let tidy = plan("steps: [{ id: a, run: x }]\nfinally: [{ id: z, run: x }]");
    let found = Forecast::of_plan(&tidy, &history(&["a[local]=3", "z[local]=2"])).unwrap();
    assert_eq!(found.whole.median, seconds(5), "`finally` comes after all");
}

#[test]
fn what_nobody_knows_is_counted() {
    let found = Forecast::of_plan(&plan("steps: [{ id: a, run: x }, { id: b, run: x }]"), &history(&["a[local]=1"]));
    assert_eq!(found.map(|forecast| (forecast.open, forecast.unknown)), Some((2, 1)));
}

fn at(seq: u64, ms: i64, event: Event) -> Recorded<Event> {
    Recorded { seq, at: Timestamp(ms), event }
}

fn started(task: &str, attempt: u32) -> Event {
    serde_json::from_value(
        serde_json::json!({ "type": "attempt_started", "task": task, "attempt": attempt, "deadline": null }),
    )
    .unwrap()
}

fn succeeded(task: &str, how: &str) -> Event {
    serde_json::from_value(serde_json::json!({ "type": "task_succeeded", "task": task, "how": how })).unwrap()
}

#[test]
fn only_work_that_was_done_is_history() {
    let mut history = History::default();
    history.take(&[
        at(1, 0, started("a[local]", 1)),
        at(2, 50_000, started("a[local]", 2)),
        at(3, 53_000, succeeded("a[local]", "ran")),
        at(4, 60_000, started("b[local]", 1)),
        at(5, 70_000, succeeded("b[local]", "already_done")),
        at(6, 70_000, succeeded("c[local]", "by_hand")),
    ]);
    assert_eq!(history, self::history(&["a[local]=3"]), "the last attempt, and what ran");
    for _ in 0..KEPT {
        history.note(&"a[local]".parse().unwrap(), seconds(9));
    }
    let step = &plan("steps: [{ id: a, run: x }]").steps[0].step.clone();
    let local = HostName::new("local").unwrap();
    assert_eq!(history.of(step, Some(&local)).unwrap().median, seconds(9));
    assert_eq!(history.spans[&step.id][&Some(local)].len(), KEPT, "what is old is forgotten");
}

#[test]
fn what_is_left_shrinks_as_time_goes_by() {
    let plan = plan("steps: [{ id: a, run: x }, { id: b, run: x }]");
    let history = history(&["a[local]=10", "b[local]=5"]);
    let mut run = Run::new(RunId::from_parts(1, 1), Arc::new(plan));
    let created =
        serde_json::json!({ "type": "run_created", "by": "a@b", "runbook": "r", "plan": run.plan().digest() });
    run.apply(&at(1, 0, serde_json::from_value(created).unwrap())).unwrap();
    let took = serde_json::json!({ "type": "engine_took", "engine": "e", "fence": 1 });
    run.apply(&at(2, 0, serde_json::from_value(took).unwrap())).unwrap();
    let left = |run: &Run, ms| Forecast::of_rest(run, &history, Timestamp(ms)).map(|rest| rest.whole.median.as_secs());
    assert_eq!(left(&run, 0), Some(15));
    run.apply(&at(3, 1_000, started("a[local]", 1))).unwrap();
    assert_eq!(left(&run, 1_000), Some(15));
    assert_eq!(left(&run, 5_000), Some(11));
    assert_eq!(left(&run, 60_000), Some(5), "longer than usual: it may end any moment");
}
