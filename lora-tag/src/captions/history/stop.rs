//! Stopping a command between two files.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// A flag that stops a command, if there is one.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop(pub(super) Option<Arc<AtomicBool>>);

impl Stop {
    /// # Errors
    /// [`Error::Stopped`] if the flag is set.
    pub(super) fn check(&self) -> Result<()> {
        match &self.0 {
            Some(flag) if flag.load(Ordering::Acquire) => Err(Error::Stopped),
            _ => Ok(()),
        }
    }
}
