//! Results that are written once, without being set to zero first: on large tensors that would be a
//! third of the work.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::memory::prefer_large_pages;

/// Values still to be written.
pub(super) type Unwritten = [MaybeUninit<f32>];

/// `len` values, written in parallel in chunks of `chunk` (the last may be shorter) by `fill`,
/// which gets each chunk's number.
///
/// # Safety
/// `fill` returns how many values it wrote, each counted once: it may not claim a value that it did
/// not write.
pub(super) unsafe fn filled(
    len: usize,
    chunk: usize,
    fill: impl Fn(usize, &mut Unwritten) -> usize + Sync,
) -> Vec<f32> {
    // SAFETY: as above.
    unsafe {
        filled_with(
            &mut vec![(); len.div_ceil(chunk.max(1))],
            len,
            chunk,
            |index, out, ()| fill(index, out),
        )
    }
}

/// As [`filled`], with a further result of each chunk in `others`.
///
/// # Safety
/// As [`filled`].
pub(super) unsafe fn filled_with<T: Send>(
    others: &mut [T],
    len: usize,
    chunk: usize,
    fill: impl Fn(usize, &mut Unwritten, &mut T) -> usize + Sync,
) -> Vec<f32> {
    let mut values = room(len);
    let chunks = values.spare_capacity_mut()[..len].par_chunks_mut(chunk.max(1));
    assert_eq!(
        chunks.len(),
        others.len(),
        "one other result for each chunk"
    );
    chunks
        .zip(others)
        .enumerate()
        .for_each(|(index, (out, other))| {
            let count = out.len();
            assert_eq!(fill(index, out, other), count, "values written");
        });
    // SAFETY: every chunk was written in full, as it was counted.
    unsafe { values.set_len(len) };
    values
}

/// Room for `len` values.
///
/// With small pages, getting it took a third of the time of an operation on 40 MB.
pub(super) fn room(len: usize) -> Vec<f32> {
    let values = Vec::with_capacity(len);
    prefer_large_pages(values.as_ptr(), values.capacity());
    values
}

/// Writes all values from an iterator that has as many, and gives them back as initialized.
#[inline(always)]
pub(super) fn write(out: &mut Unwritten, values: impl ExactSizeIterator<Item = f32>) -> &mut [f32] {
    let count = out.len();
    assert_eq!(values.len(), count, "number of values");
    out.iter_mut().zip(values).for_each(|(out, value)| {
        out.write(value);
    });
    // SAFETY: the zip of two equally long iterators wrote each. The iterators of these kernels are
    // those of slices, whose length can be relied on.
    unsafe { initialized(out) }
}

/// # Safety
/// Every value was written.
pub(super) unsafe fn initialized(out: &mut Unwritten) -> &mut [f32] {
    // SAFETY: a written `MaybeUninit<f32>` is an f32 at the same address.
    unsafe { &mut *(std::ptr::from_mut(out) as *mut [f32]) }
}
