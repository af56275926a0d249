//! `piton graph`.

mod drawing;

use std::collections::BTreeMap;

use clap::ValueEnum;
use piton_core::ids::{RunbookName, StepId};
use piton_core::run::{Run, TaskState};
use piton_core::runbook::{ForEach, Runbook, Step};

use super::plan::shares;
use crate::cli::Globals;
use crate::exit::{Code, Failure};
use crate::project;
use crate::screen::Screen;
use crate::store::Store;

/// Draw the steps of a runbook, or of a run with where they stand
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The name or path of a runbook, or a run
    #[arg(value_name = "RUNBOOK|RUN", add = clap_complete::ArgValueCompleter::new(super::completing::runbooks))]
    of: String,
    /// As what
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Format {
    /// For Markdown pages (https://mermaid.js.org)
    #[default]
    Mermaid,
    /// For Graphviz
    Dot,
    /// A picture
    Svg,
}

/// What is drawn.
struct Drawing {
    nodes: Vec<Node>,
    /// From, to, whether each host waits for itself only.
    edges: Vec<(usize, usize, bool)>,
}

struct Node {
    name: String,
    /// Second line: hosts, counts.
    detail: String,
    finally: bool,
    state: Option<&'static str>,
}

pub(crate) async fn run(args: Args, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
    let project = project::find(globals.project.as_deref())?;
    let path = args.of.contains('/') || args.of.ends_with(".yaml") || args.of.ends_with(".yml");
    // A run's id begins with a digit, a runbook's name with a letter.
    let drawing = if path || (RunbookName::new(&args.of).is_ok() && args.of != "latest") {
        let found = project::runbook(project.as_ref(), &args.of)?;
        match project::parse(&found.source) {
            (Some(runbook), faults) if faults.is_empty() => of_runbook(&runbook),
            (_, faults) => return Err(Failure::Faults(faults)),
        }
    } else {
        let store = Store::open(globals, project.as_ref())?;
        let summary = store.find(&args.of).await?;
        of_run(&piton_runner::load(store.journal.as_ref(), summary.id).await?)
    };
    let text = match args.format {
        Format::Mermaid => mermaid(&drawing),
        Format::Dot => dot(&drawing),
        Format::Svg => drawing::svg(&drawing),
    };
    let mut out = screen.out();
    if screen.json {
        out.json(&serde_json::json!({ "graph": text }))?;
    } else {
        out.bytes(text.as_bytes())?;
    }
    out.flush()?;
    Ok(Code::Succeeded)
}

fn of_runbook(runbook: &Runbook) -> Drawing {
    let steps: Vec<(&Step, bool)> =
        runbook.steps.iter().map(|s| (s, false)).chain(runbook.finally.iter().map(|s| (s, true))).collect();
    let number: BTreeMap<&StepId, usize> = steps.iter().enumerate().map(|(i, (s, _))| (&s.id, i)).collect();
    let nodes = steps.iter().map(|(step, finally)| {
        let mut detail: Vec<String> = step.hosts.iter().flatten().map(|t| t.source().to_owned()).collect();
        detail.extend(step.call().map(|call| format!("call {}", call.runbook)));
        match &step.for_each {
            Some(ForEach::List(items)) => detail.push(format!("each of {}", items.len())),
            Some(ForEach::Expr(expr)) => detail.push(format!("each of {}", expr.source())),
            None => {}
        }
        if !step.batch.is_empty() {
            detail.push(format!("batches {}", shares(&step.batch)));
        }
        Node { name: step.id.to_string(), detail: detail.join(", "), finally: *finally, state: None }
    });
    let mut edges = Vec::new();
    for (to, (step, _)) in steps.iter().enumerate() {
        if let (Some(parent), true) = (step.parent.as_ref().and_then(|id| number.get(id)), step.needs.is_empty()) {
            edges.push((*parent, to, true));
        }
        for from in step.needs.iter().filter_map(|id| number.get(id)) {
            edges.extend(ends(&steps, *from).into_iter().map(|from| (from, to, !step.barrier)));
        }
    }
    Drawing { nodes: nodes.collect(), edges }
}

/// The steps that a step ends with: itself, or those of a block that no other in it needs.
fn ends(steps: &[(&Step, bool)], step: usize) -> Vec<usize> {
    let id = &steps[step].0.id;
    let children: Vec<usize> = (0..steps.len()).filter(|&at| steps[at].0.parent.as_ref() == Some(id)).collect();
    if children.is_empty() {
        return vec![step];
    }
    let needed = |at: usize| children.iter().any(|&other| steps[other].0.needs.contains(&steps[at].0.id));
    children.iter().filter(|&&at| !needed(at)).flat_map(|&at| ends(steps, at)).collect()
}

