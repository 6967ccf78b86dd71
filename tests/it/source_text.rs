//! Splits source files into code, comments and string literals, for tests of their texts.
//!
//! These are not parsers: they know just enough of each language to find where comments and strings
//! begin and end.

use std::iter::Peekable;
use std::str::CharIndices;

/// A part of a source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// The text of a comment or string without its delimiters, or a word or character of code.
    pub(crate) text: String,
    /// The line of its first character, starting at 1.
    pub(crate) line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A word or a punctuation character.
    Code,
    /// A comment that is not documentation.
    Comment,
    /// A doc comment: `///` or `//!`.
    Doc,
    /// A string literal, with escapes resolved.
    Text,
}

/// Splits a Rust file.
pub(crate) fn rust(source: &str) -> Vec<Token> {
    Lexer::new(source).rust()
}

/// Splits a Python file. Docstrings are strings.
pub(crate) fn python(source: &str) -> Vec<Token> {
    Lexer::new(source).python()
}

/// Removes the items behind `#[cfg(test)]`.
pub(crate) fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let code: Vec<usize> = (0..tokens.len())
        .filter(|index| tokens[*index].kind == Kind::Code)
        .collect();
    let mut is_test = vec![false; tokens.len()];
    for (position, start) in code.iter().enumerate() {
        let following = code[position..]
            .iter()
            .map(|index| tokens[*index].text.as_str());
        if !following.take(ATTRIBUTE.len()).eq(ATTRIBUTE) {
            continue;
        }
        let rest = &code[position + ATTRIBUTE.len()..];
        let end = end_of_item(&tokens, rest).unwrap_or(tokens.len() - 1);
        is_test[*start..=end].fill(true);
    }
    tokens
        .into_iter()
        .zip(is_test)
        .filter_map(|(token, is_test)| (!is_test).then_some(token))
        .collect()
}

/// The index of the token that ends an item: the first `;` outside brackets, or the `}` of its
/// body.
fn end_of_item(tokens: &[Token], code: &[usize]) -> Option<usize> {
    let mut depth = 0_usize;
    for &index in code {
        match tokens[index].text.as_str() {
            "{" | "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(index);
                }
            }
            ";" if depth == 0 => return Some(index),
            _ => {}
        }
    }
    None
}

