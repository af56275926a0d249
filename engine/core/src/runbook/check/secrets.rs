//! Secrets are named only where nobody sees and nothing keeps them: in `env`, and in the content of a file that is closed to others.
//! Everything else is refused, also what may come into the language later.

use super::word_place;
use crate::fault::{Fault, FaultCode, Span};
use crate::runbook::syntax::{Draft, DraftStep, Use, Used};
use crate::runbook::{Param, ParamKind};
use crate::yaml::Node;
use crate::yaml::read::Reader;

/// What [`Use::field`] says of a `put` that may hold secrets.
pub(in crate::runbook) const SECRET_CONTENT: &str = "content of a secret file";

/// Complains about every secret that stands where it would be seen or kept.
pub(super) fn check(params: &[Param], draft: &Draft<'_>, reader: &mut Reader<'_>) {
    let secrets: Vec<&str> =
        params.iter().filter(|param| param.kind == ParamKind::Secret).map(|param| param.name.as_str()).collect();
    if secrets.is_empty() {
        return;
    }
    let steps: Vec<&DraftStep<'_>> = draft.steps.iter().chain(&draft.finally).collect();
    for used in steps.iter().flat_map(|step| &step.uses).chain(&draft.uses).chain(&draft.given) {
        for secret in &secrets {
            if used.what.roots().contains(*secret) || used.what.params().contains(*secret) {
                check_use(secret, used, reader);
            }
        }
    }
}

fn check_use(secret: &str, used: &Use<'_>, reader: &mut Reader<'_>) {
    let field = used.field;
    let alone = match &used.what {
        Used::Template(template) => template.names_alone(secret),
        Used::Expr(_) => false,
    };
    let why = match field {
        "env" | SECRET_CONTENT if alone => return,
        "env" | SECRET_CONTENT => {
            let message = format!("nothing can be computed with the secret `{secret}`: expressions do not see it");
            let hint = format!("write `{{{{ {secret} }}}}` and nothing else between the braces");
            return leak(secret, used.node, message, hint, reader);
        }
        "content" => {
            let message = format!("the secret `{secret}` would come into a file that others may read");
            let hint = "say `secret: true` and a `mode` that closes the file to others, such as `mode: \"0600\"`";
            return leak(secret, used.node, message, hint.to_owned(), reader);
        }
        "exec" => "the words of a command can be read by everybody on the host (ps)",
        "hosts" => "hosts stand in the plan",
        "when" | "that" | "assert" | "else" => "conditions and what they say are shown and kept",
        "from" | "to" => "paths are shown and kept",
        _ => "it would be shown and kept there",
    };
    let message = format!("the secret `{secret}` cannot be named in `{field}`: {why}");
    let hint =
        format!("a script has it as \"${secret}\"; `env: {{ NAME: \"{{{{ {secret} }}}}\" }}` gives it another name");
    leak(secret, used.node, message, hint, reader);
}

fn leak(secret: &str, node: &Node<'_>, message: String, hint: String, reader: &mut Reader<'_>) {
    let with_params = word_place(node, &format!("params.{secret}"), reader);
    let span: Span = if with_params == node.span { word_place(node, secret, reader) } else { with_params };
    let fault = Fault::at(FaultCode::SecretLeak, reader.source, span, message).hint(hint);
    reader.push(fault);
}

#[cfg(test)]
#[path = "secrets_tests.rs"]
mod tests;
