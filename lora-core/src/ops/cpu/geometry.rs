//! Sizes of a convolution, and its patches as columns of a matrix.

/// Sizes of x `[batch, c_in, h, w]`, weight `[c_out, c_in, kernel, kernel]` and result `[batch,
/// c_out, out_h, out_w]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) batch: usize,
    pub(crate) c_in: usize,
    pub(crate) c_out: usize,
    pub(crate) h: usize,
    pub(crate) w: usize,
    pub(crate) out_h: usize,
    pub(crate) out_w: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    /// Zeros at the top and left.
    pub(crate) near: usize,
}

impl Geometry {
    /// Values of the input.
    pub(crate) fn inputs(&self) -> usize {
        self.input_shape().iter().product()
    }

    pub(crate) fn input_shape(&self) -> [usize; 4] {
        [self.batch, self.c_in, self.h, self.w]
    }

    pub(crate) fn output_shape(&self) -> [usize; 4] {
        [self.batch, self.c_out, self.out_h, self.out_w]
    }

    /// The 1x1 convolution from `channels` to this one's result.
    pub(crate) fn pointwise_from(&self, channels: usize) -> Self {
        let (h, w) = (self.out_h, self.out_w);
        Self {
            c_in: channels,
            h,
            w,
            kernel: 1,
            stride: 1,
            near: 0,
            ..*self
        }
    }

    pub(super) fn area(&self) -> usize {
        self.h * self.w
    }

    pub(super) fn out_area(&self) -> usize {
        self.out_h * self.out_w
    }

    /// Rows of the columns per channel.
    pub(super) fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    pub(super) fn is_pointwise(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && self.near == 0
    }

    /// The output positions among `0..count` whose tap `tap` is in the input's `0..size`.
    fn inside(&self, tap: usize, size: usize, count: usize) -> std::ops::Range<usize> {
        let first = self.near.saturating_sub(tap).div_ceil(self.stride);
        let end = (size + self.near).saturating_sub(tap).div_ceil(self.stride);
        first.min(count)..end.min(count)
    }

    /// The input position of an output position's tap, which must be inside the input.
    fn input(&self, output: usize, tap: usize) -> usize {
        output * self.stride + tap - self.near
    }

    /// The columns `[channels · kernel², rows · out_w]` of some channels `x` `[channels, h, w]` and
    /// rows of the output.
    pub(super) fn columns(&self, x: &[f32], rows: std::ops::Range<usize>, columns: &mut [f32]) {
        let width = rows.len() * self.out_w;
        for (row, column) in columns.chunks_exact_mut(width).enumerate() {
            let (channel, tap) = (row / self.taps(), row % self.taps());
            let (ky, kx) = (tap / self.kernel, tap % self.kernel);
            let x = &x[channel * self.area()..][..self.area()];
            let (ys, xs) = (
                self.inside(ky, self.h, self.out_h),
                self.inside(kx, self.w, self.out_w),
            );
            for (line, y) in column.chunks_exact_mut(self.out_w).zip(rows.clone()) {
                if !ys.contains(&y) || xs.is_empty() {
                    line.fill(0.0);
                    continue;
                }
                line[..xs.start].fill(0.0);
                line[xs.end..].fill(0.0);
                let from = &x[self.input(y, ky) * self.w + self.input(xs.start, kx)..];
                let line = &mut line[xs.clone()];
                match self.stride {
                    1 => line.copy_from_slice(&from[..line.len()]),
                    stride => line
                        .iter_mut()
                        .zip(from.iter().step_by(stride))
                        .for_each(|(to, from)| *to = *from),
                }
            }
        }
    }

    /// Adds columns `[channels · kernel², out_h · out_w]` to their pixels.
    pub(super) fn add_columns(&self, columns: &[f32], x: &mut [f32]) {
        for (row, column) in columns.chunks_exact(self.out_area()).enumerate() {
            let (channel, tap) = (row / self.taps(), row % self.taps());
            let (ky, kx) = (tap / self.kernel, tap % self.kernel);
            let x = &mut x[channel * self.area()..][..self.area()];
            let xs = self.inside(kx, self.w, self.out_w);
            if xs.is_empty() {
                continue;
            }
            for y in self.inside(ky, self.h, self.out_h) {
                let line = &column[y * self.out_w..][xs.clone()];
                let to = &mut x[self.input(y, ky) * self.w + self.input(xs.start, kx)..];
                match self.stride {
                    1 => to.iter_mut().zip(line).for_each(|(to, from)| *to += from),
                    stride => to
                        .iter_mut()
                        .step_by(stride)
                        .zip(line)
                        .for_each(|(to, from)| *to += from),
                }
            }
        }
    }
}
