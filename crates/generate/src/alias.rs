//! Drawing an index by weight in constant time: Vose's alias method (IEEE TSE 17(9), 1991).

use crate::random::Stream;

/// Weights prepared for drawing.
#[derive(Debug, Clone)]
pub(crate) struct Alias {
    keep: Vec<f64>,
    other: Vec<u32>,
    total: f64,
}

impl Alias {
    /// Prepares `weights`; negative ones count as 0. Without any positive weight every index is as likely.
    pub(crate) fn new(weights: &[f64]) -> Alias {
        let total: f64 = weights.iter().map(|weight| weight.max(0.0)).sum();
        let n = weights.len();
        let mut keep = vec![1.0; n];
        let mut other: Vec<u32> = (0..n as u32).collect();
        if total > 0.0 {
            let mut scaled: Vec<f64> =
                weights.iter().map(|weight| weight.max(0.0) * n as f64 / total).collect();
            let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..n).partition(|&i| scaled[i] < 1.0);
            while let (Some(&under), Some(&over)) = (small.last(), large.last()) {
                small.pop();
                keep[under] = scaled[under];
                other[under] = over as u32;
                scaled[over] -= 1.0 - scaled[under];
                if scaled[over] < 1.0 {
                    large.pop();
                    small.push(over);
                }
            }
        }
        Alias { keep, other, total }
    }

    /// Sum of the weights.
    pub(crate) fn total(&self) -> f64 {
        self.total
    }

    /// An index, as likely as its weight; 0 when there is none.
    pub(crate) fn draw(&self, stream: &mut Stream) -> usize {
        let at = stream.unit() * self.keep.len() as f64;
        let index = at as usize;
        match (self.keep.get(index), self.other.get(index)) {
            (Some(&keep), Some(&other)) if at - index as f64 >= keep => other as usize,
            _ => index,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    #[test]
    fn draws_follow_the_weights() {
        let alias = Alias::new(&[1.0, 0.0, 3.0, 6.0, -1.0]);
        let mut stream = Stream::new(1, Purpose::Order, 1);
        let mut seen = [0_u32; 5];
        for _ in 0..100_000 {
            seen[alias.draw(&mut stream)] += 1;
        }
        assert_eq!((seen[1], seen[4]), (0, 0));
        for (index, share) in [(0, 0.1), (2, 0.3), (3, 0.6)] {
            assert!((f64::from(seen[index]) / 100_000.0 - share).abs() < 0.01, "{seen:?}");
        }
        assert!((alias.total() - 10.0).abs() < 1e-12);
    }

    #[test]
    fn degenerate_weights_draw_something() {
        let mut stream = Stream::new(1, Purpose::Order, 2);
        assert_eq!(Alias::new(&[]).draw(&mut stream), 0);
        assert!(Alias::new(&[0.0, 0.0]).draw(&mut stream) < 2);
    }
}
