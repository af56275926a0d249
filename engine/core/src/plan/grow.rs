//! How the graph comes to be: all at once as far as the plan knows, and piece by piece as items become known.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::{OrdMap, Vector};

use crate::ids::{HostName, TaskId};

use super::graph::{GATE, Gate, Place, TaskGraph, Unit};
use super::items::{MAX_GROWN, batch_sizes};
use super::{Item, Need, Plan, TaskIndex};

impl TaskGraph {
    /// Numbers the tasks of a plan: in the order of the document, then of the items, then of the hosts.
    pub fn of(plan: &Plan) -> Self {
        let steps = plan.steps.len();
        let finally = plan.steps.iter().position(|s| s.finally).unwrap_or(steps);
        let mut graph = Self {
            places: Vector::new(),
            gates: Vector::new(),
            index: OrdMap::new(),
            steps: Arc::new(plan.steps.iter().map(|s| s.step.id.clone()).zip(0..).collect()),
            tasks: std::iter::repeat_n(Arc::default(), steps).collect(),
            sources: std::iter::repeat_n(None, steps).collect(),
            whole: std::iter::repeat_n(None, steps).collect(),
            items: OrdMap::new(),
            units: OrdMap::new(),
            totals: OrdMap::new(),
            counts: [0, 0],
            finally: number(finally),
        };
        for step in 0..steps {
            match plan.family(step) {
                Some(family) if family == step && plan.expands(step) => {
                    let task = graph.add(plan, step, None, None);
                    graph.sources.set(step, Some(task));
                }
                Some(family) if family == step => {
                    let items = plan.steps[step].items.clone().unwrap_or_default();
                    graph.add_family(plan, step, items);
                }
                Some(_) => {}
                None if plan.steps[step].step.is_block() => {}
                None => graph.add_hosts(plan, step, None),
            }
        }
        graph.connect(plan, 0);
        graph
    }

    /// How many tasks a `for_each` with so many items grows into, or why that is too many.
    pub(crate) fn growth(plan: &Plan, family: usize, items: usize) -> Result<usize, String> {
        let each: usize = plan.acting(family).iter().map(|&step| plan.steps[step].width()).sum();
        match items.saturating_mul(each) {
            tasks if tasks > MAX_GROWN => Err(format!(
                "its {items} items would become {tasks} tasks, and {MAX_GROWN} at most are made of one step"
            )),
            tasks => Ok(tasks),
        }
    }

    /// Adds the tasks for the items of a step, now that they are known. Gives the gates that were there before and wait
    /// for some of them, each with how many.
    pub(crate) fn grow(&mut self, plan: &Plan, family: usize, items: Vec<Item>) -> Vec<(u32, u32)> {
        let first = self.len();
        self.add_family(plan, family, items);
        let mut gates = Vec::new();
        for step in plan.acting(family) {
            let Some(gate) = self.whole[step] else { continue };
            let tasks = self.tasks[step].clone();
            for &task in tasks.iter() {
                self.edge(task, gate);
            }
            gates.push((gate, number(tasks.len())));
        }
        self.connect(plan, first);
        gates
    }

    fn add_family(&mut self, plan: &Plan, family: usize, items: Vec<Item>) {
        let acting = plan.acting(family);
        for (at, item) in (0u32..).zip(&items) {
            for &step in &acting {
                self.add_hosts(plan, step, Some((at, item)));
            }
        }
        self.items.insert(number(family), Arc::new(items));
    }

    fn add_hosts(&mut self, plan: &Plan, step: usize, item: Option<(u32, &Item)>) {
        let hosts = plan.steps[step].hosts.iter().map(Some);
        let hosts: Vec<Option<&HostName>> =
            if plan.steps[step].hosts.is_empty() { vec![None] } else { hosts.collect() };
        let mut added = Vec::with_capacity(hosts.len());
        for host in hosts.into_iter().enumerate() {
            added.push(self.add(plan, step, Some(host), item));
        }
        if let Some(tasks) = self.tasks.get_mut(step) {
            Arc::make_mut(tasks).extend(added);
        }
    }

