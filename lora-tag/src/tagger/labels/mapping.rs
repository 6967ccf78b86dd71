//! `tag_mapping.json` of the CL tagger.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::category::Category;
use crate::tagger::labels::Label;

/// The two forms of the file.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Mapping {
    /// `{"idx_to_tag": {"0": "1girl"}, "tag_to_category": {"1girl": "General"}}`
    Two {
        idx_to_tag: BTreeMap<String, String>,
        tag_to_category: BTreeMap<String, String>,
    },
    /// `{"0": {"tag": "1girl", "category": "General"}}`
    One(BTreeMap<String, Entry>),
}

#[derive(Debug, Deserialize)]
struct Entry {
    tag: String,
    category: String,
}

const EXPECTED: &str = "expected `{\"0\": {\"tag\": …, \"category\": …}, …}` or \
                        `{\"idx_to_tag\": {…}, \"tag_to_category\": {…}}`";

/// Parses either form. The numbers must be those of the model's outputs: 0, 1, 2, …
pub(super) fn parse(text: &[u8]) -> Result<Vec<Label>, String> {
    // Of an untagged enum, serde reports neither line nor cause, so syntax is checked first.
    let value: serde_json::Value =
        serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let mapping: Mapping = serde_json::from_value(value).map_err(|_| EXPECTED.to_owned())?;
    let entries: Vec<(String, String, String)> = match mapping {
        Mapping::One(entries) => entries
            .into_iter()
            .map(|(index, entry)| (index, entry.tag, entry.category))
            .collect(),
        Mapping::Two {
            idx_to_tag,
            tag_to_category,
        } => idx_to_tag
            .into_iter()
            .map(|(index, tag)| match tag_to_category.get(&tag) {
                Some(category) => Ok((index, tag, category.clone())),
                None => Err(format!("`tag_to_category` has no tag `{tag}`")),
            })
            .collect::<Result<_, _>>()?,
    };
    let mut labels = BTreeMap::new();
    for (index, tag, category) in entries {
        let number: usize = index
            .parse()
            .map_err(|_| format!("key `{index}`: {EXPECTED}"))?;
        let category = Category::from_name(&category).ok_or_else(|| {
            let names = Category::ALL.map(Category::name).join(", ");
            format!("`{index}`: category `{category}`; expected one of {names}")
        })?;
        labels.insert(number, Label { tag, category });
    }
    for (expected, found) in labels.keys().enumerate() {
        if expected != *found {
            return Err(format!("no entry for output {expected}"));
        }
    }
    Ok(labels.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_sorted_by_number() {
        let one = parse(
            br#"{"10": {"tag": "k", "category": "Meta"}, "2": {"tag": "c", "category": "General"},
                "0": {"tag": "a", "category": "Rating"}, "1": {"tag": "b", "category": "Model"},
                "3": {"tag": "d", "category": "Artist"}, "4": {"tag": "e", "category": "Quality"},
                "5": {"tag": "f", "category": "Copyright"}, "6": {"tag": "g", "category": "General"},
                "7": {"tag": "h", "category": "Character"}, "8": {"tag": "i", "category": "General"},
                "9": {"tag": "j", "category": "General"}}"#,
        )
        .unwrap();
        let tags: Vec<&str> = one.iter().map(|label| label.tag.as_str()).collect();
        assert_eq!(tags.concat(), "abcdefghijk");
        let two = parse(
            br#"{"idx_to_tag": {"1": "b", "0": "a"}, "tag_to_category": {"a": "Rating", "b": "Model"}}"#,
        )
        .unwrap();
        assert_eq!(two[..], one[..2]);
    }

    #[test]
    fn errors_name_the_entry() {
        for (text, part) in [
            (
                r#"{"0": {"tag": "a", "category": "Colour"}}"#,
                "category `Colour`",
            ),
            (
                r#"{"1": {"tag": "a", "category": "General"}}"#,
                "no entry for output 0",
            ),
            (r#"{"x": {"tag": "a", "category": "General"}}"#, "key `x`"),
            (r#"{"0": "a"}"#, "expected `{\"0\""),
            (r#"{"0": "#, "line 1 column"),
            (
                r#"{"idx_to_tag": {"0": "a"}, "tag_to_category": {}}"#,
                "no tag `a`",
            ),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