fn of_run(run: &Run) -> Drawing {
    let plan = run.plan();
    // A block has no tasks of its own, unless its items come from one.
    let drawn = |step: usize| !plan.steps[step].step.is_block() || run.graph().source(step).is_some();
    let place: BTreeMap<usize, usize> = (0..plan.steps.len()).filter(|&step| drawn(step)).zip(0..).collect();
    let nodes = place.keys().map(|&index| {
        let planned = &plan.steps[index];
        let own = run.graph().source(index).into_iter().chain(run.graph().tasks_of(index));
        let tasks: Vec<&TaskState> = own.map(|t| &run.task(t).state).collect();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for state in &tasks {
            *counts.entry(state.word()).or_default() += 1;
        }
        let worst = tasks.iter().max_by_key(|state| concern(state)).map_or("waiting", |state| state.word());
        let unknown = plan.family(index).is_some_and(|family| run.graph().items_of(family).is_none());
        let detail = match (tasks.len(), planned.hosts.first()) {
            (_, _) if unknown && worst == "waiting" => "items known when it runs".to_owned(),
            (1, Some(host)) => format!("{host}: {worst}"),
            (1, None) => worst.to_owned(),
            _ => counts.iter().map(|(word, n)| format!("{n} {word}")).collect::<Vec<_>>().join(", "),
        };
        Node { name: planned.step.id.to_string(), detail, finally: planned.finally, state: Some(worst) }
    });
    let mut edges = Vec::new();
    for (&step, &to) in &place {
        let planned = &plan.steps[step];
        edges.extend(planned.needs.iter().filter_map(|n| Some((*place.get(&n.step)?, to, n.per_host || n.per_item))));
        let family = plan.family(step).filter(|&family| family != step && planned.needs.is_empty());
        edges.extend(family.and_then(|family| place.get(&family)).map(|&from| (from, to, true)));
    }
    Drawing { nodes: nodes.collect(), edges }
}

/// What of a step's tasks should be seen first.
fn concern(state: &TaskState) -> u8 {
    match state {
        TaskState::Skipped(_) => 0,
        TaskState::Succeeded(_) => 1,
        TaskState::Waiting => 2,
        TaskState::Pausing(_) => 3,
        TaskState::Active(_) => 4,
        TaskState::Failed(_) => 5,
        TaskState::Parked(_) => 6,
    }
}

/// Fill colours by state, legible under black text.
fn fill(state: Option<&str>) -> &'static str {
    match state {
        Some("succeeded") => "#b7e4c7",
        Some("failed") => "#f5b5b5",
        Some("parked" | "unknown") => "#ffd59e",
        Some("skipped") => "#e5e5e5",
        Some("waiting") | None => "#ffffff",
        Some(_) => "#b8d8f8",
    }
}

fn mermaid(drawing: &Drawing) -> String {
    let mut text = "flowchart TD\n".to_owned();
    for (index, node) in drawing.nodes.iter().enumerate() {
        let detail = if node.detail.is_empty() { String::new() } else { format!("<br/>{}", entities(&node.detail)) };
        let (open, close) = if node.finally { ("([", "])") } else { ("[", "]") };
        text.push_str(&format!("    s{index}{open}\"{}{detail}\"{close}\n", entities(&node.name)));
        if node.state.is_some() {
            text.push_str(&format!("    style s{index} fill:{}\n", fill(node.state)));
        }
    }
    for (from, to, own) in &drawing.edges {
        text.push_str(&format!("    s{from} {} s{to}\n", if *own { "-->" } else { "==>" }));
    }
    text
}

/// Mermaid takes character references without the `&`: `#34;`.
fn entities(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || " -_.,:/[]".contains(c);
    text.chars().map(|c| if plain(c) { c.to_string() } else { format!("#{};", c as u32) }).collect()
}

fn dot(drawing: &Drawing) -> String {
    let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " ");
    let mut text =
        "digraph runbook {\n    node [shape=box, style=\"rounded,filled\", fontname=\"sans-serif\"];\n".to_owned();
    for (index, node) in drawing.nodes.iter().enumerate() {
        let detail = if node.detail.is_empty() { String::new() } else { format!("\\n{}", quote(&node.detail)) };
        let shape = if node.finally { ", shape=ellipse" } else { "" };
        text.push_str(&format!(
            "    s{index} [label=\"{}{detail}\", fillcolor=\"{}\"{shape}];\n",
            quote(&node.name),
            fill(node.state)
        ));
    }
    for (from, to, own) in &drawing.edges {
        let style = if *own { "" } else { " [penwidth=2]" };
        text.push_str(&format!("    s{from} -> s{to}{style};\n"));
    }
    text.push_str("}\n");
    text
}
