//! Exact decimals: digits and scale → PostgreSQL `numeric`, text and binary.

use bytes::{BufMut, BytesMut};

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;

/// Writes `unscaled` (an optional minus sign and decimal digits) divided by `10^scale`, as text.
pub(super) fn text(unscaled: &str, scale: i8, out: &mut String) {
    let (sign, digits) = split_sign(unscaled);
    out.push_str(sign);
    if scale <= 0 {
        out.push_str(digits);
        if digits != "0" {
            out.extend(std::iter::repeat_n('0', usize::from(scale.unsigned_abs())));
        }
        return;
    }
    let scale = usize::from(scale.unsigned_abs());
    match digits.len().checked_sub(scale).filter(|whole| *whole > 0) {
        Some(whole) => {
            out.push_str(&digits[..whole]);
            out.push('.');
            out.push_str(&digits[whole..]);
        }
        None => {
            out.push_str("0.");
            out.extend(std::iter::repeat_n('0', scale - digits.len()));
            out.push_str(digits);
        }
    }
}

/// The same value in the binary format: base-10000 digits with a weight (`numeric_send`).
pub(super) fn binary(unscaled: &str, scale: i8, out: &mut BytesMut) {
    let (sign, digits) = split_sign(unscaled);
    let shown = u16::from(scale.max(0).unsigned_abs());
    let zeros = usize::from(scale.min(0).unsigned_abs());
    let point = digits.len() as i64 - i64::from(shown) + zeros as i64;
    // Groups of four digits are aligned to the decimal point: pad on both sides.
    let front = usize::try_from((4 - point.rem_euclid(4)) % 4).unwrap_or(0);
    let mut padded = String::with_capacity(digits.len() + zeros + 8);
    padded.extend(std::iter::repeat_n('0', front));
    padded.push_str(digits);
    padded.extend(std::iter::repeat_n('0', zeros));
    while !padded.len().is_multiple_of(4) {
        padded.push('0');
    }
    let mut groups: Vec<u16> = padded
        .as_bytes()
        .chunks(4)
        .map(|group| group.iter().fold(0, |value, digit| value * 10 + u16::from(digit - b'0')))
        .collect();
    let mut weight = (point + front as i64) / 4 - 1;
    let leading = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..leading);
    weight -= leading as i64;
    while groups.last() == Some(&0) {
        groups.pop();
    }
    if groups.is_empty() {
        weight = 0;
    }
    out.put_u16(u16::try_from(groups.len()).unwrap_or(u16::MAX));
    out.put_i16(i16::try_from(weight).unwrap_or(0));
    out.put_u16(if sign.is_empty() { POSITIVE } else { NEGATIVE });
    out.put_u16(shown);
    for group in groups {
        out.put_u16(group);
    }
}

fn split_sign(unscaled: &str) -> (&str, &str) {
    unscaled.strip_prefix('-').map_or(("", unscaled), |digits| ("-", digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(unscaled: &str, scale: i8) -> String {
        let mut out = String::new();
        text(unscaled, scale, &mut out);
        out
    }

    fn sent(unscaled: &str, scale: i8) -> Vec<u8> {
        let mut out = BytesMut::new();
        binary(unscaled, scale, &mut out);
        out.to_vec()
    }

    #[test]
    fn text_keeps_every_digit() {
        assert_eq!(shown("123456", 2), "1234.56");
        assert_eq!(shown("-5", 2), "-0.05");
        assert_eq!(shown("0", 2), "0.00");
        assert_eq!(shown("42", 0), "42");
        assert_eq!(shown("42", -3), "42000");
        assert_eq!(shown("0", -3), "0");
        assert_eq!(
            shown("99999999999999999999999999999999999999", 10),
            "9999999999999999999999999999.9999999999"
        );
    }

    /// The bytes are what PostgreSQL 15's `numeric_send` gives.
    #[test]
    fn binary_is_numeric_send() {
        // 1234.56
        assert_eq!(sent("123456", 2), [0, 2, 0, 0, 0, 0, 0, 2, 0x04, 0xd2, 0x15, 0xe0]);
        // -0.05
        assert_eq!(sent("-5", 2), [0, 1, 0xff, 0xff, 0x40, 0, 0, 2, 0x01, 0xf4]);
        // 0.00
        assert_eq!(sent("0", 2), [0, 0, 0, 0, 0, 0, 0, 2]);
        // 10000
        assert_eq!(sent("10000", 0), [0, 1, 0, 1, 0, 0, 0, 0, 0, 1]);
        // 42000, from a negative scale
        assert_eq!(sent("42", -3), [0, 2, 0, 1, 0, 0, 0, 0, 0, 4, 0x07, 0xd0]);
        // 0.00001234
        assert_eq!(sent("1234", 8), [0, 1, 0xff, 0xfe, 0, 0, 0, 8, 0x04, 0xd2]);
    }
}
