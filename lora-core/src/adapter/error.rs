//! What can be wrong with adapters and their files.

/// Why adapters can't be made or read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No layer is a target.
    #[error("no layer of the model is a target of the adapters")]
    NoTargets,
    /// A pattern of layers that means none of those that could be targets.
    #[error(
        "`{option}`: the pattern `{pattern}` matches no layer that is a target of the adapters"
    )]
    Pattern {
        /// `include` or `exclude`.
        option: &'static str,
        /// The pattern.
        pattern: String,
    },
    /// Not one entry for each block of the UNet.
    #[error("`{option}` has {found} entries, expected {expected}, one for each block of the UNet")]
    BlockCount {
        /// The option of sd-scripts.
        option: &'static str,
        /// How many there are.
        found: usize,
        /// How many blocks the UNet has.
        expected: usize,
    },
    /// A weight of a block's learning rate that can't be meant.
    #[error(
        "the learning-rate weight of block {block} is {found}, expected a number that is not below \
         0"
    )]
    BlockWeight {
        /// The block.
        block: usize,
        /// The weight.
        found: f64,
    },
    /// A LoRA file that does not fit the adapters; every misfit is listed.
    #[error("the LoRA does not fit the base and the adapters that are asked for; {}", listed(.0))]
    Misfit(Vec<String>),
}

fn listed(misfits: &[String]) -> String {
    const SHOWN: usize = 12;
    if let [misfit] = misfits {
        return misfit.clone();
    }
    let mut text = format!("{} problems", misfits.len());
    for misfit in misfits.iter().take(SHOWN) {
        text.push_str(&format!("\n  {misfit}"));
    }
    if misfits.len() > SHOWN {
        text.push_str(&format!("\n  and {} more", misfits.len() - SHOWN));
    }
    text
}
