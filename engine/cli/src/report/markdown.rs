//! A report as Markdown (CommonMark with tables, as GitHub, GitLab and most wikis read it).

use std::fmt::Write;

use super::{AttemptStory, Excerpt, Report, TaskStory};
use crate::times::took;

/// Writing to a string cannot fail.
const INFALLIBLE: &str = "a string takes all text";

pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    write(report, &mut text).expect(INFALLIBLE);
    text
}

fn write(report: &Report, to: &mut String) -> std::fmt::Result {
    let times = &report.times;
    let title = if report.title.is_empty() { String::new() } else { format!(": {}", plain(&report.title)) };
    writeln!(to, "# {}{title}\n", plain(&report.runbook))?;
    writeln!(to, "{}\n", plain(&report.summary()))?;
    writeln!(to, "| | |\n| --- | --- |")?;
    let mut row = |name: &str, value: String| writeln!(to, "| {name} | {value} |");
    row("run", format!("`{}`", report.id))?;
    row("state", format!("**{}**", report.state))?;
    row("asked for by", plain(&report.by))?;
    row("began", times.date(report.created))?;
    let over = if report.outcome.is_some() { "ended" } else { "as of" };
    row(over, format!("{}, after {}", times.date(report.until), took(report.until.since(report.created))))?;
    row("times are in", plain(&times.zone(report.created)))?;
    row("plan", format!("`{}`", report.digest))?;
    match &report.checked {
        Ok(head) => row("journal", format!("{} facts, unchanged since they were written (`{head}`)", report.events))?,
        Err(damage) => row("journal", format!("**damaged**: {}", plain(damage)))?,
    }
    if report.engines > 1 {
        row("engines", format!("{}: the run was taken over {} times", report.engines, report.engines - 1))?;
    }
    for (name, value) in &report.params {
        row(&format!("param `{name}`"), plain(value))?;
    }
    if !report.troubles.is_empty() {
        writeln!(to, "\n## What went wrong\n")?;
        for trouble in &report.troubles {
            writeln!(to, "- **{}**, now {}", plain(&trouble.task), plain(&trouble.end))?;
            trouble.causes.iter().try_for_each(|cause| writeln!(to, "  - {}", plain(cause)))?;
        }
    }
    if !report.unknowns.is_empty() {
        writeln!(to, "\n## Unknown outcomes\n")?;
        for unknown in &report.unknowns {
            let at = times.date(unknown.at);
            writeln!(to, "- {at} **{}**: {}", plain(&unknown.task), plain(&unknown.found))?;
            for settled in &unknown.settled {
                writeln!(to, "  - {}", plain(settled))?;
            }
            if unknown.settled.is_empty() {
                writeln!(to, "  - not settled yet")?;
            }
        }
    }
    if !report.words.is_empty() {
        writeln!(to, "\n## What people said\n\n| when | who | what | why |\n| --- | --- | --- | --- |")?;
        for word in &report.words {
            let refused = word.refused.as_ref().map(|why| format!(" (refused: {})", plain(why))).unwrap_or_default();
            let (by, said, why) = (plain(&word.by), plain(&word.said), plain(&word.why));
            writeln!(to, "| {} | {by} | {said}{refused} | {why} |", times.date(word.at))?;
        }
    }
    writeln!(to, "\n## Tasks\n\n| task | state | tries | began | took | |\n| --- | --- | --- | --- | --- | --- |")?;
    for task in &report.tasks {
        let began = task.began.map(|at| times.clock(at)).unwrap_or_default();
        let (name, span, detail) = (plain(&task.name), report.took(task), plain(&task.detail));
        writeln!(to, "| {name} | {} | {} | {began} | {span} | {detail} |", task.state, task.tries)?;
    }
    writeln!(to, "\n## Timeline\n\n| time | task | |\n| --- | --- | --- |")?;
    for line in &report.timeline {
        let task = line.task.as_deref().map(plain).unwrap_or_default();
        writeln!(to, "| {} | {task} | {} |", times.date(line.at), plain(&line.text))?;
    }
    let told: Vec<&TaskStory> = report.tasks.iter().filter(|task| !task.attempts.is_empty()).collect();
    if !told.is_empty() {
        writeln!(to, "\n## Attempts, and what they printed")?;
    }
    for task in told {
        writeln!(to, "\n### {}\n", plain(&task.name))?;
        if !task.title.is_empty() {
            writeln!(to, "{}\n", plain(&task.title))?;
        }
        for attempt in &task.attempts {
            attempts(report, attempt, to)?;
        }
        for (key, value) in &task.outputs {
            writeln!(to, "- output {} = {}", plain(key), plain(value))?;
        }
    }
    writeln!(to, "\n## The plan\n")?;
    fenced(&report.plan, to)
}

fn attempts(report: &Report, attempt: &AttemptStory, to: &mut String) -> std::fmt::Result {
    let end = match attempt.ended {
        Some(ended) => format!("took {}", took(ended.since(attempt.began))),
        None => "goes on".to_owned(),
    };
    let result = if attempt.result.is_empty() { String::new() } else { format!(": {}", plain(&attempt.result)) };
    writeln!(to, "- **{}** began {}, {end}{result}", attempt.name(), report.times.clock(attempt.began))?;
    for job in &attempt.jobs {
        writeln!(to, "  - {}", plain(&job.line()))?;
        for excerpt in &job.excerpts {
            excerpts(excerpt, to)?;
        }
    }
    Ok(())
}

fn excerpts(excerpt: &Excerpt, to: &mut String) -> std::fmt::Result {
    writeln!(to, "\n    {}:\n", excerpt.stream)?;
    let mut text = excerpt.head.clone();
    if let Some(between) = &excerpt.between {
        text.push_str(&format!("[… {between} …]\n"));
    }
    text.push_str(&excerpt.tail);
    let mut block = String::new();
    fenced(&text, &mut block)?;
    block.lines().try_for_each(|line| writeln!(to, "    {line}"))?;
    writeln!(to)
}

/// Text in a code block that it cannot leave: the fence is longer than any run of backticks in it (CommonMark 0.31, 4.5).
fn fenced(text: &str, to: &mut String) -> std::fmt::Result {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    writeln!(to, "{fence}text\n{}\n{fence}", text.trim_end_matches('\n'))
}

/// Text that means nothing to Markdown or HTML: what could is escaped (CommonMark 0.31, 2.4), in one line.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => plain.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '#' | '&' | '!' => plain.extend(['\\', c]),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_of_hosts_means_nothing() {
        assert_eq!(plain("a|b <script> [x](y)\n# `z`"), "a\\|b \\<script\\> \\[x\\](y) \\# \\`z\\`");
    }

    proptest! {
        #[test]
        fn no_text_leaves_its_block(text in "[`~a\n ]{0,60}") {
            let mut block = String::new();
            fenced(&text, &mut block).unwrap();
            let (fence, rest) = block.split_once("text\n").unwrap();
            let inside = rest.strip_suffix(&format!("\n{fence}\n")).unwrap();
            prop_assert!(!inside.contains(fence), "{block}");
        }
    }
}
