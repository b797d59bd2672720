//! Floating-point numbers as PostgreSQL prints them: shortest digits that read back to the same value.

use std::fmt::{LowerExp, Write};

/// Writes a `float4`; fixed notation up to 6 digits before the point.
pub(super) fn float4(value: f32, out: &mut String) {
    shortest(value, f64::from(value), 6, out);
}

/// Writes a `float8`; fixed notation up to 15 digits before the point.
pub(super) fn float8(value: f64, out: &mut String) {
    shortest(value, value, 15, out);
}

/// PostgreSQL's rule (`src/common/d2s.c`): fixed notation when -4 <= exponent < `limit`, else `1.5e+20`.
fn shortest<T: LowerExp>(value: T, wide: f64, limit: i32, out: &mut String) {
    if wide.is_nan() {
        out.push_str("NaN");
        return;
    }
    if wide.is_infinite() {
        out.push_str(if wide > 0.0 { "Infinity" } else { "-Infinity" });
        return;
    }
    let start = out.len();
    // Writing to a String does not fail. Rust's exponent form has the shortest digits: `-1.25e-7`.
    let _ = write!(out, "{value:e}");
    let text = out.split_off(start);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    out.push_str(sign);
    if exponent < -4 || exponent >= limit {
        let _ = write!(out, "{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
        return;
    }
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', usize::try_from(-exponent - 1).unwrap_or(0)));
        out.push_str(&digits);
        return;
    }
    let whole = usize::try_from(exponent).unwrap_or(0) + 1;
    match digits.split_at_checked(whole) {
        Some((head, "")) => out.push_str(head),
        Some((head, tail)) => {
            let _ = write!(out, "{head}.{tail}");
        }
        None => {
            out.push_str(&digits);
            out.extend(std::iter::repeat_n('0', whole - digits.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text8(value: f64) -> String {
        let mut out = String::new();
        float8(value, &mut out);
        out
    }

    fn text4(value: f32) -> String {
        let mut out = String::new();
        float4(value, &mut out);
        out
    }

    /// The right-hand sides are what PostgreSQL 15 prints.
    #[test]
    fn float8_as_postgres_prints_it() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-123.456, "-123.456"),
            (1e14, "100000000000000"),
            (1e15, "1e+15"),
            (123_456_789_012_345.6, "123456789012345.6"),
            (1.234_567_890_123_456_8e17, "1.2345678901234568e+17"),
            (1e100, "1e+100"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(text8(value), expected);
        }
    }

    #[test]
    fn float4_as_postgres_prints_it() {
        for (value, expected) in [
            (0.1, "0.1"),
            (123_456.0, "123456"),
            (1_234_567.0, "1.234567e+06"),
            (1e6, "1e+06"),
            (f32::MAX, "3.4028235e+38"),
            (f32::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(text4(value), expected);
        }
    }
}
