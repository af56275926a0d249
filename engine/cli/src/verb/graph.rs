//! `piton graph`.

mod drawing;

use std::collections::BTreeMap;

use clap::ValueEnum;
use piton_core::ids::RunbookName;
use piton_core::run::{Run, TaskState};
use piton_core::runbook::Runbook;

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
    let steps = || runbook.steps.iter().map(|s| (s, false)).chain(runbook.finally.iter().map(|s| (s, true)));
    let number: BTreeMap<_, _> = steps().enumerate().map(|(i, (s, _))| (s.id.clone(), i)).collect();
    let nodes = steps().map(|(step, finally)| {
        let hosts: Vec<&str> = step.hosts.iter().flatten().map(|t| t.source()).collect();
        Node { name: step.id.to_string(), detail: hosts.join(", "), finally, state: None }
    });
    let edges = steps().enumerate().flat_map(|(to, (step, _))| {
        let from = step.needs.iter().filter_map(|id| number.get(id));
        from.map(move |&from| (from, to, !step.barrier)).collect::<Vec<_>>()
    });
    Drawing { nodes: nodes.collect(), edges: edges.collect() }
}

fn of_run(run: &Run) -> Drawing {
    let steps = run.plan().steps.iter().enumerate();
    let nodes = steps.clone().map(|(index, planned)| {
        let tasks: Vec<&TaskState> = run.graph().tasks_of(index).map(|t| &run.task(t).state).collect();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for state in &tasks {
            *counts.entry(state.word()).or_default() += 1;
        }
        let worst = tasks.iter().max_by_key(|state| concern(state)).map_or("waiting", |state| state.word());
        let detail = match (tasks.len(), planned.hosts.first()) {
            (1, Some(host)) => format!("{host}: {worst}"),
            (1, None) => worst.to_owned(),
            _ => counts.iter().map(|(word, n)| format!("{n} {word}")).collect::<Vec<_>>().join(", "),
        };
        Node { name: planned.step.id.to_string(), detail, finally: planned.finally, state: Some(worst) }
    });
    let edges = steps.flat_map(|(to, planned)| planned.needs.iter().map(move |n| (n.step, to, n.per_host)));
    Drawing { nodes: nodes.collect(), edges: edges.collect() }
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
