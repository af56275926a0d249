//! `piton rules try`.

use std::io::Read;
use std::path::PathBuf;

use piton_core::fault::{Fault, FaultCode, Source, Span};
use piton_core::ids::SourceName;
use piton_core::plan::Plan;
use piton_core::rules::{self as core, Alert, BadBody, BodyPlace, Decision, Outcome, Past, Rule, SourceKind, Start};
use piton_core::value::to_text;
use piton_runner::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::exit::{Code, Failure, count};
use crate::inventory::{self, Hosts};
use crate::library;
use crate::planning;
use crate::project::{Found, Project};
use crate::rules::Rules;
use crate::screen::{BOLD, CYAN, DIM, GREEN, Out, RED, Screen, YELLOW};
use crate::times::iso;
use crate::visible::visible;

/// Say what would happen with an alert, and why; nothing is begun or stored, and no host is asked
///
/// FILE holds what a sender sends: a webhook of Alertmanager, Grafana or PagerDuty, or JSON. It is taken as if no rule had
/// begun anything before.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The body of the request, as JSON; `-`: standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Who sends it: a source of alerts.yaml, or alertmanager, grafana, pagerduty, generic [default: seen by its form]
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
}

/// A plan for what a rule would begin, or why there is none.
type Planned = Result<Plan, Vec<Fault>>;

pub(super) async fn run(args: Args, rules: Rules, project: &Project, screen: &Screen) -> Result<Code, Failure> {
    if !rules.faults.is_empty() {
        return Err(Failure::Faults(rules.faults));
    }
    let (name, bytes) = body(&args)?;
    let (source, kind) = sender(&args, &rules, &bytes)?;
    let heard = core::read(&kind, &source, &bytes).map_err(|bad| faults(&name, &bytes, bad))?;
    let hosts = inventory::load(Some(project)).await?;
    let all: Vec<Rule> = rules.rules.iter().map(|(rule, _)| rule.clone()).collect();
    let now = SystemClock.now();
    let mut past = Past::default();
    let mut out = screen.out();
    for alert in &heard.alerts {
        let decision = core::decide(&all, &rules.settings.silences, &rules.library, &past, alert, now);
        past.note(&decision, now);
        let mut plans = Vec::new();
        for verdict in &decision.verdicts {
            plans.push(match &verdict.outcome {
                Outcome::Run(start) | Outcome::Propose(start) => Some(plan(start, &rules, &hosts, project)?),
                Outcome::SameRun { .. }
                | Outcome::CooledDown { .. }
                | Outcome::Storm { .. }
                | Outcome::Capped { .. }
                | Outcome::Silenced { .. }
                | Outcome::Resolved { .. }
                | Outcome::Refused => None,
            });
        }
        if screen.json {
            out.json(&as_json(alert, &decision, &plans))?;
        } else {
            show(alert, &decision, &plans, &mut out)?;
        }
    }
    out.flush()?;
    if heard.left_out > 0 {
        screen.note(format_args!(
            "The sender left out {}.",
            count(usize::try_from(heard.left_out).unwrap_or(usize::MAX), "alert")
        ));
    }
    if let Some(nothing) = &heard.nothing {
        screen.note(format_args!("Nothing would happen: {nothing}."));
    }
    Ok(Code::Succeeded)
}

fn body(args: &Args) -> Result<(String, Vec<u8>), Failure> {
    let name = args.file.display().to_string();
    // One byte more than is taken, so that too much is seen to be too much.
    let most = core::MAX_BODY as u64 + 1;
    let mut bytes = Vec::new();
    let read = match name.as_str() {
        "-" => std::io::stdin().lock().take(most).read_to_end(&mut bytes),
        _ => std::fs::File::open(&args.file).and_then(|file| file.take(most).read_to_end(&mut bytes)),
    };
    match read {
        Ok(_) => Ok((name, bytes)),
        Err(error) => Err(Failure::usage(format!("{name} cannot be read: {error}"))),
    }
}

/// Who sends it: who is named, or the one whose form it has.
fn sender(args: &Args, rules: &Rules, bytes: &[u8]) -> Result<(SourceName, SourceKind), Failure> {
    let sources = &rules.settings.sources;
    let named = |word: &str| SourceName::new(word).map_err(|bad| Failure::usage(bad.to_string()));
    let Some(wanted) = &args.source else {
        let kind = core::recognise(bytes);
        let declared = sources.iter().find(|(_, source)| source.kind.word() == kind.word());
        return match declared {
            Some((name, source)) => Ok((name.clone(), source.kind.clone())),
            None => Ok((named(kind.word())?, kind)),
        };
    };
    let name = named(wanted)?;
    match sources.get(&name).map(|source| source.kind.clone()).or_else(|| SourceKind::of_word(wanted)) {
        Some(kind) => Ok((name, kind)),
        None => {
            let mut names: Vec<&str> = sources.keys().map(SourceName::as_str).collect();
            names.extend(["alertmanager", "grafana", "pagerduty", "generic"]);
            Err(Failure::usage(format!("there is no source `{name}`")).hint(format!("there is {}", names.join(", "))))
        }
    }
}

/// What is wrong with a body, at its place where that is one in its text.
fn faults(name: &str, bytes: &[u8], bad: Vec<BadBody>) -> Failure {
    let text = String::from_utf8_lossy(bytes);
    let source = Source { name: name.into(), text: text.as_ref().into() };
    let one = |bad: BadBody| match bad.place {
        BodyPlace::Text { line, column } => {
            let start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
            let start = (start + column - 1).min(text.len());
            Fault::at(FaultCode::Syntax, &source, Span { start, end: start }, bad.message)
        }
        place @ BodyPlace::Pointer(_) => Fault::bare(FaultCode::BadValue, format!("{name}: {place}: {}", bad.message)),
    };
    Failure::Faults(bad.into_iter().map(one).collect())
}

