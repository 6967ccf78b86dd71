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

/// The options whose defaults depend on the base's family, with a value each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FamilyOptions {
    /// The training resolution. Pixels.
    pub resolution: Resolution,
    /// The longest side of a bucket. Pixels.
    pub max_bucket_reso: u32,
    /// The number type of the UNet's weights in memory.
    pub base_dtype: BaseDtype,
}

impl TrainConfig {
    /// The options whose defaults depend on the family, for a base of this family.
    #[must_use]
    pub fn family_options(&self, family: Family) -> FamilyOptions {
        let defaults = self.family_of_defaults(family);
        FamilyOptions {
            resolution: self
                .resolution
                .unwrap_or_else(|| by_family::resolution(defaults)),
            max_bucket_reso: self
                .max_bucket_reso
                .unwrap_or_else(|| by_family::max_bucket_reso(defaults)),
            base_dtype: match self.base_dtype {
                Some(dtype) => dtype,
                None if self.mixed_precision == MixedPrecision::Bf16 => BaseDtype::Bf16,
                None => by_family::base_dtype(defaults),
            },
        }
    }

    /// These settings with those that depend on the base's family filled in if they are not set.
    #[must_use]
    pub fn resolved(&self, family: Family) -> Self {
        let FamilyOptions {
            resolution,
            max_bucket_reso,
            base_dtype,
        } = self.family_options(family);
        Self {
            clip_skip: self.clip_skip.or_else(|| self.clip_skip_of_preset(family)),
            resolution: Some(resolution),
            max_bucket_reso: Some(max_bucket_reso),
            base_dtype: Some(base_dtype),
            ..self.clone()
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
