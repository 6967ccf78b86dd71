//! The kinds of datasets.

use super::*;

fn subsets(subsets: &Json) -> Result<DatasetConfigFile> {
    json(&json!({"datasets": [{"subsets": subsets}]}))
}

#[test]
fn the_subsets_of_a_dataset_are_of_one_kind() {
    for name in ["metadata_file", "conditioning_data_dir"] {
        let mixed = json!([{"image_dir": "a"}, {"image_dir": "b", name: "c"}, {"image_dir": "d", name: ""}]);
        assert_eq!(
            problems(subsets(&mixed)),
            [format!(
                "`datasets[0].subsets`: `datasets[0].subsets[1]` has `{name}` but \
                 `datasets[0].subsets[0]` does not; expected the key in all subsets of a dataset \
                 or in none (use separate datasets)"
            )]
        );
    }
    assert_eq!(
        problems(subsets(
            &json!([{"image_dir": "a", "conditioning_data_dir": "m", "metadata_file": "l.json"}])
        )),
        [
            "`datasets[0].subsets[0].metadata_file`: has no effect on datasets with \
             `conditioning_data_dir`; remove it"
        ]
    );
    let missing =
        "`datasets[0].subsets[0].image_dir`: not set, expected the folder with the images";
    for subset in [
        json!([{}]),
        json!([{"image_dir": ""}]),
        json!([{"conditioning_data_dir": "m"}]),
    ] {
        assert_eq!(problems(subsets(&subset)), [missing], "{subset}");
    }
    let list = subsets(&json!([{"metadata_file": "l.json"}])).unwrap();
    let source = Source::Metadata {
        file: "l.json".into(),
        image_dir: None,
    };
    assert_eq!(list.datasets[0].subsets[0].source, source);
}

#[test]
fn keys_without_effect_are_errors_unless_they_are_off() {
    let samples = samples();
    for style in [Style::Conditioning, Style::Metadata] {
        let subset = |name: &str, value: &Json| {
            let mut subset = json!({"image_dir": "a"});
            subset[style.key()] = json!("b");
            subset[name] = value.clone();
            subset
        };
        for (name, on, off) in &samples {
            let spec = key(name).unwrap();
            if *name == style.key()
                || *name == Style::Metadata.key()
                || *name == Style::Conditioning.key()
            {
                continue;
            }
            let read = subsets(&json!([subset(name, on)]));
            let no_effect = format!(
                "has no effect on datasets with `{}`; remove it",
                style.key()
            );
            if spec.styles.contains(&style) {
                assert!(
                    spec.scope == Scope::Dataset || read.is_ok(),
                    "{name}: {read:?}"
                );
                continue;
            }
            assert_eq!(
                problems(read),
                [format!("`datasets[0].subsets[0].{name}`: {no_effect}")]
            );
            if off.as_str() != Some(".txt") && !off.is_null() {
                subsets(&json!([subset(name, off)])).unwrap();
            }
            if spec.scope != Scope::Subset {
                continue;
            }
            // In an outer table it applies to datasets that use it; if there are none, it is an
            // error as well.
            let list = json!({"subsets": [subset("num_repeats", &json!(1))]});
            let mut file = json!({"general": {}, "datasets": [list.clone(), {"subsets": [{"image_dir": "a"}]}]});
            let without = json(&file).unwrap();
            file["general"][*name] = on.clone();
            let read = json(&file).unwrap();
            assert_eq!(
                read.datasets[0].subsets[0].class_tokens,
                without.datasets[0].subsets[0].class_tokens
            );
            assert_ne!(read, without, "{name}");
            file["datasets"] = json!([list]);
            assert_eq!(
                problems(json(&file)),
                [format!("`general.{name}`: {no_effect}")]
            );
        }
    }
}

#[test]
fn the_file_takes_precedence_over_the_command_lines_alpha_mask() {
    let mut given = defaults();
    given.subsets[0].alpha = Alpha::Mask;
    let alpha = |subset: Json| {
        let text = json!({"datasets": [{"subsets": [subset]}]}).to_string();
        parse(&text, Format::Json, &given).unwrap().datasets[0].subsets[0].alpha
    };
    assert_eq!(alpha(json!({"image_dir": "a"})), Alpha::Mask);
    assert_eq!(
        alpha(json!({"image_dir": "a", "alpha_background": ""})),
        Alpha::Mask
    );
    assert_eq!(
        alpha(json!({"image_dir": "a", "alpha_mask": false})),
        Alpha::Drop
    );
    assert_eq!(
        alpha(json!({"image_dir": "a", "alpha_background": "#0a0B0c"})),
        Alpha::Background([10, 11, 12])
    );
    assert_eq!(
        alpha(json!({"image_dir": "a", "conditioning_data_dir": "m"})),
        Alpha::Drop
    );
}

#[test]
fn cache_info_of_any_subset() {
    let read = |general: Json, flags: [Json; 2]| {
        let [a, b] = flags;
        let mut file = json!({"general": {}, "datasets": [{"subsets": [{"image_dir": "a"}, {"image_dir": "b"}]}]});
        let mut set = |pointer: &str, value: Json| {
            if !value.is_null() {
                file.pointer_mut(pointer).unwrap()["cache_info"] = value;
            }
        };
        set("/general", general);
        set("/datasets/0/subsets/0", a);
        set("/datasets/0/subsets/1", b);
        json(&file).unwrap().cache_info
    };
    assert_eq!(read(json!(null), [json!(null), json!(null)]), None);
    assert_eq!(read(json!(null), [json!(false), json!(null)]), Some(false));
    assert_eq!(read(json!(null), [json!(false), json!(true)]), Some(true));
    assert_eq!(read(json!(true), [json!(false), json!(null)]), Some(true));
    assert_eq!(read(json!(true), [json!(false), json!(false)]), Some(false));
}
