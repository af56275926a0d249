//! Plans and graphs.

use super::*;

#[test]
fn a_plan_shows_what_would_happen_on_each_host() {
    let place = project();
    assert_snapshot!(place.snapshot(&["plan", "copy", "size=1G"]), @r#"
    exit 0
    --- stdout
    copy  Copy a thing
    from    runbooks/area/copy.yaml
    digest  DIGEST
    tasks   9 on 3 hosts, 256 at once at most, on failure undo
    params
      note = (none)
      size = 1073741824
      to = a
        b

    1. look
       hosts    a, b
       needs    nothing
       and      stopped after 2m; repeated if its outcome is lost
       run
         | echo "free=$(df --output=avail / | tail -1)" >> "$PITON_OUTPUT"

    2. fits
       needs    look
       assert   params.size > 0

    3. place
       hosts    a, b
       needs    look (each host for itself), fits
       and      becomes root; tried again 2 times on exit 1, timeout, first after 5s
       unless
         | test -e /srv/thing
       put      16 bytes of text -> a:/srv/thing mode 640
       put      16 bytes of text -> b:/srv/thing mode 640
       undo
         | rm -f /srv/thing

    4. tell
       hosts    a
       needs    place
       and      point of no return: nothing is undone automatically from here on
       env      free={{ steps.look.outputs.free }}
       exec     logger copied to {{ host.name }} it's {{ steps.look.outputs.free }}

    5. settle
       hosts    local
       needs    tell
       until (every 2s, within 1m)
         | test -e /srv/settled

    finally

    6. tidy
       hosts    a, b
       needs    nothing
       run
         | rm -rf "$PITON_WORK"

    way back  place
    no undo   look, tell
    no return once tell has begun
    "#);
}

#[test]
fn a_plan_for_programs_has_every_task() {
    let ran = project().piton(&["plan", "copy", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let plan = &ran.json()[0];
    let tasks: Vec<&str> = plan["tasks"].as_array().unwrap().iter().map(|t| t["task"].as_str().unwrap()).collect();
    let all = "look[a] look[b] fits place[a] place[b] tell[a] settle[local] tidy[a] tidy[b]";
    assert_eq!(tasks.join(" "), all);
    assert_eq!(plan["digest"].as_str().unwrap().len(), 64);
    assert_eq!(plan["tasks"][0]["env"]["size"], "10485760");
    assert_eq!(plan["tasks"][3]["needs"], serde_json::json!(["look[a]", "fits"]));
}

#[test]
fn a_graph_is_drawn_in_three_forms() {
    let place = project();
    assert_snapshot!(place.snapshot(&["graph", "copy"]), @r#"
    exit 0
    --- stdout
    flowchart TD
        s0["look<br/>#123;#123; params.to #125;#125;"]
        s1["fits"]
        s2["place<br/>#123;#123; params.to #125;#125;"]
        s3["tell<br/>a"]
        s4["settle"]
        s5(["tidy<br/>#123;#123; params.to #125;#125;"])
        s0 --> s1
        s0 --> s2
        s1 --> s2
        s2 --> s3
        s3 --> s4
    "#);
    assert_snapshot!(place.snapshot(&["graph", "copy", "--format", "dot"]), @r##"
    exit 0
    --- stdout
    digraph runbook {
        node [shape=box, style="rounded,filled", fontname="sans-serif"];
        s0 [label="look\n{{ params.to }}", fillcolor="#ffffff"];
        s1 [label="fits", fillcolor="#ffffff"];
        s2 [label="place\n{{ params.to }}", fillcolor="#ffffff"];
        s3 [label="tell\na", fillcolor="#ffffff"];
        s4 [label="settle", fillcolor="#ffffff"];
        s5 [label="tidy\n{{ params.to }}", fillcolor="#ffffff", shape=ellipse];
        s0 -> s1;
        s0 -> s2;
        s1 -> s2;
        s2 -> s3;
        s3 -> s4;
    }
    "##);
    let svg = place.piton(&["graph", "copy", "--format", "svg"]).out;
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert_eq!(svg.matches("<rect x=").count(), 6, "one box for each step");
    assert_eq!(svg.matches("marker-end").count(), 5, "one line for each need:\n{svg}");
}
