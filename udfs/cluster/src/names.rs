//! Names of the choices that a caller has.

use std::fmt;
use std::str::FromStr;

/// A name that is no choice. Displays the name and the ones that are valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} '{name}'; expected one of: {valid}")]
pub struct UnknownName {
    /// What the name should have been one of: `method`, `standardize` or `transform`.
    pub what: &'static str,
    /// What was asked for.
    pub name: String,
    /// The valid names, separated by commas.
    pub valid: String,
}

/// An enum whose values have names, with `ALL`, `Display` and a `FromStr` that ignores case and surrounding space.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident, $what:literal {
        $($(#[$value_doc:meta])* $value:ident => $text:literal),+ $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$value_doc])* $value),+
        }

        impl $name {
            /// Every choice, in the order in which messages list them.
            pub const ALL: &'static [$name] = &[$($name::$value),+];

            /// The name that SQL uses.
            pub fn name(self) -> &'static str {
                match self {
                    $($name::$value => $text),+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $name {
            type Err = UnknownName;

            fn from_str(name: &str) -> Result<Self, UnknownName> {
                let wanted = name.trim();
                $name::ALL.iter().copied().find(|one| one.name().eq_ignore_ascii_case(wanted)).ok_or_else(|| {
                    let valid: Vec<&str> = $name::ALL.iter().map(|one| one.name()).collect();
                    UnknownName { what: $what, name: name.to_owned(), valid: valid.join(", ") }
                })
            }
        }
    };
}

named! {
    /// How clusters are found.
    Method, "method" {
        /// Compact groups around means.
        KMeans => "kmeans",
        /// Ward's tree, cut at k; over 500 groups of k-means where there are more than 20,000 rows.
        Hierarchical => "hierarchical",
        /// Gaussian mixture: groups of differing shape and size that overlap.
        Gmm => "gmm",
        /// Dense regions; the rest is noise. Finds the number of clusters itself.
        Dbscan => "dbscan",
        /// Dense regions read off the ordering OPTICS. Finds the number of clusters itself.
        Optics => "optics",
    }
}

named! {
    /// How columns are brought to one scale.
    Standardize, "standardize" {
        /// Mean 0 and standard deviation 1.
        ZScore => "zscore",
        /// Median 0 and interquartile range 1, for data with outliers.
        Robust => "robust",
        /// As they are.
        None => "none",
    }
}

named! {
    /// What is done to skewed columns before scaling.
    Transform, "transform" {
        /// ln(1 + x) for columns without negative values whose skewness is above 1.
        Auto => "auto",
        /// ln(1 + x) for every column without negative values.
        Log1p => "log1p",
        /// Nothing.
        None => "none",
    }
}

named! {
    /// What is done with a row that lacks a value.
    Missing, "missing" {
        /// The median (or the most frequent category) stands in, and the row's status says so.
        Impute => "impute",
        /// The row gets no cluster, and its status says so.
        Skip => "skip",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for method in Method::ALL {
            assert_eq!(format!(" {} ", method.name().to_uppercase()).parse::<Method>().unwrap(), *method);
        }
        assert_eq!("ZSCORE".parse::<Standardize>().unwrap(), Standardize::ZScore);
        assert_eq!("log1p".parse::<Transform>().unwrap().to_string(), "log1p");
        assert_eq!("skip".parse::<Missing>().unwrap(), Missing::Skip);
    }

    #[test]
    fn an_unknown_name_lists_the_valid_ones() {
        let message = "birch".parse::<Method>().unwrap_err().to_string();
        assert_eq!(
            message,
            "unknown method 'birch'; expected one of: kmeans, hierarchical, gmm, dbscan, optics"
        );
    }
}
