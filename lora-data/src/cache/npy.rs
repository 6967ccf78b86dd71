//! One array in NumPy's [npy
//! format](https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html): a header that
//! is a Python dictionary with type, order and shape, then the elements.
//!
//! The header is parsed here, by hand: a Python parser that recurses can be made to overflow the
//! stack, and NumPy itself writes these three keys only.

use std::io::{self, Read, Write};

use half::f16;

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// The upper limit for headers, as in NumPy (`max_header_size`).
const MAX_HEADER: usize = 10_000;

/// Elements start at a multiple of this.
const ALIGNMENT: usize = 64;

/// Type, order and shape of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// The element type as NumPy writes it: `<f4`.
    pub(super) descr: String,
    /// True if the first index varies fastest in the file.
    pub(super) fortran_order: bool,
    pub(super) shape: Vec<u64>,
    /// Bytes of the file before the first element.
    pub(super) data_start: u64,
}

impl Header {
    /// Reads up to the first element.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] with the reason, or the errors of `reader`.
    pub(super) fn read(reader: &mut impl Read) -> io::Result<Self> {
        let mut start = [0; 8];
        reader.read_exact(&mut start)?;
        if &start[..6] != MAGIC {
            return Err(invalid("not an npy array"));
        }
        let (len, prefix) = match start[6] {
            1 => {
                let mut len = [0; 2];
                reader.read_exact(&mut len)?;
                (usize::from(u16::from_le_bytes(len)), 10)
            }
            2 | 3 => {
                let mut len = [0; 4];
                reader.read_exact(&mut len)?;
                (u32::from_le_bytes(len) as usize, 12)
            }
            version => return Err(invalid(format!("npy version {version}; expected 1 to 3"))),
        };
        if len > MAX_HEADER {
            return Err(invalid(format!(
                "an npy header of {len} bytes; expected at most {MAX_HEADER}"
            )));
        }
        let mut text = vec![0; len];
        reader.read_exact(&mut text)?;
        let text =
            std::str::from_utf8(&text).map_err(|_| invalid("an npy header that is not UTF-8"))?;
        let mut header = Parser(text)
            .dictionary()
            .ok_or_else(|| invalid("an invalid npy header"))?;
        header.data_start = (prefix + len) as u64;
        Ok(header)
    }

    /// The type of the elements, if it is supported.
    pub(super) fn dtype(&self) -> Option<Dtype> {
        let (order, kind) = (self.descr.get(..1)?, self.descr.get(1..)?);
        let big_endian = match order {
            "<" => false,
            ">" => true,
            _ => return None,
        };
        let element = match kind {
            "f2" => Element::F16,
            "f4" => Element::F32,
            "f8" => Element::F64,
            "i4" => Element::I32,
            "i8" => Element::I64,
            _ => return None,
        };
        Some(Dtype {
            element,
            big_endian,
        })
    }
}

/// A number's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F16,
    F32,
    F64,
    I32,
    I64,
}

impl Element {
    pub(super) fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::F32 | Self::F64)
    }

    fn descr(self) -> &'static str {
        match self {
            Self::F16 => "<f2",
            Self::F32 => "<f4",
            Self::F64 => "<f8",
            Self::I32 => "<i4",
            Self::I64 => "<i8",
        }
    }
}

/// A number's type and the order of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dtype {
    pub(super) element: Element,
    big_endian: bool,
}

impl Dtype {
    /// Bytes of an element.
    pub(super) fn size(self) -> usize {
        match self.element {
            Element::F16 => 2,
            Element::F32 | Element::I32 => 4,
            Element::F64 | Element::I64 => 8,
        }
    }

