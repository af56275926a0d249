//! What would happen with an alert, and why: a function of the rules, of the past, of the alert and of the time.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Alert, AlertState, Mode, Past, Rule, Silence, plain, shown};
use crate::digest::Digest;
use crate::expr::Scope;
use crate::ids::{ParamName, RuleName, RunId, RunbookName};
use crate::runbook::{Given, Library, Param, ParamKind, read_computed};
use crate::time::{Timestamp, show_duration};
use crate::value::Value;

/// What all rules together make of an alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The rules that the alert concerns, each with what it would do. None: the alert is unmatched.
    pub verdicts: Vec<Verdict>,
    /// The other rules, and why it does not concern them.
    pub passed: Vec<(RuleName, String)>,
}

/// What one rule would do, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The rule.
    pub rule: RuleName,
    /// The incident that the alert belongs to, among those of the rule.
    pub key: String,
    /// What it would do.
    pub outcome: Outcome,
    /// Why, in one sentence without a full stop.
    pub why: String,
}

/// What a rule does about an alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A run begins.
    Run(Start),
    /// A run is prepared, and begins when a person approves of it.
    Propose(Start),
    /// There is a run for this incident.
    SameRun {
        /// Which.
        run: RunId,
    },
    /// There was a run for this incident not long ago.
    CooledDown {
        /// Which.
        run: RunId,
        /// Until when no other is begun.
        until: Timestamp,
    },
    /// So many things are wrong at once that one by one is not the way to answer them.
    Storm {
        /// How many incidents.
        incidents: u64,
    },
    /// The rule began as many runs as it may within an hour.
    Capped {
        /// When it may begin the next.
        until: Timestamp,
    },
    /// Somebody said that it is not to be answered.
    Silenced {
        /// Until when.
        until: Option<Timestamp>,
    },
    /// It is well again.
    Resolved {
        /// The run that was begun for it, where there is one.
        run: Option<RunId>,
    },
    /// The alert does not give what the runbook needs.
    Refused,
}

/// A run that an alert asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The run's id, which follows from the rule, the incident and the moment since when it is wrong: the same alert asks
    /// for the same run, however often it comes.
    pub run: RunId,
    /// Its runbook.
    pub runbook: RunbookName,
    /// Its parameters, as their declarations want them; all but secrets.
    pub params: BTreeMap<ParamName, Value>,
}

impl Outcome {
    /// One word for it: `run`, `propose`, `same-run`, `cooled-down`, `storm`, `capped`, `silenced`, `resolved`, `refused`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Run(_) => "run",
            Self::Propose(_) => "propose",
            Self::SameRun { .. } => "same-run",
            Self::CooledDown { .. } => "cooled-down",
            Self::Storm { .. } => "storm",
            Self::Capped { .. } => "capped",
            Self::Silenced { .. } => "silenced",
            Self::Resolved { .. } => "resolved",
            Self::Refused => "refused",
        }
    }
}

const HOUR: Duration = Duration::from_secs(3600);

/// What every rule makes of an alert. Every rule that the alert concerns answers for itself: there is no order among them.
pub fn decide(
    rules: &[Rule],
    silences: &[Silence],
    runbooks: &Library,
    past: &Past,
    alert: &Alert,
    now: Timestamp,
) -> Decision {
    let scope = alert.scope();
    let mut decision = Decision { verdicts: Vec::new(), passed: Vec::new() };
    for rule in rules {
        let asked = Asked { rule, silences, runbooks, past, alert, scope: &scope, now };
        match asked.refuses() {
            Some(why) => decision.passed.push((rule.name.clone(), plain(&why))),
            None => decision.verdicts.push(asked.verdict()),
        }
    }
    decision
}

struct Asked<'a> {
    rule: &'a Rule,
    silences: &'a [Silence],
    runbooks: &'a Library,
    past: &'a Past,
    alert: &'a Alert,
    scope: &'a Scope,
    now: Timestamp,
}

