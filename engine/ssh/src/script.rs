//! The shell scripts that run on hosts, and the requests they read.

use std::sync::LazyLock;

use piton_runner::transport::JobSpec;
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use crate::options::Options;

/// Follows what a job prints.
pub(crate) const FOLLOW: &str = include_str!("sh/follow.sh");
/// Sends a part of one of a job's files.
pub(crate) const REST: &str = include_str!("sh/rest.sh");
/// Removes the files of jobs.
pub(crate) const FORGET: &str = include_str!("sh/forget.sh");
/// Removes what a run left.
pub(crate) const CLEAR: &str = include_str!("sh/clear.sh");
/// Removes what was left behind.
pub(crate) const SWEEP: &str = include_str!("sh/sweep.sh");
/// Tells what the host is.
pub(crate) const PING: &str = include_str!("sh/ping.sh");

const WRAPPER: &str = include_str!("sh/wrapper.sh");
const BECOME: &str = include_str!("sh/become.sh");
const FETCH: &str = include_str!("sh/fetch.sh");
const STOP: &str = include_str!("sh/stop.sh");
const KILL: &str = include_str!("sh/kill.sh");

/// Has a job dead; carries the script that does it, which may have to run under sudo.
pub(crate) static STOPPING: LazyLock<String> = LazyLock::new(|| format!("p_kill_text={}\n{STOP}", quote(KILL)));

static ONE_LINE: LazyLock<String> = LazyLock::new(|| {
    let lines = WRAPPER.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.collect::<Vec<_>>().join(" ")
});

/// Quotes a text so that a POSIX shell reads it as one word with exactly these characters (XCU 2.2.2).
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The command that turns a login shell into ours. sh, bash, zsh, fish, csh and tcsh read it alike.
pub(crate) fn command(options: &Options, nonce: &str) -> String {
    let base = options.base.as_deref().unwrap_or("-");
    let boot = quote(&options.boot_id_path);
    format!("exec {} -c '{}' piton {nonce} {boot} {}", options.sh, *ONE_LINE, quote(base))
}

/// The request to launch a job, or to follow it if it is there. `first`: it was certainly never asked for before.
pub(crate) fn launch(job: &JobSpec, first: bool) -> Zeroizing<Vec<u8>> {
    let task = &job.id.attempt.task;
    let (run, name) = (job.run.to_string(), job.id.file_name());
    let number = job.id.attempt.number.to_string();
    let task = task.to_string();
    let own = [("PITON_TASK", task.as_str()), ("PITON_ATTEMPT", &number), ("PITON_HOST", job.host.as_str())];
    let given = job.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let secrets = job.secrets.iter().map(|(name, value)| (name.as_str(), value.expose_secret()));
    let all: Vec<(&str, &str)> = own.into_iter().chain(given).chain(secrets).collect();
    // A text that holds secrets has its room from the start: what grows leaves copies behind.
    let room = |(name, value): &(&str, &str)| name.len() + value.len() + 3 * value.matches('\'').count() + 4;
    let mut env = Zeroizing::new(String::with_capacity(all.iter().map(room).sum::<usize>() + 1));
    // The shell begins the line with `export` and what it knows itself: it reads byte by byte.
    for (name, value) in all {
        if !env.is_empty() {
            env.push(' ');
        }
        env.push_str(name);
        env.push('=');
        env.push_str(&Zeroizing::new(quote(value)));
    }
    env.push('\n');
    let mut sections = vec![env.as_str(), &job.script];
    if job.become_user.is_some() {
        sections.extend([BECOME, FETCH]);
    }
    let end = terminator(&sections);
    let user = job.become_user.as_deref().unwrap_or_default();
    let head = format!("launch {run} {name} {end} {}\n{}\n{user}\n", u8::from(first), job.shell);
    let room: usize = sections.iter().map(|section| section.len() + end.len() + 2).sum();
    let mut request = String::with_capacity(head.len() + room);
    request.push_str(&head);
    for section in sections {
        push_section(&mut request, section, &end);
    }
    Zeroizing::new(request.into_bytes())
}

/// The request to watch a job that may be there.
pub(crate) fn watch(job: &JobSpec) -> Vec<u8> {
    format!("watch {} {}\n", job.run, job.id.file_name()).into_bytes()
}

