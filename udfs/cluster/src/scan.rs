//! The two centroids nearest to a row, by looking at all of them.

/// Centroids column by column, padded to a multiple of four with centroids at infinity, so that the inner loop runs
/// over centroids and the compiler turns it into vector instructions.
#[derive(Debug, Clone)]
pub(crate) struct Scan {
    columns: usize,
    width: usize,
    by_column: Vec<f64>,
}

/// The nearest centroid and the one after it, with squared distances.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Nearest {
    pub(crate) first: u32,
    pub(crate) first_squared: f64,
    /// Equal to `first` where there is one centroid only.
    pub(crate) second: u32,
    /// Infinite where there is one centroid only.
    pub(crate) second_squared: f64,
}

impl Scan {
    /// Lays out row-major centroids.
    pub(crate) fn new(centroids: &[f64], columns: usize) -> Self {
        let k = centroids.len() / columns;
        let width = k.next_multiple_of(4).max(4);
        let mut by_column = vec![f64::INFINITY; columns * width];
        for (cluster, centroid) in centroids.chunks_exact(columns).enumerate() {
            for (column, value) in centroid.iter().enumerate() {
                by_column[column * width + cluster] = *value;
            }
        }
        Scan { columns, width, by_column }
    }

    /// Room for the distances of one row, to be passed to [`Scan::nearest`] again and again.
    pub(crate) fn room(&self) -> Vec<f64> {
        vec![0.0; self.width]
    }

    /// The nearest two centroids; of equally near ones the first.
    pub(crate) fn nearest(&self, row: &[f64], room: &mut [f64]) -> Nearest {
        let room = &mut room[..self.width];
        self.distances(row, room);
        let mut nearest =
            Nearest { first: 0, first_squared: f64::INFINITY, second: 0, second_squared: f64::INFINITY };
        for (cluster, squared) in room.iter().enumerate() {
            if *squared < nearest.second_squared {
                if *squared < nearest.first_squared {
                    nearest.second = nearest.first;
                    nearest.second_squared = nearest.first_squared;
                    nearest.first = cluster as u32;
                    nearest.first_squared = *squared;
                } else {
                    nearest.second = cluster as u32;
                    nearest.second_squared = *squared;
                }
            }
        }
        nearest
    }

    fn distances(&self, row: &[f64], room: &mut [f64]) {
        debug_assert_eq!(row.len(), self.columns);
        let mut columns = self.by_column.chunks_exact(self.width).zip(row);
        if let Some((centres, value)) = columns.next() {
            for (squared, centre) in room.iter_mut().zip(centres) {
                *squared = (value - centre) * (value - centre);
            }
        }
        for (centres, value) in columns {
            for (squared, centre) in room.iter_mut().zip(centres) {
                *squared += (value - centre) * (value - centre);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_two_of_five() {
        let scan = Scan::new(&[0.0, 0.0, 4.0, 0.0, 9.0, 0.0, 1.0, 1.0, 0.0, 0.0], 2);
        let nearest = scan.nearest(&[3.0, 0.0], &mut scan.room());
        assert_eq!((nearest.first, nearest.first_squared), (1, 1.0));
        assert_eq!((nearest.second, nearest.second_squared), (3, 5.0));
        let tie = scan.nearest(&[0.0, 0.0], &mut scan.room());
        assert_eq!((tie.first, tie.second, tie.second_squared), (0, 4, 0.0));
    }

    #[test]
    fn one_centroid_has_no_second() {
        let scan = Scan::new(&[2.0], 1);
        let nearest = scan.nearest(&[5.0], &mut scan.room());
        assert_eq!((nearest.first, nearest.first_squared, nearest.second_squared), (0, 9.0, f64::INFINITY));
    }
}
