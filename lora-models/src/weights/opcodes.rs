//! The classes and functions that a pickle names. Its opcodes are parsed, none is run (Python's
//! `pickletools` lists them).

use std::collections::HashMap;
use std::rc::Rc;

/// Bytes of a name that are kept.
const LONGEST_NAME: usize = 1000;

/// A class or function that a pickle names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Global {
    pub(super) module: String,
    pub(super) name: String,
}

/// All classes and functions that the pickles at the start of `bytes` name. Files from before 2020
/// have several pickles in a row, then numbers; the walk ends at the first bytes that are not a
/// pickle.
pub(super) fn globals(bytes: &[u8]) -> Result<Vec<Global>, String> {
    let mut walk = Walk {
        bytes,
        at: 0,
        globals: Vec::new(),
        strings: ["".into(), "".into()],
        memo: HashMap::new(),
    };
    walk.pickle()?;
    // Since protocol 2 a pickle starts with its protocol.
    while bytes.get(walk.at) == Some(&b'\x80') {
        let before = walk.globals.len();
        if walk.pickle().is_err() {
            walk.globals.truncate(before);
            break;
        }
    }
    Ok(walk.globals)
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    globals: Vec<Global>,
    /// The last two strings that were pushed; they name a global.
    strings: [Rc<str>; 2],
    memo: HashMap<usize, Rc<str>>,
}

/// The argument of an opcode.
enum Argument {
    End,
    None,
    Bytes(usize),
    Line,
    /// A length of this many bytes, then as many bytes as it says.
    Counted(usize),
    /// A length of this many bytes, then text of that length.
    Text(usize),
    TextLine,
    /// Module and name, one line each.
    Global,
    /// Module and name are the last two strings.
    GlobalOfStack,
    Remember(Option<usize>),
    RememberNext,
    Recall(Option<usize>),
}

impl Argument {
    fn of_opcode(opcode: u8) -> Option<Self> {
        Some(match opcode {
            b'.' => Self::End,
            b'('
            | b')'
            | b']'
            | b'}'
            | b'0'
            | b'1'
            | b'2'
            | b'N'
            | b'Q'
            | b'R'
            | b'a'
            | b'b'
            | b'd'
            | b'e'
            | b'l'
            | b'o'
            | b's'
            | b't'
            | b'u'
            | 0x81
            | 0x85..=0x89
            | 0x8f..=0x92
            | 0x97
            | 0x98 => Self::None,
            b'K' | 0x80 | 0x82 => Self::Bytes(1),
            b'M' | 0x83 => Self::Bytes(2),
            b'J' | 0x84 => Self::Bytes(4),
            b'G' | 0x95 => Self::Bytes(8),
            b'F' | b'I' | b'L' | b'P' => Self::Line,
            b'S' | b'V' => Self::TextLine,
            b'c' | b'i' => Self::Global,
            0x93 => Self::GlobalOfStack,
            b'U' | 0x8c => Self::Text(1),
            b'X' | b'T' => Self::Text(4),
            0x8d => Self::Text(8),
            b'C' | 0x8a => Self::Counted(1),
            b'B' | 0x8b => Self::Counted(4),
            0x8e | 0x96 => Self::Counted(8),
            b'p' => Self::Remember(None),
            b'q' => Self::Remember(Some(1)),
            b'r' => Self::Remember(Some(4)),
            0x94 => Self::RememberNext,
            b'g' => Self::Recall(None),
            b'h' => Self::Recall(Some(1)),
            b'j' => Self::Recall(Some(4)),
            _ => return None,
        })
    }
}

