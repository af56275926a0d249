//! What the documentation says must hold: its links lead somewhere.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Every Markdown file of the project that is kept in git.
fn pages() -> Vec<PathBuf> {
    let listed =
        std::process::Command::new("git").args(["ls-files", "-z", "*.md"]).current_dir(root()).output().unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let text = String::from_utf8(listed.stdout).unwrap();
    let pages: Vec<PathBuf> = text.split_terminator('\0').map(|name| root().join(name)).collect();
    assert!(pages.len() > 20, "too few pages were found: {pages:?}");
    pages
}

/// The targets of `[text](target)` outside of code, as written.
fn links(markdown: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced || line.starts_with("    ") {
            continue;
        }
        let without_code: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
        for piece in without_code.split("](").skip(1) {
            if let Some(end) = piece.find(')') {
                found.push(piece[..end].to_owned());
            }
        }
    }
    found
}

/// Links of `page` within the project that lead nowhere.
fn broken(page: &Path, markdown: &str) -> Vec<String> {
    let away = |target: &String| target.contains("://") || target.starts_with("mailto:");
    let leads_nowhere = |target: &String| {
        let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
        let file = if file.is_empty() { page.to_path_buf() } else { page.parent().unwrap().join(file) };
        let Ok(text) = fs::read_to_string(&file) else { return !file.is_dir() };
        !anchor.is_empty() && !text.lines().filter(|line| line.starts_with('#')).any(|line| anchor_of(line) == anchor)
    };
    links(markdown).into_iter().filter(|t| !away(t)).filter(leads_nowhere).collect()
}

/// The anchor that a heading gets: lower case, spaces as `-`, other signs left out.
fn anchor_of(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut all = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        all.extend(broken(&page, &text).into_iter().map(|target| format!("{}: {target}", page.display())));
    }
    assert!(all.is_empty(), "these links lead nowhere:\n{}", all.join("\n"));
}

#[test]
fn a_broken_link_is_seen() {
    let page = root().join("README.md");
    let text = "[a](no/such.md) [b](LICENSE) `[c](code)` [d](https://example.invalid/x)\n```\n[e](fenced)\n```\n[f](docs/src/not-yet.md#nothing)";
    assert_eq!(broken(&page, text), ["no/such.md", "docs/src/not-yet.md#nothing"]);
}

#[test]
fn every_page_of_the_book_is_in_its_table_of_contents() {
    let source = root().join("docs/src");
    let listed: Vec<PathBuf> = links(&fs::read_to_string(source.join("SUMMARY.md")).unwrap())
        .iter()
        .map(|target| source.join(target).canonicalize().unwrap())
        .collect();
    let book = [source.canonicalize().unwrap(), root().join("docs/decisions").canonicalize().unwrap()];
    let missing: Vec<PathBuf> = pages()
        .into_iter()
        .filter(|page| book.iter().any(|part| page.starts_with(part)) && !page.ends_with("SUMMARY.md"))
        .filter(|page| !listed.contains(&page.canonicalize().unwrap()))
        .collect();
    assert!(missing.is_empty(), "not in docs/src/SUMMARY.md: {missing:?}");
}
