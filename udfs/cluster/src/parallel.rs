//! How rows are cut into jobs.

pub(crate) use smartsneaks_table_function::{Run, for_each, in_order};

/// The most chunks that rows are cut into: enough for many cores, few enough that a copy of the sums each is cheap.
const MOST_CHUNKS: usize = 64;

/// Rows in a chunk: at least 2,048, and so many that there are at most 64 chunks.
pub(crate) fn chunk_rows(rows: usize) -> usize {
    rows.div_ceil(MOST_CHUNKS).max(2_048)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_depend_on_the_rows_alone() {
        assert_eq!(chunk_rows(10), 2_048);
        assert_eq!(1_000_000usize.div_ceil(chunk_rows(1_000_000)), 64);
    }
}
