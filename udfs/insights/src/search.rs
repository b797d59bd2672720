//! Finds every segment that is large enough.
//!
//! The bottom-up computation of Beyer & Ramakrishnan (1999), "Bottom-up computation of sparse and iceberg cubes",
//! *SIGMOD*: rows are partitioned by the values of one dimension, each partition that is large enough by the next
//! dimension, and so on. As in Agrawal & Srikant (1994), "Fast algorithms for mining association rules", *VLDB*, what
//! is too small is never looked into: no part of it can be large enough.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::InsightError;
use crate::sums::Sums;
use crate::table::Table;
use smartsneaks_table_function::{Run, for_each};

/// The most segments that are kept.
pub const MOST_SEGMENTS: usize = 1_000_000;

/// The most dimensions that are combined.
pub const MOST_COMBINED: usize = 4;

/// Dimension and value of a segment, at most four, in the order of the dimensions. Values are codes of the table.
pub(crate) type Key = Vec<(u8, u32)>;

/// A segment and its sums.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Segment {
    pub(crate) key: Key,
    pub(crate) sums: Sums,
}

/// Sums of all rows, and the segments of up to `combined` dimensions whose support is at least `least`, in an order
/// that depends on the table alone.
///
/// Memory: 4 bytes a row and dimension for codes, 32 bytes a row for the rest, 4 bytes a row and combined dimension for
/// each job that runs, and at most a million segments of about 120 bytes. Time O(rows · number of combinations of
/// dimensions), 298 for three of twelve.
pub(crate) fn search(
    table: &Table,
    rows: &[u32],
    least: f64,
    combined: usize,
    run: Run,
) -> Result<(Sums, Vec<Segment>), InsightError> {
    let facts = Facts::new(table, rows);
    let mut all = Sums::default();
    facts.rows.iter().for_each(|(interest, values)| all.add(*interest, *values));
    if !(all.interest_size.is_finite() && all.reference_size.is_finite()) {
        return Err(InsightError::OutOfRange);
    }
    let count = AtomicUsize::new(0);
    let mut frequent: Vec<Frequent> = (0..table.dimensions.len()).map(|_| Frequent::default()).collect();
    for_each(run, &mut frequent, |dimension, one| {
        *one = Frequent::new(table, rows, &facts, dimension, &all, least)
    });
    let mut found: Vec<Vec<Segment>> = vec![Vec::new(); frequent.len()];
    for_each(run, &mut found, |dimension, segments| {
        let mut job =
            Job { facts: &facts, frequent: &frequent, all: &all, least, combined, count: &count, segments };
        let every: Vec<u32> = (0..rows.len() as u32).collect();
        job.partition(&every, dimension, &mut Vec::new());
    });
    if count.load(Ordering::Relaxed) > MOST_SEGMENTS {
        return Err(InsightError::TooManySegments { limit: MOST_SEGMENTS, support: least });
    }
    Ok((all, found.into_iter().flatten().collect()))
}

/// The usable rows, one after the other.
#[derive(Debug)]
struct Facts {
    /// Whether a row is of interest, and what it adds above and below the line.
    rows: Vec<(bool, (f64, f64))>,
}

impl Facts {
    fn new(table: &Table, rows: &[u32]) -> Self {
        let fact = |row: &u32| (table.interest[*row as usize], table.values(*row as usize));
        Facts { rows: rows.iter().map(fact).collect() }
    }
}

/// The values of a dimension that are large enough on their own, under numbers of their own.
#[derive(Debug, Default)]
struct Frequent {
    /// Number of each usable row's value; that of no value, `codes.len()`, for one that is too small.
    numbers: Vec<u32>,
    /// Code in the table of each number.
    codes: Vec<u32>,
}

