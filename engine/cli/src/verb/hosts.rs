//! `piton hosts`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use piton_core::ids::{AttemptId, HostName, JobId, Part, RunId, TaskId};
use piton_core::inventory::Host;
use piton_core::run::{BootId, Refusal};
use piton_runner::observer::Notice;
use piton_runner::output::{JobOutput, OutputError, Stream};
use piton_runner::transport::{Ends, JobEnd, JobSpec, Launch, News, Pong, Transport};
use serde_json::{Map, Value, json};

use crate::cli::Globals;
use crate::exit::{Code, Failure, count};
use crate::inventory::{self, Hosts};
use crate::parts;
use crate::project;
use crate::screen::{BOLD, GREEN, RED, Screen};
use crate::times::took;
use crate::visible::visible;

/// List hosts, see whether they answer, and what they are
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List hosts, their groups, labels and addresses (the default)
    List(Which),
    /// See whether hosts answer, and how quickly
    Ping(Which),
    /// Ask hosts what they are: system, kernel, processors, memory, boot id; changes nothing
    Facts(Which),
}

#[derive(Debug, Default, clap::Args)]
struct Which {
    /// Names, groups or patterns [default: all of the inventory]
    #[arg(value_name = "HOSTS")]
    patterns: Vec<String>,
}

/// How long a host may take to answer.
const PATIENCE: Duration = Duration::from_secs(45);

/// How many hosts are asked at once.
const AT_ONCE: usize = 64;

/// How much a host may answer.
const MAX_ANSWER: usize = 64 * 1024;

/// Prints `key=value` lines. Only POSIX sh and what every Linux has.
const FACTS: &str = include_str!("hosts/facts.sh");

pub(crate) async fn run(args: Args, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
    let project = project::find(globals.project.as_deref())?;
    let hosts = inventory::load(project.as_ref()).await?;
    let what = args.what.unwrap_or_else(|| What::List(Which::default()));
    let (What::List(which) | What::Ping(which) | What::Facts(which)) = &what;
    let names = select(&hosts, &which.patterns)?;
    if names.is_empty() {
        screen.note(match &hosts.from {
            Some(file) => format!("{file} names no host; hosts that your ssh config knows can be given by name"),
            None => "There is no inventory here; hosts that your ssh config knows can be given by name".to_owned(),
        });
    }
    match what {
        What::List(_) => list(&hosts, &names, screen),
        What::Ping(_) => {
            let transport = transport(&hosts, &names);
            let answers = ask(names, |host| ping(transport.clone(), host)).await;
            tell(answers, screen, "HOST", |pong: &Pong| {
                let up = piton_core::time::show_duration(Duration::from_secs(pong.uptime));
                let line = format!("{:>7}  up {up}, {}", took(pong.took), visible(pong.system.as_bytes()));
                let ms = u64::try_from(pong.took.as_millis()).unwrap_or(u64::MAX);
                (line, json!({ "boot": pong.boot, "uptime": pong.uptime, "system": pong.system, "took_ms": ms }))
            })
        }
        What::Facts(_) => {
            let transport = transport(&hosts, &names);
            let run = parts::new_run_id()?;
            let answers = ask(names, |host| facts(transport.clone(), run, host)).await;
            tell(answers, screen, "HOST", |facts: &Map<String, Value>| {
                let lines: Vec<String> = facts
                    .iter()
                    .map(|(key, value)| {
                        let text = piton_core::value::to_text(value);
                        format!("\n  {key:11} {}", visible(text.as_bytes()))
                    })
                    .collect();
                (lines.concat(), Value::Object(facts.clone()))
            })
        }
    }
}

fn select(hosts: &Hosts, patterns: &[String]) -> Result<Vec<HostName>, Failure> {
    if patterns.is_empty() {
        return Ok(hosts.inventory.hosts.keys().cloned().collect());
    }
    let mut names = Vec::new();
    let mut seen = BTreeSet::new();
    for pattern in patterns {
        let found = hosts
            .inventory
            .select(pattern, hosts.allow_unknown)
            .map_err(|error| Failure::usage(error.to_string()).hint("`piton hosts` lists the hosts there are"))?;
        names.extend(found.into_iter().filter(|host| seen.insert(host.clone())));
    }
    Ok(names)
}

