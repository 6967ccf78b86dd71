use std::collections::BTreeSet;

use super::*;
use crate::random::tests::Generator;

mod dropout;
mod properties;

const START: CaptionContext = CaptionContext {
    epoch: 1,
    step: 0,
    total_steps: 100,
};

fn options(change: impl FnOnce(&mut CaptionOptions)) -> CaptionOptions {
    let mut options = CaptionOptions::default();
    change(&mut options);
    options
}

fn at_step(step: u64) -> CaptionContext {
    CaptionContext { step, ..START }
}

/// The text of options without randomness.
fn process(options: &CaptionOptions, caption: &str, at: &CaptionContext) -> String {
    let text = options.process(caption, at, &mut Generator(1));
    assert_eq!(
        text,
        options.process(caption, at, &mut Generator(2)),
        "{options:?}"
    );
    text
}

/// All texts that appear in some hundred draws, sorted.
fn all(options: &CaptionOptions, caption: &str, at: &CaptionContext) -> Vec<String> {
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

/// The caption of the table in the documentation.
const CAPTION: &str = "1girl, smile, hat";

#[test]
fn rows_of_the_table_about_shuffling() {
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
}

#[test]
fn rows_of_the_table_without_shuffling() {
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
        .map(|epoch| process(&every_third, CAPTION, &CaptionContext { epoch, ..START }));
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

fn sorted<T: AsRef<str>>(tags: &[T]) -> Vec<&str> {
    let mut sorted: Vec<_> = tags.iter().map(AsRef::as_ref).collect();
    sorted.sort_unstable();
    sorted
}