    /// The numbers in `bytes`, whose length is a multiple of [`size`](Self::size).
    pub(super) fn decode<T>(self, bytes: &[u8], out: &mut Vec<T>, convert: impl Fn(f64) -> T) {
        fn each<const N: usize>(bytes: &[u8], big_endian: bool) -> impl Iterator<Item = [u8; N]> {
            bytes.as_chunks::<N>().0.iter().map(move |chunk| {
                let mut chunk = *chunk;
                if big_endian {
                    chunk.reverse();
                }
                chunk
            })
        }
        let big = self.big_endian;
        match self.element {
            Element::F16 => {
                out.extend(each(bytes, big).map(|b| convert(f16::from_le_bytes(b).to_f64())));
            }
            Element::F32 => {
                out.extend(each(bytes, big).map(|b| convert(f32::from_le_bytes(b).into())));
            }
            Element::F64 => out.extend(each(bytes, big).map(|b| convert(f64::from_le_bytes(b)))),
            Element::I32 => {
                out.extend(each(bytes, big).map(|b| convert(i32::from_le_bytes(b).into())));
            }
            Element::I64 => {
                out.extend(each(bytes, big).map(|b| convert(i64::from_le_bytes(b) as f64)));
            }
        }
    }
}

/// Writes the header of an array in C order and little endian.
pub(super) fn write_header(
    out: &mut impl Write,
    element: Element,
    shape: &[usize],
) -> io::Result<()> {
    let dims: String = shape.iter().map(|dim| format!("{dim}, ")).collect();
    // A tuple of one keeps its comma, as in Python.
    let dims = if shape.len() == 1 {
        dims.trim_end()
    } else {
        dims.trim_end_matches(", ")
    };
    let mut text = format!(
        "{{'descr': '{}', 'fortran_order': False, 'shape': ({dims}), }}",
        element.descr()
    );
    let unpadded = MAGIC.len() + 4 + text.len() + 1;
    text.extend(std::iter::repeat_n(
        ' ',
        unpadded.next_multiple_of(ALIGNMENT) - unpadded,
    ));
    text.push('\n');
    let len =
        u16::try_from(text.len()).map_err(|_| invalid("too many dimensions for an npy header"))?;
    out.write_all(MAGIC)?;
    out.write_all(&[1, 0])?;
    out.write_all(&len.to_le_bytes())?;
    out.write_all(text.as_bytes())
}

/// Reorders values from the first index varying fastest to the last index varying fastest.
pub(super) fn from_fortran_order<T: Copy>(values: &[T], shape: &[u64]) -> Vec<T> {
    let mut index = vec![0; shape.len()];
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = 1;
    for dim in shape {
        strides.push(stride);
        stride *= *dim as usize;
    }
    let mut reordered = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        reordered.push(
            values[index
                .iter()
                .zip(&strides)
                .map(|(i, stride)| i * stride)
                .sum::<usize>()],
        );
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if (index[axis] as u64) < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    reordered
}

/// The unparsed rest of a header's text.
struct Parser<'a>(&'a str);

impl<'a> Parser<'a> {
    fn dictionary(mut self) -> Option<Header> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.expect("{")?;
        while !self.skip("}") {
            let key = self.string()?;
            self.expect(":")?;
            match key {
                "descr" => descr = Some(self.descr()?),
                "fortran_order" => fortran_order = Some(self.boolean()?),
                "shape" => shape = Some(self.shape()?),
                _ => return None,
            }
            if !self.skip(",") {
                self.expect("}")?;
                break;
            }
        }
        self.0.trim_start().is_empty().then_some(())?;
        Some(Header {
            descr: descr?.into(),
            fortran_order: fortran_order?,
            shape: shape?,
            data_start: 0,
        })
    }

    fn skip(&mut self, token: &str) -> bool {
        let rest = self.0.trim_start().strip_prefix(token);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn expect(&mut self, token: &str) -> Option<()> {
        self.skip(token).then_some(())
    }

    fn string(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start();
        let quote = text
            .chars()
            .next()
            .filter(|first| matches!(first, '\'' | '"'))?;
        let (string, rest) = text[1..].split_once(quote)?;
        self.0 = rest;
        Some(string)
    }

    /// A type's name, or the list of fields of a structured type.
    fn descr(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start();
        if !text.starts_with('[') {
            return self.string();
        }
        let mut depth = 0;
        let end = text.find(|character| {
            depth += i32::from(character == '[') - i32::from(character == ']');
            depth == 0
        })?;
        self.0 = &text[end + 1..];
        Some(&text[..=end])
    }

    fn boolean(&mut self) -> Option<bool> {
        if self.skip("True") {
            return Some(true);
        }
        self.expect("False").map(|()| false)
    }

    fn shape(&mut self) -> Option<Vec<u64>> {
        let mut dims = Vec::new();
        self.expect("(")?;
        while !self.skip(")") {
            let text = self.0.trim_start();
            let digits = text.find(|character: char| !character.is_ascii_digit())?;
            dims.push(text[..digits].parse().ok()?);
            // Python 2 wrote `4L`.
            self.0 = text[digits..].trim_start_matches('L');
            if !self.skip(",") {
                self.expect(")")?;
                break;
            }
        }
        Some(dims)
    }
}

fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Header> {
        Parser(text).dictionary()
    }

    #[test]
    fn headers_of_all_writers_are_understood() {
        let header =
            parse("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 8, 16), }   \n").unwrap();
        assert_eq!(
            (header.descr.as_str(), header.fortran_order),
            ("<f4", false)
        );
        assert_eq!(header.shape, [4, 8, 16]);
        let header = parse(r#"{"shape":(4L,8L),"fortran_order":True,"descr":">f8"}"#).unwrap();
        assert_eq!(
            (header.descr.as_str(), header.fortran_order, header.shape),
            (">f8", true, vec![4, 8])
        );
        assert_eq!(
            parse("{'descr': '<i8', 'fortran_order': False, 'shape': (2,)}")
                .unwrap()
                .shape,
            [2]
        );
        assert_eq!(
            parse("{'descr': '<i8', 'fortran_order': False, 'shape': ()}")
                .unwrap()
                .shape,
            [0; 0]
        );
        let header = parse(
            "{'descr': [('a', '<f4', (2,)), ('b', [('c', '<i8')])], 'fortran_order': False, \
             'shape': (1,)}",
        );
        assert_eq!(
            header.unwrap().descr,
            "[('a', '<f4', (2,)), ('b', [('c', '<i8')])]"
        );
    }

    #[test]
    fn absurd_headers_are_refused() {
        for shape in [
            "(-1,)",
            "(99999999999999999999,)",
            "(4",
            "4",
            "(4,,)",
            "('4',)",
            "(1.5,)",
            "(True,)",
            "[4]",
        ] {
            assert_eq!(
                parse(&format!(
                    "{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}"
                )),
                None,
                "{shape}"
            );
        }
        for text in [
            "",
            "{",
            "{}",
            "{'descr': '<f4', 'fortran_order': False}",
            "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
            "{'descr': 4, 'fortran_order': False, 'shape': (1,)}",
            "{'descr': [[[, 'fortran_order': False, 'shape': (1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} 1",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&"{".repeat(MAX_HEADER)), None);
        assert_eq!(parse(&"[".repeat(MAX_HEADER)), None);
    }

    #[test]
    fn a_header_that_claims_gigabytes_is_refused_before_it_is_read() {
        let mut bytes = [MAGIC.as_slice(), &[2, 0]].concat();
        bytes.extend(u32::MAX.to_le_bytes());
        let error = Header::read(&mut bytes.as_slice()).unwrap_err();
        assert!(error.to_string().contains("4294967295 bytes"), "{error}");
    }

    #[test]
    fn a_written_header_is_read_back() {
        for shape in [&[][..], &[1280], &[4, 8, 16]] {
            let mut bytes = Vec::new();
            write_header(&mut bytes, Element::F32, shape).unwrap();
            assert_eq!(bytes.len() % ALIGNMENT, 0);
            let header = Header::read(&mut bytes.as_slice()).unwrap();
            assert_eq!(
                header.shape,
                shape.iter().map(|dim| *dim as u64).collect::<Vec<_>>()
            );
            assert_eq!(header.dtype().unwrap().element, Element::F32);
            assert_eq!(header.data_start, bytes.len() as u64);
        }
    }

    #[test]
    fn fortran_order_becomes_c_order() {
        // [[0, 1, 2], [3, 4, 5]] column by column
        assert_eq!(
            from_fortran_order(&[0, 3, 1, 4, 2, 5], &[2, 3]),
            [0, 1, 2, 3, 4, 5]
        );
        assert_eq!(from_fortran_order(&[7, 8], &[2]), [7, 8]);
        assert!(from_fortran_order::<u8>(&[], &[0, 3]).is_empty());
    }
}
