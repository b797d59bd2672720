//! What a table function takes, said once: planning reads it, and the reference page is generated from it.

use std::fmt;

/// Name, arguments and documentation of one table function; a `const` beside the function's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// Name in SQL, lower case.
    pub name: &'static str,
    /// Other names for the same function, lower case.
    pub aliases: &'static [&'static str],
    /// What it does, in one or two sentences.
    pub description: &'static str,
    /// A statement that runs on the demo warehouse.
    pub example: &'static str,
    /// The arguments; the first is the relation (`Kind::Series`), and the order is that of positional arguments.
    pub arguments: &'static [Argument],
}

/// One argument of a [`Signature`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argument {
    /// Name in SQL, lower case.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// The value when it is not given, as a bare text (`14`, `auto`, `true`); `None`: it has none.
    pub default: Option<&'static str>,
    /// What it means, with units.
    pub doc: &'static str,
}

/// The type of an [`Argument`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A key of the default series table, an array of keys, `'*'`, `TABLE name` or a sub-query.
    Series,
    /// `TABLE name` or a sub-query.
    Relation,
    /// A text, bytes, an array of them, `TABLE name` or a sub-query.
    Items,
    /// Text.
    Text,
    /// The name of a column of numbers of the series' relation, read beside the values; the argument's name ends in
    /// `_col`.
    Column,
    /// A whole number (i64).
    Integer,
    /// A whole number, or a word such as `auto`; read as text.
    Count,
    /// A number (f64).
    Float,
    /// true or false.
    Boolean,
    /// An array of text, or one text.
    TextArray,
    /// A date, a timestamp, or a text that reads as one.
    Moment,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Series => "a key, an array of keys, '*', TABLE name or a sub-query in parentheses",
            Kind::Relation => "TABLE name or a sub-query in parentheses",
            Kind::Items => "a text, bytes, an array of them, TABLE name or a sub-query in parentheses",
            Kind::Text => "text",
            Kind::Column => "the name of a column of numbers",
            Kind::Integer => "a whole number",
            Kind::Count => "a whole number or 'auto'",
            Kind::Float => "a number",
            Kind::Boolean => "true or false",
            Kind::TextArray => "an array of text",
            Kind::Moment => "a date or timestamp",
        })
    }
}

impl Argument {
    /// The first argument of every function over series.
    pub const SERIES: Argument = Argument {
        name: "series",
        kind: Kind::Series,
        default: None,
        doc: "what to read: a key of the default series table ('SKU1'), an array of keys, '*' for every key, \
              TABLE name, or a sub-query in parentheses; rows with the same time are summed",
    };

    /// The first argument of every function over the rows of a relation.
    pub const RELATION: Argument = Argument {
        name: "src",
        kind: Kind::Relation,
        default: None,
        doc: "what to read: TABLE name, or a sub-query in parentheses",
    };

    /// What is known of times ahead: the second relation of functions that look ahead.
    pub const FUTURE: Argument = Argument {
        name: "future",
        kind: Kind::Relation,
        default: None,
        doc: "what is known of each time, of the past and ahead, such as promotions and prices: TABLE name or a \
              sub-query with the time, none or some of the id columns, and columns of numbers or true and false; a \
              step without a row counts as 0, NULL is unknown, the largest of several rows within a step counts",
    };

    /// The column that holds the values.
    pub const DATA_COL: Argument = Argument {
        name: "data_col",
        kind: Kind::Text,
        default: None,
        doc: "column of the values; default: the table's series header, else the only numeric column",
    };

    /// The column that holds the times.
    pub const TIMESTAMP_COL: Argument = Argument {
        name: "timestamp_col",
        kind: Kind::Text,
        default: None,
        doc: "column of the dates or timestamps; default: the table's series header, else the only such column",
    };

    /// The columns that tell one series from another.
    pub const ID_COLS: Argument = Argument {
        name: "id_cols",
        kind: Kind::TextArray,
        default: None,
        doc: "columns that tell one series from another, ARRAY[] for one series in all; default: the key column for \
              a key, the table's series header for a table, else every text column",
    };

    /// The moment up to which history is read.
    pub const AS_OF: Argument = Argument {
        name: "as_of",
        kind: Kind::Moment,
        default: None,
        doc: "read history up to this date or timestamp only (inclusive; a date means its whole day)",
    };
}

impl Signature {
    /// The argument called `name` (already in lower case).
    pub fn argument(&self, name: &str) -> Option<&'static Argument> {
        self.arguments.iter().find(|argument| argument.name == name)
    }

    /// Whether `name` (already in lower case) calls this function.
    pub fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        for (position, argument) in self.arguments.iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            match (argument.default, argument.kind) {
                (Some(default), Kind::Text | Kind::Count | Kind::TextArray | Kind::Moment) => {
                    write!(f, "{comma}{} => '{default}'", argument.name)?;
                }
                (Some(default), _) => write!(f, "{comma}{} => {default}", argument.name)?,
                (None, _) => write!(f, "{comma}{}", argument.name)?,
            }
        }
        f.write_str(")")
    }
}
