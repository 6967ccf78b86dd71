//! The files in tests/npz are NumPy's; its make.py says what is in them.

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;

use super::*;

mod hostile;
mod merged;

const SIZE: Size = Size::new(3, 2);
const REQUEST: LatentsRequest = LatentsRequest {
    size: SIZE,
    flipped: false,
    alpha_mask: None,
};
const EVERYTHING: LatentsRequest = LatentsRequest {
    size: SIZE,
    flipped: true,
    alpha_mask: Some(Size::new(24, 16)),
};

fn numpy(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/npz")
        .join(name)
}

fn latents(size: Size) -> Vec<f32> {
    (0..4 * size.area())
        .map(|place| place as f32 / 8.0)
        .collect()
}

/// The latents that make.py writes.
fn expected(request: &LatentsRequest) -> CachedLatents {
    CachedLatents {
        size: request.size,
        latents: latents(request.size),
        flipped: request
            .flipped
            .then(|| latents(request.size).iter().map(|value| -value).collect()),
        alpha_mask: request.alpha_mask.map(|size| {
            (
                size,
                (0..size.area())
                    .map(|place| ((place % 256) as f64 / 255.0) as f32)
                    .collect(),
            )
        }),
        original_size: Size::new(640, 480),
        crop_ltrb: [0.5, 0.0, 23.5, 16.0],
    }
}

fn bytes(latents: &CachedLatents) -> Vec<u8> {
    let mut bytes = Vec::new();
    latents.write(Cursor::new(&mut bytes)).unwrap();
    bytes
}

fn read_bytes(bytes: &[u8], request: &LatentsRequest) -> Result<CachedLatents> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    CachedLatents::read(file.path(), request)
}

fn message(result: Result<CachedLatents>) -> String {
    let error = result.unwrap_err();
    assert!(error.is_bad_cache(), "{error}");
    error.to_string()
}

#[test]
fn all_npz_variants_of_numpy_are_read() {
    for name in ["stored.npz", "deflated.npz", "fortran.npz"] {
        assert_eq!(
            CachedLatents::read(&numpy(name), &EVERYTHING).unwrap(),
            expected(&EVERYTHING),
            "{name}"
        );
        assert_eq!(
            CachedLatents::read(&numpy(name), &REQUEST).unwrap(),
            expected(&REQUEST),
            "{name}"
        );
    }
    for name in ["half.npz", "double.npz", "big_endian.npz"] {
        assert_eq!(
            CachedLatents::read(&numpy(name), &REQUEST).unwrap(),
            expected(&REQUEST),
            "{name}"
        );
    }
}

#[test]
fn the_requested_size_is_found_among_several() {
    for size in [SIZE, Size::new(5, 4)] {
        let request = LatentsRequest { size, ..REQUEST };
        assert_eq!(
            CachedLatents::read(&numpy("sizes.npz"), &request).unwrap(),
            expected(&request)
        );
    }
    let request = LatentsRequest {
        size: Size::new(2, 3),
        ..REQUEST
    };
    let message = message(CachedLatents::read(&numpy("sizes.npz"), &request));
    assert!(
        message
            .contains("sizes.npz`: no array `latents`; found `latents_2x3`, `original_size_2x3`"),
        "{message}"
    );
}

#[test]
fn mismatches_are_named() {
    let read =
        |name: &str, request: LatentsRequest| message(CachedLatents::read(&numpy(name), &request));
    let taller = LatentsRequest {
        size: Size::new(3, 4),
        ..REQUEST
    };
    for (found, expected) in [
        (
            read("half.npz", EVERYTHING),
            "half.npz`: no array `latents_flipped`; found `latents`, `original_size`, `crop_ltrb`",
        ),
        (
            read("unrelated.npz", REQUEST),
            "unrelated.npz`: no array `latents`; found `arr_0`",
        ),
        (
            read("stored.npz", taller),
            "stored.npz`: `latents` has shape [4, 2, 3]; expected [4, 4, 3]",
        ),
        (
            read(
                "stored.npz",
                LatentsRequest {
                    alpha_mask: Some(Size::new(16, 16)),
                    ..REQUEST
                },
            ),
            "stored.npz`: `alpha_mask` has shape [16, 24]; expected [16, 16]",
        ),
        (
            read("integers.npz", REQUEST),
            "integers.npz`: `latents` has elements of type `<i8`; expected `f2`, `f4` or `f8`",
        ),
        (
            read("not_finite.npz", REQUEST),
            "not_finite.npz`: `latents` contains NaN at [2, 1, 1]; expected finite numbers",
        ),
        (
            read("no_width.npz", REQUEST),
            "no_width.npz`: `original_size` contains [0, 480]; expected width and height in pixels",
        ),
    ] {
        assert!(found.contains(expected), "{found}\n{expected}");
    }
}

