//! Errors of adapters and their files.

/// Why adapters can't be made or read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No layer gets an adapter.
    #[error("no layer of the model is a target of the adapters")]
    NoTargets,
    /// A LoRA file that does not fit the adapters; the message lists every misfit.
    #[error("the LoRA file does not fit the base model and the configured adapters; \
         {}", listed(.0))]
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
