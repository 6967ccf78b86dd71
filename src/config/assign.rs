//! Setting options by their names.

use serde_json::Value;

use super::options;
use super::train_config::TrainConfig;
use crate::error::{Error, Problem, ProblemKind, Result};

impl TrainConfig {
    /// Sets an option by its name or alias. Numbers and flags may be given as text.
    ///
    /// # Errors
    /// [`Error::Config`], naming the option, what was found and what was expected.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) -> Result<()> {
        self.assign(name, &value.into())
            .map_err(|problem| Error::Config {
                file: None,
                problems: vec![problem],
            })
    }

    pub(super) fn assign(&mut self, name: &str, value: &Value) -> Result<(), Problem> {
        let Some(spec) = options::option(name) else {
            let nearest = options::nearest_option(name).map(Into::into);
            return Err(Problem::new(name, ProblemKind::Unknown { nearest }));
        };
        spec.set(self, value)
            .map_err(|mismatch| Problem::mismatch(name, mismatch))
    }
}
