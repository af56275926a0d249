//! Secrets in a test: nothing is fetched, each has a text that tells which one it is.

use async_trait::async_trait;
use piton_core::ids::ParamName;
use piton_core::runbook::SecretSource;
use piton_runner::secrets::Secrets;
use secrecy::SecretString;

/// Gives every secret the text `simulated-NAME`.
pub(crate) struct SimSecrets;

#[async_trait]
impl Secrets for SimSecrets {
    async fn fetch(&self, name: &ParamName, _source: &SecretSource) -> Result<SecretString, String> {
        Ok(SecretString::from(format!("simulated-{name}")))
    }

    fn mark(&self, _name: &ParamName, _text: &SecretString) -> String {
        String::new()
    }
}