    /// Adds one task: on the host with this number among its step's, or, without, the one that items come from.
    fn add(
        &mut self,
        plan: &Plan,
        step: usize,
        host: Option<(usize, Option<&HostName>)>,
        item: Option<(u32, &Item)>,
    ) -> TaskIndex {
        let task = self.len();
        let (id, name) = (plan.steps[step].step.id.clone(), item.map(|i| i.1.name.clone()));
        let id = TaskId { step: id, host: host.and_then(|h| h.1).cloned(), item: name };
        let units =
            host.map(|(place, _)| self.units_of(plan, task, step, place, item.map(|i| i.0))).unwrap_or_default();
        let top = number(plan.family(step).unwrap_or(step));
        self.index.insert(id.clone(), task);
        self.counts[usize::from(plan.steps[step].finally)] += 1;
        let (after, before) = (Vec::new(), Vec::new());
        self.places.push_back(Place { id, step: number(step), item: item.map(|i| i.0), top, after, before, units });
        task
    }

    fn units_of(&mut self, plan: &Plan, task: TaskIndex, step: usize, place: usize, item: Option<u32>) -> Arc<[Unit]> {
        let mut units: Vec<Unit> = Vec::new();
        for at in plan.around(step).filter(|&at| plan.steps[at].step.counts()) {
            units.push((number(at), unit_in(plan, at, task, step, place, item)));
        }
        units.reverse();
        for &unit in &units {
            let size = self.unit_size(unit);
            self.units.insert(unit, size + 1);
            if size == 0 {
                let total = self.total(unit.0 as usize);
                self.totals.insert(unit.0, total + 1);
            }
        }
        units.into()
    }

    fn edge(&mut self, from: u32, to: u32) {
        match to & GATE {
            0 => self.places[to as usize].before.push(from),
            _ => self.gates[(to ^ GATE) as usize].before.push(from),
        }
        match from & GATE {
            0 => self.places[from as usize].after.push(to),
            _ => self.gates[(from ^ GATE) as usize].after.push(to),
        }
    }

    fn gate(&mut self, within: bool, before: impl IntoIterator<Item = u32>) -> u32 {
        let gate = number(self.gates.len()) | GATE;
        self.gates.push_back(Gate { within, ..Gate::default() });
        for node in before {
            self.edge(node, gate);
        }
        gate
    }