struct Lexer<'a> {
    source: &'a str,
    chars: Peekable<CharIndices<'a>>,
    line: usize,
    tokens: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn new(source: &'a str) -> Self {
        Self {
            source,
            chars: source.char_indices().peekable(),
            line: 1,
            tokens: Vec::new(),
        }
    }

    fn rust(mut self) -> Vec<Token> {
        while let Some(rest) = self.rest() {
            let line = self.line;
            if rest.starts_with("//") {
                let text = self.take_line();
                let is_doc =
                    text.starts_with("//!") || text.starts_with("///") && !text.starts_with("////");
                let kind = if is_doc { Kind::Doc } else { Kind::Comment };
                let text = text.trim_start_matches(['/', '!']).to_owned();
                self.push(kind, text, line);
            } else if rest.starts_with("/*") {
                let text = self.block_comment();
                self.push(Kind::Comment, text, line);
            } else if let Some((prefix, hashes)) = raw_string(rest) {
                self.skip(prefix);
                let text = self.take_until(&format!("\"{}", "#".repeat(hashes)));
                self.push(Kind::Text, text, line);
            } else if rest.starts_with('"') || rest.starts_with("b\"") || rest.starts_with("c\"") {
                self.skip(rest.find('"').unwrap_or(0) + 1);
                let text = self.escaped_text("\"", true);
                self.push(Kind::Text, text, line);
            } else if rest.starts_with('\'') {
                self.char_or_lifetime(rest);
            } else {
                self.code();
            }
        }
        self.tokens
    }

    fn python(mut self) -> Vec<Token> {
        while let Some(rest) = self.rest() {
            let line = self.line;
            if rest.starts_with('#') {
                let text = self.take_line().trim_start_matches('#').to_owned();
                self.push(Kind::Comment, text, line);
            } else if let Some((prefix, quote)) = python_string(rest) {
                let is_raw = rest[..prefix].to_ascii_lowercase().contains('r');
                self.skip(prefix);
                let text = if is_raw {
                    self.take_until(quote)
                } else {
                    self.escaped_text(quote, false)
                };
                self.push(Kind::Text, text, line);
            } else {
                self.code();
            }
        }
        self.tokens
    }

    fn push(&mut self, kind: Kind, text: String, line: usize) {
        self.tokens.push(Token { kind, text, line });
    }

    fn rest(&mut self) -> Option<&'a str> {
        let (index, _) = *self.chars.peek()?;
        Some(&self.source[index..])
    }

    fn next(&mut self) -> Option<char> {
        let (_, next) = self.chars.next()?;
        self.line += usize::from(next == '\n');
        Some(next)
    }

    fn skip(&mut self, chars: usize) {
        for _ in 0..chars {
            self.next();
        }
    }

    /// A word, or one character; whitespace is dropped.
    fn code(&mut self) {
        let line = self.line;
        let Some(first) = self.next() else { return };
        if first.is_whitespace() {
            return;
        }
        let mut text = first.to_string();
        if is_word(first) {
            while let Some((_, next)) = self.chars.peek().copied()
                && is_word(next)
            {
                text.push(next);
                self.next();
            }
        }
        self.push(Kind::Code, text, line);
    }

    fn take_line(&mut self) -> &'a str {
        let rest = self.rest().unwrap_or_default();
        let line = rest.lines().next().unwrap_or_default();
        self.skip(line.chars().count());
        line
    }

    fn take_until(&mut self, end: &str) -> String {
        let rest = self.rest().unwrap_or_default();
        let text = rest.split_once(end).map_or(rest, |(text, _)| text);
        self.skip(text.chars().count() + end.len());
        text.to_owned()
    }

    fn block_comment(&mut self) -> String {
        let (mut text, mut depth) = (String::new(), 0);
        while let Some(rest) = self.rest() {
            if rest.starts_with("/*") {
                depth += 1;
                self.skip(2);
            } else if rest.starts_with("*/") {
                depth -= 1;
                self.skip(2);
            } else {
                text.extend(self.next());
            }
            if depth == 0 {
                break;
            }
        }
        text
    }

    /// The text up to the quote. A `\` before the end of a line removes it; in Rust with the
    /// indentation of the next line.
    fn escaped_text(&mut self, quote: &str, drops_indentation: bool) -> String {
        let mut text = String::new();
        while let Some(rest) = self.rest() {
            if rest.starts_with(quote) {
                self.skip(quote.len());
                break;
            }
            let next = self.next().unwrap_or_default();
            if next != '\\' {
                text.push(next);
                continue;
            }
            match self.next() {
                Some('\n') if drops_indentation => {
                    while self
                        .chars
                        .peek()
                        .is_some_and(|(_, next)| next.is_whitespace())
                    {
                        self.next();
                    }
                }
                Some('n' | 't' | 'r') => text.push(' '),
                Some('\n') | None => {}
                Some(other) => text.push(other),
            }
        }
        text
    }

    /// A character literal is dropped; the quote of a lifetime is code.
    fn char_or_lifetime(&mut self, rest: &str) {
        let mut following = rest.chars().skip(1);
        match (following.next(), following.next()) {
            (Some('\\'), _) => {
                self.skip(3);
                self.take_until("'");
            }
            (Some(_), Some('\'')) => self.skip(3),
            _ => self.skip(1),
        }
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The number of characters that open a raw string, and of its hashes.
fn raw_string(rest: &str) -> Option<(usize, usize)> {
    let after = ["r", "br", "cr"]
        .into_iter()
        .find_map(|prefix| rest.strip_prefix(prefix))?;
    let hashes = after.chars().take_while(|next| *next == '#').count();
    let is_string = after[hashes..].starts_with('"');
    is_string.then(|| (rest.len() - after.len() + hashes + 1, hashes))
}

/// The number of characters that open a Python string, and its quote.
fn python_string(rest: &str) -> Option<(usize, &'static str)> {
    let prefix = rest
        .chars()
        .take_while(|next| "rbfuRBFU".contains(*next))
        .count();
    let quote = ["\"\"\"", "'''", "\"", "'"];
    let quote = quote
        .into_iter()
        .find(|quote| rest[prefix..].starts_with(quote))?;
    Some((prefix + quote.len(), quote))
}

#[test]
fn rust_is_split_into_code_comments_and_texts() {
    let source = r##"
        /// Doc.
        fn f<'a>(c: char) -> &'a str { // Why.
            let quote = ('"', '\'', b"bytes");
            r#"raw "text""#; "a \
                b\n\"c\" /* no comment */" /* a /* nested */ comment */
        }
    "##;
    let of_kind = |kind: Kind| {
        let tokens = rust(source)
            .into_iter()
            .filter(move |token| token.kind == kind);
        tokens
            .map(|token| (token.text, token.line))
            .collect::<Vec<_>>()
    };
    let texts = |kind| {
        of_kind(kind)
            .into_iter()
            .map(|(text, _)| text)
            .collect::<Vec<_>>()
    };
    assert_eq!(of_kind(Kind::Doc), [(" Doc.".to_owned(), 2)]);
    assert_eq!(texts(Kind::Comment), [" Why.", " a  nested  comment "]);
    assert_eq!(
        texts(Kind::Text),
        ["bytes", "raw \"text\"", "a b \"c\" /* no comment */"]
    );
    assert_eq!(of_kind(Kind::Code).last(), Some(&("}".to_owned(), 7)));
}

#[test]
fn tests_are_left_out() {
    let source = "fn a() { \"a\" } #[cfg(test)] mod tests { fn b() { \"b\" } } fn c() { \"c\" } \
                  #[cfg(test)] mod more; const D: &str = \"d\";";
    let texts: Vec<String> = without_tests(rust(source))
        .into_iter()
        .filter(|token| token.kind == Kind::Text)
        .map(|token| token.text)
        .collect();
    assert_eq!(texts, ["a", "c", "d"]);
}

#[test]
fn python_is_split_into_code_comments_and_texts() {
    let source = "def f():  # why\n    \"\"\"Doc 'x'.\n    More.\"\"\"\n    return rb'\\d' + f\"{a} \\\"b\"\n";
    let texts: Vec<String> = python(source)
        .into_iter()
        .filter(|token| token.kind == Kind::Text)
        .map(|token| token.text)
        .collect();
    assert_eq!(texts, ["Doc 'x'.\n    More.", "\\d", "{a} \"b"]);
}
