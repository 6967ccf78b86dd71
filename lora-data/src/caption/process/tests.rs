use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::random::tests::Generator;

const START: CaptionMoment = CaptionMoment {
    epoch: 1,
    step: 0,
    total_steps: 100,
};

fn options(change: impl FnOnce(&mut CaptionOptions)) -> CaptionOptions {
    let mut options = CaptionOptions::default();
    change(&mut options);
    options
}

fn at_step(step: u64) -> CaptionMoment {
    CaptionMoment { step, ..START }
}

/// The text where nothing is left to chance.
fn process(options: &CaptionOptions, caption: &str, at: &CaptionMoment) -> String {
    let text = options.process(caption, at, &mut Generator(1));
    assert_eq!(
        text,
        options.process(caption, at, &mut Generator(2)),
        "{options:?}"
    );
    text
}

/// All texts that appear in some hundred draws, sorted.
fn all(options: &CaptionOptions, caption: &str, at: &CaptionMoment) -> Vec<String> {
    let mut generator = Generator(3);
    let texts: BTreeSet<_> = (0..500)
        .map(|_| options.process(caption, at, &mut generator))
        .collect();
    texts.into_iter().collect()
}

#[test]
fn captions_are_their_first_line_as_it_is() {
    let default = CaptionOptions::default();
    for (caption, expected) in [
        ("", ""),
        (" a,b ,, c", " a,b ,, c"),
        ("a\nb", "a"),
        ("{a|b} {{c}}", "{a|b} {{c}}"),
        ("a ||| b", "a ||| b"),
    ] {
        assert_eq!(process(&default, caption, &START), expected);
    }
}

#[test]
fn every_row_of_the_table() {
    const CAPTION: &str = "1girl, smile, hat";
    let shuffled = |change: fn(&mut CaptionOptions)| {
        options(|o| {
            o.shuffle_caption = true;
            change(o);
        })
    };
    let orders = all(&shuffled(|_| ()), CAPTION, &START);
    assert_eq!(orders.len(), 6);
    assert!(orders.contains(&"hat, 1girl, smile".into()));

    let sentences = all(
        &shuffled(|o| o.caption_separator = ".".into()),
        "A cat. It sits.",
        &START,
    );
    assert_eq!(sentences.len(), 6);
    assert!(sentences.contains(&", It sits, A cat".into()));

    let kept = shuffled(|o| o.keep_tokens = 1);
    assert_eq!(
        all(&kept, CAPTION, &START),
        ["1girl, hat, smile", "1girl, smile, hat"]
    );
    let kept = shuffled(|o| o.keep_tokens_separator = "/".into());
    let expected = ["1girl, hat, smile, photo", "1girl, smile, hat, photo"];
    assert_eq!(all(&kept, "1girl / smile, hat / photo", &START), expected);
    let joined = shuffled(|o| o.secondary_separator = ";".into());
    assert_eq!(
        all(&joined, "hat;red hat, 1girl", &START),
        ["1girl, hat,red hat", "hat,red hat, 1girl"]
    );

    let dropped = all(
        &options(|o| o.caption_tag_dropout_rate = 0.1),
        CAPTION,
        &START,
    );
    assert!(
        dropped.contains(&CAPTION.into()) && dropped.contains(&"1girl, hat".into()),
        "{dropped:?}"
    );

    for (least, expected) in [
        (1, ["1girl", "1girl, smile", CAPTION]),
        (2, ["1girl, smile", "1girl, smile", CAPTION]),
    ] {
        let warmup = options(|o| (o.token_warmup_step, o.token_warmup_min) = (2.0, least));
        assert_eq!(
            [0, 1, 2].map(|step| process(&warmup, CAPTION, &at_step(step))),
            expected
        );
    }

    let wildcard = options(|o| o.enable_wildcard = true);
    assert_eq!(
        all(&wildcard, "a {red|blue} {{hat}}", &START),
        ["a blue {hat}", "a red {hat}"]
    );
    assert_eq!(all(&wildcard, "a hat\n1girl", &START), ["1girl", "a hat"]);

    let prefix = options(|o| o.caption_prefix = "photo,".into());
    assert_eq!(
        process(&prefix, CAPTION, &START),
        "photo, 1girl, smile, hat"
    );
    let suffix = options(|o| o.caption_suffix = "outdoors".into());
    assert_eq!(process(&suffix, "1girl,", &START), "1girl, outdoors");

    assert_eq!(
        all(&options(|o| o.caption_dropout_rate = 0.1), CAPTION, &START),
        ["", CAPTION]
    );
    let every_third = options(|o| o.caption_dropout_every_n_epochs = 3);
    let texts = [1, 2, 3, 4, 5, 6]
        .map(|epoch| process(&every_third, CAPTION, &CaptionMoment { epoch, ..START }));
    assert_eq!(texts, [CAPTION, CAPTION, "", CAPTION, CAPTION, ""]);
}

