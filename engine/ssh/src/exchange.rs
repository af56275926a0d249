//! What is sent to start a job.

use piton_core::run::quote;
use piton_runner::transport::JobSpec;

use crate::wrapper::AS_USER;

/// The request that starts a job, with everything the job needs: environment and script, each ended by `end`.
pub(crate) fn launch(spec: &JobSpec, end: &str) -> String {
    let user = spec.become_user.as_deref().unwrap_or("-");
    let mut text = format!("launch {} {} {} {user}\n", spec.run, spec.id.file_name(), spec.shell);
    let attempt = &spec.id.attempt;
    let own = [
        ("PITON_RUN", spec.run.to_string()),
        ("PITON_TASK", attempt.task.to_string()),
        ("PITON_ATTEMPT", attempt.number.to_string()),
        ("PITON_HOST", spec.host.to_string()),
    ];
    let own = own.iter().map(|(name, value)| (*name, value.as_str()));
    for (name, value) in own.chain(spec.env.iter().map(|(n, v)| (n.as_str(), v.as_str()))) {
        text.push_str("export ");
        text.push_str(name);
        text.push('=');
        text.push_str(&quote(value));
        text.push('\n');
    }
    end_text(&mut text, end);
    text.push_str(&spec.script);
    if !spec.script.ends_with('\n') {
        text.push('\n');
    }
    end_text(&mut text, end);
    if spec.become_user.is_some() {
        text.push_str(AS_USER);
        end_text(&mut text, end);
    }
    text
}

fn end_text(text: &mut String, end: &str) {
    text.push_str(end);
    text.push('\n');
}
