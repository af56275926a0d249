//! Secrets in a test: nothing is fetched; each has the text that the test gives it, or one that tells which one it is.

use std::collections::BTreeMap;

use async_trait::async_trait;
use piton_core::ids::ParamName;
use piton_core::runbook::SecretSource;
use piton_runner::secrets::Secrets;
use secrecy::SecretString;

/// Gives every secret its text of the test, else `simulated-NAME`.
pub(crate) struct SimSecrets(pub(crate) BTreeMap<String, String>);

#[async_trait]
impl Secrets for SimSecrets {
    async fn fetch(&self, name: &ParamName, _source: &SecretSource) -> Result<SecretString, String> {
        let given = self.0.get(name.as_str()).cloned();
        Ok(SecretString::from(given.unwrap_or_else(|| format!("simulated-{name}"))))
    }

    fn mark(&self, _name: &ParamName, _text: &SecretString) -> String {
        String::new()
    }
}
