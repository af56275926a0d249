//! Secrets: the port that fetches them, and all that is done so that nobody sees them.
//!
//! A secret's text lives in the vault of the driver and on the pipe to a host, and nowhere else. Everything that comes
//! back (output, outputs by name, errors) goes through a [`masker`] before it is kept, shown or decided upon.

mod forms;
pub mod masker;
pub(crate) mod news;
pub(crate) mod output;
mod system;
pub(crate) mod vault;

use async_trait::async_trait;
use piton_core::ids::ParamName;
use piton_core::runbook::SecretSource;
use secrecy::{ExposeSecret as _, SecretString};

pub use system::SystemSecrets;

/// Fetches the texts of secrets.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The text of a secret.
    ///
    /// # Errors
    /// Says in words why it cannot be had and what to do. Nothing of the text is in it.
    async fn fetch(&self, name: &ParamName, source: &SecretSource) -> Result<SecretString, String>;

    /// What the text can be recognized by later, as `key:digest`, without saying anything of it to whoever does not have the
    /// key; empty where there is no key.
    fn mark(&self, name: &ParamName, text: &SecretString) -> String;
}

/// How short a secret may be, in bytes: a shorter one would be masked everywhere in ordinary text, and is no secret anyway.
pub const SHORTEST: usize = 4;

/// How long a secret may be, in bytes.
pub const LONGEST: usize = 16 << 10;

/// Whether a text can be kept secret.
///
/// # Errors
/// Says why not.
pub fn check_text(text: &SecretString) -> Result<(), String> {
    let text = text.expose_secret();
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if text.len() < SHORTEST {
        return Err(format!(
            "it has fewer than {SHORTEST} bytes: masking it would spoil ordinary output, and anybody can guess it"
        ));
    }
    if text.len() > LONGEST {
        return Err(format!("it has more than {LONGEST} bytes"));
    }
    if text.contains('\0') {
        return Err("it has a NUL character, which no environment variable can carry".to_owned());
    }
    if text.trim_matches(|c: char| c == '*' || c.is_whitespace()).is_empty() {
        return Err("it consists of asterisks and blanks".to_owned());
    }
    Ok(())
}

/// Secrets are never asked for: for plans that have none, and for tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSecrets;

#[async_trait]
impl Secrets for NoSecrets {
    async fn fetch(&self, _name: &ParamName, _source: &SecretSource) -> Result<SecretString, String> {
        Err("there is nothing here that fetches secrets".to_owned())
    }

    fn mark(&self, _name: &ParamName, _text: &SecretString) -> String {
        String::new()
    }
}
