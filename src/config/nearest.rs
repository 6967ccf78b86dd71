//! Lists of names in messages, and the name that is nearest to a misspelled one.

/// The one of these names that is nearest to `name`, if any is near.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (nearest, similarity) = known
        .map(|known| (known, strsim::normalized_damerau_levenshtein(known, name)))
        .max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    (similarity >= 0.6).then_some(nearest)
}

/// The names with commas and `or` between them.
pub(crate) fn one_of<T: ToString>(names: &[T]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    match names.as_slice() {
        [] => "nothing".into(),
        [name] => name.clone(),
        [names @ .., last] => format!("{} or {last}", names.join(", ")),
    }
}

/// An expectation, with the name that is nearest to what was found, if any is near.
pub(crate) fn or_nearest(expected: String, found: &str, names: &[&str]) -> String {
    let lower: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    let found = found.to_ascii_lowercase();
    let Some(nearest) = nearest(&found, lower.iter().map(String::as_str)) else {
        return expected;
    };
    match names.iter().find(|name| name.eq_ignore_ascii_case(nearest)) {
        Some(name) => format!("{expected}; did you mean `{name}`?"),
        None => expected,
    }
}