impl Frequent {
    fn new(table: &Table, rows: &[u32], facts: &Facts, dimension: usize, all: &Sums, least: f64) -> Self {
        let dimension = &table.dimensions[dimension];
        let mut sums: Vec<Option<Sums>> = vec![None; dimension.values.len()];
        for (at, row) in rows.iter().enumerate() {
            let (interest, values) = facts.rows[at];
            sums[dimension.codes[*row as usize] as usize].get_or_insert_default().add(interest, values);
        }
        let large = |sums: &Option<Sums>| sums.is_some_and(|sums| sums.support_bound(all) >= least);
        let codes: Vec<u32> = (0..sums.len() as u32).filter(|code| large(&sums[*code as usize])).collect();
        let mut number = vec![codes.len() as u32; sums.len()];
        codes.iter().enumerate().for_each(|(at, code)| number[*code as usize] = at as u32);
        let numbers = rows.iter().map(|row| number[dimension.codes[*row as usize] as usize]).collect();
        Frequent { numbers, codes }
    }
}

/// The search below one first dimension.
#[derive(Debug)]
struct Job<'a> {
    facts: &'a Facts,
    frequent: &'a [Frequent],
    all: &'a Sums,
    least: f64,
    combined: usize,
    /// Segments found by all jobs together.
    count: &'a AtomicUsize,
    segments: &'a mut Vec<Segment>,
}

impl Job<'_> {
    /// Splits rows, given in ascending order, by a dimension; keeps the parts that are large enough and goes on with
    /// each by the dimensions after it. Ascending order makes equal sets of rows sum up to equal bits.
    fn partition(&mut self, rows: &[u32], dimension: usize, key: &mut Key) {
        let frequent = &self.frequent[dimension];
        let parts = frequent.codes.len();
        // Few rows against many values: touch only the values that occur.
        let (sums, places) =
            if rows.len() / 4 >= parts { self.dense(rows, frequent) } else { self.sparse(rows, frequent) };
        let large: Vec<bool> =
            sums.iter().map(|(_, sums, _)| sums.support_bound(self.all) >= self.least).collect();
        for ((number, sums, _), large) in sums.iter().zip(&large) {
            if *large && sums.support(self.all) >= self.least {
                if self.count.fetch_add(1, Ordering::Relaxed) >= MOST_SEGMENTS {
                    return;
                }
                let code = frequent.codes[*number as usize];
                let key = key.iter().copied().chain([(dimension as u8, code)]).collect();
                self.segments.push(Segment { key, sums: *sums });
            }
        }
        if key.len() + 1 >= self.combined || dimension + 1 >= self.frequent.len() {
            return;
        }
        // Counting sort of the rows of large parts.
        let mut starts = Vec::with_capacity(sums.len());
        let mut end = 0;
        for ((_, _, count), large) in sums.iter().zip(&large) {
            starts.push(end);
            end += if *large { *count } else { 0 };
        }
        let mut sorted = vec![0u32; end];
        let mut next = starts.clone();
        for row in rows {
            let place = places.of(frequent.numbers[*row as usize]);
            if let Some(place) = place
                && large[place]
            {
                sorted[next[place]] = *row;
                next[place] += 1;
            }
        }
        for (place, (number, _, count)) in sums.iter().enumerate() {
            if large[place] && self.count.load(Ordering::Relaxed) <= MOST_SEGMENTS {
                key.push((dimension as u8, frequent.codes[*number as usize]));
                for after in dimension + 1..self.frequent.len() {
                    self.partition(&sorted[starts[place]..starts[place] + count], after, key);
                }
                key.pop();
            }
        }
    }

    fn dense(&self, rows: &[u32], frequent: &Frequent) -> (Vec<Part>, Places) {
        let mut parts: Vec<Part> =
            (0..frequent.codes.len() as u32).map(|number| (number, Sums::default(), 0)).collect();
        for row in rows {
            let row = *row as usize;
            if let Some((_, sums, count)) = parts.get_mut(frequent.numbers[row] as usize) {
                let (interest, values) = self.facts.rows[row];
                sums.add(interest, values);
                *count += 1;
            }
        }
        let parts_count = parts.len();
        (parts, Places::Same(parts_count))
    }

    fn sparse(&self, rows: &[u32], frequent: &Frequent) -> (Vec<Part>, Places) {
        let none = frequent.codes.len() as u32;
        let mut numbers: Vec<u32> =
            rows.iter().map(|row| frequent.numbers[*row as usize]).filter(|number| *number != none).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut parts: Vec<Part> = numbers.iter().map(|number| (*number, Sums::default(), 0)).collect();
        let places = Places::Listed(numbers);
        for row in rows {
            let row = *row as usize;
            if let Some(place) = places.of(frequent.numbers[row]) {
                let (_, sums, count) = &mut parts[place];
                let (interest, values) = self.facts.rows[row];
                sums.add(interest, values);
                *count += 1;
            }
        }
        (parts, places)
    }
}

