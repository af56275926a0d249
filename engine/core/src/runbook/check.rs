//! What can only be seen when all steps are known: names, order, and what an expression can see.

mod reach;
pub(super) mod secrets;

use std::collections::BTreeMap;

use petgraph::graph::DiGraph;

use self::reach::Upstream;
use super::syntax::{Draft, DraftStep, Sees, Use};
use crate::fault::{Fault, FaultCode, Span};
use crate::yaml::read::{Reader, shorten};
use crate::yaml::{Content, Node};

/// Variables that expressions see besides the parameters.
const VARIABLES: [&str; 5] = ["params", "steps", "host", "item", "run"];

/// Checks a draft as a whole.
pub(super) fn check(draft: &Draft<'_>, reader: &mut Reader<'_>) {
    let steps: Vec<&DraftStep<'_>> = draft.steps.iter().chain(&draft.finally).collect();
    let graph = Graph { main: draft.steps.len(), index: index(&steps, reader), needs: Vec::new(), steps };
    let graph = graph.with_needs(reader);
    let cycles = graph.check_cycles(reader);
    for used in &draft.uses {
        check_roots(used, false, &draft.names, reader);
    }
    check_uses(&graph, &draft.names, !cycles, reader);
    check_given(&graph, draft, reader);
    secrets::check(&draft.params, draft, reader);
}

struct Graph<'d, 'n> {
    steps: Vec<&'d DraftStep<'n>>,
    /// How many stand under `steps`; the others stand under `finally`.
    main: usize,
    index: BTreeMap<&'d str, usize>,
    /// For each step the steps that it needs.
    needs: Vec<Vec<usize>>,
}

/// Finds steps by id; the first one counts where an id stands twice.
fn index<'d>(steps: &[&'d DraftStep<'_>], reader: &mut Reader<'_>) -> BTreeMap<&'d str, usize> {
    let mut index = BTreeMap::new();
    for (at, step) in steps.iter().enumerate() {
        let Some(id) = &step.id else { continue };
        match index.get(id.as_str()) {
            None => drop(index.insert(id.as_str(), at)),
            Some(&first) => {
                let first: &&DraftStep<'_> = &steps[first];
                if reader.is_full() {
                    continue;
                }
                let (line, column) = Fault::line_column(reader.source, first.id_span);
                let message = format!("two steps have the id `{id}`; the first is in line {line}, column {column}");
                reader.fault(FaultCode::Duplicate, step.id_span, message);
            }
        }
    }
    index
}

impl Graph<'_, '_> {
    fn is_finally(&self, at: usize) -> bool {
        at >= self.main
    }

    /// The block that a step stands in.
    fn parent(&self, at: usize) -> Option<usize> {
        let offset = if self.is_finally(at) { self.main } else { 0 };
        self.steps[at].parent.map(|parent| parent + offset)
    }

    /// Whether a step stands in another, at any depth.
    fn is_inside(&self, at: usize, block: usize) -> bool {
        std::iter::successors(self.parent(at), |&at| self.parent(at)).any(|above| above == block)
    }

    /// What comes before what: a block ends after everything in it, and what begins it waits for what it waits for.
    fn order(&self) -> Vec<Vec<usize>> {
        let mut order: Vec<Vec<usize>> = Vec::with_capacity(self.steps.len());
        for at in 0..self.steps.len() {
            let needs = match (self.needs[at].as_slice(), self.parent(at)) {
                ([], Some(parent)) => order[parent].clone(),
                (needs, _) => needs.to_vec(),
            };
            order.push(needs);
        }
        for at in 0..self.steps.len() {
            if let Some(parent) = self.parent(at) {
                order[parent].push(at);
            }
        }
        order
    }

    fn with_needs(mut self, reader: &mut Reader<'_>) -> Self {
        let mut all = Vec::with_capacity(self.steps.len());
        let mut last: BTreeMap<(Option<usize>, bool), usize> = BTreeMap::new();
        for (at, step) in self.steps.iter().enumerate() {
            let mut needs = Vec::new();
            let above = last.insert((self.parent(at), self.is_finally(at)), at);
            match &step.needs {
                Some(_) if reader.is_full() => {}
                None => needs.extend(above),
                Some(named) => {
                    for (id, span) in named {
                        match self.index.get(id) {
                            Some(&need)
                                if self.is_finally(need) == self.is_finally(at)
                                    && self.parent(need) == self.parent(at) =>
                            {
                                needs.push(need);
                            }
                            Some(&need) if self.is_finally(need) == self.is_finally(at) => {
                                reader.push(self.other_block(at, need, *span, reader));
                            }
                            Some(&need) => reader.push(self.wrong_side(need, id, *span, reader)),
                            None => {
                                let message = format!("there is no step `{}`", shorten(id));
                                let fault = Fault::at(FaultCode::UnknownNeed, reader.source, *span, message)
                                    .did_you_mean(id, self.index.keys().copied());
                                reader.push(fault);
                            }
                        }
                    }
                }
            }
            all.push(needs);
        }
        self.needs = all;
        self
    }

