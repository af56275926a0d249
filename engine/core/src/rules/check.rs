//! Whether a rule and the runbook that it calls fit together.

use std::collections::BTreeSet;

use super::{AlertSettings, Rule, SourceKind};
use crate::fault::{Fault, FaultCode, Source};
use crate::ids::{ParamName, RunbookName};
use crate::runbook::{ParamKind, Runbook, SecretSource, check_arguments};

/// Every fault of a rule that can only be seen beside the runbook that it calls, and beside those who send alerts.
///
/// `settings` are what `alerts.yaml` says, `None` where that cannot be read; `there` are the names of all runbooks, for a hint; `secrets` those of which the project says where they come from.
pub fn check(
    rule: &Rule,
    source: &Source,
    runbook: Option<&Runbook>,
    settings: Option<&AlertSettings>,
    there: &[RunbookName],
    secrets: &BTreeSet<ParamName>,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (name, span) in &rule.from {
        let Some(settings) = settings else { break };
        if !settings.sources.contains_key(name) && SourceKind::of_word(name.as_str()).is_none() {
            let message = format!("no source of alerts is called `{name}`");
            let fault = Fault::at(FaultCode::UnknownParam, source, *span, message);
            let names = settings.sources.keys().map(|name| name.as_str());
            let fault = fault.did_you_mean(name.as_str(), names);
            faults.push(match fault.hint {
                Some(_) => fault,
                None => fault.hint("sources are declared in alerts.yaml, under `sources:`"),
            });
        }
    }
    let Some(runbook) = runbook else {
        let message = format!("there is no runbook `{}`", rule.call.runbook);
        let fault = Fault::at(FaultCode::UnknownRunbook, source, rule.call.span, message);
        faults.push(fault.did_you_mean(rule.call.runbook.as_str(), there.iter().map(RunbookName::as_str)));
        return faults;
    };
    for param in runbook.params.iter().filter(|param| param.kind == ParamKind::Secret) {
        let name = &param.name;
        if let Some(argument) = rule.call.with.get(name.as_str()) {
            let message = format!("`{name}` is a secret: an alert cannot give it");
            faults.push(Fault::at(FaultCode::SecretLeak, source, argument.span, message));
        }
        let asked = matches!(&param.from, None | Some(SecretSource::Prompt));
        if asked && !secrets.contains(name) {
            let message = format!("nothing says where `{}` gets its secret `{name}` from", runbook.name);
            let hint =
                format!("when an alert comes, nobody can be asked: `[secrets]` in piton.toml, `{name} = \"env:NAME\"`");
            faults.push(Fault::at(FaultCode::BadParam, source, rule.call.span, message).hint(hint));
        }
    }
    let mut call = rule.call.clone();
    call.with.retain(|name, _| {
        !runbook.params.iter().any(|param| param.kind == ParamKind::Secret && param.name.as_str() == name)
    });
    let mut plain = runbook.clone();
    plain.params.retain(|param| param.kind != ParamKind::Secret);
    check_arguments(&call, &plain, source, &mut faults);
    faults
}
