//! Enums whose variants have names in configuration files.

/// Declares an enum of unit variants with the names that users write for them.
///
/// A variant may have further names after a `|`. The enum gets `ALL`, `NAMES`, `name()`,
/// `from_name()` (any case) and `Display`.
///
/// ```
/// lora_core::named_enum! {
///     /// The colour of a traffic light.
///     pub enum Light {
///         /// Stop.
///         Red = "red",
///         /// Go.
///         Green = "green" | "go",
///     }
/// }
///
/// assert_eq!(Light::from_name("GO"), Some(Light::Green));
/// assert_eq!(Light::NAMES, ["red", "green"]);
/// ```
#[macro_export]
macro_rules! named_enum {
    (
        $(#[$meta:meta])*
        $visibility:vis enum $type:ident {
            $($(#[$doc:meta])* $variant:ident = $name:literal $(| $alias:literal)*,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $visibility enum $type {
            $($(#[$doc])* $variant,)+
        }

        impl $type {
            /// All variants.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The names of all variants, in the same order.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// The name in configuration files.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The variant of this name, in upper or lower case.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                $(
                    if [$name, $($alias),*].iter().any(|known| known.eq_ignore_ascii_case(name)) {
                        return Some(Self::$variant);
                    }
                )+
                None
            }
        }

        impl ::std::fmt::Display for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}