    /// Draws the edges of the tasks from number `first` on.
    fn connect(&mut self, plan: &Plan, first: TaskIndex) {
        let strict = plan.tolerates_any();
        let mut within = BTreeMap::new();
        for task in first..self.len() {
            let step = self.step(task);
            let family = plan.family(step);
            let source = family.and_then(|family| self.source(family));
            let item = self.item_number(task);
            let mut edges: Vec<u32> = Vec::new();
            match (family, source) {
                // The items of a step wait for nothing but the task that they come from; that one waits for the rest.
                (Some(family), Some(source)) if family == step && source != task => edges.push(source),
                (_, _) => {
                    for need in &plan.steps[step].needs {
                        self.needed(plan, task, need, item, strict, &mut within, &mut edges);
                    }
                    if edges.is_empty() {
                        edges.extend(source.filter(|&source| source != task));
                    }
                }
            }
            edges.sort_unstable();
            edges.dedup();
            for from in edges {
                self.edge(from, task);
            }
        }
        for step in 0..plan.steps.len() {
            if !plan.steps[step].step.batch.is_empty() {
                self.batches(plan, step, first);
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one edge, and everything that it depends on")]
    fn needed(
        &mut self,
        plan: &Plan,
        task: TaskIndex,
        need: &Need,
        item: Option<u32>,
        strict: bool,
        within: &mut BTreeMap<(usize, u32), u32>,
        edges: &mut Vec<u32>,
    ) {
        let host = self.id(task).host.clone();
        let own_item = if need.per_item { self.id(task).item.clone() } else { None };
        let same = TaskId { step: plan.steps[need.step].step.id.clone(), host, item: own_item };
        let same = self.find(&same).filter(|&t| self.source(need.step) != Some(t));
        if need.per_host {
            edges.extend(same);
            return;
        }
        if strict {
            // What failed here and is tolerated passes no gate, but its own host is not gone on with.
            edges.extend(same);
        }
        match item.filter(|_| need.per_item) {
            Some(item) => match *self.tasks_for(need.step, item) {
                [one] => edges.push(one),
                [] => {}
                ref many => {
                    let many = many.to_vec();
                    let gate = *within.entry((need.step, item)).or_insert_with(|| self.gate(true, many));
                    edges.push(gate);
                }
            },
            None => {
                let source = plan.family(need.step).and_then(|family| self.source(family));
                match (self.tasks[need.step].as_slice(), source) {
                    ([one], None) if !strict => edges.push(*one),
                    (_, _) => edges.push(self.whole_gate(need.step, source)),
                }
            }
        }
    }

    fn whole_gate(&mut self, step: usize, source: Option<TaskIndex>) -> u32 {
        if let Some(gate) = self.whole[step] {
            return gate;
        }
        let tasks = self.tasks[step].clone();
        let gate = self.gate(false, source.into_iter().chain(tasks.iter().copied()));
        self.whole.set(step, Some(gate));
        gate
    }

    /// Draws the edges between the batches of a step, among the tasks from number `first` on: a batch begins
    /// when everything of the one before it has come to its end.
    fn batches(&mut self, plan: &Plan, step: usize, first: TaskIndex) {
        let (roots, ends) = (plan.roots(step), plan.ends(step));
        let hosts: BTreeMap<&HostName, usize> = plan.steps[step].hosts.iter().zip(0..).collect();
        let (by_item, looped) = (plan.family(step) == Some(step), plan.family(step).is_some());
        // Inside of a `for_each` every item has batches of its own.
        let mut rounds: BTreeMap<Option<u32>, [Tasks; 2]> = BTreeMap::new();
        for (steps, which) in [(&roots, 0), (&ends, 1)] {
            for &at in steps {
                for &task in self.tasks[at].iter().filter(|&&task| task >= first) {
                    let item = self.item_number(task);
                    let host = self.id(task).host.as_ref();
                    let unit = match (by_item, host) {
                        (true, _) => item.map(|item| item as usize),
                        (false, Some(host)) => hosts.get(host).copied(),
                        (false, None) => None,
                    };
                    let round = rounds.entry(item.filter(|_| looped && !by_item)).or_default();
                    round[which].extend(unit.map(|unit| (unit, task)));
                }
            }
        }
        let total = match by_item {
            true => self.items_of(step).map_or(0, <[Item]>::len),
            false => hosts.len(),
        };
        let sizes = batch_sizes(&plan.steps[step].step.batch, total);
        let batch_of: Vec<usize> = (0..).zip(&sizes).flat_map(|(at, &size)| std::iter::repeat_n(at, size)).collect();
        for [begin, end] in rounds.into_values() {
            for batch in 1..sizes.len() {
                let within = |list: &Tasks, batch| -> Vec<u32> {
                    list.iter().filter(|(unit, _)| batch_of.get(*unit) == Some(&batch)).map(|(_, task)| *task).collect()
                };
                let gate = self.gate(false, within(&end, batch - 1));
                for task in within(&begin, batch) {
                    self.edge(gate, task);
                }
            }
        }
    }
}

/// Tasks, each with the place of its host or item.
type Tasks = Vec<(usize, TaskIndex)>;

/// Which host or item of the step `at` a task in it is part of. Steps of a block that counts its hosts are on all of
/// them, so that a host has the same place in each.
fn unit_in(plan: &Plan, at: usize, task: TaskIndex, step: usize, place: usize, item: Option<u32>) -> u64 {
    if plan.family(at) == Some(at) && (plan.steps[at].step.is_block() || plan.steps[at].step.call().is_some()) {
        return item.unwrap_or_default().into();
    }
    if at == step {
        return task.into();
    }
    // Inside of a `for_each`, each item has hosts of its own.
    let item = item.filter(|_| plan.family(at).is_some());
    u64::from(item.map_or(0, |item| item + 1)) << 32 | u64::from(number(place))
}

fn number(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX >> 1)
}