    /// A step names a step of another block.
    fn other_block(&self, at: usize, need: usize, span: Span, reader: &Reader<'_>) -> Fault {
        let name = |at: usize| self.steps[at].id.as_ref().map_or("?".into(), |id| id.to_string());
        let message = format!("`{}` does not stand beside this step", name(need));
        let fault = Fault::at(FaultCode::UnknownNeed, reader.source, span, message);
        // Of the blocks around the needed step, the one that stands beside this step or a block around it.
        let around = |at| std::iter::successors(Some(at), |&at| self.parent(at));
        let pair = around(at).find_map(|a| around(need).find(|&n| self.parent(n) == self.parent(a)).map(|n| (a, n)));
        match pair {
            Some((a, n)) if a == n => {
                fault.hint("a step cannot need the block that it stands in, nor what is around it")
            }
            Some((a, n)) if a == at => fault.hint(format!("it needs the whole block: `needs: [{}]`", name(n))),
            Some((a, n)) => {
                fault.hint(format!("say it of the block that this step stands in: `{}` needs `{}`", name(a), name(n)))
            }
            None => fault,
        }
    }

    fn wrong_side(&self, need: usize, id: &str, span: Span, reader: &Reader<'_>) -> Fault {
        if self.is_finally(need) {
            let message = format!("`{id}` stands under `finally`, which begins when all other steps have ended");
            Fault::at(FaultCode::UnknownNeed, reader.source, span, message)
        } else {
            let message = format!("a step under `finally` cannot need `{id}`, which stands under `steps`");
            Fault::at(FaultCode::UnknownNeed, reader.source, span, message)
                .hint("all steps have ended by then; take it out (its outputs can be read all the same)")
        }
    }

    /// Complains about each group of steps that need each other, naming all of them. Whether there was one.
    fn check_cycles(&self, reader: &mut Reader<'_>) -> bool {
        let mut graph: DiGraph<(), (), usize> = DiGraph::default();
        let nodes: Vec<_> = self.steps.iter().map(|_| graph.add_node(())).collect();
        for (at, needs) in self.needs.iter().enumerate() {
            for &need in needs {
                graph.add_edge(nodes[need], nodes[at], ());
            }
        }
        let mut found = false;
        // Kosaraju's, because petgraph's Tarjan recurses: a chain of 50,000 steps would end the stack.
        for group in petgraph::algo::kosaraju_scc(&graph) {
            let mut members: Vec<usize> = group.into_iter().map(petgraph::graph::NodeIndex::index).collect();
            members.sort_unstable();
            let Some(&first) = members.first() else { continue };
            if members.len() == 1 && !self.needs[first].contains(&first) {
                continue;
            }
            found = true;
            let step = self.steps[first];
            let name = |at: &usize| self.steps[*at].id.as_ref().map_or("?".into(), |id| format!("`{id}`"));
            let names: Vec<String> = members.iter().map(name).collect();
            let message = match names.as_slice() {
                [one] => format!("the step {one} needs itself"),
                all => format!("these steps need each other, so none can begin: {}", all.join(", ")),
            };
            let needs = step.needs.as_ref().and_then(|needs| {
                needs.iter().find(|(id, _)| self.index.get(id).is_some_and(|need| members.contains(need)))
            });
            let span = needs.map_or(step.id_span, |(_, span)| *span);
            reader.fault(FaultCode::Cycle, span, message);
        }
        found
    }
}

fn check_uses(graph: &Graph<'_, '_>, params: &[String], ordered: bool, reader: &mut Reader<'_>) {
    let mut asked = Vec::new();
    for (at, step) in graph.steps.iter().enumerate() {
        if reader.is_full() {
            return;
        }
        for used in &step.uses {
            check_roots(used, step.looped, params, reader);
            if used.sees == Sees::PlanOnly {
                continue;
            }
            for id in used.what.steps() {
                match graph.index.get(id.as_str()) {
                    None => {
                        let message = format!("there is no step `{id}`");
                        let fault = Fault::at(
                            FaultCode::UnknownNeed,
                            reader.source,
                            step_place(used, id.as_str(), reader),
                            message,
                        )
                        .did_you_mean(id.as_str(), graph.index.keys().copied());
                        reader.push(fault);
                    }
                    Some(&target) if graph.is_finally(at) && !graph.is_finally(target) => {}
                    Some(&target) => asked.push((at, target, used)),
                }
            }
        }
    }
    // In a cycle everything is upstream of everything: there is nothing more to say.
    if !ordered {
        return;
    }
    let upstream = Upstream::new(&graph.order(), asked.iter().map(|(at, target, _)| (*at, *target)));
    for ((at, target, used), found) in asked.iter().zip(upstream.answers()) {
        // A block's own texts are asked before anything in it begins.
        if (*found && !graph.is_inside(*target, *at)) || reader.is_full() {
            continue;
        }
        let name = |at: usize| graph.steps[at].id.as_ref().map_or("this step".into(), |id| format!("`{id}`"));
        let (this, other) = (name(*at), name(*target));
        let message = if at == target {
            format!("{this} reads its own outputs, which are not there before it has run")
        } else {
            format!("{this} reads {other}, but does not come after it: it may have nothing to read")
        };
        let hint = match (at == target, graph.is_finally(*target) == graph.is_finally(*at)) {
            (false, true) => format!("add `needs: [{}]`", other.trim_matches('`')),
            _ => "move what reads it to a later step".into(),
        };
        let id = graph.steps[*target].id.as_ref().map_or("", |id| id.as_str());
        reader.fault_with(FaultCode::UnknownNeed, step_place(used, id, reader), message, hint);
    }
}