#[test]
fn kept_tags() {
    let shuffled = options(|o| (o.shuffle_caption, o.keep_tokens) = (true, 2));
    assert_eq!(
        all(&shuffled, "a,b , c,d", &START),
        ["a, b, c, d", "a, b, d, c"]
    );
    assert_eq!(process(&shuffled, "a", &START), "a");
    assert_eq!(process(&shuffled, "", &START), "");
    assert_eq!(
        process(
            &CaptionOptions {
                keep_tokens: usize::MAX,
                ..shuffled.clone()
            },
            "c,b,a",
            &START
        ),
        "c, b, a"
    );
    // Empty tags count and stay.
    assert_eq!(all(&shuffled, "a,,b,c", &START), ["a, , b, c", "a, , c, b"]);

    // In a caption with it, the separator rules; empty tags go.
    let separated = CaptionOptions {
        keep_tokens_separator: "|||".into(),
        ..shuffled
    };
    assert_eq!(
        all(&separated, "a,, ||| ,b,c", &START),
        ["a, b, c", "a, c, b"]
    );
    assert_eq!(
        all(&separated, "||| b,c ||| a", &START),
        ["b, c, a", "c, b, a"]
    );
    assert_eq!(process(&separated, "b, a |||", &START), "b, a");
    assert_eq!(
        process(&separated, "a ||| b ||| c ||| d", &START),
        "a, b, c ||| d"
    );
    assert_eq!(
        all(&separated, "a,b,c,d", &START),
        ["a, b, c, d", "a, b, d, c"]
    );
}

#[test]
fn separators_of_several_characters() {
    let options = options(|o| {
        (o.shuffle_caption, o.keep_tokens) = (true, 1);
        (o.caption_separator, o.secondary_separator) = (" / ".into(), ";;;".into());
    });
    assert_eq!(
        all(&options, "a / b;;;c / d, e", &START),
        ["a, b / c, d, e", "a, d, e, b / c"]
    );
    assert_eq!(process(&options, "a/b", &START), "a/b");
    let unmoved = CaptionOptions {
        shuffle_caption: false,
        ..options
    };
    assert_eq!(process(&unmoved, "a;;;b / c", &START), "a / b / c");
}

#[test]
fn a_separator_of_kept_tags_where_none_moves() {
    let ours = options(|o| o.keep_tokens_separator = "|||".into());
    let theirs = CaptionOptions {
        as_sd_scripts: true,
        ..ours.clone()
    };
    for (caption, expected, as_sd_scripts) in [
        ("a,b ||| c ||| d", "a, b, c, d", "a,b ||| c ||| d"),
        ("a,b,, c", "a,b,, c", "a,b,, c"),
        ("|||", "", "|||"),
    ] {
        assert_eq!(process(&ours, caption, &START), expected);
        assert_eq!(process(&theirs, caption, &START), as_sd_scripts);
    }
    let dropout = CaptionOptions {
        caption_tag_dropout_rate: 1.0,
        ..theirs
    };
    assert_eq!(process(&dropout, "a ||| b ||| c", &START), "a, c");
}

