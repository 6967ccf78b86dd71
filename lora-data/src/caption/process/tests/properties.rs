//! Properties of any options and captions.

use proptest::prelude::*;

use super::*;

prop_compose! {
    /// Any options, usable or not, of which some do nothing.
    fn any_options()(
        (shuffle_caption, enable_wildcard, as_sd_scripts) in any::<(bool, bool, bool)>(),
        caption_separator in "|,|;|, |[,;| ]{2}",
        keep_tokens in prop_oneof![0..4usize, Just(usize::MAX)],
        (keep_tokens_separator, secondary_separator) in ("|\\|\\|\\||[|,;a]{1,2}", "|;|[,;a]{1,2}"),
        (caption_prefix, caption_suffix) in (prop_oneof![Just(String::new()), text()], prop_oneof![Just(String::new()), text()]),
        (caption_dropout_rate, caption_tag_dropout_rate, token_warmup_step) in (number(), number(), number()),
        caption_dropout_every_n_epochs in prop_oneof![Just(0), any::<u32>()],
        token_warmup_min in prop_oneof![0..4usize, Just(usize::MAX)],
    ) -> CaptionOptions {
        CaptionOptions {
            shuffle_caption, caption_separator, keep_tokens, keep_tokens_separator, secondary_separator, enable_wildcard,
            caption_prefix, caption_suffix, caption_dropout_rate, caption_dropout_every_n_epochs, caption_tag_dropout_rate,
            token_warmup_min, token_warmup_step, as_sd_scripts,
        }
    }
}

prop_compose! {
    fn any_moment()(
        epoch in prop_oneof![0..5u64, any::<u64>()],
        step in prop_oneof![0..9u64, any::<u64>()],
        total_steps in prop_oneof![0..9u64, any::<u64>()],
    ) -> CaptionContext {
        CaptionContext { epoch, step, total_steps }
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[{}|,; a-c\n]{0,30}", ".{0,20}"]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![4 => Just(0.0), 1 => Just(1.0), 1 => Just(5.0), 2 => 0.0..1.0f64, 1 => any::<f64>(), 1 => Just(f64::NAN)]
}

proptest! {
    #[test]
    fn any_caption_with_any_options(options in any_options(), caption in text(), at in any_moment(), seed: u64) {
        let text = options.process(&caption, &at, &mut Generator(seed));
        prop_assert_eq!(text, options.process(&caption, &at, &mut Generator(seed)));
    }

    #[test]
    fn fixed_captions_are_the_same_at_all_times(
        mut options in any_options(), caption in text(), moments: [(u64, u64, u64); 3], seed: u64, fix: bool,
    ) {
        if fix {
            options.shuffle_caption = false;
            (options.caption_dropout_rate, options.caption_dropout_every_n_epochs) = (0.0, 0);
            (options.caption_tag_dropout_rate, options.token_warmup_step) = (0.0, 0.0);
            prop_assert_eq!(options.is_fixed(), !options.enable_wildcard);
        }
        prop_assume!(options.validate().is_ok() && options.is_fixed_for(&caption));
        let mut generator = Generator(seed);
        let [first, second, third] = moments.map(|(epoch, step, total_steps)| {
            options.process(&caption, &CaptionContext { epoch, step, total_steps }, &mut generator)
        });
        prop_assert_eq!(&first, &second);
        prop_assert_eq!(&first, &third);
    }

    #[test]
    fn shuffling_moves_flexible_tags_only(
        tags in prop::collection::vec("[a-z]{1,2}", 1..12), keep_tokens in 0..14usize, seed: u64,
    ) {
        let options = options(|o| (o.shuffle_caption, o.keep_tokens) = (true, keep_tokens));
        let text = options.process(&tags.join(","), &START, &mut Generator(seed));
        let shuffled: Vec<_> = text.split(", ").collect();
        let (fixed, flexible) = tags.split_at(keep_tokens.min(tags.len()));
        prop_assert_eq!(&shuffled[..fixed.len()], fixed);
        prop_assert_eq!(sorted(&shuffled[fixed.len()..]), sorted(flexible));
    }

    #[test]
    fn separated_tags_stay_around_the_flexible_ones(
        [fixed, flexible, suffix] in prop::array::uniform3(prop::collection::vec("[a-z]{1,2}", 1..6)),
        rate in 0.0..1.0f64, seed: u64,
    ) {
        let options = options(|o| {
            (o.shuffle_caption, o.caption_tag_dropout_rate) = (true, rate);
            o.keep_tokens_separator = "|||".into();
        });
        let caption = [&fixed, &flexible, &suffix].map(|tags| tags.join(",")).join("|||");
        let text = options.process(&caption, &START, &mut Generator(seed));
        let shuffled: Vec<_> = text.split(", ").collect();
        prop_assert!(shuffled.len() >= fixed.len() + suffix.len());
        let (start, rest) = shuffled.split_at(fixed.len());
        let (middle, end) = rest.split_at(rest.len() - suffix.len());
        prop_assert_eq!(start, &fixed);
        prop_assert_eq!(end, &suffix);
        let mut left = flexible;
        for tag in middle {
            let place = left.iter().position(|other| other == tag);
            prop_assert!(place.is_some(), "{tag}");
            left.swap_remove(place.unwrap());
        }
    }

    #[test]
    fn dropout_of_all_or_none(caption in text(), seed: u64) {
        let mut options = options(|o| o.caption_dropout_rate = 1.0);
        prop_assert_eq!(options.process(&caption, &START, &mut Generator(seed)), "");
        options.caption_dropout_rate = 0.0;
        prop_assert_eq!(options.process(&caption, &START, &mut Generator(seed)), caption.split('\n').next().unwrap());
    }
}
