//! The values of unset options that depend on the base's family.

use lora_models::Family;

use super::train_config::TrainConfig;
use super::values::{BaseDtype, Compat, MixedPrecision, ModelTrainType, Preset, Resolution};

macro_rules! declare_family_defaults {
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
        /// The defaults of the records, one function per option.
        mod by_family {
            use super::{BaseDtype, Family, Resolution};

            $($($(
                pub(super) fn $field(family: Family) -> $resolved {
                    match family {
                        $(Family::$family => $by_family),+
                    }
                }
            )?)+)+
        }
    };
}

all_options!(declare_family_defaults);

impl TrainConfig {
    /// These settings with those that depend on the base's family filled in if they are not set.
    #[must_use]
    pub fn resolved(&self, family: Family) -> Self {
        Self {
            clip_skip: self.clip_skip.or_else(|| self.clip_skip_of_preset(family)),
            resolution: Some(self.resolution_for(family)),
            max_bucket_reso: Some(self.max_bucket_reso_for(family)),
            base_dtype: Some(self.base_dtype_for(family)),
            ..self.clone()
        }
    }

    /// The training resolution with a base of this family.
    pub fn resolution_for(&self, family: Family) -> Resolution {
        self.resolution
            .unwrap_or_else(|| by_family::resolution(self.family_of_defaults(family)))
    }

    /// The longest side of a bucket with a base of this family. Pixels.
    pub fn max_bucket_reso_for(&self, family: Family) -> u32 {
        self.max_bucket_reso
            .unwrap_or_else(|| by_family::max_bucket_reso(self.family_of_defaults(family)))
    }

    /// The number type of the UNet's weights in memory with a base of this family.
    pub fn base_dtype_for(&self, family: Family) -> BaseDtype {
        match self.base_dtype {
            Some(dtype) => dtype,
            None if self.mixed_precision == MixedPrecision::Bf16 => BaseDtype::Bf16,
            None => by_family::base_dtype(self.family_of_defaults(family)),
        }
    }

    /// The family that the configuration itself names; SD 1.x if it names none.
    pub(crate) fn likely_family(&self) -> Family {
        match (self.model_train_type, self.v2) {
            (Some(ModelTrainType::SdxlLora), _) => Family::Sdxl,
            (_, Some(true)) => Family::Sd2,
            _ => Family::Sd1,
        }
    }

    /// The family whose defaults apply: SD-Trainer has the same defaults for every family.
    fn family_of_defaults(&self, family: Family) -> Family {
        match self.compat {
            Compat::None => family,
            Compat::SdScripts => Family::Sd1,
        }
    }

    fn clip_skip_of_preset(&self, family: Family) -> Option<u32> {
        (self.preset == Some(Preset::Novice) && family == Family::Sd1).then_some(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unset_options_follow_from_the_family() {
        let sizes = |config: &TrainConfig| {
            Family::ALL.map(|family| {
                let config = config.resolved(family);
                (
                    config.resolution.unwrap().width,
                    config.max_bucket_reso.unwrap(),
                    config.base_dtype.unwrap(),
                )
            })
        };
        let config = TrainConfig::new("", "");
        let sd1 = (512, 1024, BaseDtype::Float);
        assert_eq!(
            sizes(&config),
            [
                sd1,
                (768, 1536, BaseDtype::Float),
                (1024, 2048, BaseDtype::Bf16)
            ]
        );
        assert_eq!(
            sizes(&TrainConfig {
                compat: Compat::SdScripts,
                ..config.clone()
            }),
            [sd1; 3]
        );
        let given = TrainConfig {
            resolution: Some(Resolution::square(640)),
            max_bucket_reso: Some(896),
            base_dtype: Some(BaseDtype::Bf16),
            ..config
        };
        assert_eq!(sizes(&given), [(640, 896, BaseDtype::Bf16); 3]);
        assert_eq!(given.resolved(Family::Sdxl), given);
    }
}