#[test]
fn prefix_and_suffix_of_several_lines() {
    let ours = options(|o| {
        (o.caption_prefix, o.caption_suffix) = ("<".into(), ">".into());
        o.enable_wildcard = true;
    });
    let theirs = CaptionOptions {
        as_sd_scripts: true,
        ..ours.clone()
    };
    assert_eq!(all(&ours, "a\nb\nc", &START), ["< a >", "< b >", "< c >"]);
    assert_eq!(all(&theirs, "a\nb\nc", &START), ["< a", "b", "c >"]);
    let first = |options: CaptionOptions| {
        process(
            &CaptionOptions {
                enable_wildcard: false,
                ..options
            },
            "a\nb",
            &START,
        )
    };
    assert_eq!(
        (first(ours).as_str(), first(theirs).as_str()),
        ("< a >", "< a")
    );
}

#[test]
fn wildcards_come_before_tags_and_stand_in_prefixes() {
    let options = options(|o| {
        (o.enable_wildcard, o.caption_tag_dropout_rate, o.keep_tokens) = (true, 1.0, 2);
        o.caption_prefix = "{p|q},".into();
    });
    let expected = ["p, a", "p, b", "q, a", "q, b"];
    assert_eq!(all(&options, "{a, x|b}, y", &START), expected);
}

#[test]
fn the_warm_up_adds_tags_one_by_one() {
    // ⌊step · (tags − min) / warm-up⌋ + min.
    let tags = |min, warmup, steps: &[u64]| {
        let options = options(|o| (o.token_warmup_min, o.token_warmup_step) = (min, warmup));
        let count = |step: &u64| match process(&options, "a,b,c,d,e,f,g", &at_step(*step)).as_str()
        {
            "" => 0,
            text => text.split(", ").count(),
        };
        steps.iter().map(count).collect::<Vec<_>>()
    };
    // 7 tags, (7 − 1) / 12 = half a tag a step.
    assert_eq!(
        tags(1, 12.0, &[0, 1, 2, 3, 4, 10, 11, 12, 13, 99]),
        [1, 1, 2, 2, 3, 6, 6, 7, 7, 7]
    );
    // (7 − 3) / 10 = 0.4 a step: ⌊0.4⌋, ⌊0.8⌋, ⌊1.2⌋, ⌊2.0⌋, ⌊3.6⌋.
    assert_eq!(
        tags(3, 10.0, &[0, 1, 2, 3, 5, 9, 10]),
        [3, 3, 3, 4, 5, 6, 7]
    );
    assert_eq!(tags(0, 7.0, &[0, 1, 6, 7]), [0, 1, 6, 7]);
    // A fifth of 100 steps, (7 − 2) / 20 = a quarter a step; 0.029 of them are ⌊2.9⌋.
    assert_eq!(tags(2, 0.2, &[0, 3, 4, 19, 20]), [2, 2, 3, 6, 7]);
    assert_eq!(tags(1, 0.029, &[0, 1, 2]), [1, 4, 7]);
    // Fewer tags than the least number.
    assert_eq!(tags(9, 4.0, &[0, 2, 3, 4]), [7, 7, 7, 7]);
    assert_eq!(tags(usize::MAX, 4.0, &[0, 3]), [7, 7]);
    assert_eq!(tags(1, 1e300, &[0, u64::MAX]), [1, 1]);
}

#[test]
fn a_warm_up_of_less_than_a_step_is_none() {
    let options = options(|o| o.token_warmup_step = 0.5);
    assert_eq!(
        process(
            &options,
            "a,b",
            &CaptionMoment {
                total_steps: 1,
                ..START
            }
        ),
        "a,b"
    );
    // After a longer one, captions stay as they were in it.
    assert_eq!(process(&options, "a,b", &at_step(50)), "a, b");
}

#[test]
fn the_warm_up_spares_kept_tags_and_comes_before_shuffling() {
    let options = options(|o| {
        (o.shuffle_caption, o.token_warmup_step, o.token_warmup_min) = (true, 4.0, 2);
        o.keep_tokens_separator = "|||".into();
    });
    assert_eq!(
        all(&options, "a,b ||| c,d,e,f ||| g", &START),
        ["a, b, c, d, g", "a, b, d, c, g"]
    );
}

