//! The files in tests/npz are NumPy's; its make.py says what is in them.

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

const SIZE: Size = Size::new(3, 2);
const WANTED: WantedLatents = WantedLatents {
    size: SIZE,
    flipped: false,
    alpha_mask: None,
};
const EVERYTHING: WantedLatents = WantedLatents {
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

/// What make.py writes.
fn expected(wanted: &WantedLatents) -> CachedLatents {
    CachedLatents {
        size: wanted.size,
        latents: latents(wanted.size),
        flipped: wanted
            .flipped
            .then(|| latents(wanted.size).iter().map(|value| -value).collect()),
        alpha_mask: wanted.alpha_mask.map(|size| {
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

fn read_bytes(bytes: &[u8], wanted: &WantedLatents) -> Result<CachedLatents> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    CachedLatents::read(file.path(), wanted)
}

fn message(result: Result<CachedLatents>) -> String {
    let error = result.unwrap_err();
    assert!(error.is_bad_cache(), "{error}");
    error.to_string()
}

#[test]
fn files_of_numpy_are_read_in_all_their_forms() {
    for name in ["stored.npz", "deflated.npz", "fortran.npz"] {
        assert_eq!(
            CachedLatents::read(&numpy(name), &EVERYTHING).unwrap(),
            expected(&EVERYTHING),
            "{name}"
        );
        assert_eq!(
            CachedLatents::read(&numpy(name), &WANTED).unwrap(),
            expected(&WANTED),
            "{name}"
        );
    }
    for name in ["half.npz", "double.npz", "big_endian.npz"] {
        assert_eq!(
            CachedLatents::read(&numpy(name), &WANTED).unwrap(),
            expected(&WANTED),
            "{name}"
        );
    }
}

#[test]
fn the_size_that_is_wanted_is_found_among_several() {
    for size in [SIZE, Size::new(5, 4)] {
        let wanted = WantedLatents { size, ..WANTED };
        assert_eq!(
            CachedLatents::read(&numpy("sizes.npz"), &wanted).unwrap(),
            expected(&wanted)
        );
    }
    let wanted = WantedLatents {
        size: Size::new(2, 3),
        ..WANTED
    };
    let message = message(CachedLatents::read(&numpy("sizes.npz"), &wanted));
    assert!(
        message
            .contains("sizes.npz`: no array `latents`; found `latents_2x3`, `original_size_2x3`"),
        "{message}"
    );
}

#[test]
fn what_does_not_fit_is_named() {
    let read =
        |name: &str, wanted: WantedLatents| message(CachedLatents::read(&numpy(name), &wanted));
    let taller = WantedLatents {
        size: Size::new(3, 4),
        ..WANTED
    };
    for (found, expected) in [
        (
            read("half.npz", EVERYTHING),
            "half.npz`: no array `latents_flipped`; found `latents`, `original_size`, `crop_ltrb`",
        ),
        (
            read("unrelated.npz", WANTED),
            "unrelated.npz`: no array `latents`; found `arr_0`",
        ),
        (
            read("stored.npz", taller),
            "stored.npz`: `latents` has shape [4, 2, 3]; expected [4, 4, 3]",
        ),
        (
            read(
                "stored.npz",
                WantedLatents {
                    alpha_mask: Some(Size::new(16, 16)),
                    ..WANTED
                },
            ),
            "stored.npz`: `alpha_mask` has shape [16, 24]; expected [16, 16]",
        ),
        (
            read("integers.npz", WANTED),
            "integers.npz`: `latents` has elements of type `<i8`; expected `f2`, `f4` or `f8`",
        ),
        (
            read("not_finite.npz", WANTED),
            "not_finite.npz`: `latents` holds NaN at [2, 1, 1]; expected finite numbers",
        ),
        (
            read("no_width.npz", WANTED),
            "no_width.npz`: `original_size` holds [0, 480]; expected width and height in pixels",
        ),
    ] {
        assert!(found.contains(expected), "{found}\n{expected}");
    }
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    for name in ["stored.npz", "deflated.npz"] {
        let whole = fs::read(numpy(name)).unwrap();
        for len in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
            let message = message(read_bytes(&whole[..len], &EVERYTHING));
            assert!(message.contains("damaged cache file"), "{message}");
        }
    }
}

#[test]
fn a_changed_byte_among_the_elements_is_noticed() {
    let mut bytes = bytes(&expected(&WANTED));
    let one = bytes
        .windows(4)
        .position(|window| window == 1.5f32.to_le_bytes())
        .unwrap();
    bytes[one] ^= 1;
    let message = message(read_bytes(&bytes, &WANTED));
    assert!(
        message.contains("damaged cache file: array `latents`: Invalid checksum"),
        "{message}"
    );
}

#[test]
fn absurd_shapes_allocate_nothing() {
    // Shapes are changed in place; the one of the latents comes first in the file.
    let bytes = bytes(&expected(&WANTED));
    let place = bytes
        .windows(9)
        .position(|window| window == b"(4, 2, 3)")
        .unwrap();
    for shape in [
        b"(9999999)",
        b"(4,-2, 3)",
        b"(4, 2, 9)",
        b"(        ",
        b"(4, 2 3) ",
    ] {
        let mut bytes = bytes.clone();
        bytes[place..place + 9].copy_from_slice(shape);
        message(read_bytes(&bytes, &WANTED));
    }
    // Nor does a size that only the caller's own wish makes absurd.
    let huge = WantedLatents {
        size: Size::new(u32::MAX, u32::MAX),
        ..WANTED
    };
    assert!(message(read_bytes(&bytes, &huge)).contains("expected [4, 4294967295, 4294967295]"));
    let mut bytes = bytes;
    bytes[place..place + 9].copy_from_slice(b"(4,9999,9");
    message(read_bytes(&bytes, &huge));
}

#[test]
fn an_array_shorter_than_its_shape_is_refused_before_it_is_allocated() {
    let huge = Size::new(u32::MAX, 1 << 20);
    let shape = [4, huge.height as usize, huge.width as usize];
    let mut array = Vec::new();
    super::super::npy::write_header(&mut array, super::super::npy::Element::F32, &shape).unwrap();
    array.extend([0; 64]);
    let npz = archive(&[("latents.npy".into(), array)]);
    let message = message(read_bytes(
        &npz,
        &WantedLatents {
            size: huge,
            ..WANTED
        },
    ));
    assert!(
        message.contains(
            "array `latents`: 192 bytes don't fit its shape [4, 1048576, 4294967295] of `<f4`"
        ),
        "{message}"
    );
}

#[test]
fn something_else_of_that_name_is_not_a_bad_cache() {
    let dir = tempfile::tempdir().unwrap();
    let error = CachedLatents::read(dir.path(), &WANTED).unwrap_err();
    assert!(matches!(error, Error::CacheNotAFile { .. }), "{error}");
    assert!(
        !error.is_bad_cache() && error.to_string().contains("is a folder"),
        "{error}"
    );
    let error = OtherLatents::open(dir.path()).unwrap_err();
    assert!(matches!(error, Error::CacheNotAFile { .. }), "{error}");
    let error = CachedLatents::read(&dir.path().join("a.npz"), &WANTED).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}

#[test]
fn what_is_written_is_read_back() {
    for wanted in [
        WANTED,
        EVERYTHING,
        WantedLatents {
            flipped: true,
            ..WANTED
        },
    ] {
        let written = expected(&wanted);
        assert_eq!(read_bytes(&bytes(&written), &wanted).unwrap(), written);
    }
}

#[test]
fn values_that_do_not_fill_their_shape_are_not_written() {
    let short = CachedLatents {
        latents: vec![0.0; 5],
        ..expected(&WANTED)
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
        &WantedLatents {
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
    LatentsSample::read(&numpy("half.npz"), &WANTED).unwrap();
    LatentsSample::read(
        &numpy("half.npz"),
        &WantedLatents {
            flipped: true,
            ..WANTED
        },
    )
    .unwrap_err();
}

fn written_beside(path: &Path, latents: &CachedLatents) -> Vec<u8> {
    let mut bytes = Vec::new();
    latents
        .write_beside(OtherLatents::open(path).unwrap(), Cursor::new(&mut bytes))
        .unwrap();
    bytes
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

#[test]
fn a_size_is_added_to_those_that_are_there() {
    let wanted = WantedLatents {
        size: Size::new(5, 4),
        ..WANTED
    };
    for name in ["stored.npz", "deflated.npz"] {
        let added = written_beside(&numpy(name), &expected(&wanted));
        assert_eq!(read_bytes(&added, &wanted).unwrap(), expected(&wanted));
        assert_eq!(
            read_bytes(&added, &EVERYTHING).unwrap(),
            expected(&EVERYTHING)
        );
        let old = members(&fs::read(numpy(name)).unwrap());
        let new = members(&added);
        assert_eq!(new[..old.len()], old);
        let names: Vec<&str> = new[old.len()..]
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "latents_4x5.npy",
                "original_size_4x5.npy",
                "crop_ltrb_4x5.npy"
            ]
        );
    }
}

#[test]
fn a_size_that_is_there_is_replaced_with_all_its_arrays() {
    let replacement = CachedLatents {
        latents: vec![7.0; 24],
        ..expected(&WANTED)
    };
    // Plain names stay plain, so that other programs find no outdated arrays; nor do mirrored
    // latents stay of the old image.
    let plain = written_beside(&numpy("stored.npz"), &replacement);
    assert_eq!(read_bytes(&plain, &WANTED).unwrap(), replacement);
    assert_eq!(members(&plain).len(), 3);
    let suffixed = written_beside(&numpy("sizes.npz"), &replacement);
    assert_eq!(read_bytes(&suffixed, &WANTED).unwrap(), replacement);
    assert_eq!(members(&suffixed).len(), 6);
    let other = WantedLatents {
        size: Size::new(5, 4),
        ..WANTED
    };
    assert_eq!(read_bytes(&suffixed, &other).unwrap(), expected(&other));
}

/// No panic, and what is read has the wanted shapes and is finite.
fn check_hostile(bytes: Vec<u8>, wanted: &WantedLatents) {
    let path = Path::new("a.npz");
    let read = || -> Result<Vec<f32>> {
        let mut arrays = Arrays::of_size(path, Npz::new(path, Cursor::new(bytes))?, wanted.size)?;
        let latents = arrays.latents(LATENTS)?;
        let flipped = arrays.latents(FLIPPED)?;
        assert_eq!((latents.len(), flipped.len()), (24, 24));
        let mask = arrays.alpha_mask(Size::new(24, 16))?;
        assert_eq!(mask.len(), 24 * 16);
        let size = arrays.original_size()?;
        assert!(size.area() > 0);
        assert!(arrays.crop_ltrb()?.iter().all(|side| side.is_finite()));
        Ok([latents, flipped, mask].concat())
    };
    if let Ok(values) = read() {
        assert!(values.iter().all(|value| value.is_finite()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut npy = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', ".to_vec();
        npy.extend(&bytes);
        let _ = super::super::npy::Header::read(&mut npy.as_slice());
        let _ = super::super::npy::Header::read(&mut bytes.as_slice());
        check_hostile(bytes, &WANTED);
    }

    #[test]
    fn mutated_files_never_panic(
        name in prop::sample::select(vec!["stored.npz", "deflated.npz", "fortran.npz"]),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        tail in any::<bool>(),
        cut in 0..40usize,
    ) {
        let mut bytes = fs::read(numpy(name)).unwrap();
        let len = bytes.len();
        // Most of a file is elements; the directory at its end decides most.
        let start = if tail { len - 600 } else { 0 };
        for (place, value) in changes {
            bytes[start + place.index(len - start)] = value;
        }
        if cut < 10 {
            bytes.remove(len / 2 + cut);
        }
        check_hostile(bytes, &EVERYTHING);
    }

    /// The archive's sums are those of the mutated arrays, so that nothing but their headers gives
    /// them away.
    #[test]
    fn mutated_arrays_never_panic(
        name in prop::sample::select(vec!["stored.npz", "fortran.npz"]),
        array in 0..5usize,
        changes in proptest::collection::vec((0..128usize, prop::sample::select(b"0189-+.,:'()[]{} \
             <>|fiFTO\n\xff".to_vec())), 1..4),
        cut in 0..20usize,
    ) {
        let mut members = members(&fs::read(numpy(name)).unwrap());
        let contents = &mut members[array].1;
        for (place, value) in changes {
            contents[place] = value;
        }
        if cut < 5 {
            contents.truncate(contents.len() - cut);
        }
        check_hostile(archive(&members), &EVERYTHING);
    }

    #[test]
    fn any_latents_survive(
        width in 1..9u32, height in 1..9u32, seed in any::<u32>(), flipped in any::<bool>(), crop in any::<[f32; 4]>(),
    ) {
        let size = Size::new(width, height);
        let values = |seed: u32| -> Vec<f32> {
            let numbers = (0..4 * width * height).map(|place| f32::from_bits(seed.wrapping_mul(place.wrapping_mul(97) + 1)));
            numbers.map(|value| if value.is_finite() { value } else { 0.0 }).collect()
        };
        let crop_ltrb = crop.map(|side| if side.is_finite() { f64::from(side) } else { 0.0 });
        let written = CachedLatents {
            size,
            latents: values(seed),
            flipped: flipped.then(|| values(!seed)),
            alpha_mask: None,
            original_size: Size::new(width * 1000, height),
            crop_ltrb,
        };
        prop_assert_eq!(read_bytes(&bytes(&written), &WantedLatents { size, flipped, alpha_mask: None }).unwrap(), written);
    }
}
