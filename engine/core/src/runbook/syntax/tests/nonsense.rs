//! Whatever is read, nothing panics.

use super::*;

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,60}") {
        let _ = read(&text);
    }

    /// Trees of the words that the language knows, in places where they may or may not stand.
    #[test]
    fn no_tree_of_known_words_panics(text in tree()) {
        let _ = read(&format!("runbook: r\nparams: {text}\nsteps: {text}\nfinally: [{text}, {text}]\n"));
        let _ = read(&format!("runbook: r\nsteps: [{{ id: a, run: x }}, {text}]\n"));
    }
}

fn tree() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "id",
        "run",
        "exec",
        "put",
        "get",
        "assert",
        "wait",
        "needs",
        "hosts",
        "verify",
        "within",
        "every",
        "retry",
        "times",
        "on",
        "for",
        "until",
        "from",
        "to",
        "content",
        "mode",
        "outputs",
        "match",
        "json",
        "env",
        "when",
        "that",
        "else",
        "type",
        "enum",
        "choices",
        "default",
        "min",
        "max",
        "pattern",
        "size",
        "duration",
        "list",
        "a",
        "5m",
        "10G",
        "stdout",
        "~",
        "true",
        "0644",
        "-1",
        "'{{ a }}'",
        "'{{ steps.a.exit }}'",
        "\"\\0\"",
        "\"\"",
    ]);
    word.prop_map(str::to_owned).prop_recursive(4, 40, 6, |inner| {
        let keys = prop::sample::select(vec![
            "id", "run", "exec", "put", "get", "assert", "wait", "needs", "hosts", "verify", "within", "retry",
            "times", "on", "for", "until", "from", "to", "content", "mode", "outputs", "env", "when", "that", "type",
            "choices", "default", "a",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::btree_map(keys, inner, 0..6).prop_map(|map| {
                let entries: Vec<String> = map.iter().map(|(key, value)| format!("{key}: {value}")).collect();
                format!("{{{}}}", entries.join(", "))
            }),
        ]
    })
}
