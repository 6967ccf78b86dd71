use std::collections::BTreeMap;

use lora_data::Size;
use proptest::prelude::*;

use super::*;
use crate::options::Underscores;

fn scores(kind: TaggerKind, tags: &[(Category, &str, f32)]) -> Scores {
    let mut categories: BTreeMap<Category, Vec<Score>> = BTreeMap::new();
    for (category, tag, probability) in tags {
        categories.entry(*category).or_default().push(Score {
            tag: (*tag).into(),
            probability: *probability,
        });
    }
    Scores {
        kind,
        image_size: Size::new(1, 1),
        categories,
    }
}

fn wd() -> Scores {
    use Category::{Character, General, Rating};
    scores(
        TaggerKind::Wd,
        &[
            (Rating, "general", 0.5),
            (Rating, "sensitive", 0.6),
            (General, "1girl", 0.8),
            (General, "long_hair", 0.9),
            (General, "o_o", 0.36),
            (General, "hat", 0.2),
            (Character, "saber_(fate)", 0.55),
            (Character, "rem_(re:zero)", 0.7),
        ],
    )
}

fn cl() -> Scores {
    use Category::{Artist, Character, General, Model, Quality, Rating};
    scores(
        TaggerKind::Cl,
        &[
            (Rating, "general", 0.3),
            (Rating, "explicit", 0.1),
            (Quality, "best quality", 0.4),
            (Quality, "low quality", 0.5),
            (General, "1girl", 0.8),
            (General, "long_hair", 0.9),
            (Character, "saber_(fate)", 0.95),
            (Character, "link", 0.65),
            (Artist, "someone", 0.36),
            (Model, "sdxl", 0.85),
        ],
    )
}

fn sd_trainer() -> TagOptions {
    TagOptions::default()
}

fn sd_scripts() -> TagOptions {
    TagOptions::new(Style::SdScripts)
}

#[test]
fn sd_trainer_sorts_by_probability() {
    assert_eq!(
        sd_trainer().caption(&wd()),
        r"long hair, 1girl, rem \(re:zero\), o_o"
    );
    assert_eq!(
        sd_trainer().caption(&cl()),
        r"saber \(fate\), long hair, 1girl, link, low quality, someone"
    );
    let options = TagOptions {
        model: Some(true),
        quality: Some(Position::First),
        ..sd_trainer()
    };
    assert_eq!(
        options.caption(&cl()),
        r"low quality, saber \(fate\), long hair, sdxl, 1girl, link, someone"
    );
}

#[test]
fn sd_scripts_keeps_the_order_of_a_wd_tagger() {
    assert_eq!(
        sd_scripts().caption(&wd()),
        "1girl, long_hair, o_o, saber_(fate), rem_(re:zero)"
    );
    assert_eq!(
        sd_scripts().caption(&cl()),
        "saber_(fate), long_hair, sdxl, 1girl, link, someone"
    );
    let options = TagOptions {
        character_tags_first: true,
        rating: Some(Position::First),
        quality: Some(Position::First),
        ..sd_scripts()
    };
    assert_eq!(
        options.caption(&wd()),
        "sensitive, saber_(fate), rem_(re:zero), 1girl, long_hair, o_o"
    );
    assert_eq!(
        options.caption(&cl()),
        "general, low quality, saber_(fate), link, long_hair, sdxl, 1girl, someone"
    );
    let options = TagOptions {
        rating: Some(Position::Last),
        quality: Some(Position::Last),
        ..sd_scripts()
    };
    assert!(
        options
            .caption(&cl())
            .ends_with("someone, low quality, general")
    );
}

#[test]
fn one_rating_by_argmax() {
    let options = TagOptions {
        rating: Some(Position::ByProbability),
        threshold: 0.7,
        ..sd_trainer()
    };
    assert_eq!(
        options.caption(&wd()),
        r"long hair, 1girl, rem \(re:zero\), sensitive"
    );
    let first = TagOptions {
        style: Style::SdScripts,
        ..options
    };
    assert_eq!(
        first.caption(&wd()),
        "sensitive, 1girl, long_hair, rem_(re:zero)"
    );
}

#[test]
fn faults_of_the_originals() {
    let options = TagOptions {
        compat: true,
        rating: Some(Position::ByProbability),
        ..sd_trainer()
    };
    // The threshold of characters has no effect and every rating above the threshold is written.
    assert_eq!(
        options.caption(&wd()),
        r"long hair, 1girl, rem \(re:zero\), sensitive, saber \(fate\), general, o_o"
    );
    // A CL tagger's one rating is written only above the threshold.
    assert!(!options.caption(&cl()).contains("general"));

    let options = TagOptions {
        compat: true,
        character_tags_first: true,
        always_first_tags: vec!["1girl".into(), "o_o".into()],
        rating: Some(Position::Last),
        ..sd_scripts()
    };
    assert_eq!(
        options.caption(&wd()),
        "o_o, 1girl, rem_(re:zero), saber_(fate), long_hair, sensitive"
    );
    // Ratings below every threshold are lost.
    assert!(!options.caption(&cl()).contains("general"));
}