#[test]
fn a_folder_of_that_name_is_not_a_bad_cache() {
    let dir = tempfile::tempdir().unwrap();
    let error = CachedLatents::read(dir.path(), &REQUEST).unwrap_err();
    assert!(matches!(error, Error::CacheNotAFile { .. }), "{error}");
    assert!(
        !error.is_bad_cache() && error.to_string().contains("is a folder"),
        "{error}"
    );
    let error = LatentsFile::open(dir.path()).unwrap_err();
    assert!(matches!(error, Error::CacheNotAFile { .. }), "{error}");
    let error = CachedLatents::read(&dir.path().join("a.npz"), &REQUEST).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}

#[test]
fn written_files_are_read_back() {
    for request in [
        REQUEST,
        EVERYTHING,
        LatentsRequest {
            flipped: true,
            ..REQUEST
        },
    ] {
        let written = expected(&request);
        assert_eq!(read_bytes(&bytes(&written), &request).unwrap(), written);
    }
}

#[test]
fn values_that_do_not_fill_their_shape_are_not_written() {
    let short = CachedLatents {
        latents: vec![0.0; 5],
        ..expected(&REQUEST)
    };
    let error = short.write(Cursor::new(Vec::new())).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(
        error
            .to_string()
            .contains("`latents`: 5 values for shape [4, 2, 3]"),
        "{error}"
    );
}

#[test]
fn a_sample_is_one_of_two_with_its_mask() {
    let sample = LatentsSample::read(
        &numpy("stored.npz"),
        &LatentsRequest {
            flipped: false,
            ..EVERYTHING
        },
    )
    .unwrap();
    let all = expected(&EVERYTHING);
    let (_, mask) = all.alpha_mask.unwrap();
    assert_eq!(
        (&sample.latents, sample.alpha_mask.as_ref()),
        (&all.latents, Some(&mask))
    );
    let mirrored = LatentsSample::read(&numpy("stored.npz"), &EVERYTHING).unwrap();
    assert_eq!(Some(mirrored.latents), all.flipped);
    let mirrored_mask = mirrored.alpha_mask.unwrap();
    assert_eq!(
        (mirrored_mask[0], mirrored_mask[23], mirrored_mask[24]),
        (mask[23], mask[0], mask[47])
    );
    // A file without mirrored latents serves as long as none are asked for.
    LatentsSample::read(&numpy("half.npz"), &REQUEST).unwrap();
    LatentsSample::read(
        &numpy("half.npz"),
        &LatentsRequest {
            flipped: true,
            ..REQUEST
        },
    )
    .unwrap_err();
}

/// Names and contents of a file's members.
fn members(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut members = Vec::new();
    for index in 0..zip.len() {
        let mut file = zip.by_index(index).unwrap();
        let mut contents = Vec::new();
        file.read_to_end(&mut contents).unwrap();
        members.push((file.name().unwrap().into_owned(), contents));
    }
    members
}

/// A file whose archive is sound, whatever its arrays are.
fn archive(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let mut zip = zip::ZipWriter::new(&mut bytes);
    for (name, contents) in members {
        zip.start_file(name, zip::write::SimpleFileOptions::default())
            .unwrap();
        zip.write_all(contents).unwrap();
    }
    zip.finish().unwrap();
    bytes.into_inner()
}
