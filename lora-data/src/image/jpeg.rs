//! JPEG files (ITU-T T.81): header, completeness and pixels.

mod inks;
mod pixels;
mod upsample;

use std::io::{self, Read, Seek};

pub(crate) use self::pixels::decode;
use crate::size::Size;

const START_OF_IMAGE: u8 = 0xD8;
const END_OF_IMAGE: u8 = 0xD9;
const START_OF_SCAN: u8 = 0xDA;
const APP1: u8 = 0xE1;
const EXIF: &[u8] = b"Exif\0\0";

/// The header before the first scan.
#[derive(Debug)]
pub(crate) struct JpegHeader {
    pub(crate) size: Size,
    /// Bits per sample.
    precision: u8,
    /// Colours per pixel.
    components: u8,
    /// The TIFF structure of the first Exif segment.
    pub(crate) exif: Option<Vec<u8>>,
}

/// Reads the segments up to the frame header, no pixel data.
pub(crate) fn read_header(reader: &mut (impl Read + Seek)) -> io::Result<JpegHeader> {
    let mut exif = None;
    if read_marker(reader)? != START_OF_IMAGE {
        return Err(invalid("no start-of-image marker"));
    }
    loop {
        let marker = read_marker(reader)?;
        if is_standalone(marker) {
            continue;
        }
        if marker == END_OF_IMAGE || marker == START_OF_SCAN {
            return Err(invalid("no frame header before the first scan"));
        }
        let length = segment_length(read_u16(reader)?)?;
        if is_frame_header(marker) {
            let mut frame = [0; 6];
            reader.read_exact(&mut frame)?;
            let [precision, h0, h1, w0, w1, components] = frame;
            let size = Size::new(
                u16::from_be_bytes([w0, w1]).into(),
                u16::from_be_bytes([h0, h1]).into(),
            );
            return Ok(JpegHeader {
                size,
                precision,
                components,
                exif,
            });
        }
        if marker == APP1 && exif.is_none() {
            let mut segment = vec![0; usize::from(length)];
            reader.read_exact(&mut segment)?;
            exif = segment.strip_prefix(EXIF).map(<[u8]>::to_vec);
        } else {
            reader.seek_relative(length.into())?;
        }
    }
}

/// True if the file has its end-of-image marker. A truncated file lacks it, and decoders fill the
/// missing part with grey.
pub(crate) fn is_complete(file: &[u8]) -> bool {
    let mut reader = io::Cursor::new(file);
    let mut marker = read_marker(&mut reader);
    loop {
        match marker {
            Ok(END_OF_IMAGE) => return true,
            Ok(marker) if is_standalone(marker) => {}
            Ok(marker) => {
                let Ok(length) = read_u16(&mut reader).and_then(segment_length) else {
                    return false;
                };
                reader.set_position(reader.position() + u64::from(length));
                if marker == START_OF_SCAN {
                    skip_entropy_coded_data(&mut reader);
                }
            }
            Err(_) => return false,
        }
        marker = read_marker(&mut reader);
    }
}

/// Moves to the next marker that is not a restart. In entropy-coded data, 0xFF is followed by a
/// stuffed zero byte.
fn skip_entropy_coded_data(reader: &mut io::Cursor<&[u8]>) {
    let file = *reader.get_ref();
    let start = usize::try_from(reader.position())
        .unwrap_or(usize::MAX)
        .min(file.len());
    let marker = memchr::memchr_iter(0xFF, &file[start..])
        .map(|offset| start + offset)
        .find(|offset| {
            file.get(offset + 1)
                .is_some_and(|code| !matches!(code, 0 | 0xFF | 0xD0..=0xD7))
        });
    reader.set_position(marker.unwrap_or(file.len()) as u64);
}

/// The code of the next marker. A marker is 0xFF, any number of fill bytes 0xFF, and its code.
fn read_marker(reader: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    reader.read_exact(&mut byte)?;
    // Some writers leave bytes between segments; like other decoders, look for the next marker.
    while byte[0] != 0xFF {
        reader.read_exact(&mut byte)?;
    }
    while byte[0] == 0xFF {
        reader.read_exact(&mut byte)?;
    }
    Ok(byte[0])
}

fn read_u16(reader: &mut impl Read) -> io::Result<u16> {
    let mut bytes = [0; 2];
    reader.read_exact(&mut bytes)?;
    Ok(u16::from_be_bytes(bytes))
}

/// The bytes that follow the length field, which counts itself.
fn segment_length(field: u16) -> io::Result<u16> {
    field
        .checked_sub(2)
        .ok_or_else(|| invalid("segment shorter than its length field"))
}

fn is_standalone(marker: u8) -> bool {
    matches!(marker, 0x00 | 0x01 | 0xD0..=0xD8)
}

/// SOF0 to SOF15 without the Huffman table (C4), extension (C8) and arithmetic table (CC) markers
/// between them.
fn is_frame_header(marker: u8) -> bool {
    matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC)
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("damaged JPEG: {reason}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Start, comment, frame header of 300 x 200, scan with a stuffed and a restart marker, end.
    const FILE: &[u8] = &[
        0xFF, 0xD8, 0xFF, 0xFE, 0, 4, 0xFF, 0xD9, 0xFF, 0xFF, 0xC0, 0, 8, 8, 0, 200, 1, 44, 1,
        0xFF, 0xDA, 0, 3, 1, 9, 0xFF, 0, 9, 0xFF, 0xD3, 9, 0xFF, 0xD9,
    ];

    #[test]
    fn size_without_decoding() {
        let header = read_header(&mut io::Cursor::new(FILE)).unwrap();
        assert_eq!(header.size, Size::new(300, 200));
        assert_eq!(header.exif, None);
    }

    #[test]
    fn complete_only_with_the_end_marker() {
        assert!(is_complete(FILE));
        for length in 0..FILE.len() {
            assert!(!is_complete(&FILE[..length]), "{length} bytes");
        }
        assert!(is_complete(&[FILE, b"trailing bytes"].concat()));
    }

    #[test]
    fn damaged_headers_are_errors() {
        for length in 0..16 {
            assert!(
                read_header(&mut io::Cursor::new(&FILE[..length])).is_err(),
                "{length} bytes"
            );
        }
        assert!(read_header(&mut io::Cursor::new(&[0xFF, 0xD8, 0xFF, 0xE0, 0, 1])).is_err());
        assert!(read_header(&mut io::Cursor::new(&[0xFF, 0xD8, 0xFF, 0xD9])).is_err());
    }
}
