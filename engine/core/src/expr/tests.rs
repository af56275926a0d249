use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::value::to_text;

fn scope() -> Scope {
    let Value::Object(map) = json!({
        "params": { "vm": "web1", "count": 3, "ratio": 0.5, "on": true, "hosts": ["hv1", "hv2"], "nothing": null },
        "vm": "web1",
        "steps": {
            "facts": { "outputs": { "disk": "/data/web1.qcow2", "free": "7", "list": ["a", "b"] }, "exit": 0, "state": "succeeded" },
            "my-step": { "outputs": { "x": "1" } },
        },
    }) else {
        unreachable!()
    };
    Scope(map)
}

fn eval(source: &str) -> Result<Value, String> {
    Expr::parse(source).and_then(|expr| expr.eval(&scope())).map_err(|error| error.message)
}

fn steps(expr: &Expr) -> Vec<&str> {
    expr.steps().iter().map(StepId::as_str).collect()
}

#[test]
fn values_keep_their_types() {
    for (source, value) in [
        ("params.vm", json!("web1")),
        (" params.count ", json!(3)),
        ("params.nothing", json!(null)),
        ("params.nothing ?? 5", json!(5)),
        ("params.count + 1", json!(4)),
        ("params.ratio * 2", json!(1.0)),
        ("params.hosts", json!(["hv1", "hv2"])),
        ("params.hosts.len", json!(2)),
        ("params.hosts.len()", json!(2)),
        ("vm.len", json!(4)),
        ("params.hosts[0]", json!("hv1")),
        (r#"["a", 1, #{ b: () }]"#, json!(["a", 1, { "b": null }])),
        (r#"steps["my-step"].outputs.x"#, json!("1")),
        (r#"if params.on { "yes" } else { "no" }"#, json!("yes")),
        (r#""hv1" in params.hosts"#, json!(true)),
        (r#""disk" in steps.facts.outputs"#, json!(true)),
        (r#"steps.facts.outputs.get("gone") ?? "none""#, json!("none")),
        (r#"params.hosts.filter(|h| h != "hv1")"#, json!(["hv2"])),
        (r#"vm.starts_with("web") && vm.contains("b1")"#, json!(true)),
        (r#""a,b".split(",")"#, json!(["a", "b"])),
        (r#""a\nb\n\n".lines()"#, json!(["a", "b"])),
        (r#"" x ".trim()"#, json!("x")),
        (r#""a-b".replace("-", "+")"#, json!("a+b")),
        (r#"parse_int(steps.facts.outputs.free) > 5"#, json!(true)),
        (r#"size("10G") > size("9GiB")"#, json!(true)),
        (r#"duration("5m")"#, json!(300)),
        (r#"duration("1.5s")"#, json!(1.5)),
        (r#"matches(vm, "^web[0-9]+$")"#, json!(true)),
        (r#"parse_json("{\"a\": [1]}").a[0]"#, json!(1)),
        (r#"steps.facts.outputs.keys()"#, json!(["disk", "free", "list"])),
        ("'x'", json!("x")),
        ("9007199254740993", json!(9_007_199_254_740_993i64)),
    ] {
        assert_eq!(eval(source), Ok(value), "{source}");
    }
}

#[test]
fn what_is_missing_is_an_error_that_names_what_there_is() {
    let there = "there is no `gone` in `steps.facts.outputs`; there is `disk`, `free`, `list`";
    for (source, message) in [
        ("steps.facts.outputs.gone", format!("`steps.facts.outputs.gone`: {there}")),
        ("steps.facts.exit + steps.facts.gone", "`steps.facts.exit + steps.facts.gone`: there is no `gone` in `steps.facts`; there is `exit`, `outputs`, `state`".into()),
        ("steps.facts.outputs.gone == 1", format!("`steps.facts.outputs.gone == 1`: {there}")),
        (r#"steps.facts.outputs["gone"].len()"#, format!("`steps.facts.outputs[\"gone\"].len()`: {there}")),
        ("nobody", "`nobody`: there is no `nobody` here; there is `params`, `steps`, `vm`".into()),
        ("nobody + 1", "`nobody + 1`: there is no `nobody` here".into()),
        ("params.vm.disk", "`params.vm.disk`: there is no `disk` in `params.vm`: it is a text".into()),
        (
            "params.hosts.filter(|h| h != vm)",
            "`params.hosts.filter(|h| h != vm)`: `vm` cannot be seen inside `|…|`, which knows only its own parameters"
                .into(),
        ),
    ] {
        assert_eq!(eval(source), Err(message), "{source}");
    }
}

#[test]
fn text_is_never_compared_with_a_number_in_silence() {
    for operator in ["==", "!=", "<", "<=", ">", ">="] {
        for source in [
            format!("steps.facts.outputs.free {operator} 5"),
            format!("5 {operator} steps.facts.outputs.free"),
            format!("5.0 {operator} steps.facts.outputs.free"),
            format!("true {operator} steps.facts.outputs.free"),
        ] {
            let message = eval(&source).unwrap_err();
            assert!(message.contains("this compares text with a "), "{source}: {message}");
        }
    }
    assert_eq!(eval("params.nothing == vm"), Ok(json!(false)));
    assert_eq!(eval("1 == 1.0"), Ok(json!(true)));
    assert_eq!(eval("vm == \"web1\""), Ok(json!(true)));
}

#[test]
fn only_a_boolean_is_true_or_false() {
    let ask = |source: &str| Expr::parse(source).unwrap().is_true(&scope()).map_err(|error| error.message);
    assert_eq!(ask("params.on"), Ok(true));
    assert_eq!(ask("!params.on"), Ok(false));
    assert_eq!(ask("params.count"), Err("`params.count`: it is 3, a number, and must be true or false".into()));
    assert_eq!(ask("vm"), Err("`vm`: it is \"web1\", a text, and must be true or false".into()));
}

#[test]
fn statements_and_side_effects_are_refused() {
    for source in [
        "let x = 1",
        "x = 1",
        "1; 2",
        "while true {}",
        "loop {}",
        "fn f() {}",
        "import \"x\"",
        "eval(\"1\")",
        "print(1)",
        "debug(1)",
        "",
        "  ",
        "// nothing",
        "1 +",
        "(1",
        "\"open",
        "a b",
    ] {
        assert!(Expr::parse(source).is_err(), "{source:?}");
    }
    for source in ["sleep(1)", "timestamp()", "exit()", "rand()", "params.hosts.push(1)"] {
        assert!(eval(source).is_err(), "{source:?}");
    }
    assert_eq!(Expr::parse("vm = 1").unwrap_err().offset, Some(3));
}

#[test]
fn an_expression_that_goes_on_for_ever_or_grows_is_stopped() {
    for source in [
        "[1,2,3].map(|x| { let n = 0; while true { n += 1; } n })",
        "[3,2,1,5,4,7,9].map(|x| { let n = 0; for i in 0..30000 { n += 1; } n })",
        "(0..200000).map(|x| x)",
        "[1].map(|x| { let s = \"x\"; loop { s += s; } })",
        "[1].map(|x| { let s = []; loop { s.push(1); } })",
        "\"x\".pad(100000000, \"y\")",
    ] {
        assert!(eval(source).is_err(), "{source}");
    }
    // Each call stays far below the limit, all of them together do not.
    let sum = |items: usize| {
        let Value::Object(map) = json!({ "many": vec![1; items] }) else { unreachable!() };
        let expr = Expr::parse("many.map(|x| [1, 2, 3, 4, 5, 6, 7, 8].map(|y| y + 1 + 2 + 3))").unwrap();
        expr.eval(&Scope(map)).map_err(|error| error.message)
    };
    assert!(sum(100).is_ok());
    let message = sum(20_000).unwrap_err();
    assert!(message.ends_with("it takes more than 100000 operations"), "{message}");
    let deep = format!("{}1{}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(Expr::parse(&deep).is_err());
    let chain = format!("a{}", ".b".repeat(7_000));
    assert!(Expr::parse(&chain).is_err());
    assert!(Expr::parse(&"1+".repeat(7_000)).is_err());
}

#[test]
fn the_names_are_known_without_evaluating() {
    let expr = Expr::parse(r#"steps.a.exit == 0 && steps["b-c"].outputs[vm] == item && xs.all(|x| x.y > n)"#).unwrap();
    assert_eq!(steps(&expr), ["a", "b-c"]);
    assert_eq!(expr.roots().iter().map(String::as_str).collect::<Vec<_>>(), ["item", "n", "steps", "vm", "xs"]);
    let path = Expr::parse("steps.facts.outputs.disk").unwrap();
    assert_eq!(steps(&path), ["facts"]);
    for source in ["steps", "steps[vm].exit", "steps.keys()", "len(steps)", "steps == 1"] {
        let message = Expr::parse(source).unwrap_err().message;
        assert_eq!(message, "`steps` needs the id of a step: `steps.<id>` or `steps[\"<id>\"]`", "{source}");
    }
    let error = Expr::parse("steps.my-step.outputs.x == 1").unwrap_err();
    assert_eq!(
        error.message,
        "`steps.my-step` means `steps.my` minus `step`; write `steps[\"my-step\"]` if that is the step"
    );
    assert!(Expr::parse("params.count-count").is_ok());
}

#[test]
fn a_reserved_word_is_one_that_rhai_refuses() {
    for word in names_of_all_reserved() {
        assert!(is_reserved(word));
        assert!(
            engine::compile(&format!("{word} == 1")).is_err() || ["true", "false", "this"].contains(&word),
            "{word}"
        );
    }
    for word in [
        "from", "to", "vm", "steps", "host", "item", "run", "params", "name", "type", "when", "list", "size", "exit",
        "sleep",
    ] {
        assert!(!is_reserved(word));
        assert!(engine::compile(&format!("{word} == 1")).is_ok(), "{word}");
    }
}

fn names_of_all_reserved() -> impl Iterator<Item = &'static str> {
    "Fn as async await break call case catch const continue curry debug default do else eval export false fn for \
     go goto if import in is is_def_fn is_def_var let loop match module new nil null package print private \
     protected public return shared spawn static super switch sync this thread throw true try type_of until use var \
     void while with yield"
        .split(' ')
}

#[test]
fn templates_render_and_keep_types_where_they_stand_alone() {
    let render = |source: &str| Template::parse(source).and_then(|t| t.render(&scope())).map_err(|e| e.message);
    for (source, text) in [
        ("", ""),
        ("plain }} text", "plain }} text"),
        ("{{ vm }}", "web1"),
        ("{{vm}}-{{ params.count + 1 }}!", "web1-4!"),
        ("{{ params.hosts }}", "hv1\nhv2"),
        ("{{ params.nothing }}", ""),
        (r#"{{ "{{" }} and {{ "}}" }}"#, "{{ and }}"),
        (r#"{{ "a\"}}" }}"#, "a\"}}"),
        (r#"{{ #{a: #{b: 1}}.a.b }}"#, "1"),
        ("{{ `}}` }}", "}}"),
        ("{{ '}' }}", "}"),
        ("{{ /* }} */ 1 }}", "1"),
        ("ü{{ vm }}ü", "üweb1ü"),
        ("a { b } {c}", "a { b } {c}"),
    ] {
        assert_eq!(render(source), Ok(text.to_owned()), "{source}");
    }
    assert_eq!(Template::parse("{{ params.hosts }}").unwrap().value(&scope()), Ok(json!(["hv1", "hv2"])));
    assert_eq!(Template::parse("{{ params.count }}").unwrap().value(&scope()), Ok(json!(3)));
    assert_eq!(Template::parse(" {{ params.count }}").unwrap().value(&scope()), Ok(json!(" 3")));
    assert!(Template::parse("a }} b").unwrap().is_constant());
    assert!(!Template::parse("a {{ b }}").unwrap().is_constant());
}

#[test]
fn a_bad_template_says_where() {
    for (source, offset, message) in [
        ("ab {{ vm", 3, "this `{{` has no `}}`; to write `{{` itself, write `{{ \"{{\" }}`"),
        ("{{ \"}} ", 0, "this `{{` has no `}}`; to write `{{` itself, write `{{ \"{{\" }}`"),
        ("a {{ }} b", 2, "there is nothing between `{{` and `}}`"),
        ("ü {{ vm = 1 }}", 9, "Unexpected '='; `==` compares"),
        ("{{ vm }} {{ steps }}", 12, "`steps` needs the id of a step: `steps.<id>` or `steps[\"<id>\"]`"),
    ] {
        let error = Template::parse(source).unwrap_err();
        assert_eq!((error.message.as_str(), error.offset), (message, Some(offset)), "{source}");
    }
}

#[test]
fn both_travel_as_their_source() {
    let expr = Expr::parse("a  == 1").unwrap();
    assert_eq!(serde_json::to_string(&expr).unwrap(), r#""a  == 1""#);
    assert_eq!(serde_json::from_str::<Expr>(r#""a  == 1""#).unwrap(), expr);
    assert!(serde_json::from_str::<Template>(r#""{{ 1 + }}""#).is_err());
}

proptest! {
    #[test]
    fn no_source_panics(source in "\\PC{0,40}|[a-z.(){}\\[\\]|&=<>!\"'`+*/%$#?:;,0-9 \n-]{0,60}") {
        if let Ok(expr) = Expr::parse(&source) {
            let _ = expr.eval(&scope());
        }
        if let Ok(template) = Template::parse(&source) {
            let _ = template.render(&scope());
        }
        let _ = Template::parse(&format!("{{{{{source}}}}}"));
    }

    #[test]
    fn text_without_braces_is_its_own_template(text in "[^{]{0,60}") {
        let template = Template::parse(&text).unwrap();
        prop_assert!(template.is_constant());
        prop_assert_eq!(template.render(&scope()).unwrap(), text);
    }

    #[test]
    fn any_text_goes_through_an_expression_unchanged(text in ".{0,60}") {
        let Value::Object(map) = json!({ "x": text }) else { unreachable!() };
        let scope = Scope(map);
        prop_assert_eq!(Expr::parse("x").unwrap().eval(&scope).unwrap(), json!(text));
        prop_assert_eq!(Expr::parse("(x)").unwrap().eval(&scope).unwrap(), json!(text));
        prop_assert_eq!(to_text(&Template::parse("{{ x + \"\" }}").unwrap().value(&scope).unwrap()), text);
    }

    #[test]
    fn any_number_goes_through_an_expression_unchanged(whole: i64, real in -1e300f64..1e300) {
        let Value::Object(map) = json!({ "a": whole, "b": real }) else { unreachable!() };
        let scope = Scope(map);
        prop_assert_eq!(Expr::parse("[a, b]").unwrap().eval(&scope).unwrap(), json!([whole, real]));
    }
}
