//! Damaged and hostile files.

use proptest::prelude::*;

use super::*;
use crate::cache::npy;

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
fn a_changed_byte_among_the_elements_is_detected() {
    let mut bytes = bytes(&expected(&REQUEST));
    let one = bytes
        .windows(4)
        .position(|window| window == 1.5f32.to_le_bytes())
        .unwrap();
    bytes[one] ^= 1;
    let message = message(read_bytes(&bytes, &REQUEST));
    assert!(
        message.contains("damaged cache file: array `latents`: Invalid checksum"),
        "{message}"
    );
}

#[test]
fn absurd_shapes_allocate_nothing() {
    // Shapes are changed in place; the one of the latents comes first in the file.
    let bytes = bytes(&expected(&REQUEST));
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
        message(read_bytes(&bytes, &REQUEST));
    }
    // Nor does a size that only the caller's own wish makes absurd.
    let huge = LatentsRequest {
        size: Size::new(u32::MAX, u32::MAX),
        ..REQUEST
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
    npy::write_header(&mut array, npy::Element::F32, &shape).unwrap();
    array.extend([0; 64]);
    let npz = archive(&[("latents.npy".into(), array)]);
    let message = message(read_bytes(
        &npz,
        &LatentsRequest {
            size: huge,
            ..REQUEST
        },
    ));
    assert!(
        message.contains(
            "array `latents`: 192 bytes don't fit its shape [4, 1048576, 4294967295] of `<f4`"
        ),
        "{message}"
    );
}

/// No panic, and what is read has the request shapes and is finite.
fn check_hostile(bytes: Vec<u8>, request: &LatentsRequest) {
    if let Ok(values) = read_hostile(bytes, request) {
        assert!(values.iter().all(|value| value.is_finite()));
    }
}

/// All arrays of a file.
fn read_hostile(bytes: Vec<u8>, request: &LatentsRequest) -> Result<Vec<f32>> {
    let path = Path::new("a.npz");
    let mut arrays = Arrays::with_size(path, Npz::new(path, Cursor::new(bytes))?, request.size)?;
    let latents = arrays.latents(LATENTS)?;
    let flipped = arrays.latents(FLIPPED)?;
    assert_eq!((latents.len(), flipped.len()), (24, 24));
    let mask = arrays.alpha_mask(Size::new(24, 16))?;
    assert_eq!(mask.len(), 24 * 16);
    let size = arrays.original_size()?;
    assert!(size.area() > 0);
    assert!(arrays.crop_ltrb()?.iter().all(|side| side.is_finite()));
    Ok([latents, flipped, mask].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut npy = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', ".to_vec();
        npy.extend(&bytes);
        let _ = npy::Header::read(&mut npy.as_slice());
        let _ = npy::Header::read(&mut bytes.as_slice());
        check_hostile(bytes, &REQUEST);
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
        prop_assert_eq!(read_bytes(&bytes(&written), &LatentsRequest { size, flipped, alpha_mask: None }).unwrap(), written);
    }
}
