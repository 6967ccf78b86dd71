//! D-Adaptation (Defazio & Mishchenko 2023): rules that estimate the distance d to the solution,
//! over all parameters, and multiply rates with it. As in the package dadaptation 3.

mod adagrad;
mod adam;
mod adan;
mod distance;
mod lion;
mod moments;
mod preprint;
mod sgd;

pub(crate) use adagrad::DAdaptAdaGrad;
pub use adagrad::DAdaptAdaGradConfig;
pub(crate) use adam::DAdaptAdam;
pub use adam::DAdaptAdamConfig;
pub(crate) use adan::DAdaptAdan;
pub use adan::DAdaptAdanConfig;
pub(crate) use lion::DAdaptLion;
pub use lion::DAdaptLionConfig;
pub use preprint::DAdaptAdamPreprintConfig;
pub(crate) use preprint::DAdaptPreprint;
pub(crate) use sgd::DAdaptSgd;
pub use sgd::DAdaptSgdConfig;
