//! The error of this crate.

/// What can go wrong, with the culprit's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A device that does not exist or that this build does not support.
    #[error("device `{name}`: {reason}")]
    Device {
        /// The name as it was given.
        name: String,
        /// Why it can't be used.
        reason: String,
    },
}

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
