//! The text encoders of a model, one or two.

use burn::tensor::Tensor;
use lora_core::ForwardContext;

use super::encoder::{TextEncoder, join_windows};
use super::tokenizer::{Padding, TokenLimit, Tokenizer, Window};
use super::weighting::WeightedTokens;
use crate::family::Family;

/// The text encoders of a base model: CLIP-L (SD 1.x), OpenCLIP-H (SD 2.x), or CLIP-L and OpenCLIP
/// bigG (SDXL).
#[derive(Debug)]
pub struct TextEncoders {
    family: Family,
    encoders: Vec<TextEncoder>,
}

/// A caption as the encoders of a family take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptionWindows {
    /// For the first encoder.
    pub first: Vec<Window>,
    /// For the second; empty where there is none.
    pub second: Vec<Window>,
}

/// What the encoders make of captions.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// `[b, l, d]`
    pub context: Tensor<3>,
    /// SDXL's pooled and projected state. `[b, d']`
    pub pooled: Option<Tensor<2>>,
}

impl Encoded {
    /// Several as one batch. Either all or none are pooled.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn cat(all: Vec<Self>) -> Self {
        let context = Tensor::cat(
            all.iter().map(|encoded| encoded.context.clone()).collect(),
            0,
        );
        let pooled: Option<Vec<_>> = all.into_iter().map(|encoded| encoded.pooled).collect();
        Self {
            context,
            pooled: pooled.map(|pooled| Tensor::cat(pooled, 0)),
        }
    }
}

/// How the windows of a family's encoders are filled.
fn paddings(family: Family) -> [Option<Padding>; 2] {
    match family {
        Family::Sd1 => [Some(Padding::End), None],
        Family::Sd2 => [Some(Padding::Zero), None],
        Family::Sdxl => [Some(Padding::End), Some(Padding::Zero)],
    }
}

fn caption_windows(family: Family, fill: impl Fn(Padding) -> Vec<Window>) -> CaptionWindows {
    let [first, second] = paddings(family).map(|padding| padding.map(&fill).unwrap_or_default());
    CaptionWindows { first, second }
}

impl Tokenizer {
    /// The windows of a caption for the encoders of a family.
    #[must_use]
    pub fn caption(&self, text: &str, limit: TokenLimit, family: Family) -> CaptionWindows {
        caption_windows(family, |padding| self.windows_padded(text, limit, padding))
    }
}

impl WeightedTokens {
    /// As many windows as the limit allows, for the encoders of a family, and a weight for each
    /// position of the context.
    #[must_use]
    pub fn caption(&self, limit: TokenLimit, family: Family) -> (CaptionWindows, Vec<f32>) {
        let windows = caption_windows(family, |padding| self.windows_padded(limit, padding).ids);
        (windows, self.windows(limit).weights)
    }
}

impl TextEncoders {
    /// The encoders of a model, the first one first.
    ///
    /// # Panics
    /// If there are not as many as the family has.
    #[must_use]
    pub fn new(family: Family, encoders: Vec<TextEncoder>) -> Self {
        assert_eq!(
            encoders.len(),
            paddings(family).iter().flatten().count(),
            "text encoders of {family}"
        );
        Self { family, encoders }
    }

    /// Encodes captions of one number of windows.
    ///
    /// With one encoder: its last state but `clip_skip` - 1, through the final norm. With two: the
    /// states before the last layers of both, side by side and without norm, whatever `clip_skip`
    /// is, and the pooled state of each caption's first window.
    ///
    /// # Shapes
    /// - context: `[captions, 75 windows + 2, d]`
    /// - pooled: `[captions, d']`
    ///
    /// # Panics
    /// If `clip_skip` is 0 or larger than the number of layers + 1; if there are no captions or
    /// their numbers of windows differ.
    #[must_use]
    pub fn encode(
        &self,
        captions: &[CaptionWindows],
        clip_skip: usize,
        cx: &ForwardContext,
    ) -> Encoded {
        let first: Vec<Vec<Window>> = captions
            .iter()
            .map(|caption| caption.first.clone())
            .collect();
        let [encoder, others @ ..] = self.encoders.as_slice() else {
            unreachable!("there is one at least")
        };
        let [second] = others else {
            return Encoded {
                context: encoder.context(&first, clip_skip, cx),
                pooled: None,
            };
        };
        let flat =
            |captions: &[Vec<Window>]| captions.iter().flatten().copied().collect::<Vec<Window>>();
        let (states, _) = encoder.penultimate(&flat(&first), cx);
        let captions: Vec<Vec<Window>> = captions
            .iter()
            .map(|caption| caption.second.clone())
            .collect();
        let (second_states, pooled) = second.penultimate(&flat(&captions), cx);
        let context = Tensor::cat(
            vec![
                join_windows(states, &first),
                join_windows(second_states, &captions),
            ],
            2,
        );
        // Of each caption's first window.
        let windows = captions[0].len();
        let pooled = pooled.map(|pooled| {
            let [rows, d] = pooled.dims();
            pooled
                .reshape([rows / windows, windows, d])
                .narrow(1, 0, 1)
                .reshape([rows / windows, d])
        });
        Encoded { context, pooled }
    }

    /// What the model is.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// The encoders, the first one first.
    #[must_use]
    pub fn encoders(&self) -> &[TextEncoder] {
        &self.encoders
    }
}
