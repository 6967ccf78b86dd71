//! Python literals as they appear in sd-scripts' arguments.

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    None,
    Bool(bool),
    Number(f64),
    Text(String),
    Tuple(Vec<Literal>),
}

impl Literal {
    /// The value of a text. None if it is no literal that an optimizer's argument can have.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let inner = bracketed(text);
        if inner.is_some() || text.contains(',') {
            let inner = inner.unwrap_or(text).trim();
            let items = inner.strip_suffix(',').unwrap_or(inner);
            // One item in parentheses and without a comma is the item itself.
            if text.starts_with('(') && !inner.contains(',') {
                return Self::scalar(inner);
            }
            return items
                .split(',')
                .map(|item| Self::scalar(item.trim()))
                .collect::<Option<_>>()
                .map(Self::Tuple);
        }
        Self::scalar(text)
    }

    fn scalar(text: &str) -> Option<Self> {
        match text {
            "None" => return Some(Self::None),
            "True" => return Some(Self::Bool(true)),
            "False" => return Some(Self::Bool(false)),
            _ => {}
        }
        for quote in ['\'', '"'] {
            if let Some(inner) = text
                .strip_prefix(quote)
                .and_then(|rest| rest.strip_suffix(quote))
            {
                return (!inner.contains([quote, '\\'])).then(|| Self::Text(inner.to_owned()));
            }
        }
        // Rust reads "inf" and "nan", too; Python takes these for names.
        let number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
            && text.contains(|c: char| c.is_ascii_digit());
        number
            .then(|| text.replace('_', "").parse().ok())
            .flatten()
            .map(Self::Number)
    }
}

fn bracketed(text: &str) -> Option<&str> {
    [('(', ')'), ('[', ']')]
        .iter()
        .find_map(|(open, close)| text.strip_prefix(*open)?.strip_suffix(*close))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_python_reads() {
        let pair = Some(Literal::Tuple(vec![
            Literal::Number(0.9),
            Literal::Number(0.99),
        ]));
        for text in ["0.9,0.99", "(0.9, 0.99)", "[0.9,0.99]", " ( .9 ,0.99, ) "] {
            assert_eq!(Literal::parse(text), pair, "{text}");
        }
        for (text, value) in [
            ("1e-8", Some(Literal::Number(1e-8))),
            ("-0.8", Some(Literal::Number(-0.8))),
            ("(2)", Some(Literal::Number(2.0))),
            ("(2,)", Some(Literal::Tuple(vec![Literal::Number(2.0)]))),
            ("1e999", Some(Literal::Number(f64::INFINITY))),
            ("True", Some(Literal::Bool(true))),
            ("None", Some(Literal::None)),
            ("'text'", Some(Literal::Text("text".into()))),
            ("true", None),
            ("inf", None),
            ("-inf", None),
            ("1e", None),
            ("", None),
            ("0.9,,1", None),
            ("lr", None),
        ] {
            assert_eq!(Literal::parse(text), value, "{text}");
        }
    }
}
