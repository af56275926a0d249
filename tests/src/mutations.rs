//! Faults that are planted on purpose, each with the tests that must see it. `scripts/mutate` plants them, one at a time.

#![expect(clippy::unwrap_used, reason = "whoever reads a wrong table should hear of it at once")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A fault that can be planted.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutation {
    /// What it goes by.
    pub name: String,
    /// What would go wrong with it, in a sentence.
    pub breaks: String,
    /// The file it is planted in, relative to the root of the repository.
    pub file: String,
    /// The text that is replaced; it stands in the file exactly once.
    pub find: String,
    /// What replaces it.
    pub put: String,
    /// The tests that must fail then, each as `PACKAGE NAME`.
    pub seen_by: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    mutation: Vec<Mutation>,
}

impl Mutation {
    /// The file's text with the fault in it, or why it cannot be planted there.
    ///
    /// # Errors
    /// When the text to be replaced does not stand there exactly once, or nothing would be replaced.
    pub fn plant(&self, text: &str) -> Result<String, String> {
        match text.matches(&self.find).count() {
            1 if self.find == self.put => Err(format!("{}: what is put is what is there", self.name)),
            1 => Ok(text.replacen(&self.find, &self.put, 1)),
            count => Err(format!("{}: {} has `{}` {count} times, not once", self.name, self.file, self.find.trim())),
        }
    }

    /// The tests that must see it, by the package that they are in.
    ///
    /// # Panics
    /// If an entry is not a package and a name.
    pub fn tests(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut tests: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for test in &self.seen_by {
            let (package, name) = test.split_once(' ').unwrap_or_else(|| panic!("`{test}` is no `PACKAGE NAME`"));
            tests.entry(package).or_default().push(name);
        }
        tests
    }
}

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All of them, as `tests/mutations.toml` has them.
///
/// # Panics
/// If the table cannot be read.
pub fn all() -> Vec<Mutation> {
    let path = root().join("tests/mutations.toml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let table: Table = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    table.mutation
}
