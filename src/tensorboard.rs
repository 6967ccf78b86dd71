//! Event files of TensorBoard: scalars and images over steps.
//!
//! A file is a sequence of records (length, checksum, payload, checksum: the TFRecord format); each
//! payload is an `Event` message of TensorFlow's `event.proto`, in protobuf's wire format.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::civil::DateTime;

use crate::error::{Error, Result};

/// Returns the log folder of a run, with sd-scripts' name:
/// `<logging_dir>/<prefix><start>/network_train`.
pub(crate) fn run_folder(logging_dir: &Path, prefix: &str, started_at: DateTime) -> PathBuf {
    logging_dir
        .join(format!("{prefix}{}", started_at.strftime("%Y%m%d%H%M%S")))
        .join("network_train")
}

/// Writes an event file, one record per call and without a buffer.
#[derive(Debug)]
pub(crate) struct EventWriter {
    file: File,
    path: PathBuf,
}

impl EventWriter {
    /// Creates `events.out.tfevents.<seconds>.<host>.<process>.<number>` in `folder`, and the
    /// folder if it is missing.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder or the file cannot be created.
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        std::fs::create_dir_all(folder).map_err(Error::io(folder, "create the folder"))?;
        let (seconds, process) = (now() as u64, std::process::id());
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!(
            "events.out.tfevents.{seconds}.{}.{process}.{number}",
            host()
        ));
        let file = File::create_new(&path).map_err(Error::io(&path, "create"))?;
        let mut writer = Self { file, path };
        writer.write(0, |event| event.bytes(3, b"brain.Event:2"))?;
        Ok(writer)
    }

    /// Adds a point to the curve `tag`.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written.
    pub(crate) fn scalar(&mut self, tag: &str, value: f32, step: u64) -> Result<()> {
        self.summary(tag, step, |entry| entry.float(2, value))
    }

    /// Adds an image, encoded as PNG, of this width and height in pixels.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written.
    pub(crate) fn image(
        &mut self,
        tag: &str,
        png: &[u8],
        (width, height): (u32, u32),
        step: u64,
    ) -> Result<()> {
        const RGB: u64 = 3;
        let mut image = Message::default();
        image.integer(1, height.into());
        image.integer(2, width.into());
        image.integer(3, RGB);
        image.bytes(4, png);
        self.summary(tag, step, |entry| entry.bytes(4, &image.0))
    }

    fn summary(&mut self, tag: &str, step: u64, value: impl FnOnce(&mut Message)) -> Result<()> {
        let mut entry = Message::default();
        entry.bytes(1, tag.as_bytes());
        value(&mut entry);
        let mut summary = Message::default();
        summary.bytes(1, &entry.0);
        self.write(step, |event| event.bytes(5, &summary.0))
    }

    fn write(&mut self, step: u64, what: impl FnOnce(&mut Message)) -> Result<()> {
        let mut event = Message::default();
        event.double(1, now());
        event.integer(2, step);
        what(&mut event);
        // One write per record, so that a reader of a growing file never sees half a record.
        self.file
            .write_all(&record(&event.0))
            .map_err(Error::io(&self.path, "write"))
    }
}

/// An encoded protobuf message: fields with a number and a type, in any order.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    const VARINT: u64 = 0;
    const FIXED64: u64 = 1;
    const LENGTH_DELIMITED: u64 = 2;
    const FIXED32: u64 = 5;

    fn key(&mut self, field: u64, wire_type: u64) {
        self.varint(field << 3 | wire_type);
    }

    /// Writes seven bits per byte, the lowest first; the highest bit is set if another byte
    /// follows.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn integer(&mut self, field: u64, value: u64) {
        self.key(field, Self::VARINT);
        self.varint(value);
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, Self::FIXED32);
        self.0.extend(value.to_le_bytes());
    }

    fn double(&mut self, field: u64, value: f64) {
        self.key(field, Self::FIXED64);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, Self::LENGTH_DELIMITED);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }
}

/// Encodes a record: length, payload and the checksums of both.
fn record(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(payload.len() + 16);
    record.extend(length);
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(payload);
    record.extend(masked_crc(payload).to_le_bytes());
    record
}

/// TFRecord's checksum: CRC-32C, rotated and offset, so that data with embedded checksums can be
/// checksummed.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |time| time.as_secs_f64())
}

