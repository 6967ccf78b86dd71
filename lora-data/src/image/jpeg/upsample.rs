//! Components at the size of the image, as libjpeg's "fancy" upsampling gives them.

/// A component of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Component<'a> {
    /// Its samples, in rows of `stride`.
    pub(super) samples: &'a [u8],
    pub(super) stride: usize,
    /// Its size without the rest of the last blocks.
    pub(super) width: usize,
    pub(super) height: usize,
    /// How many columns and rows of the image share a sample.
    pub(super) scale: [usize; 2],
}

impl Component<'_> {
    fn row(&self, row: usize) -> &[u8] {
        &self.samples[self.stride * row..][..self.width]
    }

    /// The samples at the size of the image.
    pub(super) fn upsampled(&self, width: usize, height: usize) -> Vec<u8> {
        let mut upsampled = Vec::with_capacity(width * height);
        for row in 0..height {
            let mut line = match self.scale {
                [1, 1] => self.row(row).to_vec(),
                // libjpeg interpolates only components of more than two columns.
                [2, 1] if self.width > 2 => interpolated(self.row(row)),
                [2, 2] if self.width > 2 => self.blended(row),
                [1, 2] => self.between_rows(row),
                [x, y] => {
                    let samples = self.row(row / y).iter();
                    samples
                        .flat_map(|sample| std::iter::repeat_n(*sample, x))
                        .collect()
                }
            };
            line.truncate(width);
            upsampled.append(&mut line);
        }
        upsampled
    }

    /// The nearest and the next nearest row for a row of the image with twice the rows.
    fn neighbours(&self, row: usize) -> [&[u8]; 2] {
        let nearest = row / 2;
        let next = if row.is_multiple_of(2) {
            nearest.saturating_sub(1)
        } else {
            (nearest + 1).min(self.height - 1)
        };
        [self.row(nearest), self.row(next)]
    }

    /// Three quarters of the nearest row and one of the next, rounded up in odd rows.
    fn between_rows(&self, row: usize) -> Vec<u8> {
        let bias = 1 + (row % 2) as u16;
        let [nearest, next] = self.neighbours(row);
        let pairs = nearest.iter().zip(next);
        pairs
            .map(|(near, next)| ((3 * u16::from(*near) + u16::from(*next) + bias) >> 2) as u8)
            .collect()
    }

    /// Interpolated in both directions.
    fn blended(&self, row: usize) -> Vec<u8> {
        let [nearest, next] = self.neighbours(row);
        let sums: Vec<u16> = nearest
            .iter()
            .zip(next)
            .map(|(near, next)| 3 * u16::from(*near) + u16::from(*next))
            .collect();
        let last = sums.len() - 1;
        let mut line = Vec::with_capacity(2 * sums.len());
        for (column, sum) in sums.iter().enumerate() {
            let left = sums[column.saturating_sub(1)];
            let right = sums[(column + 1).min(last)];
            line.push(((3 * sum + left + 8) >> 4) as u8);
            line.push(((3 * sum + right + 7) >> 4) as u8);
        }
        line
    }
}

/// A row with twice the columns: three quarters of the nearest sample and one of the next.
fn interpolated(row: &[u8]) -> Vec<u8> {
    let last = row.len() - 1;
    let mut line = Vec::with_capacity(2 * row.len());
    for (column, sample) in row.iter().enumerate() {
        let sample = 3 * u16::from(*sample);
        let left = u16::from(row[column.saturating_sub(1)]);
        let right = u16::from(row[(column + 1).min(last)]);
        line.push(((sample + left + 1) >> 2) as u8);
        line.push(((sample + right + 2) >> 2) as u8);
    }
    line
}
