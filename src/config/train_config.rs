//! The struct of all options, with its defaults.

use std::path::PathBuf;

use super::values::{
    Arguments, BaseDtype, BlockWeights, Color, Compat, FaceCropRange, HuberSchedule, Interpolation,
    LossType, LrScheduler, MixedPrecision, ModelConfig, ModelTrainType, NetworkModule,
    OptimizerArgs, OptimizerType, Preset, Resolution, Sampler, SavePrecision, WarmupSteps,
};

macro_rules! declare_struct {
    ($(@group $group:ident {
        $(
            $(#[doc = $doc:literal])+
            $field:ident: $type:ty = $default:expr, $kind:expr $(, $rule:ident = $value:expr)*;
            $(by family: $resolved:ty { $($family:ident => $by_family:expr),+ $(,)? })?
        )+
        $(
            @without_field
            $(#[doc = $setter_doc:literal])+
            $setter:ident: $setter_kind:expr $(, $setter_rule:ident = $setter_value:expr)*;
        )*
    })+) => {
        /// All settings of a training run. Fields have the names of sd-scripts' options; relative
        /// paths start at the working directory.
        ///
        /// [`TrainConfig::new`] gives settings that train a good LoRA of an SD 1.x model. Fields
        /// that are `None` or empty are unset; their documentation says what applies then.
        /// [`validate`](Self::validate) checks the values.
        #[derive(Debug, Clone, PartialEq)]
        pub struct TrainConfig {
            $($(
                $(#[doc = $doc])+
                pub $field: $type,
            )+)+
        }

        impl TrainConfig {
            fn defaults() -> Self {
                Self { $($($field: $default,)+)+ }
            }
        }
    };
}

all_options!(declare_struct);

impl TrainConfig {
    /// The default settings for this base checkpoint and folder of images.
    pub fn new(
        pretrained_model_name_or_path: impl Into<PathBuf>,
        train_data_dir: impl Into<PathBuf>,
    ) -> Self {
        Self {
            pretrained_model_name_or_path: pretrained_model_name_or_path.into(),
            train_data_dir: train_data_dir.into(),
            ..Self::defaults()
        }
    }
}
