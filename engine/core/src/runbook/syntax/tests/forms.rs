//! Every form of the language, read.

use super::*;

#[test]
fn every_form_of_the_language_is_read() {
    let runbook = good(
        r##"
runbook: all-forms
title: Every form
about: |
  What it does.
params:
  vm: { type: name, help: libvirt domain, pattern: "web[0-9]+" }
  keep: { type: duration, default: 2d, min: 1h }
  disk: { type: size, default: 10G, max: 1T }
  note: { type: string, required: false }
  many: { type: hosts, default: [hv1, hv2] }
  how: { type: enum, choices: [slow, fast], default: fast }
on_failure: undo
max_parallel: 4
steps:
  - id: first
    hosts: "{{ many }}"
    run: docker ps --format '{{json .}} {{ .Names }}' # a template of another program
    unless: false
    verify: "true"
    undo: |
      rm x
    repeat: safe
    retry: 3
    timeout: 5m
    become: root
    env: { PORT: 8080, DISK: "{{ disk }}", empty: "" }
    outputs:
      whole: { from: stdout }
      part: { from: stdout, match: "n=([0-9]+)" }
      deep: { from: stdout, json: /a/0 }
    no_log: true
    tags: [x, y]
    shell: bash
  - id: second-one
    title: Words
    hosts: [hv1, "rack=a"]
    exec: [ls, -l, "{{ vm }} x"]
    when: steps.first.exit == 0 && vm != "x"
    retry: { times: 2, delay: 5s, backoff: 1.5, max_delay: 1m, on: [7, timeout, unreachable] }
    needs: first
    barrier: true
    on_failure: continue
    point_of_no_return: true
  - id: put
    needs: [second-one]
    put: { from: "files/{{ vm }}.xml", to: /etc/x, mode: 0644, owner: root:root }
  - id: put2
    put: { content: "{{ vm }}\n", to: "{{ vm }}" }
  - id: get
    get: { from: /var/log/x, to: "{{ host.name }}.log" }
  - id: fits
    assert:
      - that: steps["second-one"].state == "succeeded"
        else: "{{ vm }} is not"
      - 'params.how == "fast"'
  - { id: one, assert: true }
  - { id: pause, wait: { for: 30s } }
  - { id: until, hosts: hv1, wait: { until: test -e x, within: 10m, every: 5s } }
finally:
  - { id: tidy, run: rm x, when: steps.first.exit == 0 }
  - { id: tidy2, run: rm y, needs: [tidy] }
"##,
    );
    assert_eq!(runbook.name.as_str(), "all-forms");
    assert_eq!(runbook.about, "What it does.");
    assert_eq!(runbook.max_parallel, 4);
    assert_eq!(runbook.params[1].default, Some(172_800.into()));
    assert_eq!(runbook.params[1].min, Some(3600.0));
    assert_eq!(runbook.params[2].default, Some(10_737_418_240_u64.into()));
    assert!(runbook.params[0].required && !runbook.params[1].required && !runbook.params[3].required);
    assert_eq!(runbook.params[5].kind, ParamKind::Enum(vec!["slow".into(), "fast".into()]));
    let needs: Vec<Vec<&str>> = runbook
        .steps
        .iter()
        .chain(&runbook.finally)
        .map(|step| step.needs.iter().map(StepId::as_str).collect())
        .collect();
    assert_eq!(
        needs,
        [
            vec![],
            vec!["first"],
            vec!["second-one"],
            vec!["put"],
            vec!["put2"],
            vec!["get"],
            vec!["fits"],
            vec!["one"],
            vec!["pause"],
            vec![],
            vec!["tidy"]
        ]
    );
    let first = &runbook.steps[0];
    assert_eq!(first.unless.as_ref().unwrap().text, "false");
    assert_eq!(first.unless.as_ref().unwrap().shell, "bash");
    assert_eq!(first.verify.as_ref().unwrap().within.as_secs(), 0);
    assert_eq!(first.repeat, Repeat::Safe);
    let retry = first.retry.as_ref().unwrap();
    assert_eq!((retry.times, retry.delay.as_secs(), retry.backoff, retry.max_delay.as_secs()), (3, 1, 2.0, 300));
    assert_eq!(first.env["PORT"].source(), "8080");
    assert_eq!(first.outputs["part"], OutputRule::Match("n=([0-9]+)".into()));
    assert_eq!(first.outputs["deep"], OutputRule::Json("/a/0".into()));
    assert_eq!(first.outputs["whole"], OutputRule::Text);
    let retry = runbook.steps[1].retry.as_ref().unwrap();
    assert_eq!(retry.on, [RetryOn::Exit(7), RetryOn::Timeout, RetryOn::Unreachable]);
    let Action::Put(put) = &runbook.steps[2].action else { panic!("{:?}", runbook.steps[2].action) };
    assert_eq!(put.mode, Some(0o644));
    assert!(matches!(&put.source, PutSource::File(file) if file.source() == "files/{{ vm }}.xml"));
    // A plan that holds these steps is stored as JSON.
    let json = serde_json::to_string(&runbook).unwrap();
    assert_eq!(serde_json::from_str::<Runbook>(&json).unwrap(), runbook);
}

