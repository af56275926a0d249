//! The texts of a run's secrets, while an engine drives it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use piton_core::ids::ParamName;
use piton_core::plan::Plan;
use piton_core::run::Input;
use piton_core::runbook::{Piece, Sealed};
use piton_core::time::Timestamp;
use piton_core::value::Value;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::masker::Masker;
use super::{Secrets, check_text};

/// The texts of a run's secrets. It is shut until it is on record that they were fetched; nothing that needs them, and nothing
/// whose output would have to be masked, goes on before.
pub(crate) struct Vault {
    state: watch::Sender<Option<Arc<Open>>>,
    /// Fetched, and not yet on record.
    fetched: Mutex<Option<Fetched>>,
}

struct Fetched {
    texts: BTreeMap<ParamName, SecretString>,
    masker: Masker,
}

/// An open vault.
#[derive(Default)]
pub(crate) struct Open {
    texts: BTreeMap<ParamName, SecretString>,
    masker: Option<Masker>,
    changed: Option<Timestamp>,
}

impl Vault {
    /// The vault for a plan; open if there is nothing to keep.
    pub(crate) fn new(plan: &Plan) -> Arc<Self> {
        let open = plan.secrets.is_empty().then(Arc::<Open>::default);
        Arc::new(Self { state: watch::Sender::new(open), fetched: Mutex::default() })
    }

    /// Fetches the plan's secrets; what came of it is news for the run.
    pub(crate) async fn fetch(&self, plan: &Plan, from: &dyn Secrets) -> Input {
        let (mut texts, mut marks, mut missing) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (name, source) in &plan.secrets {
            let fetched = from.fetch(name, source).await.and_then(|text| check_text(&text).map(|()| text));
            match fetched {
                Ok(text) => {
                    marks.insert(name.clone(), from.mark(name, &text));
                    texts.insert(name.clone(), text);
                }
                Err(why) => drop(missing.insert(name.clone(), why)),
            }
        }
        if missing.is_empty() {
            match Masker::new(texts.values()) {
                Ok(masker) => {
                    *self.fetched.lock().unwrap_or_else(PoisonError::into_inner) = Some(Fetched { texts, masker });
                    return Input::SecretsFetched { marks };
                }
                Err(why) => missing.extend(texts.into_keys().map(|name| (name, why.clone()))),
            }
        }
        Input::SecretsMissing { missing }
    }

    /// It is on record that the secrets were fetched: they can be used. `changed` is when one of them last changed.
    pub(crate) fn open(&self, changed: Option<Timestamp>) {
        let fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Fetched { texts, masker }) = fetched {
            self.state.send_replace(Some(Arc::new(Open { texts, masker: Some(masker), changed })));
        }
    }

    /// Waits until the vault is open: for ever, if the secrets cannot be had.
    pub(crate) async fn opened(&self) -> Arc<Open> {
        let mut state = self.state.subscribe();
        // The sender lives in `self`: waiting does not fail.
        let open = state.wait_for(Option::is_some).await.ok().and_then(|open| open.clone());
        match open {
            Some(open) => open,
            None => std::future::pending().await,
        }
    }

    /// What is open now.
    pub(crate) fn now(&self) -> Option<Arc<Open>> {
        self.state.borrow().clone()
    }
}

impl Open {
    /// What hides the secrets, where there are any.
    pub(crate) fn masker(&self) -> Option<&Masker> {
        self.masker.as_ref()
    }

    /// Whether what began then may print a text that is not known any more.
    pub(crate) fn is_stale(&self, since: Timestamp) -> bool {
        self.changed.is_some_and(|changed| since < changed)
    }

    /// The text with its secrets in it.
    pub(crate) fn unseal(&self, sealed: &Sealed) -> SecretString {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.len(),
            Piece::Secret(name) => self.texts.get(name).map_or(0, |text| text.expose_secret().len()),
        };
        // With its room from the start, so that no copy is left behind by growing.
        let mut text = Zeroizing::new(String::with_capacity(sealed.0.iter().map(piece).sum()));
        for piece in &sealed.0 {
            match piece {
                Piece::Text(constant) => text.push_str(constant),
                Piece::Secret(name) => {
                    text.push_str(self.texts.get(name).map_or("", |text| text.expose_secret()));
                }
            }
        }
        SecretString::from(text.as_str())
    }

    /// A text with the secrets hidden.
    pub(crate) fn mask(&self, text: &str) -> String {
        self.masker.as_ref().map_or_else(|| text.to_owned(), |masker| masker.mask(text))
    }

    /// A value with the secrets hidden, in texts, in names, and in numbers.
    pub(crate) fn mask_value(&self, value: Value) -> Value {
        if self.masker.is_none() {
            return value;
        }
        match value {
            Value::Null | Value::Bool(_) => value,
            Value::String(text) => Value::String(self.mask(&text)),
            Value::Number(number) => {
                let text = number.to_string();
                let masked = self.mask(&text);
                if masked == text { Value::Number(number) } else { Value::String(masked) }
            }
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.mask_value(item)).collect()),
            Value::Object(map) => {
                Value::Object(map.into_iter().map(|(key, item)| (self.mask(&key), self.mask_value(item))).collect())
            }
        }
    }
}
