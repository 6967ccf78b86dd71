//! The promises of this project as tests, one module a promise.
#![allow(missing_docs)]

mod golden;
mod hashes;
mod metadata;
