//! A run goes on with a corrected runbook: what differs is shown, and a person agrees.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

use piton_core::plan::{FieldChange, Plan, PlanDiff};
use piton_core::run::{Onto, Run};
use piton_core::value::{Value, to_text};
use serde_json::json;

use crate::cli::Globals;
use crate::exit::Failure;
use crate::planning;
use crate::screen::{BOLD, GREEN, RED, Screen, YELLOW, paint};
use crate::visible::{visible, visible_lines};

/// How a person says that the new plan is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    /// `--yes`
    Given,
    /// Only show what differs.
    OnlyShow,
    /// Ask, where there is a terminal.
    Ask,
}

/// Shows what would be another, and gives the new plan if it can be and is wanted.
pub(crate) async fn agree(
    globals: &Globals,
    screen: &Screen,
    run: &Run,
    path: &Path,
    consent: Consent,
) -> Result<Option<(Plan, Onto)>, Failure> {
    let new = planning::again(globals, run.plan(), Some(path)).await?;
    let onto = run.onto(&new);
    let mut out = screen.out();
    if screen.json {
        out.json(&json!({ "run": run.id(), "plan": new.digest(), "onto": onto }))?;
    } else if consent == Consent::OnlyShow {
        lines(&onto, screen.color_out).iter().try_for_each(|line| out.line(line))?;
    } else {
        // Whoever is asked must see what about, even if they wanted no notes.
        let seen = Screen { quiet: screen.quiet && consent != Consent::Ask, ..*screen };
        lines(&onto, screen.color_err).iter().for_each(|line| seen.note(line));
    }
    out.flush()?;
    if !onto.obstacles.is_empty() {
        return Err(Failure::usage(format!("run {} cannot go on with {}", run.id(), path.display()))
            .hint("what has begun stays as it is; `piton cancel RUN`, then `piton rerun RUN --replan`, begins anew"));
    }
    if onto.diff.is_empty() {
        return Ok(None);
    }
    let agreed = match consent {
        Consent::Given => true,
        Consent::OnlyShow => false,
        Consent::Ask if screen.json || !io::stdin().is_terminal() || !io::stderr().is_terminal() => {
            return Err(Failure::usage("whether the run is to go on with this plan must be said")
                .hint("`--yes` says it; `--dry-run` only shows what differs"));
        }
        Consent::Ask => ask()?,
    };
    Ok(agreed.then_some((new, onto)))
}

fn ask() -> Result<bool, Failure> {
    let mut err = io::stderr().lock();
    let _nobody_reads = write!(err, "Go on with this plan? [y/N] ");
    let _nobody_reads = err.flush();
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    read.map_err(|error| Failure::other(format!("the answer cannot be read: {error}")))?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

/// What differs, in lines.
fn lines(onto: &Onto, color: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let PlanDiff { plan, added, removed, changed } = &onto.diff;
    for change in plan {
        lines.push(format!("{} {}", paint(color, YELLOW, "~"), paint(color, BOLD, &change.field)));
        lines.extend(field(change, color));
    }
    lines.extend(removed.iter().map(|step| paint(color, RED, format_args!("- step {step}"))));
    lines.extend(added.iter().map(|step| paint(color, GREEN, format_args!("+ step {step}"))));
    for change in changed {
        lines.push(format!("{} step {}", paint(color, YELLOW, "~"), paint(color, BOLD, &change.step)));
        for change in &change.fields {
            lines.push(format!("    {}", change.field));
            lines.extend(field(change, color));
        }
    }
    for task in &onto.corrected {
        lines.push(format!("{task} has failed with the old step; `retry` tries it with the new one"));
    }
    for obstacle in &onto.obstacles {
        let step = obstacle.step.as_ref().map(|step| format!("step {step}: ")).unwrap_or_default();
        lines.push(format!("{} {step}{}", paint(color, RED, "cannot:"), visible(obstacle.why.as_bytes())));
    }
    if onto.diff.is_empty() {
        lines.push("Nothing differs.".to_owned());
    }
    lines
}

/// The old and the new value; of long texts only the lines that differ.
fn field(change: &FieldChange, color: bool) -> Vec<String> {
    let text = |value: &Value| if value.is_null() { String::new() } else { visible_lines(to_text(value).as_bytes()) };
    let (before, after) = (text(&change.before), text(&change.after));
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old[same..].iter().rev().zip(new[same..].iter().rev()).take_while(|(a, b)| a == b).count();
    let line = |style, sign: &str, text: &str| format!("      {}", paint(color, style, format_args!("{sign} {text}")));
    let gone = old[same..old.len() - tail].iter().map(|text| line(RED, "-", text));
    let come = new[same..new.len() - tail].iter().map(|text| line(GREEN, "+", text));
    gone.chain(come).collect()
}
