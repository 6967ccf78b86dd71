//! The activation of CLIP's text encoders.

use serde::{Deserialize, Serialize};

/// The activation between the two linear layers of a text encoder's block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HiddenAct {
    /// `x * sigmoid(1.702 x)`.
    QuickGelu,
    /// The exact GELU.
    Gelu,
}
