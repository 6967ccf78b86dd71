//! Memory of the process.

/// Returns freed memory to the system.
///
/// The C library keeps freed blocks between others: 0.8 GB after the VAE and the text encoder of SD
/// 1.5 are dropped. Does nothing on systems other than Linux with glibc.
pub fn return_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: touches free memory only.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// `len` zeros. Many zeros are in large pages if the system has them.
#[must_use]
pub fn zeros(len: usize) -> Vec<f32> {
    // The pages are not touched yet, so the advice still has an effect.
    let values = vec![0.0; len];
    prefer_large_pages(values.as_ptr(), len);
    values
}

/// Large blocks come fresh from the system, which hands them out page by page as they are touched.
/// On Linux this asks for pages of 2 MB.
pub(crate) fn prefer_large_pages(values: *const f32, len: usize) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 1 << 21;
        const WORTHWHILE: usize = 4 * PAGE;
        let bytes = len * size_of::<f32>();
        if bytes >= WORTHWHILE {
            let start = values.addr().next_multiple_of(PAGE);
            let end = (values.addr() + bytes) / PAGE * PAGE;
            // SAFETY: advice on memory of this process that changes no contents. A refusal does not
            // matter.
            unsafe {
                libc::madvise(
                    values.with_addr(start).cast_mut().cast(),
                    end - start,
                    libc::MADV_HUGEPAGE,
                )
            };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (values, len);
}
