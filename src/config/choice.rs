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
                Self::from_name(name).ok_or_else(|| $crate::config::value::Mismatch::new(value, expected()))
            }

            fn write(&self) -> $crate::config::Value {
                self.name().into()
            }
        }
    };
}

choice! {
    /// The optimizer.
    OptimizerType {
        /// Adam with decoupled weight decay, <https://arxiv.org/abs/1711.05101>.
        AdamW = "AdamW",
    }
}

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
    }
}

choice! {
    /// The filter that resizes pictures.
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
    /// The sampler of preview pictures.
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
        assert_eq!(OptimizerType::from_name("adamw"), Some(OptimizerType::AdamW));
        assert_eq!(Sampler::from_name("K_Euler_A"), Some(Sampler::EulerA));
        assert_eq!(Compat::from_name("SD-scripts"), Some(Compat::SdScripts));
        assert_eq!(SavePrecision::from_name("float16"), None);
        assert_eq!(LrScheduler::CosineWithRestarts.to_string(), "cosine_with_restarts");
        assert_eq!(LrScheduler::NAMES.len(), 5);
    }
}
