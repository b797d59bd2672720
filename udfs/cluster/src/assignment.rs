//! The cheapest one-to-one assignment.

/// Assigns each of `rows` to a different one of `columns ≥ rows` so that the sum of costs (row-major) is least.
///
/// Kuhn (1955), "The Hungarian method for the assignment problem", *Naval Research Logistics Quarterly* 2, with
/// shortest augmenting paths (Jonker & Volgenant 1987): time O(rows² · columns). Costs must be finite.
pub(crate) fn assign(costs: &[f64], rows: usize, columns: usize) -> Vec<usize> {
    debug_assert!(rows <= columns && costs.len() == rows * columns);
    // Place 0 is a column that stands for "the row to be assigned now".
    let mut row_price = vec![0.0; rows + 1];
    let mut column_price = vec![0.0; columns + 1];
    let mut taken = vec![0usize; columns + 1];
    let mut way = vec![0usize; columns + 1];
    for row in 1..=rows {
        taken[0] = row;
        let mut at = 0;
        let mut least = vec![f64::INFINITY; columns + 1];
        let mut seen = vec![false; columns + 1];
        while taken[at] != 0 {
            seen[at] = true;
            let from = taken[at];
            let mut step = f64::INFINITY;
            let mut next = 0;
            for column in 1..=columns {
                if seen[column] {
                    continue;
                }
                let cost = costs[(from - 1) * columns + column - 1] - row_price[from] - column_price[column];
                if cost < least[column] {
                    least[column] = cost;
                    way[column] = at;
                }
                if least[column] < step {
                    step = least[column];
                    next = column;
                }
            }
            if next == 0 {
                break; // only for costs that are not finite
            }
            for column in 0..=columns {
                if seen[column] {
                    row_price[taken[column]] += step;
                    column_price[column] -= step;
                } else {
                    least[column] -= step;
                }
            }
            at = next;
        }
        while at != 0 {
            taken[at] = taken[way[at]];
            at = way[at];
        }
    }
    let mut assigned = vec![0; rows];
    for column in 1..=columns {
        if taken[column] != 0 {
            assigned[taken[column] - 1] = column - 1;
        }
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn cheapest(costs: &[f64], rows: usize, columns: usize, row: usize, used: u32) -> f64 {
        if row == rows {
            return 0.0;
        }
        (0..columns)
            .filter(|column| used & (1 << column) == 0)
            .map(|column| {
                costs[row * columns + column] + cheapest(costs, rows, columns, row + 1, used | (1 << column))
            })
            .fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn agrees_with_trying_everything() {
        let mut random = Random::new(8, 0);
        for (rows, columns) in [(1, 1), (3, 3), (5, 5), (3, 6), (6, 7)] {
            for _ in 0..20 {
                let costs: Vec<f64> = (0..rows * columns).map(|_| (random.unit() * 20.0).floor()).collect();
                let assigned = assign(&costs, rows, columns);
                let sum: f64 =
                    assigned.iter().enumerate().map(|(row, column)| costs[row * columns + column]).sum();
                assert_eq!(sum, cheapest(&costs, rows, columns, 0, 0));
            }
        }
    }

    #[test]
    fn agrees_with_scipy() {
        // scipy 1.17.1 optimize.linear_sum_assignment, its documentation's example
        assert_eq!(assign(&[4.0, 1.0, 3.0, 2.0, 0.0, 5.0, 3.0, 2.0, 2.0], 3, 3), [1, 0, 2]);
    }
}
