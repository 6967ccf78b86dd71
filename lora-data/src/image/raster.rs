//! Images in memory.

use crate::size::Size;

/// An image in memory: rows from the top, `C` bytes per pixel, `[h, w, C]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raster<const C: usize> {
    size: Size,
    data: Vec<u8>,
}

/// The colours of an image: red, green, blue, `[h, w, 3]`.
pub type Pixels = Raster<3>;

/// One byte per pixel, such as the opacity of an image, `[h, w]`.
pub type Plane = Raster<1>;

impl<const C: usize> Raster<C> {
    /// The image of this size with these bytes; `None` if their number is not `C * width *
    /// height`.
    #[must_use]
    pub fn new(size: Size, data: Vec<u8>) -> Option<Self> {
        (Some(data.len() as u64) == size.area().checked_mul(C as u64))
            .then_some(Self { size, data })
    }

    /// Width and height.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// The bytes, `[h, w, C]`.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.data
    }

    /// The bytes, `[h, w, C]`.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.data
    }

    /// Flips the image horizontally.
    pub fn flip(&mut self) {
        let row_bytes = C * self.size.width as usize;
        if row_bytes > 0 {
            self.data
                .chunks_exact_mut(row_bytes)
                .for_each(|row| row.as_chunks_mut::<C>().0.reverse());
        }
    }

    pub(crate) fn as_bytes_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }
}

impl Pixels {
    /// The red channel.
    #[must_use]
    pub fn red(&self) -> Plane {
        let data = self.data.iter().step_by(3).copied().collect();
        Plane {
            size: self.size,
            data,
        }
    }
}

/// An image in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodedImage {
    /// Its colours.
    pub pixels: Pixels,
    /// Its opacity, of the same size; `None` if it is opaque or [`Alpha`](crate::Alpha) does not
    /// ask for it.
    pub alpha: Option<Plane>,
}
