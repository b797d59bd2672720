//! The nearest valid name, for errors about an unknown one.

/// The name most like `wanted` (Damerau–Levenshtein similarity of at least 0.6), if any is.
pub fn nearest<'a>(wanted: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    valid
        .into_iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(&wanted, &name.to_lowercase()), name))
        .filter(|(score, _)| *score >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_name_and_nonsense_finds_none() {
        assert_eq!(nearest("fact_sale", ["dim_date", "fact_sales"]), Some("fact_sales"));
        assert_eq!(nearest("zzz", ["dim_date", "fact_sales"]), None);
    }
}