fn list(hosts: &Hosts, names: &[HostName], screen: &Screen) -> Result<Code, Failure> {
    let mut out = screen.out();
    let groups_of = |name: &HostName| -> Vec<String> {
        let groups = hosts.inventory.groups.iter().filter(|(_, members)| members.contains(name));
        groups.map(|(group, _)| group.to_string()).collect()
    };
    let width = names.iter().map(|n| n.as_str().len()).max().unwrap_or(4).clamp(4, 40);
    if !names.is_empty() && !screen.json {
        let head = format!("{:width$}  {:28}  {:20}  LABELS", "HOST", "ADDRESS", "GROUPS");
        out.line(out.paint(BOLD, head))?;
    }
    for name in names {
        let host = hosts.inventory.hosts.get(name).cloned().unwrap_or_default();
        let groups = groups_of(name);
        if screen.json {
            out.json(
                &json!({ "host": name, "groups": groups, "labels": host.labels, "vars": host.vars, "ssh": host.ssh }),
            )?;
            continue;
        }
        let labels: Vec<String> = host.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let (address, groups, labels) = (address(name, &host), groups.join(","), labels.join(" "));
        let line = format!("{name:width$}  {address:28}  {groups:20}  {labels}");
        out.line(visible(line.trim_end().as_bytes()))?;
    }
    out.flush()?;
    Ok(Code::Succeeded)
}

/// Where ssh would connect to, as far as the inventory says it.
fn address(name: &HostName, host: &Host) -> String {
    if name.is_local() {
        return "this machine".to_owned();
    }
    let user = host.ssh.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
    let port = host.ssh.port.map(|port| format!(":{port}")).unwrap_or_default();
    let jump = host.ssh.jump.as_ref().map(|jump| format!(" via {jump}")).unwrap_or_default();
    format!("{user}{}{port}{jump}", host.ssh.address.as_deref().unwrap_or(name.as_str()))
}

fn transport(hosts: &Hosts, names: &[HostName]) -> Arc<dyn Transport> {
    let known: BTreeMap<HostName, Host> =
        names.iter().map(|name| (name.clone(), hosts.inventory.hosts.get(name).cloned().unwrap_or_default())).collect();
    parts::transport(&known)
}

type Answer<T> = (HostName, Result<T, String>);

