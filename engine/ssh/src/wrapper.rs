//! The wrapper as it is sent: one line that every login shell passes on unharmed.

use std::sync::LazyLock;

const SOURCE: &str = include_str!("wrapper.sh");

/// The script that runs a job as another user; see there.
pub(crate) const AS_USER: &str = include_str!("as-user.sh");

/// The wrapper without comments and line breaks.
pub(crate) static WRAPPER: LazyLock<String> = LazyLock::new(|| {
    let lines = SOURCE.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.collect::<Vec<_>>().join(" ")
});

/// The command that starts the wrapper under `sh`, for any login shell.
pub(crate) fn command(sh: &str) -> String {
    format!("exec {sh} -c '{}' piton", *WRAPPER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn no_login_shell_can_misread_it() {
        for (bad, why) in [
            ('\'', "it stands between single quotes"),
            ('!', "csh and tcsh take it for history, also between quotes"),
            ('\\', "fish takes it for an escape, also between quotes"),
            ('\n', "csh and tcsh end the command there"),
            ('\0', "a command line ends there"),
        ] {
            assert!(!WRAPPER.contains(bad), "{bad:?}: {why}");
        }
    }

    /// Every shell that may be `sh` somewhere reads it, and every login shell passes it on.
    #[test]
    fn every_shell_takes_it() {
        for shell in ["dash", "bash", "busybox ash", "ksh", "mksh"] {
            for login in ["dash", "bash", "fish", "tcsh", "ksh", "mksh"] {
                let mut child = Command::new(login)
                    .args(["-c", &command(shell)])
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap_or_else(|error| panic!("{login} cannot be started: {error}; scripts/test installs it"));
                use std::io::Write;
                let asked = b"word ! /proc/sys/kernel/random/boot_id\nping\n";
                child.stdin.take().expect("it is piped").write_all(asked).expect("it reads");
                let out = child.wait_with_output().expect("it ends");
                let said = String::from_utf8_lossy(&out.stdout).into_owned();
                assert!(said.starts_with("word ready "), "{shell} under {login}: {said}");
                assert!(said.contains("\nword pong "), "{shell} under {login}: {said}");
            }
        }
    }
}