/// The request to carry out one of our scripts with these arguments, of which none holds a newline.
pub(crate) fn run(script: &str, arguments: &[&str]) -> Vec<u8> {
    let mut texts = vec![script];
    texts.extend(arguments);
    let end = terminator(&texts);
    let mut request = format!("run {end}\n");
    for argument in arguments {
        request.push_str(argument);
        request.push('\n');
    }
    request.push_str(&end);
    request.push('\n');
    push_section(&mut request, script, &end);
    request.into_bytes()
}

fn push_section(request: &mut String, section: &str, end: &str) {
    request.push_str(section);
    if !section.is_empty() && !section.ends_with('\n') {
        request.push('\n');
    }
    request.push_str(end);
    request.push('\n');
}

/// A line that none of the texts holds.
fn terminator(texts: &[&str]) -> String {
    let mut number = 0_u32;
    loop {
        let end = format!("=={number}");
        if !texts.iter().any(|text| text.contains(&end)) {
            return end;
        }
        number += 1;
    }
}

/// Why a job cannot be asked for at all, whatever the host.
pub(crate) fn unfit(job: &JobSpec) -> Option<String> {
    if job.shell.is_empty() || job.shell.contains(['\n', '\0']) {
        return Some(format!("{:?} is not a program", job.shell));
    }
    if job.script.contains('\0') {
        return Some("the script holds a NUL character".to_owned());
    }
    if let Some(user) = &job.become_user
        && !is_user(user)
    {
        return Some(format!("{user:?} is not a user to become: letters, digits, `.`, `_`, `@` and `-`"));
    }
    let secrets = job.secrets.iter().map(|(name, value)| (name, value.expose_secret()));
    for (name, value) in job.env.iter().map(|(name, value)| (name, value.as_str())).chain(secrets) {
        if !is_variable(name) {
            return Some(format!("{name:?} is not the name of an environment variable"));
        }
        if value.contains('\0') {
            return Some(format!("the value of {name} holds a NUL character, which no environment variable can"));
        }
        if name.len() + 1 + value.len() >= LONGEST {
            let len = value.len();
            return Some(format!("the value of {name} has {len} bytes; Linux takes less than {LONGEST} (execve(2))"));
        }
    }
    None
}

/// `MAX_ARG_STRLEN` of Linux, `NAME=value` and its NUL together: execve(2), "Limits on size of arguments and
/// environment".
const LONGEST: usize = 131_072;

fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

pub(crate) fn is_user(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && name.len() <= 64
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '-' | '$'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_login_shell_passes_the_wrapper_on_unharmed() {
        for bad in ['\'', '!', '\\', '\n', '\r', '`', '\t'] {
            assert!(!ONE_LINE.contains(bad), "{bad:?} in the wrapper");
        }
        assert!(ONE_LINE.is_ascii());
    }

    #[test]
    fn every_shell_can_parse_every_script() {
        let scripts = [&ONE_LINE, WRAPPER, FOLLOW, REST, FORGET, CLEAR, SWEEP, PING, BECOME, FETCH, &STOPPING, KILL];
        for shell in [&["dash"][..], &["bash", "--posix"], &["busybox", "sh"], &["ksh"], &["mksh"]] {
            for script in scripts {
                let out = std::process::Command::new(shell[0]).args(&shell[1..]).args(["-n", "-c", script]).output();
                let out = out.unwrap();
                assert!(out.status.success(), "{shell:?}: {}\n{script}", String::from_utf8_lossy(&out.stderr));
            }
        }
    }

    #[test]
    fn a_quoted_word_reads_back_in_every_shell() {
        for text in ["", "a b", "it's", "$(reboot)", "'; x #", "a\nb\\n", "\u{1F600}", "-rf", "!x"] {
            for shell in ["dash", "bash", "ksh", "mksh"] {
                let script = format!("cat <<EOF\n$(printf '%s.' {})\nEOF", quote(text));
                let out = std::process::Command::new(shell).args(["-c", &script]).output().unwrap();
                assert_eq!(String::from_utf8_lossy(&out.stdout), format!("{text}.\n"), "{shell}");
            }
        }
    }
}