/// Asks all hosts, some at a time; the answers come in the order of the hosts.
async fn ask<T, F>(names: Vec<HostName>, question: impl Fn(HostName) -> F) -> Vec<Answer<T>>
where
    F: Future<Output = Result<T, String>>,
{
    let mut waiting = names.into_iter().enumerate();
    let mut asked = FuturesUnordered::new();
    let mut answers = Vec::new();
    loop {
        while asked.len() < AT_ONCE
            && let Some((index, host)) = waiting.next()
        {
            let answer = tokio::time::timeout(PATIENCE, question(host.clone()));
            asked.push(async move {
                let late = |_| Err(format!("no answer within {} s", PATIENCE.as_secs()));
                (index, (host, answer.await.unwrap_or_else(late)))
            });
        }
        match asked.next().await {
            Some(answer) => answers.push(answer),
            None => break,
        }
    }
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

async fn ping(transport: Arc<dyn Transport>, host: HostName) -> Result<Pong, String> {
    transport.ping(&host).await.map_err(refused)
}

fn refused(refusal: Refusal) -> String {
    match refusal {
        Refusal::Unreachable(why) | Refusal::Refused(why) => why,
    }
}

async fn facts(transport: Arc<dyn Transport>, run: RunId, host: HostName) -> Result<Map<String, Value>, String> {
    let step = "facts".parse().map_err(|bad: piton_core::ids::BadName| bad.to_string())?;
    let task = TaskId::new(step, Some(host.clone()));
    let id = JobId { attempt: AttemptId { task, number: 1 }, part: Part::Main, round: 1 };
    let spec = JobSpec {
        run,
        id: id.clone(),
        host: host.clone(),
        shell: "sh".to_owned(),
        script: FACTS.to_owned(),
        env: Vec::new(),
        secrets: Vec::new(),
        become_user: None,
        ends: Ends::Exit,
        call: None,
    };
    let mut answer = Answered::default();
    let end = transport.carry(&spec, Launch::Fresh, &mut answer, &Unheard).await;
    transport.forget(run, &host, std::slice::from_ref(&id)).await;
    transport.clear(run, &host).await;
    match end {
        JobEnd::Exited { exit, .. } if exit.is_success() => {}
        JobEnd::Exited { exit, .. } => {
            return Err(format!("the question failed with {exit}: {}", String::from_utf8_lossy(&answer.err).trim()));
        }
        JobEnd::Lost(why) => return Err(why.to_string()),
        JobEnd::Refused(why) => return Err(refused(why)),
        JobEnd::OutputFailed(error) => return Err(error.to_string()),
    }
    let text = String::from_utf8_lossy(&answer.out);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    Ok(pairs.filter(|(_, v)| !v.is_empty()).map(|(k, v)| (k.to_owned(), Value::from(v))).collect())
}

/// An answer, in memory.
#[derive(Debug, Default)]
struct Answered {
    out: Vec<u8>,
    err: Vec<u8>,
    taken: [u64; 2],
}

#[async_trait::async_trait]
impl JobOutput for Answered {
    fn position(&self, stream: Stream) -> u64 {
        self.taken[stream as usize]
    }

    async fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), OutputError> {
        self.taken[stream as usize] += bytes.len() as u64;
        let kept = match stream {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
        };
        let room = MAX_ANSWER.saturating_sub(kept.len()).min(bytes.len());
        kept.extend_from_slice(&bytes[..room]);
        Ok(())
    }

    async fn head(&mut self) -> Result<(Vec<u8>, bool), OutputError> {
        Ok((self.out.clone(), self.taken[0] == self.out.len() as u64))
    }

    async fn finish(&mut self) -> Result<piton_core::run::Printed, OutputError> {
        Ok(piton_core::run::Printed::default())
    }
}

/// Hears nothing: the answer is all that matters.
struct Unheard;

impl News for Unheard {
    fn launching(&self) {}

    fn started(&self, _boot: BootId) {}

    fn printed(&self, _stream: Stream, _bytes: &[u8]) {}

    fn notice(&self, _notice: Notice) {}

    fn progress(&self, _moved: u64, _total: u64) {}
}

fn tell<T>(
    answers: Vec<Answer<T>>,
    screen: &Screen,
    head: &str,
    show: impl Fn(&T) -> (String, Value),
) -> Result<Code, Failure> {
    let mut out = screen.out();
    let width = answers.iter().map(|(host, _)| host.as_str().len()).max().unwrap_or(head.len()).clamp(4, 40);
    let mut silent = 0;
    for (host, answer) in &answers {
        match answer {
            Ok(answer) => {
                let (line, mut value) = show(answer);
                if screen.json {
                    value["host"] = Value::from(host.as_str());
                    value["ok"] = Value::from(true);
                    out.json(&value)?;
                } else {
                    let ok = out.paint(GREEN, format_args!("{host:width$}"));
                    out.line(format_args!("{ok}  {line}"))?;
                }
            }
            Err(why) => {
                silent += 1;
                if screen.json {
                    out.json(&json!({ "host": host, "ok": false, "why": why }))?;
                } else {
                    let bad = out.paint(RED, format_args!("{host:width$}"));
                    out.line(format_args!("{bad}  no answer: {}", visible(why.as_bytes())))?;
                }
            }
        }
    }
    out.flush()?;
    if silent == 0 {
        Ok(Code::Succeeded)
    } else {
        screen.error(format_args!("{silent} of {} did not answer", count(answers.len(), "host")), None);
        Ok(Code::Unexpected)
    }
}
