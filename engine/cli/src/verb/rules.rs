//! `piton rules`.

mod attempt;

use piton_core::rules::Rule;
use piton_core::time::show_duration;
use serde_json::{Value, json};

use crate::cli::Globals;
use crate::exit::{Code, Failure};
use crate::project;
use crate::rules::{self, Rules};
use crate::screen::{BOLD, Out, Screen};
use crate::visible::visible;

/// List the rules that answer alerts, and say what is wrong with them
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Try(attempt::Args),
}

pub(crate) async fn run(args: Args, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
    let Some(project) = project::find(globals.project.as_deref())? else {
        return Err(Failure::usage(format!("there is no project here ({} marks one)", project::FILE))
            .hint("rules are files rules/NAME.yaml of a project; choose one with -C DIR"));
    };
    let rules = rules::load(&project)?;
    match args.what {
        None => list(rules, screen),
        Some(What::Try(args)) => attempt::run(args, rules, &project, screen).await,
    }
}

fn list(rules: Rules, screen: &Screen) -> Result<Code, Failure> {
    let mut out = screen.out();
    if screen.json {
        for (rule, source) in &rules.rules {
            out.json(&as_json(rule, source.name.as_ref()))?;
        }
    } else if rules.rules.is_empty() {
        screen.note("There are no rules: they are files rules/NAME.yaml of the project.");
    } else {
        shown(&rules, &mut out)?;
    }
    out.flush()?;
    if rules.faults.is_empty() { Ok(Code::Succeeded) } else { Err(Failure::Faults(rules.faults)) }
}

fn shown(rules: &Rules, out: &mut Out) -> Result<(), Failure> {
    let width = |length: &dyn Fn(&Rule) -> usize| rules.rules.iter().map(|(rule, _)| length(rule)).max().unwrap_or(0);
    let name = width(&|rule| rule.name.as_str().len()).max(4);
    let runbook = width(&|rule| rule.call.runbook.as_str().len()).max(7);
    let head = format!("{:name$}  {:7}  {:runbook$}  {:20}  ALERTS", "RULE", "MODE", "RUNBOOK", "AT MOST");
    out.line(out.paint(BOLD, head.trim_end()))?;
    for (rule, _) in &rules.rules {
        let most = format!("{}/h, one in {}", rule.per_hour, show_duration(rule.cool_down));
        let alerts = alerts(rule);
        let text = format!("{:name$}  {:7}  {:runbook$}  {most:20}  ", rule.name, rule.mode, rule.call.runbook);
        out.line(format_args!("{text}{}", visible(alerts.as_bytes())))?;
    }
    Ok(())
}

/// Which alerts a rule means, in one line.
fn alerts(rule: &Rule) -> String {
    let mut parts = Vec::new();
    if !rule.from.is_empty() {
        let names: Vec<&str> = rule.from.iter().map(|(name, _)| name.as_str()).collect();
        parts.push(format!("from {}", names.join("|")));
    }
    for (label, texts) in &rule.only.labels {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        parts.push(format!("{label}={}", texts.join("|")));
    }
    parts.extend(rule.only.when.as_ref().map(|when| format!("when {}", when.source().trim())));
    parts.join(", ")
}

fn as_json(rule: &Rule, file: &str) -> Value {
    json!({
        "rule": rule.name,
        "file": file,
        "title": rule.title,
        "from": rule.from.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "labels": rule.only.labels,
        "when": rule.only.when.as_ref().map(|when| when.source()),
        "runbook": rule.call.runbook,
        "mode": rule.mode.to_string(),
        "cool_down": rule.cool_down.as_secs_f64(),
        "per_hour": rule.per_hour,
        "storm": { "alerts": rule.storm.alerts, "within": rule.storm.within.as_secs_f64() },
    })
}