/// Returns the host name, for the file name.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .unwrap_or_default();
    let name: String = name
        .trim()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .collect();
    if name.is_empty() {
        "localhost".into()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_format() {
        // RFC 3720, B.4: 32 bytes of zeros.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(
            masked_crc(&[0; 32]),
            0x8a91_36aa_u32.rotate_right(15).wrapping_add(0xa282_ead8)
        );
    }

    #[test]
    fn varints() {
        for (value, bytes) in [
            (0, vec![0]),
            (127, vec![127]),
            (128, vec![0x80, 1]),
            (300, vec![0xac, 2]),
        ] {
            let mut message = Message::default();
            message.varint(value);
            assert_eq!(message.0, bytes);
        }
        let mut message = Message::default();
        message.varint(u64::MAX);
        assert_eq!(message.0.len(), 10);
    }

    /// The payloads of a file, with checksums verified.
    fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        while !bytes.is_empty() {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            let crc = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            assert_eq!(crc(8), masked_crc(&bytes[..8]));
            let payload = &bytes[12..12 + length];
            assert_eq!(crc(12 + length), masked_crc(payload));
            records.push(payload.to_vec());
            bytes = &bytes[16 + length..];
        }
        records
    }

    fn read_varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }

    /// The fields of a message: number and raw bytes; integers as 8 bytes.
    fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = read_varint(&mut bytes);
            let value = match key & 7 {
                0 => read_varint(&mut bytes).to_le_bytes().to_vec(),
                wire_type => {
                    let length = match wire_type {
                        1 => 8,
                        5 => 4,
                        2 => read_varint(&mut bytes) as usize,
                        other => panic!("wire type {other}"),
                    };
                    let value = bytes[..length].to_vec();
                    bytes = &bytes[length..];
                    value
                }
            };
            fields.push((key >> 3, value));
        }
        fields
    }

    #[test]
    fn written_values_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let folder = run_folder(
            folder.path(),
            "a",
            jiff::civil::date(2026, 3, 9).at(8, 7, 6, 0),
        );
        assert!(folder.ends_with("a20260309080706/network_train"));
        let mut writer = EventWriter::create(&folder).unwrap();
        writer.scalar("loss/current", 0.125, 300).unwrap();
        writer
            .image("sample_0", b"png bytes", (512, 768), 7)
            .unwrap();
        let name = writer
            .path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            name.starts_with("events.out.tfevents.")
                && name.contains(&format!(".{}.", std::process::id()))
        );

        let records = records(&std::fs::read(&writer.path).unwrap());
        assert_eq!(records.len(), 3);
        let [version, scalar, image] = [0, 1, 2].map(|i| fields(&records[i]));
        let wall_time = f64::from_le_bytes(version[0].1.as_slice().try_into().unwrap());
        assert!(version[0].0 == 1 && (now() - wall_time).abs() < 60.0);
        assert_eq!(version[2], (3, b"brain.Event:2".to_vec()));

        let step = |fields: &[(u64, Vec<u8>)]| (fields[1].0, fields[1].1[..2].to_vec());
        assert_eq!(step(&scalar), (2, vec![44, 1]));
        assert_eq!(scalar[2].0, 5);
        let entry = fields(&fields(&scalar[2].1)[0].1);
        assert_eq!(
            entry,
            [
                (1, b"loss/current".to_vec()),
                (2, 0.125_f32.to_le_bytes().to_vec())
            ]
        );

        assert_eq!(step(&image), (2, vec![7, 0]));
        let entry = fields(&fields(&image[2].1)[0].1);
        assert_eq!(entry[0], (1, b"sample_0".to_vec()));
        assert_eq!(entry[1].0, 4);
        let image = fields(&entry[1].1);
        let number = |value: u64| value.to_le_bytes().to_vec();
        assert_eq!(
            image,
            [
                (1, number(768)),
                (2, number(512)),
                (3, number(3)),
                (4, b"png bytes".to_vec())
            ]
        );
    }

    #[test]
    fn two_writers_of_one_folder_have_two_files() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (
            EventWriter::create(folder.path()).unwrap(),
            EventWriter::create(folder.path()).unwrap(),
        );
        assert_ne!(a.path, b.path);
    }
}