#[test]
fn moving_files_and_starting_hosts_anew_is_read() {
    let runbook = good(
        r##"
runbook: r
params: { fro: { type: host }, to: { type: host }, name: { type: name } }
steps:
  - id: copy
    transfer: { from: "{{ fro }}:/data/{{ name }}", to: "{{ to }}:{{ steps.look.outputs.at }}", sparse: false, checksum: false, rate: 50M, mode: "0600", owner: qemu }
    needs: look
  - { id: look, run: x, needs: [] }
  - { id: all, hosts: [a, b], transfer: { from: 'hv1:/x:y', to: /x } }
  - { id: again, hosts: a, reboot: { message: "for {{ name }}", timeout: 15m, command: "systemctl kexec\n" } }
  - { id: plain, hosts: a, reboot: true, verify: test -e /run/x }
  - { id: slow, transfer: { from: 'a:/x', to: 'b:/y', rate: "{{ steps.look.outputs.rate }}" } }
"##,
    );
    let Action::Transfer(slow) = &runbook.steps[5].action else { panic!() };
    assert_eq!(
        (slow.rate.as_ref().map(Template::source), slow.manner.rate),
        (Some("{{ steps.look.outputs.rate }}"), None)
    );
    let Action::Transfer(copy) = &runbook.steps[0].action else { panic!() };
    assert_eq!((copy.from_host.source(), copy.from.source()), ("{{ fro }}", "/data/{{ name }}"));
    assert_eq!(copy.to_host.as_ref().map(Template::source), Some("{{ to }}"));
    assert_eq!(copy.to.source(), "{{ steps.look.outputs.at }}");
    assert_eq!(copy.manner, Manner { sparse: false, checksum: false, rate: Some(50 * 1024 * 1024) });
    assert_eq!((copy.mode, copy.owner.as_deref()), (Some(0o600), Some("qemu")));
    let Action::Transfer(all) = &runbook.steps[2].action else { panic!() };
    assert_eq!((all.from.source(), &all.to_host, &all.manner), ("/x:y", &None, &Manner::default()));
    let Action::Reboot(again) = &runbook.steps[3].action else { panic!() };
    assert_eq!(again.command.as_deref(), Some("systemctl kexec\n"));
    assert_eq!(runbook.steps[3].timeout, Some(std::time::Duration::from_secs(900)));
    assert_eq!(runbook.steps[4].timeout, Some(std::time::Duration::from_secs(600)), "a reboot never waits for ever");

    same(vec![
        (
            "transfer",
            step("{ id: b, transfer: { from: 'a:x', to: /y } }"),
            vec![
                "r:4:32: bad-value: `from` is `a:x`, not a host and an absolute path (write a host and a path: `hv1:/data/disk.img`)".into(),
            ],
        ),
        (
            "hosts of a transfer",
            step("{ id: b, hosts: x, transfer: { from: /x, to: 'a:/y', rate: 0, sparce: true } }"),
            vec![
                "r:4:34: bad-value: `from` is `/x`, and names no host (write a host and a path: `hv1:/data/disk.img`; what comes from the engine's machine is a `put`)".into(),
                "r:4:64: bad-value: `rate` is 0, and nothing would ever arrive (bytes per second, such as `50M`)".into(),
                "r:4:67: unknown-field: `transfer` has no field `sparce` (did you mean `sparse`?)".into(),
            ],
        ),
        (
            "two words for one host",
            step("{ id: b, hosts: x, transfer: { from: 'c:/x', to: 'a:/y' } }"),
            vec![
                "r:4:14: conflict: `to` names the host already: this step runs there (take `hosts` out, or leave the host out of `to` to send the file to each of them)".into(),
            ],
        ),
        (
            "no word for any host",
            step("{ id: b, transfer: { from: 'c:/x', to: /y } }"),
            vec![
                "r:4:14: bad-value: `to` is `/y`, and names no host (write a host and a path: `hv1:/data/disk.img`, or give the step `hosts`)".into(),
            ],
        ),
        (
            "a host that is known too late",
            step("{ id: b, transfer: { from: '{{ steps.a.outputs.h }}:/x', to: '{{ fro }}:/{{ nome }}' } }"),
            vec![
                "r:4:36: unknown-param: `steps` is not known here: which hosts a step runs on is decided before anything runs (use a parameter)".into(),
                "r:4:81: unknown-param: there is no parameter or variable `nome`".into(),
            ],
        ),
        (
            "reboot",
            step("{ id: b, reboot: { timeout: 0s, command: 'x {{ vm }}' }, timeout: 5m }"),
            vec![
                "r:4:33: bad-value: `timeout` must be more than zero".into(),
                "r:4:49: template-in-script: `command` is a constant text: no `{{ }}` in it, because a shell would read the value as its own language (write \"$vm\": every parameter is an environment variable)".into(),
            ],
        ),
        (
            "reboot of nothing",
            step("{ id: b, reboot: false }"),
            vec!["r:4:22: bad-value: `reboot: false` does nothing (take the step out, or give it a `when`)".into()],
        ),
        (
            "reboot of whom",
            step("{ id: b, reboot: { timeout: 5m }, timeout: 6m }"),
            vec![
                "r:4:14: missing-field: `reboot` does not say which hosts (name them; `hosts: local` is the machine that Piton runs on)".into(),
                "r:4:39: conflict: `reboot` has a `timeout` of its own (write it into `reboot`)".into(),
            ],
        ),
    ]);
}
