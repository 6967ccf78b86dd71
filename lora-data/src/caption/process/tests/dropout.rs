//! Dropout, warmup and the order of draws.

use super::*;

#[test]
fn the_warm_up_adds_tags_one_by_one() {
    // ⌊step · (tags − min) / warmup⌋ + min.
    let tags = |min, warmup, steps: &[u64]| {
        let options = options(|o| (o.token_warmup_min, o.token_warmup_step) = (min, warmup));
        let count = |step: &u64| match process(&options, "a,b,c,d,e,f,g", &at_step(*step)).as_str()
        {
            "" => 0,
            text => text.split(", ").count(),
        };
        steps.iter().map(count).collect::<Vec<_>>()
    };
    // 7 tags, (7 − 1) / 12 = half a tag per step.
    assert_eq!(
        tags(1, 12.0, &[0, 1, 2, 3, 4, 10, 11, 12, 13, 99]),
        [1, 1, 2, 2, 3, 6, 6, 7, 7, 7]
    );
    // (7 − 3) / 10 = 0.4 per step: ⌊0.4⌋, ⌊0.8⌋, ⌊1.2⌋, ⌊2.0⌋, ⌊3.6⌋.
    assert_eq!(
        tags(3, 10.0, &[0, 1, 2, 3, 5, 9, 10]),
        [3, 3, 3, 4, 5, 6, 7]
    );
    assert_eq!(tags(0, 7.0, &[0, 1, 6, 7]), [0, 1, 6, 7]);
    // A fifth of 100 steps, (7 − 2) / 20 = a quarter per step; 0.029 of them are ⌊2.9⌋.
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
            &CaptionContext {
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