/// The plan of what would begin.
fn plan(start: &Start, rules: &Rules, hosts: &Hosts, project: &Project) -> Result<Planned, Failure> {
    let Some((runbook, source)) = rules.library.get(&start.runbook) else { return Ok(Err(Vec::new())) };
    let found = Found { source: source.clone(), base: project.root.clone() };
    let (library, faults) = library::load(Some(project), runbook, &found)?;
    if !faults.is_empty() {
        return Ok(Err(faults));
    }
    match planning::with_values(runbook.clone(), start.params.clone(), hosts, &found, &library) {
        Ok(plan) => Ok(Ok(plan)),
        Err(failure) => failure.into_faults().map(Err),
    }
}

fn show(alert: &Alert, decision: &Decision, plans: &[Option<Planned>], out: &mut Out) -> Result<(), Failure> {
    let clear = |text: &str| visible(text.as_bytes()).into_owned();
    let state = out.paint(BOLD, alert.state);
    out.line(format_args!("{state}  {}  {}", clear(&alert.fingerprint), clear(&alert.title)).to_string().trim_end())?;
    let labels: Vec<String> = alert.labels.iter().map(|(name, text)| format!("{name}={text}")).collect();
    out.line(format_args!("  from    {}", alert.source))?;
    out.line(format_args!("  labels  {}", clear(&labels.join(" "))).to_string().trim_end())?;
    if decision.verdicts.is_empty() {
        out.line(format_args!("  {}: it would be recorded, and nothing would happen", out.paint(YELLOW, "unmatched")))?;
    }
    for (verdict, plan) in decision.verdicts.iter().zip(plans) {
        let word = verdict.outcome.word();
        let style = match &verdict.outcome {
            Outcome::Run(_) => GREEN,
            Outcome::Propose(_) => CYAN,
            Outcome::Refused => RED,
            Outcome::SameRun { .. }
            | Outcome::CooledDown { .. }
            | Outcome::Storm { .. }
            | Outcome::Capped { .. }
            | Outcome::Silenced { .. }
            | Outcome::Resolved { .. } => YELLOW,
        };
        out.line(format_args!("  {}: {}, {}", verdict.rule, out.paint(style, word), clear(&verdict.why)))?;
        let (Outcome::Run(start) | Outcome::Propose(start)) = &verdict.outcome else { continue };
        let params: Vec<String> = start
            .params
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| format!("{name}={}", to_text(value).replace('\n', ",")))
            .collect();
        out.line(
            format_args!("    run   {}  {} {}", start.run, start.runbook, clear(&params.join(" ")))
                .to_string()
                .trim_end(),
        )?;
        match plan {
            Some(Ok(plan)) => out.line(format_args!(
                "    plan  {} on {}, digest {}",
                count(plan.steps.len(), "step"),
                if plan.hosts.is_empty() {
                    "no host".to_owned()
                } else {
                    plan.hosts.keys().map(|host| host.as_str()).collect::<Vec<_>>().join(", ")
                },
                plan.digest()
            ))?,
            Some(Err(faults)) => {
                out.line(format_args!("    {}: there would be no plan", out.paint(RED, "plan")))?;
                for fault in faults {
                    out.line(format_args!("      {}", clear(&fault.to_string())))?;
                }
            }
            None => {}
        }
    }
    for (rule, why) in &decision.passed {
        out.line(out.paint(DIM, format_args!("  {rule}: not concerned, {}", clear(why))))?;
    }
    Ok(())
}

fn as_json(alert: &Alert, decision: &Decision, plans: &[Option<Planned>]) -> Value {
    let verdicts: Vec<Value> = decision
        .verdicts
        .iter()
        .zip(plans)
        .map(|(verdict, plan)| {
            let mut value = json!({
                "rule": verdict.rule, "outcome": verdict.outcome.word(), "why": verdict.why, "incident": verdict.key,
            });
            match &verdict.outcome {
                Outcome::Run(start) | Outcome::Propose(start) => {
                    value["run"] = json!(start.run);
                    value["runbook"] = json!(start.runbook);
                    value["params"] = json!(start.params);
                }
                Outcome::SameRun { run } => value["run"] = json!(run),
                Outcome::CooledDown { run, until } => {
                    value["run"] = json!(run);
                    value["until"] = json!(iso(*until));
                }
                Outcome::Capped { until } => value["until"] = json!(iso(*until)),
                Outcome::Silenced { until } => value["until"] = json!(until.map(iso)),
                Outcome::Resolved { run } => value["run"] = json!(run),
                Outcome::Storm { .. } | Outcome::Refused => {}
            }
            match plan {
                Some(Ok(plan)) => {
                    let hosts: Vec<&str> = plan.hosts.keys().map(|host| host.as_str()).collect();
                    value["plan"] = json!({ "digest": plan.digest(), "steps": plan.steps.len(), "hosts": hosts });
                }
                Some(Err(faults)) => value["faults"] = Value::from(crate::faults::to_json(faults)),
                None => {}
            }
            value
        })
        .collect();
    let passed: Vec<Value> = decision.passed.iter().map(|(rule, why)| json!({ "rule": rule, "why": why })).collect();
    json!({
        "source": alert.source,
        "fingerprint": alert.fingerprint,
        "state": alert.state,
        "title": alert.title,
        "labels": alert.labels,
        "starts_at": alert.starts_at.map(iso),
        "verdicts": verdicts,
        "not_concerned": passed,
    })
}
