//! Products of matrices.

use std::marker::PhantomData;

use super::fill::room;

/// A matrix in memory with any strides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Row after row.
    pub(crate) fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// Rows that begin `row_stride` values apart.
    pub(crate) fn strided(
        values: &'a [f32],
        rows: usize,
        columns: usize,
        row_stride: usize,
    ) -> Self {
        assert!(
            fits(values.len(), rows, columns, row_stride),
            "matrix {rows} x {columns}"
        );
        Self {
            values,
            rows,
            columns,
            row_stride,
            column_stride: 1,
        }
    }

    /// One of its rows, which must be contiguous.
    pub(crate) fn row(&self, row: usize) -> &'a [f32] {
        assert!(
            row < self.rows && self.column_stride == 1,
            "row {row} of {}",
            self.rows
        );
        &self.values[row * self.row_stride..][..self.columns]
    }

    /// Some of its columns.
    pub(crate) fn columns(self, first: usize, count: usize) -> Self {
        assert!(
            first + count <= self.columns,
            "columns {first} + {count} of {}",
            self.columns
        );
        let values = &self.values[(first * self.column_stride).min(self.values.len())..];
        Self {
            values,
            columns: count,
            ..self
        }
    }

    /// Rows and columns exchanged.
    pub(crate) fn t(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// A matrix to write to, in memory that is its own.
#[derive(Debug)]
pub(crate) struct MatrixMut<'a> {
    values: *mut f32,
    rows: usize,
    columns: usize,
    row_stride: usize,
    memory: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is an exclusive borrow of its elements, which may move to another thread.
unsafe impl Send for MatrixMut<'_> {}

impl<'a> MatrixMut<'a> {
    /// Row after row.
    pub(crate) fn new(values: &'a mut [f32], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// Rows that begin `row_stride` values apart.
    pub(crate) fn strided(
        values: &'a mut [f32],
        rows: usize,
        columns: usize,
        row_stride: usize,
    ) -> Self {
        assert!(
            fits(values.len(), rows, columns, row_stride),
            "matrix {rows} x {columns}"
        );
        Self {
            values: values.as_mut_ptr(),
            rows,
            columns,
            row_stride,
            memory: PhantomData,
        }
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// One of its rows.
    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [f32] {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        if self.columns == 0 {
            return &mut [];
        }
        // SAFETY: the row lies within the matrix, which is an exclusive borrow.
        unsafe {
            std::slice::from_raw_parts_mut(self.values.add(row * self.row_stride), self.columns)
        }
    }

    /// The same matrix for a while.
    pub(crate) fn reborrow(&mut self) -> MatrixMut<'_> {
        MatrixMut {
            memory: PhantomData,
            ..*self
        }
    }

    /// Blocks of `width` columns, the last perhaps narrower. Each can be written by another thread.
    pub(crate) fn split_columns(self, width: usize) -> Vec<Self> {
        (0..self.columns)
            .step_by(width)
            .map(|first| Self {
                // Without rows, there may be no memory at this address.
                values: self.values.wrapping_add(first),
                columns: width.min(self.columns - first),
                ..self
            })
            .collect()
    }
}

fn fits(length: usize, rows: usize, columns: usize, row_stride: usize) -> bool {
    rows == 0
        || columns == 0
        || (columns <= row_stride && (rows - 1) * row_stride + columns <= length)
}

/// The threads that compute a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threads {
    /// The calling thread, for products that run in parallel.
    One,
    /// The thread pool.
    All,
}

/// factor · a b, row after row.
pub(crate) fn product(factor: f32, a: Matrix<'_>, b: Matrix<'_>, threads: Threads) -> Vec<f32> {
    let (rows, columns) = (a.rows, b.columns);
    let mut values = room(rows * columns);
    let out = MatrixMut {
        values: values.spare_capacity_mut().as_mut_ptr().cast(),
        rows,
        columns,
        row_stride: columns,
        memory: PhantomData,
    };
    gemm(out, 0.0, factor, a, b, threads);
    // SAFETY: the product wrote all of it, and with `keep` 0 read none of it.
    unsafe { values.set_len(rows * columns) };
    values
}

/// out = keep · out + factor · a b. With `keep` 0 the contents of `out` do not matter.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a matrix to write to is used up, as an exclusive borrow is"
)]
pub(crate) fn gemm(
    out: MatrixMut<'_>,
    keep: f32,
    factor: f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
    threads: Threads,
) {
    assert_eq!(
        (out.rows, a.columns, out.columns),
        (a.rows, b.rows, b.columns),
        "shapes of a product"
    );
    let parallelism = match threads {
        Threads::One => gemm::Parallelism::None,
        Threads::All => gemm::Parallelism::Rayon(0),
    };
    // SAFETY: the constructors checked that every element lies within its slice, and that of `out`
    // is borrowed exclusively, up to other blocks of columns, which share no element with it.
    unsafe {
        gemm::gemm(
            out.rows,
            out.columns,
            a.columns,
            out.values,
            1,
            out.row_stride as isize,
            keep != 0.0,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            keep,
            factor,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_and_accumulation() {
        let (a, b) = ([1.0, 2.0, 0.0, 3.0, 4.0, 0.0], [1.0, 0.0, 2.0, 1.0]);
        let mut out = [10.0; 5];
        let a = Matrix::strided(&a, 2, 2, 3);
        gemm(
            MatrixMut::strided(&mut out, 2, 2, 3),
            1.0,
            2.0,
            a,
            Matrix::new(&b, 2, 2),
            Threads::One,
        );
        assert_eq!(out, [20.0, 14.0, 10.0, 32.0, 18.0]);
        gemm(
            MatrixMut::strided(&mut out, 2, 2, 3),
            0.0,
            1.0,
            a.t(),
            Matrix::new(&b, 2, 2).t(),
            Threads::All,
        );
        assert_eq!(out, [1.0, 5.0, 10.0, 2.0, 8.0]);
    }

    #[test]
    fn a_product_of_its_own() {
        let (a, b) = (
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            [1.0, 0.0, -1.0, 2.0, 0.0, 1.0],
        );
        let found = product(
            2.0,
            Matrix::new(&a, 2, 3),
            Matrix::new(&b, 3, 2),
            Threads::All,
        );
        assert_eq!(found, [-2.0, 14.0, -2.0, 32.0]);
    }

    #[test]
    fn blocks_of_columns() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0], [1.0, 0.0, 2.0, 0.0, 1.0, 1.0]);
        let mut out = [0.0; 6];
        let b = Matrix::new(&b, 2, 3);
        for (index, block) in MatrixMut::new(&mut out, 2, 3)
            .split_columns(2)
            .into_iter()
            .enumerate()
        {
            let part = b.columns(2 * index, block.columns());
            gemm(block, 0.0, 1.0, Matrix::new(&a, 2, 2), part, Threads::One);
        }
        assert_eq!(out, [1.0, 2.0, 4.0, 3.0, 4.0, 10.0]);
    }

    #[test]
    #[should_panic(expected = "matrix 3 x 2")]
    fn a_matrix_lies_within_its_slice() {
        Matrix::new(&[0.0; 5], 3, 2);
    }
}