/// What a runbook gives to its caller is read when all of its steps have ended.
fn check_given(graph: &Graph<'_, '_>, draft: &Draft<'_>, reader: &mut Reader<'_>) {
    for used in &draft.given {
        check_roots(used, false, &draft.names, reader);
        for id in used.what.steps() {
            let message = match graph.index.get(id.as_str()) {
                Some(&at) if graph.is_finally(at) => {
                    format!("`{id}` stands under `finally`, which comes after the outputs")
                }
                Some(_) => continue,
                None => format!("there is no step `{id}`"),
            };
            let place = step_place(used, id.as_str(), reader);
            let fault = Fault::at(FaultCode::UnknownNeed, reader.source, place, message);
            reader.push(fault.did_you_mean(id.as_str(), graph.index.keys().copied()));
        }
    }
}

fn check_roots(used: &Use<'_>, looped: bool, params: &[String], reader: &mut Reader<'_>) {
    for root in used.what.roots() {
        check_root(root, used, looped, params, reader);
    }
    check_params(used, params, reader);
}

fn check_root(root: &str, used: &Use<'_>, looped: bool, params: &[String], reader: &mut Reader<'_>) {
    if params.iter().any(|param| param == root) && !VARIABLES.contains(&root) {
        return;
    }
    let span = word_place(used.node, root, reader);
    let early = match used.sees {
        Sees::PlanOnly => Some("which hosts a step runs on is decided before anything runs"),
        Sees::RunOnly => Some("the locks of the run are taken before anything runs"),
        Sees::Outside | Sees::NoHost | Sees::Host => None,
    };
    match root {
        "params" => {}
        "steps" | "host" | "run" | "item" if early.is_some() => {
            let message = format!("`{root}` is not known here: {}", early.unwrap_or_default());
            reader.fault_with(FaultCode::UnknownParam, span, message, "use a parameter");
        }
        "host" if used.sees != Sees::Host => {
            let message = "`host` is not known here: this step runs on no host";
            reader.fault(FaultCode::UnknownParam, span, message);
        }
        "steps" | "run" | "host" => {}
        "item" if looped && used.sees != Sees::Outside => {}
        "item" if looped => {
            reader.fault(FaultCode::UnknownParam, span, "`item` is not known here: this is what the items come from");
        }
        "item" => reader.fault(FaultCode::UnknownParam, span, "`item` is known only under `for_each`"),
        _ => {
            let message = format!("there is no parameter or variable `{root}`");
            let there = params.iter().map(String::as_str).chain(VARIABLES);
            let fault = Fault::at(FaultCode::UnknownParam, reader.source, span, message).did_you_mean(root, there);
            reader.push(fault);
        }
    }
}

/// `params.x` must be declared as well as `x`.
fn check_params(used: &Use<'_>, params: &[String], reader: &mut Reader<'_>) {
    for name in used.what.params() {
        if !params.contains(name) {
            let span = word_place(used.node, &format!("params.{name}"), reader);
            let message = format!("there is no parameter `{}`", shorten(name));
            let fault = Fault::at(FaultCode::UnknownParam, reader.source, span, message)
                .did_you_mean(name, params.iter().map(String::as_str));
            reader.push(fault);
        }
    }
}

fn step_place(used: &Use<'_>, id: &str, reader: &Reader<'_>) -> Span {
    let plain = format!("steps.{id}");
    match find_word(used.node, &plain) {
        Some(_) => word_place(used.node, &plain, reader),
        None => word_place(used.node, id, reader),
    }
}

/// Where a word of an expression stands in the document; the whole text, if that cannot be said.
fn word_place(node: &Node<'_>, word: &str, reader: &Reader<'_>) -> Span {
    find_word(node, word)
        .and_then(|offset| reader.place_in(node, offset))
        .map_or(node.span, |span| Span { start: span.start, end: span.start + word.len() })
}

fn find_word(node: &Node<'_>, word: &str) -> Option<usize> {
    let Content::Scalar(scalar) = &node.content else { return None };
    let text = scalar.text();
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .map(|(at, _)| at)
        .find(|&at| !text[..at].ends_with(|c| inside(c) || c == '.') && !text[at + word.len()..].starts_with(inside))
}
