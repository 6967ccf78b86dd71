//! `selected_tags.csv` of the WD taggers.

use crate::category::Category;
use crate::tagger::labels::Label;

/// Parses `tag_id,name,category,count`. Only the columns `name` and `category` are used.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Label>, String> {
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let mut reader = csv::Reader::from_reader(text);
    let headers = reader.headers().map_err(|error| error.to_string())?.clone();
    let column = |name: &str| {
        headers
            .iter()
            .position(|header| header.trim() == name)
            .ok_or_else(|| {
                let found: Vec<&str> = headers.iter().collect();
                format!(
                    "no column `{name}`; found `{}`, expected `tag_id,name,category,count`",
                    found.join(",")
                )
            })
    };
    let (name, category) = (column("name")?, column("category")?);
    let mut labels = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        let found = record.get(category).unwrap_or_default().trim();
        let number: Option<u32> = found.parse().ok();
        let category = number.and_then(Category::from_number).ok_or_else(|| {
            format!(
                "line {line}: category `{found}`; expected 0 (general), 1 (artist), 3 (copyright), \
                 4 (character), 5 (meta) or 9 (rating)"
            )
        })?;
        labels.push(Label {
            tag: record.get(name).unwrap_or_default().trim().into(),
            category,
        });
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name() {
        let labels = parse(b"name,tag_id,category\n\"a,b\",7,4\n>_<,8,0\n").unwrap();
        assert_eq!(labels[0].tag, "a,b");
        assert_eq!(labels[0].category, Category::Character);
        assert_eq!(labels[1].tag, ">_<");
        assert_eq!(labels[1].category, Category::General);
    }

    #[test]
    fn errors_name_the_line() {
        let error = parse(b"tag_id,name,category,count\n1,a,0,5\n2,b,7,5\n").unwrap_err();
        assert!(error.starts_with("line 3: category `7`"), "{error}");
        let error = parse(b"a,b\n1,2\n").unwrap_err();
        assert!(error.contains("no column `name`; found `a,b`"), "{error}");
        let error = parse(b"tag_id,name,category,count\n1,a,0\n").unwrap_err();
        assert!(error.contains("line: 2"), "{error}");
        assert!(parse(b"tag_id,name,category,count\n1,\xff,0,1\n").is_err());
    }
}
