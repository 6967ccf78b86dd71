//! Files of several sizes.

use super::*;

fn merged(path: &Path, latents: &CachedLatents) -> Vec<u8> {
    let mut bytes = Vec::new();
    latents
        .write_merged(LatentsFile::open(path).unwrap(), Cursor::new(&mut bytes))
        .unwrap();
    bytes
}

#[test]
fn a_size_is_added_to_the_others() {
    let request = LatentsRequest {
        size: Size::new(5, 4),
        ..REQUEST
    };
    for name in ["stored.npz", "deflated.npz"] {
        let added = merged(&numpy(name), &expected(&request));
        assert_eq!(read_bytes(&added, &request).unwrap(), expected(&request));
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
fn an_existing_size_is_replaced_with_all_its_arrays() {
    let replacement = CachedLatents {
        latents: vec![7.0; 24],
        ..expected(&REQUEST)
    };
    // Plain names stay plain, so that other programs find no outdated arrays; nor do mirrored
    // latents stay of the old image.
    let plain = merged(&numpy("stored.npz"), &replacement);
    assert_eq!(read_bytes(&plain, &REQUEST).unwrap(), replacement);
    assert_eq!(members(&plain).len(), 3);
    let suffixed = merged(&numpy("sizes.npz"), &replacement);
    assert_eq!(read_bytes(&suffixed, &REQUEST).unwrap(), replacement);
    assert_eq!(members(&suffixed).len(), 6);
    let other = LatentsRequest {
        size: Size::new(5, 4),
        ..REQUEST
    };
    assert_eq!(read_bytes(&suffixed, &other).unwrap(), expected(&other));
}
