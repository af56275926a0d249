//! What a hook may not do, and how much of what it may.

use std::sync::atomic::Ordering;

use crate::bench::{World, said, text, text_with};

fn fails(source: &str) -> String {
    let end = text(source, &World::new(|_| said("")));
    end.err().unwrap_or_else(|| panic!("it goes through: {source}"))
}

#[test]
fn a_script_that_runs_away_is_stopped_and_says_where() {
    for (source, where_, why) in [
        ("let n = 0;\nloop { n += 1; }", "main of step do:2:", "more than 2000000 operations"),
        ("fn f(n) { f(n + 1) }\nf(0)", "main of step do:1:", "too deep"),
        ("let s = \"x\";\nloop { s += s; }", "main of step do:2:", "String"),
        ("let a = []; a.pad(19900, 1);\nloop { a.push(\"0123456789\"); }", "main of step do:2:", "Array"),
        (
            "let m = #{};\nlet n = 0;\nloop { m[n.to_string()] = 1; n += 1; }",
            "main of step do:3:",
            "it takes more than 2000000 operations",
        ),
        (
            "let m = #{};\nlet s = \"\"; s.pad(400000, \"x\"); let n = 0;\nloop { m[n.to_string()] = s + n; n += 1; }",
            "main of step do:3:",
            "too much memory",
        ),
        (
            "let a = [3, 2, 1];\nlet n = 0;\na.sort(|x, y| { loop { } });",
            "main of step do:3:",
            "more than 2000000 operations",
        ),
        ("let s = \"aaaaaaaa\".replace(\"a\", \"x\".repeat(100));", "main of step do:1:", "repeat"),
        ("let s = \"x\"; s.pad(500000, \"y\"); let t = s.replace(\"y\", s);", "main of step do:1:", "too large"),
        ("let s = \"\"; s.pad(2000000000, \"y\");", "main of step do:1:", "String"),
        ("let a = []; a.pad(2000000000, \"y\");", "main of step do:1:", "too large"),
        ("let a = []; for i in 0..10 { a = [a, a, a, a, a, a, a, a]; }", "main of step do:1:", "Array"),
    ] {
        let said = fails(source);
        assert!(said.starts_with(where_) && said.to_lowercase().contains(&why.to_lowercase()), "{source}\n{said}");
    }
}

#[test]
fn a_runaway_cannot_be_caught_by_itself() {
    let said = fails("loop { try { loop { } } catch { } }");
    assert!(said.contains("operations"), "{said}");
}

#[test]
fn a_hook_that_is_not_wanted_any_more_ends() {
    let world = World::new(|_| said(""));
    let stop = world.stop.clone();
    let asked = World::new(move |_| {
        stop.store(true, Ordering::Release);
        said("")
    });
    // The flag that the engine sets is looked at while the hook computes.
    asked.stop.store(true, Ordering::Release);
    let said = text("let n = 0; loop { try { n += 1; } catch { } }", &asked).unwrap_err();
    assert!(said.contains("was stopped"), "{said}");
}

/// No file, no process, no network, no clock: there is nothing that would give one.
#[test]
fn there_is_no_way_out() {
    let own = ("own", "fn f() { 1 }");
    for source in [
        "eval(\"1\")",
        "import \"../own\" as x; x::f()",
        "import \"/etc/passwd\" as x;",
        "import \"scripts/own\" as x; x::f()",
        "import \"own.rhai\" as x; x::f()",
        "import \"./own\" as x; x::f()",
        "import \"\" as x;",
        "let name = \"../../etc/passwd\"; import name as x;",
        "open_file(\"/etc/passwd\")",
        "timestamp()",
        "sleep(1)",
        "print(1)",
        "debug(1)",
        "rand()",
        "host(\"elsewhere\").run(\"id\")",
        "host(\"-oProxyCommand=id\").run(\"id\")",
        "host.as_user(\"-u root\").run(\"id\")",
        "host.read(\"etc/passwd\")",
        "host.read(\"../x\")",
        "host.write(\"x\", \"y\")",
        "host.write(\"/x\", \"y\", \"777; id\")",
        "host.run(\"id\", #{ \"A;id\": 1 })",
        "host.run(\"id\", #{ PITON_RUN: 1 })",
        "host.run(\"\")",
        "host.exec([])",
        "host.exec(\"id\")",
        "host.exec([\"a\\u0000b\"])",
        "set_output(\"Bad Name\", 1)",
    ] {
        let world = World::new(|_| said(""));
        let end = text_with(source, &world, &[own]);
        assert!(end.is_err(), "{source}: {end:?}");
        assert_eq!(world.asked(), Vec::<String>::new(), "{source}");
    }
    let world = World::new(|_| said(""));
    assert!(text_with("import \"own\" as x; #{ v: x::f() }", &world, &[own]).is_ok());
}

#[test]
fn scripts_that_import_each_other_are_refused() {
    let world = World::new(|_| said(""));
    let scripts = [("a", "import \"b\" as b;\nfn f() { 1 }"), ("b", "import \"a\" as a;\nfn f() { 2 }")];
    let why = text_with("import \"a\" as a; a::f()", &world, &scripts).unwrap_err();
    assert!(why.starts_with("scripts/b.rhai:1:") && why.contains("scripts/a.rhai imports itself"), "{why}");
}
