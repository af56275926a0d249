//! Shows what is wrong with documents: for people with the line and what to do, for programs as JSON.

use std::io::Write;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use piton_core::fault::Fault;
use serde_json::{Value, json};

use crate::exit::count;
use crate::screen::Screen;
use crate::visible::{visible, visible_lines};

/// All faults, to stderr, and with `--json` to stdout as one object `{"faults": […]}`.
pub(crate) fn report(screen: &Screen, faults: &[Fault]) {
    if screen.json {
        let mut out = screen.out();
        // Whoever went away has the exit code.
        let _nobody_reads = out.json(&json!({ "faults": to_json(faults) })).and_then(|()| out.flush());
        return;
    }
    let mut err = std::io::stderr().lock();
    for fault in faults {
        let _nobody_reads = writeln!(err, "{}\n", rendered(fault, screen.color_err));
    }
    let documents: std::collections::BTreeSet<&str> =
        faults.iter().filter_map(|f| f.place.as_ref()).map(|p| p.source.name.as_ref()).collect();
    let place = match documents.len() {
        0 => String::new(),
        1 => format!(" in {}", documents.into_iter().next().unwrap_or_default()),
        many => format!(" in {many} documents"),
    };
    let _nobody_reads = writeln!(err, "{}{place}", count(faults.len(), "fault"));
}

/// One fault for a person.
pub(crate) fn rendered(fault: &Fault, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() }.decor_style(DecorStyle::Ascii);
    let title = visible(fault.message.as_bytes());
    let code = fault.code.to_string();
    let mut group = Group::with_title(Level::ERROR.primary_title(title.as_ref()).id(code));
    if let Some(place) = &fault.place {
        let text = place.source.text.as_ref();
        let at = |byte: usize| (0..=byte.min(text.len())).rev().find(|&b| text.is_char_boundary(b)).unwrap_or(0);
        let (start, end) = (at(place.span.start), at(place.span.end.max(place.span.start)));
        // A stretch of several lines is marked on its first one: what is wrong begins there.
        let end = text[start..end].find('\n').map_or(end, |line_end| start + line_end);
        let snippet = Snippet::source(text)
            .path(place.source.name.as_ref())
            .line_start(1)
            .annotation(AnnotationKind::Primary.span(start..end));
        group = group.element(snippet);
    }
    if let Some(hint) = &fault.hint {
        group = group.element(Level::HELP.message(visible_lines(hint.as_bytes())));
    }
    renderer.render(&[group])
}

/// All faults for programs.
pub(crate) fn to_json(faults: &[Fault]) -> Vec<Value> {
    faults
        .iter()
        .map(|fault| {
            let place = fault.place.as_ref();
            let (line, column) = place.map(|p| p.line_column()).unzip();
            json!({
                "code": fault.code,
                "message": fault.message,
                "hint": fault.hint,
                "file": place.map(|p| p.source.name.as_ref()),
                "line": line,
                "column": column,
                "span": place.map(|p| p.span),
            })
        })
        .collect()
}
