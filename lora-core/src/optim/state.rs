//! State of the rules: moments, factored means of squares, and the part of one stack in an update.

pub(super) mod factored;
pub(super) mod moment;
pub(super) mod quantized;
pub(super) mod sums;
pub(super) mod update;