#[test]
fn tags_to_the_front() {
    let options = TagOptions {
        always_first_tags: vec!["o_o".into(), "long_hair".into(), "absent".into()],
        ..sd_trainer()
    };
    assert_eq!(
        options.caption(&wd()),
        r"o_o, long hair, 1girl, rem \(re:zero\)"
    );
}

#[test]
fn added_excluded_and_replaced_tags() {
    let options = TagOptions {
        additional_tags: vec!["my_style".into(), "1girl".into()],
        exclude_tags: vec!["long hair".into(), "unknown".into()],
        replacements: "o_o,wide eyes;rem (re:zero),rem".parse().unwrap(),
        ..sd_trainer()
    };
    assert_eq!(options.caption(&wd()), "my style, 1girl, rem, wide eyes");
    let options = TagOptions {
        exclude_tags: vec![r"rem \(re:zero\)".into()],
        replacements: r"saber \(fate\),saber".parse().unwrap(),
        category_thresholds: vec![(Category::Character, 0.5)],
        always_first_tags: vec!["saber".into()],
        ..sd_trainer()
    };
    assert_eq!(options.caption(&wd()), "saber, long hair, 1girl, o_o");
    let options = TagOptions {
        exclude_tags: vec!["wide eyes".into()],
        replacements: "o_o,wide eyes;1girl,".parse().unwrap(),
        exclude_categories: vec![Category::Character],
        ..sd_scripts()
    };
    assert_eq!(options.caption(&wd()), "long_hair");
}

#[test]
fn characters_and_series() {
    let options = TagOptions {
        character_tag_expand: true,
        replacements: "fate,fate series".parse().unwrap(),
        underscores: Some(Underscores::ReplaceInLong),
        ..sd_scripts()
    };
    assert_eq!(
        options.caption(&wd()),
        "1girl, long hair, o_o, saber, fate series, rem, re:zero"
    );
}

#[test]
fn thresholds_of_categories() {
    let options = TagOptions {
        threshold: 0.1,
        category_thresholds: vec![(Category::General, 0.85), (Category::Character, 0.6)],
        ..sd_scripts()
    };
    assert_eq!(options.caption(&wd()), "long_hair, rem_(re:zero)");
    assert_eq!(options.least_threshold(), 0.1);
    let unfit = TagOptions {
        category_thresholds: vec![(Category::Character, 1.5)],
        ..sd_trainer()
    };
    let error = unfit.check().unwrap_err().to_string();
    assert!(error.contains("`character-threshold`: found 1.5; expected a number from 0 to 1"));
    let nan = TagOptions {
        threshold: f32::NAN,
        ..sd_trainer()
    };
    assert!(nan.check().is_err());
    let unfit = TagOptions {
        compat: true,
        replacements: "a,b".parse().unwrap(),
        ..sd_scripts()
    };
    assert!(unfit.check().is_err());
}

proptest! {
    /// Whatever the options are about, no tag is lost that none of them names.
    #[test]
    fn every_tag_above_the_threshold_is_written(
        probabilities in prop::collection::vec(0.0_f32..=1.0, 12),
        style in prop::sample::select(vec![Style::SdTrainer, Style::SdScripts]),
        kind in prop::sample::select(vec![TaggerKind::Wd, TaggerKind::Cl]),
        compat: bool,
        character_tags_first: bool,
        character_tag_expand: bool,
        rating in prop::option::of(prop::sample::select(vec![
            Position::First, Position::Last, Position::ByProbability,
        ])),
    ) {
        let tags: Vec<String> = (0..12).map(|index| format!("tag {index}")).collect();
        let given: Vec<(Category, &str, f32)> = tags
            .iter()
            .zip(&probabilities)
            .enumerate()
            .map(|(index, (tag, p))| (BY_THRESHOLD[index % 5], tag.as_str(), *p))
            .collect();
        let options = TagOptions {
            compat,
            character_tags_first,
            character_tag_expand,
            rating,
            always_first_tags: vec!["tag 3".into(), "tag 1".into()],
            exclude_tags: vec!["tag 7".into()],
            replacements: if compat { "".parse() } else { "tag 2,new".parse() }.unwrap(),
            ..TagOptions::new(style)
        };
        let written = options.tags(&scores(kind, &given));
        for (category, tag, p) in given {
            let threshold = match (compat, style, kind) {
                (true, Style::SdTrainer, TaggerKind::Wd) => 0.35,
                _ => options.threshold_of(category),
            };
            let name = if tag == "tag 2" && !compat { "new" } else { tag };
            let expected = p >= threshold && tag != "tag 7";
            prop_assert_eq!(written.iter().any(|tag| tag == name), expected, "{}", tag);
        }
    }
}