/// Number of a value, its sums and its number of rows.
type Part = (u32, Sums, usize);

/// Where the part of a value's number is.
#[derive(Debug)]
enum Places {
    /// At the number itself, below a bound.
    Same(usize),
    /// Where the number is in this ascending list.
    Listed(Vec<u32>),
}

impl Places {
    fn of(&self, number: u32) -> Option<usize> {
        match self {
            Places::Same(bound) => ((number as usize) < *bound).then_some(number as usize),
            Places::Listed(numbers) => numbers.binary_search(&number).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Dimension, Metric};
    use smartsneaks_table_function::in_order;
    use std::collections::BTreeMap;

    /// Every combination of up to three dimensions, by looking at each row.
    fn naive(table: &Table, least: f64) -> BTreeMap<Key, (f64, f64)> {
        let Metric::Sum(values) = table.metric else { unreachable!() };
        let width = table.dimensions.len();
        let mut sums: BTreeMap<Key, (f64, f64)> = BTreeMap::new();
        for (row, value) in values.iter().enumerate() {
            for set in 1u32..1 << width {
                if set.count_ones() > 3 {
                    continue;
                }
                let key = (0..width)
                    .filter(|at| set & (1 << at) != 0)
                    .map(|at| (at as u8, table.dimensions[at].codes[row]))
                    .collect();
                let sum = sums.entry(key).or_default();
                if table.interest[row] { sum.0 += value } else { sum.1 += value }
            }
        }
        let total = |side: bool| -> f64 {
            (0..values.len()).filter(|row| table.interest[*row] == side).map(|row| values[row]).sum()
        };
        let (interest, reference) = (total(true), total(false));
        sums.retain(|_, sum| (sum.0 / interest).max(sum.1 / reference) >= least);
        sums
    }

    #[test]
    fn agrees_with_looking_at_everything() {
        let mut state = 1u64;
        let mut random = move |bound: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % bound
        };
        let rows = 800;
        let codes: Vec<Vec<u32>> =
            [3, 5, 40, 300].iter().map(|size| (0..rows).map(|_| random(*size) as u32).collect()).collect();
        let names: Vec<String> = (0..300).map(|at| at.to_string()).collect();
        let dimensions: Vec<Dimension> =
            codes.iter().map(|codes| Dimension { name: "d", codes, values: &names }).collect();
        let interest: Vec<bool> = (0..rows).map(|_| random(2) == 0).collect();
        for negative in [0.0, 3.0] {
            let values: Vec<f64> = (0..rows).map(|_| random(10) as f64 - negative).collect();
            let table = Table { dimensions: &dimensions, metric: Metric::Sum(&values), interest: &interest };
            for least in [0.0001, 0.01, 0.2] {
                let (_, found) = search(&table, &table.usable(), least, 3, &in_order).unwrap();
                let found: BTreeMap<Key, (f64, f64)> = found
                    .into_iter()
                    .map(|segment| (segment.key, (segment.sums.interest, segment.sums.reference)))
                    .collect();
                assert_eq!(found, naive(&table, least), "{least} {negative}");
            }
        }
    }
}
