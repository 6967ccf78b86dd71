//! Properties of any text and any tree.

use proptest::prelude::*;

use super::*;

/// A tree of the file's own words, mostly in their right places, and others.
fn tree() -> impl Strategy<Value = Json> {
    let scalar = prop_oneof![
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        (0i64..2000).prop_map(Json::from),
        // Few digits: the two parsers may round a long number differently.
        prop::sample::select(vec![-1.5, 1e30, 1e300, 2.25]).prop_map(Json::from),
        (0u32..1000)
            .prop_map(|thousandths| f64::from(thousandths) / 1000.0)
            .prop_map(Json::from),
        "[a-z#0-9,]{0,8}".prop_map(Json::from),
        prop::collection::vec(0i64..2000, 0..4).prop_map(Json::from),
        Just(json!({"diff_output_preservation": true})),
        Just(Json::Null),
    ];
    let name = prop_oneof![
        9 => prop::sample::select(KEYS.iter().map(|key| key.name.to_owned()).collect::<Vec<_>>()),
        1 => ".{0,12}"
    ];
    let table = prop::collection::vec((name, scalar), 0..6);
    let subset = table.clone().prop_map(|entries| {
        let mut table = json!({"image_dir": "a"});
        entries
            .into_iter()
            .for_each(|(name, value)| table[name] = value);
        table
    });
    let dataset =
        (table.clone(), prop::collection::vec(subset, 0..4)).prop_map(|(entries, subsets)| {
            let mut table = json!({});
            entries
                .into_iter()
                .for_each(|(name, value)| table[name] = value);
            table["subsets"] = subsets.into();
            table
        });
    (table, prop::collection::vec(dataset, 0..3)).prop_map(|(general, datasets)| {
        let general: serde_json::Map<_, _> = general.into_iter().collect();
        json!({"general": general, "datasets": datasets})
    })
}

/// Either datasets that can be used, or problems with words.
fn check(result: &Result<DatasetConfigFile>) {
    match result {
        Ok(file) => {
            assert!(!file.datasets.is_empty());
            for dataset in &file.datasets {
                dataset.buckets().unwrap();
                assert!(!dataset.subsets.is_empty() && dataset.batch_size > 0);
                assert!(dataset.subsets.iter().all(|subset| subset.num_repeats > 0));
            }
        }
        Err(Error::DatasetConfig { problems, .. }) => {
            assert!(
                !problems.is_empty()
                    && problems
                        .iter()
                        .all(|problem| !problem.to_string().is_empty())
            );
        }
        Err(other) => panic!("{other}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn any_text_is_answered(text in any::<String>(), words in "([a-z\\[\\]{}=\":., \n0-9]|datasets|subsets){0,40}") {
        for text in [&text, &words] {
            for format in [Format::Toml, Format::Json] {
                check(&parse(text, format, &defaults()));
            }
        }
    }

    #[test]
    fn any_tree_is_answered_alike_in_both_formats(tree in tree()) {
        let from_json = json(&tree);
        check(&from_json);
        if let Ok(text) = toml::to_string(&tree) {
            let from_toml = toml(&text);
            check(&from_toml);
            match (from_json, from_toml) {
                (Ok(a), Ok(b)) => prop_assert_eq!(a, b),
                (a, b) => prop_assert_eq!(problems(a).len(), problems(b).len()),
            }
        }
    }
}
