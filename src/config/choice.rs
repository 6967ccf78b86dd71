//! Options that take one of a few names.

/// Declares an enum whose variants have names in configuration files.
macro_rules! choice {
    (
        $(#[$meta:meta])*
        $type:ident { $($(#[$doc:meta])* $variant:ident = $name:literal $(| $alias:literal)*,)+ }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $type {
            $($(#[$doc])* $variant,)+
        }

        impl $type {
            /// The names, in the order of the variants.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// The name in configuration files.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The value of this name, in upper or lower case.
            pub fn from_name(name: &str) -> Option<Self> {
                let name = name.to_ascii_lowercase();
                $(
                    if [$name, $($alias),*].iter().any(|known| known.eq_ignore_ascii_case(&name)) {
                        return Some(Self::$variant);
                    }
                )+
                None
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl $crate::config::value::OptionValue for $type {
            fn read(value: &$crate::config::Value) -> Result<Self, $crate::config::value::Mismatch> {
                let expected = || $crate::config::value::one_of(Self::NAMES);
                let name = value.as_str().ok_or_else(|| $crate::config::value::Mismatch::new(value, expected()))?;
                let expected = || $crate::config::value::or_nearest(expected(), name, Self::NAMES);
                Self::from_name(name).ok_or_else(|| $crate::config::value::Mismatch::new(value, expected()))
            }

            fn write(&self) -> $crate::config::Value {
                self.name().into()
            }
        }
    };
}

pub(super) use choice;

choice! {
    /// The kind of adapter, by the name of sd-scripts' module.
    NetworkModule {
        /// LoRA on linear layers and, with `conv_dim`, on 3x3 convolutions.
        Lora = "networks.lora",
    }
}

choice! {
    /// How the learning rate changes over the run, after the warm-up.
    LrScheduler {
        /// It stays; no warm-up.
        Constant = "constant",
        /// It stays.
        ConstantWithWarmup = "constant_with_warmup",
        /// It falls to zero along a straight line.
        Linear = "linear",
        /// It falls to zero along half a cosine.
        Cosine = "cosine",
        /// It falls to zero along half a cosine, `lr_scheduler_num_cycles` times.
        CosineWithRestarts = "cosine_with_restarts",
        /// It falls to nearly zero along (1 - x) to the power of `lr_scheduler_power`.
        Polynomial = "polynomial",
        /// It falls with the root of the steps, `lr_scheduler_timescale` of them being the unit.
        InverseSqrt = "inverse_sqrt",
        /// It falls to `lr_scheduler_min_lr_ratio` of itself along half a cosine.
        CosineWithMinLr = "cosine_with_min_lr",
        /// It stays, and falls in the last `lr_decay_steps`.
        WarmupStableDecay = "warmup_stable_decay",
        /// It has a value for each part of the run, by `step_rules` in `lr_scheduler_args`.
        PiecewiseConstant = "piecewise_constant",
    }
}

choice! {
    /// The error of a predicted value.
    LossType {
        /// The square of the difference.
        L2 = "l2",
        /// Its absolute value.
        L1 = "l1",
        /// Pseudo-Huber loss, <https://arxiv.org/abs/2403.16728>: a square for small differences,
        /// straight for large ones.
        Huber = "huber",
        /// The same, scaled so that the straight part is as steep at every threshold.
        SmoothL1 = "smooth_l1",
    }
}

choice! {
    /// How the threshold of huber and smooth_l1 depends on the timestep.
    HuberSchedule {
        /// By the signal-to-noise ratio.
        Snr = "snr",
        /// It falls exponentially.
        Exponential = "exponential",
        /// It does not.
        Constant = "constant",
    }
}

choice! {
    /// The number type of the base.
    MixedPrecision {
        /// 32-bit floats.
        No = "no",
        /// 16-bit floats with 5 exponent bits.
        Fp16 = "fp16",
        /// 16-bit floats with 8 exponent bits.
        Bf16 = "bf16",
    }
}

choice! {
    /// What SD-Trainer's form says of the base.
    ModelTrainType {
        /// SD 1.x or 2.x.
        SdLora = "sd-lora",
        /// SDXL.
        SdxlLora = "sdxl-lora",
    }
}

choice! {
    /// A set of values for options that are not given.
    Preset {
        /// What SD-Trainer's novice form does not show, as far as it makes sense here.
        Novice = "novice",
    }
}

choice! {
    /// The filter that resizes images.
    Interpolation {
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

choice! {
    /// The number type of the base's weights in memory.
    BaseDtype {
        /// 32-bit floats.
        Float = "float" | "fp32",
        /// 16-bit floats with 8 exponent bits.
        Bf16 = "bf16",
    }
}

choice! {
    /// The number type of saved adapters.
    SavePrecision {
        /// 32-bit floats.
        Float = "float" | "fp32",
        /// 16-bit floats with 5 exponent bits.
        Fp16 = "fp16",
        /// 16-bit floats with 8 exponent bits.
        Bf16 = "bf16",
    }
}

choice! {
    /// Whose numbers to reproduce where programs differ.
    Compat {
        /// Those of the released pipelines.
        None = "none",
        /// Those of sd-scripts.
        SdScripts = "sd-scripts" | "sd_scripts",
    }
}

choice! {
    /// The sampler of preview images.
    Sampler {
        /// Deterministic, <https://arxiv.org/abs/2010.02502>.
        Ddim = "ddim",
        /// Euler with fresh noise in each step.
        EulerA = "euler_a" | "k_euler_a",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_are_read_in_any_case() {
        assert_eq!(LossType::from_name("Smooth_L1"), Some(LossType::SmoothL1));
        assert_eq!(Sampler::from_name("K_Euler_A"), Some(Sampler::EulerA));
        assert_eq!(Compat::from_name("SD-scripts"), Some(Compat::SdScripts));
        assert_eq!(SavePrecision::from_name("float16"), None);
        assert_eq!(
            LrScheduler::CosineWithRestarts.to_string(),
            "cosine_with_restarts"
        );
        assert_eq!(LrScheduler::NAMES.len(), 10);
    }
}