impl Asked<'_> {
    fn refuses(&self) -> Option<String> {
        let from = &self.rule.from;
        if !from.is_empty() && !from.iter().any(|(name, _)| *name == self.alert.source) {
            let names: Vec<String> = from.iter().map(|(name, _)| format!("`{name}`")).collect();
            return Some(format!("it comes from `{}`, not from {}", self.alert.source, names.join(" or ")));
        }
        self.rule.only.refuses(self.alert, self.scope)
    }

    fn verdict(&self) -> Verdict {
        let (key, (outcome, why)) = match self.key() {
            Ok(key) => {
                let said = self.outcome(&key);
                (key, said)
            }
            Err(why) => (String::new(), (Outcome::Refused, why)),
        };
        Verdict { rule: self.rule.name.clone(), key, outcome, why: plain(&why) }
    }

    /// What counts as the same incident.
    fn key(&self) -> Result<String, String> {
        let Some(template) = &self.rule.key else { return Ok(self.alert.fingerprint.clone()) };
        let key = template.render(self.scope).map_err(|error| format!("its `key` cannot be told: {error}"))?;
        match key.trim() {
            "" => Err("its `key` is empty, and nothing could be told apart by it".to_owned()),
            _ => Ok(key),
        }
    }

    /// In this order: what asks for nothing, what is answered already, what there is too much of, what cannot be answered.
    fn outcome(&self, key: &str) -> (Outcome, String) {
        let rule = self.rule;
        if self.alert.state == AlertState::Resolved {
            let run = self.past.started_by(&rule.name).rfind(|started| started.key == key).map(|started| started.run);
            let why = match run {
                Some(run) => format!("run {run} was begun for it"),
                None => "no run was begun for it".to_owned(),
            };
            return (Outcome::Resolved { run }, why);
        }
        if let Some(silence) = self.silences.iter().find(|silence| self.is_silenced_by(silence)) {
            return (Outcome::Silenced { until: silence.until }, silence.why.clone());
        }
        let run = self.run_id(key);
        let of_incident = || self.past.started_by(&rule.name).filter(|started| started.key == key);
        if let Some(started) = self.past.started_by(&rule.name).find(|started| started.run == run) {
            let over = if started.over { "and is over" } else { "and is not over" };
            return (Outcome::SameRun { run }, format!("run {run} was begun for just this, {over}"));
        }
        if let Some(open) = of_incident().rfind(|started| !started.over) {
            return (Outcome::SameRun { run: open.run }, format!("run {} for the same incident is not over", open.run));
        }
        if let Some(last) = of_incident().max_by_key(|started| started.at)
            && last.at.plus(rule.cool_down) > self.now
        {
            let (run, until) = (last.run, last.at.plus(rule.cool_down));
            let why = format!(
                "run {run} was begun for it {} ago, and the rule cools down for {}",
                show_duration(self.now.since(last.at)),
                show_duration(rule.cool_down)
            );
            return (Outcome::CooledDown { run, until }, why);
        }
        let incidents = self.past.incidents(&rule.name, key, rule.storm.within, self.now);
        if incidents > rule.storm.alerts as usize {
            let why = format!(
                "it is one of {incidents} incidents within {}, more than {}: that is a storm",
                show_duration(rule.storm.within),
                rule.storm.alerts
            );
            return (Outcome::Storm { incidents: incidents as u64 }, why);
        }
        let begun: Vec<Timestamp> =
            self.past.started_by(&rule.name).map(|started| started.at).filter(|at| at.plus(HOUR) > self.now).collect();
        let most = rule.per_hour as usize;
        if begun.len() >= most {
            let mut begun = begun;
            begun.sort_unstable();
            let until = begun[begun.len() - most].plus(HOUR);
            let why = format!("the rule began {} within the last hour, and may begin {most}", runs(begun.len()));
            return (Outcome::Capped { until }, why);
        }
        match self.params() {
            Err(why) => (Outcome::Refused, why),
            Ok(params) => {
                let start = Start { run, runbook: rule.call.runbook.clone(), params };
                match rule.mode {
                    Mode::Run => (Outcome::Run(start), "the rule says `mode: run`".to_owned()),
                    Mode::Propose => {
                        let why = "the rule says `mode: propose`: a person approves of it first".to_owned();
                        (Outcome::Propose(start), why)
                    }
                }
            }
        }
    }

    fn is_silenced_by(&self, silence: &Silence) -> bool {
        let concerns = silence.rules.is_empty() || silence.rules.contains(&self.rule.name);
        let lasts = silence.until.is_none_or(|until| self.now < until);
        concerns && lasts && silence.only.refuses(self.alert, self.scope).is_none()
    }

    /// The id of the run that this firing of this incident asks for.
    fn run_id(&self, key: &str) -> RunId {
        let first = self.alert.starts_at.unwrap_or(self.now);
        // Lengths keep one name from running into the next.
        let rule = self.rule.name.as_str();
        let text = format!("piton rule run\0{}\0{rule}\0{}\0{key}\0{}", rule.len(), key.len(), first.0);
        let Digest(bytes) = Digest::of(text.as_bytes());
        let random = bytes[..10].iter().fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
        // A ULID has 48 bits for the time, which last until the year 10889.
        RunId::from_parts(u64::try_from(first.0).unwrap_or(0) & ((1 << 48) - 1), random)
    }

    /// The parameters of the run, each as its declaration wants it.
    fn params(&self) -> Result<BTreeMap<ParamName, Value>, String> {
        let call = &self.rule.call;
        let Some((runbook, _)) = self.runbooks.get(&call.runbook) else {
            return Err(format!("there is no runbook `{}`", call.runbook));
        };
        let declared = |name: &String| runbook.params.iter().any(|param| param.name.as_str() == name);
        let mut faults: Vec<String> = call
            .with
            .keys()
            .filter(|name| !declared(name))
            .map(|name| format!("`{}` has no parameter `{}`", runbook.name, shown(name)))
            .collect();
        let mut params = BTreeMap::new();
        for param in runbook.params.iter().filter(|param| param.kind != ParamKind::Secret) {
            match self.param(param) {
                Ok(value) => drop(params.insert(param.name.clone(), value)),
                Err(why) => faults.push(format!("`{}`: {why}", param.name)),
            }
        }
        if faults.is_empty() { Ok(params) } else { Err(faults.join("; ")) }
    }

    fn param(&self, param: &Param) -> Result<Value, String> {
        let Some(argument) = self.rule.call.with.get(param.name.as_str()) else {
            return match (&param.default, param.required) {
                (Some(default), _) => Ok(default.clone()),
                (None, false) => Ok(Value::Null),
                (None, true) => Err("the rule gives it no value".to_owned()),
            };
        };
        let value = match &argument.value {
            Given::Value(value) => value.clone(),
            Given::Text(text) => text.value(self.scope).map_err(|error| error.to_string())?,
        };
        read_computed(param, &value)
    }
}

fn runs(count: usize) -> String {
    if count == 1 { "1 run".to_owned() } else { format!("{count} runs") }
}
