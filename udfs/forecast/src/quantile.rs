//! Quantiles: of the normal and Student's t distribution, and of a sample.

/// Quantile of the standard normal distribution for a probability in (0, 1).
///
/// Wichura (1988), "Algorithm AS 241: the percentage points of the normal distribution", *Applied Statistics* 37;
/// the short form PPND7, about seven digits.
pub(crate) fn normal(probability: f64) -> f64 {
    let q = probability - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180625 - q * q;
        return q * (((59.109_374_72 * r + 159.291_132_02) * r + 50.434_271_938) * r + 3.387_132_717_9)
            / (((67.187_563_6 * r + 78.757_757_664) * r + 17.895_169_469) * r + 1.0);
    }
    let tail = if q < 0.0 { probability } else { 1.0 - probability };
    let r = (-tail.max(f64::MIN_POSITIVE).ln()).sqrt();
    let magnitude = if r <= 5.0 {
        let r = r - 1.6;
        (((0.170_238_21 * r + 1.306_728_48) * r + 2.756_815_390) * r + 1.423_437_277)
            / ((0.120_211_32 * r + 0.737_001_64) * r + 1.0)
    } else {
        let r = r - 5.0;
        (((0.017_337_203 * r + 0.428_682_94) * r + 3.081_226_386_3) * r + 6.657_905_115)
            / ((0.012_258_202_635 * r + 0.241_978_942_2) * r + 1.0)
    };
    if q < 0.0 { -magnitude } else { magnitude }
}

/// Quantile of Student's t for a probability in (0, 1) and `freedom` ≥ 1 degrees of freedom.
///
/// Closed forms for one and two degrees, from three on Hill (1970), "Algorithm 396: Student's t-quantiles",
/// *Communications of the ACM* 13.
pub(crate) fn student(probability: f64, freedom: usize) -> f64 {
    use std::f64::consts::{FRAC_PI_2, PI};
    if freedom <= 1 {
        return (PI * (probability - 0.5)).tan();
    }
    let both_tails = 2.0 * probability.min(1.0 - probability);
    let sign = if probability < 0.5 { -1.0 } else { 1.0 };
    if freedom == 2 {
        return sign * (2.0 / (both_tails * (2.0 - both_tails)) - 2.0).max(0.0).sqrt();
    }
    let n = freedom as f64;
    let a = 1.0 / (n - 0.5);
    let b = (48.0 / a) / a;
    let mut c = ((20_700.0 * a / b - 98.0) * a - 16.0) * a + 96.36;
    let d = ((94.5 / (b + c) - 3.0) / b + 1.0) * (a * FRAC_PI_2).sqrt() * n;
    let mut y = (d * both_tails).powf(2.0 / n);
    if y > 0.05 + a {
        let x = normal(both_tails * 0.5);
        y = x * x;
        if freedom < 5 {
            c += 0.3 * (n - 4.5) * (x + 0.6);
        }
        c += (((0.05 * d * x - 5.0) * x - 7.0) * x - 2.0) * x + b;
        y = (((((0.4 * y + 6.3) * y + 36.0) * y + 94.5) / c - y - 3.0) / b + 1.0) * x;
        y = (a * y * y).exp_m1();
    } else {
        y = ((1.0 / (((n + 6.0) / (n * y) - 0.089 * d - 0.822) * (n + 2.0) * 3.0) + 0.5 / (n + 4.0)) * y
            - 1.0)
            * (n + 1.0)
            / (n + 2.0)
            + 1.0 / y;
    }
    sign * (n * y).sqrt()
}

/// The `probability` quantile of a sample, interpolated between order statistics at (N − 1)·p (type 7 of Hyndman & Fan
/// 1996). Reorders the sample; 0 for an empty one.
pub(crate) fn sample(values: &mut [f64], probability: f64) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let position = probability.clamp(0.0, 1.0) * (values.len() - 1) as f64;
    let below = position.floor() as usize;
    let (_, low, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    let low = *low;
    let next = above.iter().copied().min_by(f64::total_cmp).unwrap_or(low);
    low + (position - below as f64) * (next - low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_agrees_with_scipy() {
        // scipy 1.16 stats.norm.ppf
        for (probability, expected) in [
            (0.5, 0.0),
            (0.9, 1.2815515655446004),
            (0.975, 1.959963984540054),
            (0.025, -1.959963984540054),
            (0.9995, 3.2905267314918945),
            (1e-14, -7.650628093),
        ] {
            assert!((normal(probability) - expected).abs() < 1e-6, "{probability}: {}", normal(probability));
        }
    }

    #[test]
    fn student_agrees_with_scipy() {
        // scipy 1.16 stats.t.ppf
        for (probability, freedom, expected) in [
            (0.975, 1, 12.706204736174694),
            (0.975, 2, 4.302652729749462),
            (0.975, 3, 3.182446305283709),
            (0.9, 5, 1.4758840488558216),
            (0.025, 10, -2.228138851986274),
            (0.995, 30, 2.749995653567231),
            (0.6, 7, 0.263166862018318),
        ] {
            let quantile = student(probability, freedom);
            assert!((quantile - expected).abs() < 2e-3, "{probability} {freedom}: {quantile}");
        }
    }

    #[test]
    fn sample_interpolates() {
        assert_eq!(sample(&mut [4.0, 1.0, 3.0, 2.0], 0.5), 2.5);
        assert_eq!(sample(&mut [4.0, 1.0, 3.0, 2.0], 1.0), 4.0);
        assert_eq!(sample(&mut [7.0], 0.3), 7.0);
        assert_eq!(sample(&mut [], 0.3), 0.0);
    }
}
