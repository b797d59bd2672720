//! The tail of the normal distribution.

/// Probability that a standard normal number is above `z`, to a relative error of 1e-4 (1e-9 below 7).
///
/// Hart's approximation as given by West (2005), "Better approximations to cumulative normal functions", *Wilmott*.
pub(crate) fn upper_tail(z: f64) -> f64 {
    let x = z.abs();
    if z.is_nan() {
        return f64::NAN;
    }
    let density = (-x * x / 2.0).exp();
    let tail = if x > 37.0 {
        0.0
    } else if x < 7.071_067_811_865_47 {
        let above = horner(x, &NUMERATOR);
        density * above / horner(x, &DENOMINATOR)
    } else {
        let fraction = x + 1.0 / (x + 2.0 / (x + 3.0 / (x + 4.0 / (x + 0.65))));
        density / fraction / 2.506_628_274_631
    };
    if z >= 0.0 { tail } else { 1.0 - tail }
}

/// 1 − the probability that |Z| is at least |z|: how improbable an ordinary point is to be nearer to the middle.
pub(crate) fn within(z: f64) -> f64 {
    (1.0 - 2.0 * upper_tail(z.abs())).clamp(0.0, 1.0)
}

const NUMERATOR: [f64; 7] = [
    3.526_249_659_989_11e-2,
    0.700_383_064_443_688,
    6.373_962_203_531_65,
    33.912_866_078_383,
    112.079_291_497_871,
    221.213_596_169_931,
    220.206_867_912_376,
];
const DENOMINATOR: [f64; 8] = [
    8.838_834_764_831_84e-2,
    1.755_667_163_182_64,
    16.064_177_579_207,
    86.780_732_202_946_1,
    296.564_248_779_674,
    637.333_633_378_831,
    793.826_512_519_948,
    440.413_735_824_752,
];

fn horner(x: f64, coefficients: &[f64]) -> f64 {
    coefficients.iter().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_agree_with_scipy() {
        // scipy 1.17 stats.norm.sf
        for (z, expected) in [
            (0.0, 0.5),
            (1.959963984540054, 0.025),
            (-1.0, 0.8413447460685429),
            (5.0, 2.866515718791939e-7),
            (8.0, 6.220960574271785e-16),
            (20.0, 2.7536241186062337e-89),
        ] {
            assert!(
                (upper_tail(z) / expected - 1.0).abs() < if z < 7.0 { 1e-9 } else { 1e-4 },
                "{z}: {}",
                upper_tail(z)
            );
        }
        assert!(upper_tail(f64::NAN).is_nan() && upper_tail(f64::INFINITY) == 0.0);
        assert!((within(-1.959963984540054) - 0.95).abs() < 1e-12);
    }
}
