//! Options that take one of a few names.

use lora_core::named_enum;
use serde_json::Value;

use super::option_value::OptionValue;
use crate::config::nearest::{one_of, or_nearest};
use crate::error::Mismatch;

pub use lora_core::adapter::SavePrecision;
pub use lora_core::diffusion::{HuberSchedule, LossType, Sampler};
pub use lora_core::optim::OptimizerKind as OptimizerType;

/// Reads and writes a type by its names, which it has as a [`named_enum!`] has them.
macro_rules! by_name {
    ($($type:ident)+) => {
        $(impl OptionValue for $type {
            fn read(value: &Value) -> Result<Self, Mismatch> {
                read_name(value, &Self::NAMES, Self::from_name)
            }

            fn write(&self) -> Value {
                self.name().into()
            }
        })+
    };
}

fn read_name<T>(
    value: &Value,
    names: &[&str],
    from_name: impl Fn(&str) -> Option<T>,
) -> Result<T, Mismatch> {
    let Some(name) = value.as_str() else {
        return Err(Mismatch::new(value, one_of(names)));
    };
    from_name(name).ok_or_else(|| Mismatch::new(value, or_nearest(one_of(names), name, names)))
}

by_name! {
    BaseDtype BlockCurve Compat HuberSchedule Interpolation LossType LrScheduler MixedPrecision
    ModelTrainType NetworkModule OptimizerType Preset Sampler SavePrecision
}

named_enum! {
    /// The kind of adapter, by the name of sd-scripts' module.
    #[non_exhaustive]
    pub enum NetworkModule {
        /// LoRA on linear layers and, with `conv_dim`, on 3x3 convolutions.
        Lora = "networks.lora",
    }
}

named_enum! {
    /// The learning rate schedule after the warmup.
    #[non_exhaustive]
    pub enum LrScheduler {
        /// Constant, without warmup.
        Constant = "constant",
        /// Constant.
        ConstantWithWarmup = "constant_with_warmup",
        /// Falls to zero along a straight line.
        Linear = "linear",
        /// Falls to zero along half a cosine.
        Cosine = "cosine",
        /// Falls to zero along half a cosine, `lr_scheduler_num_cycles` times.
        CosineWithRestarts = "cosine_with_restarts",
        /// Falls to nearly zero along (1 - x) to the power of `lr_scheduler_power`.
        Polynomial = "polynomial",
        /// Falls with the square root of the steps, in units of `lr_scheduler_timescale`.
        InverseSqrt = "inverse_sqrt",
        /// Falls to the fraction `lr_scheduler_min_lr_ratio` along half a cosine.
        CosineWithMinLr = "cosine_with_min_lr",
        /// Constant, and falls in the last `lr_decay_steps`.
        WarmupStableDecay = "warmup_stable_decay",
        /// One factor for each part of the run, from `step_rules` in `lr_scheduler_args`.
        PiecewiseConstant = "piecewise_constant",
    }
}

named_enum! {
    /// The number type of the base.
    #[non_exhaustive]
    pub enum MixedPrecision {
        /// 32-bit floats.
        No = "no",
        /// 16-bit floats with 5 exponent bits.
        Fp16 = "fp16",
        /// 16-bit floats with 8 exponent bits.
        Bf16 = "bf16",
    }
}

named_enum! {
    /// SD-Trainer's name for the kind of base.
    #[non_exhaustive]
    pub enum ModelTrainType {
        /// SD 1.x or 2.x.
        SdLora = "sd-lora",
        /// SDXL.
        SdxlLora = "sdxl-lora",
    }
}

named_enum! {
    /// A set of values for options that are not set.
    #[non_exhaustive]
    pub enum Preset {
        /// The hidden settings of SD-Trainer's novice form, as far as they apply here.
        Novice = "novice",
    }
}

named_enum! {
    /// The filter that resizes images.
    #[non_exhaustive]
    pub enum Interpolation {
        /// Pillow's `LANCZOS`.
        Lanczos = "lanczos",
        /// The nearest pixel.
        Nearest = "nearest",
        /// Between the four nearest pixels.
        Linear = "linear" | "bilinear",
        /// Between the sixteen nearest pixels.
        Cubic = "cubic" | "bicubic",
        /// The mean over the area of a pixel.
        Area = "area",
    }
}

named_enum! {
    /// The number type of the base's weights in memory.
    #[non_exhaustive]
    pub enum BaseDtype {
        /// 32-bit floats.
        Float = "float" | "fp32",
        /// 16-bit floats with 8 exponent bits.
        Bf16 = "bf16",
    }
}

named_enum! {
    /// Whose numbers to reproduce if programs differ.
    #[non_exhaustive]
    pub enum Compat {
        /// Those of the released pipelines.
        None = "none",
        /// Those of sd-scripts.
        SdScripts = "sd-scripts" | "sd_scripts",
    }
}

named_enum! {
    /// A curve over the blocks, between 0 and 1.
    #[non_exhaustive]
    pub enum BlockCurve {
        /// A quarter of a sine, rising.
        Sine = "sine",
        /// A quarter of a cosine, falling.
        Cosine = "cosine",
        /// A straight line, rising.
        Linear = "linear",
        /// A straight line, falling.
        ReverseLinear = "reverse_linear",
        /// Zero.
        Zeros = "zeros",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_are_read_in_any_case() {
        assert_eq!(LossType::read(&"Smooth_L1".into()), Ok(LossType::SmoothL1));
        assert_eq!(Sampler::read(&"K_Euler_A".into()), Ok(Sampler::EulerA));
        assert_eq!(Compat::from_name("SD-scripts"), Some(Compat::SdScripts));
        assert_eq!(SavePrecision::from_name("float16"), None);
        assert_eq!(
            LrScheduler::CosineWithRestarts.to_string(),
            "cosine_with_restarts"
        );
        assert_eq!(LrScheduler::NAMES.len(), 10);
    }

    #[test]
    fn optimizers_are_read_in_any_case_and_written_in_the_spelling_of_sd_trainer() {
        for (name, written) in [
            ("adamw8BIT", "AdamW8bit"),
            (
                "prodigyplus.prodigyplusschedulefree",
                "prodigyplus.ProdigyPlusScheduleFree",
            ),
            ("came", "pytorch_optimizer.CAME"),
            ("Adafactor", "AdaFactor"),
        ] {
            let read = OptimizerType::read(&name.into());
            assert_eq!(read.map(|optimizer| optimizer.write()), Ok(written.into()));
        }
        let error = OptimizerType::read(&"Adan".into()).unwrap_err();
        assert!(
            error.expected.contains("DAdaptAdan, "),
            "{}",
            error.expected
        );
        assert!(error.expected.contains("Prodigy"), "{}", error.expected);
    }
}