#[test]
fn dropout_is_as_frequent_as_it_should() {
    let count = |options: &CaptionOptions, text: &str| {
        let mut generator = Generator(4);
        (0..10_000)
            .filter(|_| options.process("a,b,c", &START, &mut generator) == text)
            .count()
    };
    let dropout = options(|o| o.caption_dropout_rate = 0.3);
    assert!((2_700..3_300).contains(&count(&dropout, "")));
    let tags = options(|o| (o.caption_tag_dropout_rate, o.keep_tokens) = (0.3, 1));
    for (text, expected) in [
        ("a, b, c", 4_900),
        ("a, b", 2_100),
        ("a, c", 2_100),
        ("a", 900),
    ] {
        assert!(count(&tags, text).abs_diff(expected) < 250, "{text}");
    }
    assert_eq!(
        count(&options(|o| o.caption_dropout_rate = 1.0), ""),
        10_000
    );
    assert_eq!(
        count(&options(|o| o.caption_tag_dropout_rate = 1.0), ""),
        10_000
    );
}

#[test]
fn dropped_captions_have_no_prefix_and_draw_no_more() {
    let all_on = options(|o| {
        (o.caption_dropout_rate, o.caption_prefix, o.enable_wildcard) = (1.0, "p".into(), true);
        (o.shuffle_caption, o.caption_tag_dropout_rate) = (true, 0.5);
    });
    let mut generator = Generator(5);
    assert_eq!(all_on.process("{a|b}, c\nd", &START, &mut generator), "");
    let mut one_draw = Generator(5);
    unit(&mut one_draw);
    assert_eq!(generator.0, one_draw.0);
    // Nor does anything draw that is off.
    CaptionOptions::default().process("{a|b}, c\nd", &START, &mut generator);
    assert_eq!(generator.0, one_draw.0);
}

#[test]
fn draws_are_taken_in_the_documented_order() {
    let all_on = options(|o| {
        (o.caption_dropout_rate, o.enable_wildcard, o.keep_tokens) = (1e-9, true, 1);
        (o.shuffle_caption, o.caption_tag_dropout_rate) = (true, 0.4);
    });
    for seed in 0..100 {
        let (mut generator, mut expected) = (Generator(seed), Generator(seed));
        let text = all_on.process(
            "{a|b|c}, 1, {2|3}, 4, 5\n{d|e|f}, 1, {2|3}, 4, 5",
            &START,
            &mut generator,
        );

        unit(&mut expected);
        let line = [["a", "b", "c"], ["d", "e", "f"]][below(2, &mut expected) as usize];
        let kept = line[below(3, &mut expected) as usize];
        let mut tags = vec!["1", ["2", "3"][below(2, &mut expected) as usize], "4", "5"];
        shuffle(&mut tags, &mut expected);
        tags.retain(|_| unit(&mut expected) >= 0.4);
        tags.insert(0, kept);
        assert_eq!((text, generator.0), (tags.join(", "), expected.0));
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[{}|,; a-c\n]{0,30}", ".{0,20}"]
}

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

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![4 => Just(0.0), 1 => Just(1.0), 1 => Just(5.0), 2 => 0.0..1.0f64, 1 => any::<f64>(), 1 => Just(f64::NAN)]
}

prop_compose! {
    fn any_moment()(
        epoch in prop_oneof![0..5u64, any::<u64>()],
        step in prop_oneof![0..9u64, any::<u64>()],
        total_steps in prop_oneof![0..9u64, any::<u64>()],
    ) -> CaptionMoment {
        CaptionMoment { epoch, step, total_steps }
    }
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
            options.process(&caption, &CaptionMoment { epoch, step, total_steps }, &mut generator)
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

fn sorted<T: AsRef<str>>(tags: &[T]) -> Vec<&str> {
    let mut sorted: Vec<_> = tags.iter().map(AsRef::as_ref).collect();
    sorted.sort_unstable();
    sorted
}
