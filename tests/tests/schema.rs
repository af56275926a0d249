//! The JSON Schema of documents: it is checked in as it is made, takes every document that the parser takes, and refuses
//! what it can see.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use piton_core::fault::Source;
use piton_core::schema::Document;
use piton_tests::cli::Place;
use serde_json::Value;

const PITON: &str = env!("CARGO_BIN_EXE_piton-under-test");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// A document as an editor sees it.
fn json(text: &str) -> Value {
    let yaml_1_2 = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, yaml_1_2).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn validator(document: Document) -> Validator {
    jsonschema::draft7::new(&document.schema()).unwrap()
}

fn complaints(schema: &Validator, text: &str) -> Vec<String> {
    schema.iter_errors(&json(text)).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn faults(document: Document, text: &str) -> Vec<String> {
    let source = Source { name: "document".into(), text: text.into() };
    let faults = match document {
        Document::Runbook => piton_core::runbook::parse(&source).1,
        Document::Inventory => piton_core::inventory::parse(&source).1,
        Document::Test => piton_core::testing::parse(&source).1,
        Document::Windows => {
            let zones = jiff::tz::TimeZoneDatabase::bundled();
            let around = piton_core::schedule::Around {
                zone: &|name| zones.get(name).ok(),
                zone_names: &Vec::new,
                file: &|_, path| Err(format!("{path} is not there")),
            };
            piton_core::schedule::parse(&[source], &around).1
        }
    };
    faults.into_iter().map(|fault| fault.message).collect()
}

/// With `PITON_BLESS=1` the files are written instead of compared.
#[test]
fn the_schemas_that_are_checked_in_are_those_that_piton_prints() {
    let place = Place::new(PITON);
    for (name, _) in Document::ALL {
        let printed = place.piton(&["schema", name]);
        assert_eq!(printed.code, 0, "{}", printed.err);
        let file = root().join(format!("docs/src/schema/{name}.json"));
        if std::env::var_os("PITON_BLESS").is_some() {
            fs::write(&file, &printed.out).unwrap();
        }
        let kept = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(kept, printed.out, "{} is old: run this test with PITON_BLESS=1", file.display());
        let compact: Value = serde_json::from_str(&place.piton(&["--json", "schema", name]).out).unwrap();
        assert_eq!(compact, serde_json::from_str::<Value>(&kept).unwrap());
    }
}

#[test]
fn every_runbook_that_comes_along_fits_and_its_tests() {
    let (schema, tests) = (validator(Document::Runbook), validator(Document::Test));
    let mut found = 0;
    for area in fs::read_dir(root().join("runbooks")).unwrap() {
        for file in fs::read_dir(area.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if path.to_string_lossy().ends_with(".yaml") {
                found += 1;
                let test = path.to_string_lossy().ends_with(".test.yaml");
                let schema = if test { &tests } else { &schema };
                let said = complaints(schema, &fs::read_to_string(&path).unwrap());
                assert!(said.is_empty(), "{}: {said:#?}", path.display());
            }
        }
    }
    assert!(found >= 4, "the runbooks are found");
}

/// The example on the page about windows, without its calendar, which only stands beside it in a project.
#[test]
fn the_windows_of_the_documentation_are_good() {
    let page = fs::read_to_string(root().join("docs/src/reference/windows.md")).unwrap();
    let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(complaints(&validator(Document::Windows), example), [""; 0]);
    let without: String =
        example.lines().filter(|line| !line.contains("calendar:")).map(|line| format!("{line}\n")).collect();
    assert_eq!(faults(Document::Windows, &without), [""; 0]);
    assert_eq!(faults(Document::Windows, example), ["holidays.ics cannot be read: holidays.ics is not there"]);
}

/// What is right in the eyes of the parser is right for the editor, in every form that a field has.
#[test]
fn what_the_parser_takes_fits() {
    let schema = validator(Document::Runbook);
    let step = |step: &str| format!("runbook: r\nsteps:\n  - {{ id: a, run: x }}\n  - {step}\n");
    for step_text in [
        "{ id: b, run: 5 }",
        "{ id: b, exec: [sleep, 5, true] }",
        "{ id: b, exec: [x], needs: [], hosts: [a, '{{ 1 }}'] }",
        "{ id: b, exec: [x], needs: a, hosts: a, tags: x, retry: 3 }",
        "{ id: b, run: x, retry: { times: 1, on: 3, backoff: 1.5 } }",
        "{ id: b, run: x, retry: { times: 1, on: [3, timeout, '4'] } }",
        "{ id: b, run: x, verify: y }",
        "{ id: b, run: x, verify: { run: y, within: 1h30m, every: 250ms } }",
        "{ id: b, run: x, timeout: 1w2d3h4m5s6ms }",
        "{ id: b, run: x, timeout: 2.5s }",
        "{ id: b, run: x, outputs: { a: { from: stdout, json: '' } }, env: { A: 1 } }",
        "{ id: b, assert: true }",
        "{ id: b, assert: [1 == 1, { that: 2 == 2, else: no }] }",
        "{ id: b, assert: { that: 2 == 2 } }",
        "{ id: b, put: { content: x, to: '{{ `/x` }}', mode: 0644, owner: 'a:b' } }",
        "{ id: b, put: { from: x, to: /x, mode: '755' } }",
        "{ id: b, wait: { for: 1s } }",
        "{ id: b, approve: Sure?, locks: images }",
        "{ id: b, approve: { prompt: x, who: ann@ops1, timeout: 1h, on_timeout: approve } }",
        "{ id: b, exec: [x], locks: { name: x, count: 3 } }",
        "{ id: b, exec: [x], locks: [a, { name: '{{ 1 }}', shared: true }] }",
        "{ id: b, hosts: hv1, reboot: true }",
        "{ id: b, hosts: hv1, reboot: { timeout: 10m } }",
        "{ id: b, transfer: { from: 'hv1:/a', to: 'hv2:/b', rate: 50M } }",
        "{ id: b, hosts: hv1, transfer: { from: '{{ `hv2` }}:{{ `/a` }}', to: /b, mode: 0600 } }",
        "{ id: b, put: { from: x, to: /x, sparse: false, checksum: false, rate: 1.5MiB } }",
        "{ id: b, get: { from: /x, to: x, rate: 500 } }",
    ] {
        let text = step(step_text);
        assert_eq!(faults(Document::Runbook, &text), [""; 0], "{step_text}");
        assert_eq!(complaints(&schema, &text), [""; 0], "{step_text}");
    }
    for param in [
        "{ type: size, min: 1G, max: 2TiB, default: 1.5G }",
        "{ type: integer, min: -1, max: 5 }",
        "{ type: enum, choices: [a, 1, true], default: a }",
        "{ type: list, default: [a, b], required: false }",
        "{ type: string, default: ~ }",
    ] {
        let text = format!("runbook: r\nparams: {{ x: {param} }}\nsteps: [{{ id: a, run: x }}]\n");
        assert_eq!(faults(Document::Runbook, &text), [""; 0], "{param}");
        assert_eq!(complaints(&schema, &text), [""; 0], "{param}");
    }
    for text in
        ["runbook: r\nparams:\nsteps: [{ id: a, run: x }]\n", "runbook: r\nsteps: [{ id: a, run: x }]\nfinally: []\n"]
    {
        assert_eq!(faults(Document::Runbook, text), [""; 0], "{text}");
        assert_eq!(complaints(&schema, text), [""; 0], "{text}");
    }
    let schema = validator(Document::Windows);
    for text in [
        "zone: UTC\nwindows: { w: { cron: ['@daily', 0 2 * * *], duration: 1h, blackouts: }, v: { days: [monday, friday], at: ['02:00', '04:00:10'], duration: 1h30m, zone: Europe/Berlin } }\n",
        "blackouts: 2026-12-24\nwindows:\nschedules:\n",
        "zone: UTC\nwindows: { w: { days: day 15, at: '02:00', duration: 1h, cutoff: 5m } }\nschedules: { s: { window: w, runbook: r, hosts: a, params:, missed: each } }\n",
    ] {
        assert_eq!(faults(Document::Windows, text), [""; 0], "{text}");
        assert_eq!(complaints(&schema, text), [""; 0], "{text}");
    }
    let schema = validator(Document::Inventory);
    for text in
        ["hosts:\n  a:\n  b: {}\ngroups:\n", "hosts: { 10.0.0.1: { vars: { x: [1, { y: z }] }, labels: { n: 1 } } }\n"]
    {
        assert_eq!(faults(Document::Inventory, text), [""; 0], "{text}");
        assert_eq!(complaints(&schema, text), [""; 0], "{text}");
    }
}

/// What can be seen without knowing the whole is refused by both.
#[test]
fn what_is_wrong_is_refused() {
    let schema = validator(Document::Runbook);
    let step = |step: &str| format!("runbook: r\nsteps:\n  - {step}\n");
    let param = |param: &str| format!("runbook: r\nparams: {{ {param} }}\nsteps: [{{ id: a, run: x }}]\n");
    let wrong = [
        "steps: [{ id: a, run: x }]".to_owned(),
        "runbook: r".to_owned(),
        "runbook: R\nsteps: [{ id: a, run: x }]".to_owned(),
        "runbook: r\nstep: [{ id: a, run: x }]".to_owned(),
        "runbook: r\non_failure: maybe\nsteps: [{ id: a, run: x }]".to_owned(),
        "runbook: r\nmax_parallel: 0\nsteps: [{ id: a, run: x }]".to_owned(),
        "runbook: r\nsteps: { id: a, run: x }".to_owned(),
        step("{ run: x }"),
        step("{ id: A, run: x }"),
        step("{ id: a }"),
        step("{ id: a, run: x, exec: [y] }"),
        step("{ id: a, rum: x }"),
        step("{ id: a, run: ~ }"),
        step("{ id: a, run: '  ' }"),
        step("{ id: a, run: [x] }"),
        step("{ id: a, exec: x }"),
        step("{ id: a, run: x, timeout: 5 }"),
        step("{ id: a, run: x, timeout: 5 minutes }"),
        step("{ id: a, run: x, timeout: 30m1h }"),
        step("{ id: a, run: x, no_log: 'yes' }"),
        step("{ id: a, run: x, repeat: never }"),
        step("{ id: a, run: x, retry: 0 }"),
        step("{ id: a, run: x, retry: { delay: 1s } }"),
        step("{ id: a, run: x, retry: { times: 1, on: [sometimes] } }"),
        step("{ id: a, run: x, retry: { times: 1, backoff: 0.5 } }"),
        step("{ id: a, run: x, become: -u }"),
        step("{ id: a, run: x, env: { A-B: x } }"),
        step("{ id: a, run: x, env: [A] }"),
        step("{ id: a, run: x, tags: [a b] }"),
        step("{ id: a, run: x, verify: { within: 5m } }"),
        step("{ id: a, run: x, outputs: { a: { from: stderr } } }"),
        step("{ id: a, run: x, outputs: { a: { from: stdout, json: a.b } } }"),
        step("{ id: a, put: { to: /x } }"),
        step("{ id: a, put: { from: x, to: y } }"),
        step("{ id: a, put: { from: x, content: y, to: /z } }"),
        step("{ id: a, put: { from: x, to: /z, mode: rw } }"),
        step("{ id: a, get: { from: /x } }"),
        step("{ id: a, assert: [{ else: x }] }"),
        step("{ id: a, wait: 30s }"),
        step("{ id: a, approve: { who: ann } }"),
        step("{ id: a, approve: { prompt: x, who: '%' } }"),
        step("{ id: a, approve: { prompt: x, count: 0 } }"),
        step("{ id: a, approve: { prompt: x, timeout: 1h, on_timeout: skip } }"),
        step("{ id: a, run: x, locks: { shared: true } }"),
        step("{ id: a, run: x, locks: { name: x, count: 0 } }"),
        step("{ id: a, hosts: hv1, reboot: now }"),
        step("{ id: a, hosts: hv1, reboot: { timeout: soon } }"),
        step("{ id: a, transfer: { from: 'hv1:/a' } }"),
        step("{ id: a, transfer: { from: /a, to: 'hv2:/b' } }"),
        step("{ id: a, get: { from: /x, to: x, rate: fast } }"),
        step("{ id: a, wait: { for: 1s, until: x, within: 1m } }"),
        param("x: { }"),
        param("x: string"),
        param("x: { type: strin }"),
        param("X: { type: string }"),
        param("x: { type: string, defualt: 1 }"),
    ];
    for text in &wrong {
        assert_ne!(faults(Document::Runbook, text), [""; 0], "the parser takes {text}");
        assert_ne!(complaints(&schema, text), [""; 0], "the schema takes {text}");
    }
    let schema = validator(Document::Inventory);
    for text in [
        "hosts: [a]",
        "hots: {}",
        "hosts: { -a: }",
        "hosts: { a: { ssh: { port: 0 } } }",
        "hosts: { a: { ssh: { user: -oProxyCommand=x } } }",
        "hosts: { a: { labels: { 'a b': c } } }",
        "groups: { a: b }",
    ] {
        assert_ne!(faults(Document::Inventory, text), [""; 0], "the parser takes {text}");
        assert_ne!(complaints(&schema, text), [""; 0], "the schema takes {text}");
    }
    let schema = validator(Document::Test);
    for text in [
        "test: x",
        "test: x\ntests: [{}]",
        "test: x\ntests: [{ name: a, says: [{ say: no }] }]",
        "test: x\ntests: [{ name: a, expect: { outcome: maybe } }]",
        "test: x\nanswers: [{ exit: 256 }]\ntests: [{ name: a }]",
    ] {
        assert_ne!(faults(Document::Test, text), [""; 0], "the parser takes {text}");
        assert_ne!(complaints(&schema, text), [""; 0], "the schema takes {text}");
    }
}

/// A whole map that no example has would not be asked for, and so not be missed by the tests beside the tables: every map
/// that the parser reads must be in them.
#[test]
fn every_map_that_the_parser_reads_is_in_the_tables() {
    let schemas = Document::ALL.map(|(_, document)| document.schema());
    let known: Vec<&String> =
        schemas.iter().flat_map(|schema| schema["definitions"].as_object().unwrap().keys()).collect();
    let mut found = Vec::new();
    sources(&root().join("engine/core/src"), &mut |text| {
        for call in text.split(".fields(").skip(1) {
            let arguments = call.split(')').next().unwrap();
            if let Some((_, literal)) = arguments.split_once(", \"") {
                found.push(literal.trim_end_matches('"').to_owned());
            }
        }
    });
    assert!(found.iter().any(|name| name == "step") && found.len() > 10, "the calls are found: {found:?}");
    let missing: Vec<_> = found.iter().filter(|name| !known.contains(name)).collect();
    assert!(missing.is_empty(), "add these to engine/core/src/schema, with an example: {missing:?}");
}

fn sources(dir: &Path, each: &mut impl FnMut(&str)) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, each);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.to_string_lossy().contains("tests") {
            each(&fs::read_to_string(&path).unwrap());
        }
    }
}
