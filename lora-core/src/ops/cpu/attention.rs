//! Attention in tiles (Dao et al. 2022): scores exist for a block of queries and a block of keys at
//! a time, and are computed again in the backward pass.

mod backward;
mod forward;
mod tile;

pub(crate) use backward::{Saved, backward};
pub(crate) use forward::forward;
pub(crate) use tile::AttentionShape;
