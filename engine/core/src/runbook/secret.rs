//! Secrets, as far as the core knows them: where they come from, and where they go. Never what they are.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::ParamName;

/// Where the text of a secret comes from. It stands in the plan in the place of the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// An environment variable of whoever runs the engine.
    Env(String),
    /// A file on the engine's machine; relative to the project.
    File(String),
    /// What a command prints on the engine's machine: a line for `sh -c`, carried out in the project.
    Command(String),
    /// Somebody types it in, on the terminal of the engine.
    Prompt,
}

impl SecretSource {
    /// Reads `env:NAME`, `file:PATH`, `cmd:LINE` or `prompt`.
    ///
    /// # Errors
    /// Says in words what is wrong. The text itself is not in the message: it may be a secret that somebody wrote there.
    pub fn parse(text: &str) -> Result<Self, String> {
        const FORMS: &str = "a secret comes from `env:NAME`, `file:PATH`, `cmd:COMMAND` or `prompt`";
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err("it contains a control character".to_owned());
        }
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        match (kind, rest) {
            ("prompt", "") => Ok(Self::Prompt),
            ("env" | "file" | "cmd", "") => Err(format!("nothing stands behind `{kind}:`")),
            ("env", name) if name.contains(['=', ' ', '\n', '\t']) => {
                Err("what stands behind `env:` is not the name of an environment variable".to_owned())
            }
            ("env", name) => Ok(Self::Env(name.to_owned())),
            ("file", path) => Ok(Self::File(path.to_owned())),
            ("cmd", line) if line.trim().is_empty() => Err("nothing stands behind `cmd:`".to_owned()),
            ("cmd", line) => Ok(Self::Command(line.to_owned())),
            (_, _) => Err(FORMS.to_owned()),
        }
    }
}

/// As [`SecretSource::parse`] reads it.
impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{path}"),
            Self::Command(line) => write!(f, "cmd:{line}"),
            Self::Prompt => f.write_str("prompt"),
        }
    }
}

/// A piece of a [`Sealed`] text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// As it is.
    Text(String),
    /// The text of this secret, which only the runner has.
    Secret(ParamName),
}

/// A text with secrets in it, which are named and not there yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed(pub Vec<Piece>);

/// Whether a script speaks of a name: as a word, not as a part of a longer one.
pub fn speaks_of(script: &str, name: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    script
        .match_indices(name)
        .any(|(at, _)| !script[..at].ends_with(inside) && !script[at + name.len()..].starts_with(inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_and_written() {
        for text in ["env:TOKEN", "file:/etc/x y", "file:keys/a:b", "cmd:pass show 'a b' | head -1", "prompt"] {
            assert_eq!(SecretSource::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", "env:", "cmd: ", "hunter2", "env:A=b", "prompt:x", "vault:x", "file:\0"] {
            let why = SecretSource::parse(bad).unwrap_err();
            assert!(!why.contains("hunter2") && !why.is_empty(), "{bad}: {why}");
        }
    }

    #[test]
    fn a_script_speaks_of_whole_words() {
        for script in ["echo \"$token\"", "${token}", "token", "os.environ['token']", "x=$other; y=$token"] {
            assert!(speaks_of(script, "token"), "{script}");
        }
        for script in ["", "tokens", "my_token", "echo $Token", "token_2 token2"] {
            assert!(!speaks_of(script, "token"), "{script}");
        }
    }
}