impl Walk<'_> {
    /// Walks to the end of a pickle.
    fn pickle(&mut self) -> Result<(), String> {
        loop {
            let opcode = self.take(1)?[0];
            let Some(argument) = Argument::of_opcode(opcode) else {
                return Err(format!(
                    "not a pickle: byte {opcode:#04x} at {}",
                    self.at - 1
                ));
            };
            match argument {
                Argument::End => return Ok(()),
                Argument::None => {}
                Argument::Bytes(count) => self.skip(count)?,
                Argument::Line => drop(self.line()?),
                Argument::Counted(size) => self.counted(size)?,
                Argument::Text(size) => self.string(size)?,
                Argument::TextLine => {
                    let text = self.line()?;
                    self.push(text.trim_matches(['\'', '"']).into());
                }
                Argument::Global => {
                    let global = Global {
                        module: self.line()?,
                        name: self.line()?,
                    };
                    self.globals.push(global);
                }
                Argument::GlobalOfStack => self.stack_global()?,
                Argument::Remember(size) => {
                    let index = self.index(size)?;
                    self.remember(index);
                }
                Argument::RememberNext => self.remember(self.memo.len()),
                Argument::Recall(size) => {
                    let index = self.index(size)?;
                    self.recall(index);
                }
            }
        }
    }

    /// An index into the memo: a number of this many bytes, or a line of text.
    fn index(&mut self, size: Option<usize>) -> Result<usize, String> {
        match size {
            Some(size) => self.number(size),
            None => self
                .line()?
                .parse()
                .map_err(|_| "a memo index that is not a number".to_owned()),
        }
    }

    fn stack_global(&mut self) -> Result<(), String> {
        let [module, name] = self.strings.each_ref().map(|text| text.to_string());
        if module.is_empty() || name.is_empty() {
            return Err("the pickle calls something without a name".into());
        }
        self.globals.push(Global { module, name });
        Ok(())
    }

    fn push(&mut self, text: Rc<str>) {
        self.strings.swap(0, 1);
        self.strings[1] = text;
    }

    /// Any value can be stored in the memo. Only strings matter here, so for any other value the
    /// last string is stored.
    fn remember(&mut self, index: usize) {
        self.memo.insert(index, Rc::clone(&self.strings[1]));
    }

    fn recall(&mut self, index: usize) {
        if let Some(text) = self.memo.get(&index).map(Rc::clone) {
            self.push(text);
        }
    }

    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let end = self
            .at
            .checked_add(count)
            .filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| "the pickle is cut off".to_owned())?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn skip(&mut self, count: usize) -> Result<(), String> {
        self.take(count).map(drop)
    }

    fn number(&mut self, size: usize) -> Result<usize, String> {
        let bytes = self.take(size)?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn counted(&mut self, size: usize) -> Result<(), String> {
        let count = self.number(size)?;
        self.skip(count)
    }

    fn string(&mut self, size: usize) -> Result<(), String> {
        let count = self.number(size)?;
        // A longer string names nothing.
        let text = String::from_utf8_lossy(
            self.take(count)?
                .get(..LONGEST_NAME.min(count))
                .unwrap_or_default(),
        )
        .into();
        self.push(text);
        Ok(())
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = &self.bytes[self.at..];
        let end = rest
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or_else(|| "the pickle is cut off".to_owned())?;
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        self.at += end + 1;
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(bytes: &[u8]) -> Vec<String> {
        let globals = globals(bytes).expect("a pickle");
        globals
            .into_iter()
            .map(|Global { module, name }| format!("{module}.{name}"))
            .collect()
    }

    #[test]
    fn calls_are_found() {
        // pickle.dumps of an object whose __reduce__ is (os.system, ("true",)), protocols 0, 2 and
        // 4.
        assert_eq!(
            names(b"cposix\nsystem\np0\n(Vtrue\np1\ntp2\nRp3\n."),
            ["posix.system"]
        );
        assert_eq!(
            names(b"\x80\x02cposix\nsystem\nq\x00X\x04\x00\x00\x00trueq\x01\x85q\x02Rq\x03."),
            ["posix.system"]
        );
        let protocol_4 = b"\x80\x04\x95\x1f\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\
            \x8c\x06system\x94\x93\x94\x8c\x04true\x94\x85\x94R\x94.";
        assert_eq!(names(protocol_4), ["posix.system"]);
    }

    #[test]
    fn all_pickles_of_a_file_are_read() {
        let two = b"\x80\x02K\x01.\x80\x02cposix\nsystem\n.\x01\x02\x03";
        assert_eq!(names(two), ["posix.system"]);
    }

    #[test]
    fn anything_but_a_pickle_is_an_error() {
        for bytes in [
            &b""[..],
            b"\x80\x02X\xff\xff\xff\xff",
            b"hello",
            b"\x80\x02\x93.",
        ] {
            assert!(globals(bytes).is_err(), "{bytes:?}");
        }
    }
}
