//! Every key of smartsneaks.toml: its name, default and meaning, in one place.
//!
//! A value comes from the first of: a flag, the variable `SMARTSNEAKS_<SECTION>_<KEY>`, smartsneaks.toml, the default.
//! `SHOW ALL` and the reference read the same table.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use smartsneaks_authenticate_image::ImageConfig;

use crate::error::{Error, Kind};
use crate::nearest::nearest;

/// One key of smartsneaks.toml.
#[derive(Debug)]
pub struct Key {
    /// Section and key, such as `engine.threads`.
    pub name: &'static str,
    /// What stands when nobody says anything.
    pub default: &'static str,
    /// What it does, in one line.
    pub doc: &'static str,
}

/// The keys, in the order of the reference.
pub const KEYS: &[Key] = &[
    Key {
        name: "warehouse.url",
        default: "warehouse",
        doc: "where the warehouse lies: a folder, relative to the project, or a URL",
    },
    Key {
        name: "serve.pg",
        default: "127.0.0.1:5433",
        doc: "address of the Postgres door; port 0 takes a free one, off closes it",
    },
    Key { name: "serve.flight", default: "127.0.0.1:8815", doc: "address of the Flight SQL door" },
    Key { name: "serve.http", default: "127.0.0.1:8080", doc: "address of the HTTP door" },
    Key {
        name: "serve.max_connections",
        default: "100",
        doc: "connections at a time on the Postgres door; one more is refused with SQLSTATE 53300",
    },
    Key {
        name: "serve.create_model",
        default: "false",
        doc: "whether clients may run CREATE MODEL and DROP MODEL, which write to the warehouse",
    },
    Key { name: "engine.threads", default: "0", doc: "threads that run queries; 0 takes one per core" },
    Key {
        name: "engine.memory_limit",
        default: "2GB",
        doc: "memory that all statements share before operators spill to disk",
    },
    Key {
        name: "engine.spill_dir",
        default: "",
        doc: "folder for spilled data; empty takes the system's temporary folder",
    },
    Key { name: "engine.spill_limit", default: "20GB", doc: "disk that spilled data may take" },
    Key {
        name: "engine.statement_timeout",
        default: "0",
        doc: "time a statement may take, such as 30s; 0 sets no limit; SET statement_timeout overrides it",
    },
    Key {
        name: "images.allow",
        default: "",
        doc: "folders and URL prefixes that photos may be read from, such as listings, s3://bucket/photos or https://img.example.com/",
    },
    Key {
        name: "images.allow_private_addresses",
        default: "false",
        doc: "whether a photo's URL may lead to an address of the own network",
    },
    Key {
        name: "images.models",
        default: "models",
        doc: "the folder of the models that look at photos, relative to the project",
    },
    Key {
        name: "images.gallery",
        default: "",
        doc: "the folder of reference photos, relative to the project, with a folder for each SKU",
    },
    Key { name: "images.max_bytes", default: "20MB", doc: "bytes that a photo's file may have" },
    Key { name: "images.max_pixels", default: "50000000", doc: "pixels that a photo may have" },
    Key { name: "images.timeout", default: "10s", doc: "time in which a photo must be there" },
    Key {
        name: "onnx.library",
        default: "",
        doc: "ONNX Runtime's shared library, relative to the project; empty takes ORT_DYLIB_PATH, without it models run on tract, which is built in",
    },
    Key {
        name: "mining.default_series",
        default: "",
        doc: "the table that a bare key means, as in forecast('SKU1'); its model declares a series",
    },
];

/// The settings of one project, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the warehouse lies: an absolute path or a URL.
    pub warehouse: String,
    /// Address of the Postgres door; `None` is off.
    pub pg: Option<String>,
    /// Address of the Flight SQL door; `None` is off.
    pub flight: Option<String>,
    /// Address of the HTTP door; `None` is off.
    pub http: Option<String>,
    /// Connections at a time on the Postgres door.
    pub max_connections: usize,
    /// Whether clients may create and drop models.
    pub create_model: bool,
    /// Threads that run queries, at least 1.
    pub threads: usize,
    /// Bytes of memory that all statements share.
    pub memory_limit: usize,
    /// Folder for spilled data.
    pub spill_dir: Option<PathBuf>,
    /// Bytes of disk that spilled data may take.
    pub spill_limit: u64,
    /// How long a statement may take.
    pub statement_timeout: Option<Duration>,
    /// The table that a bare key means.
    pub default_series: Option<String>,
    /// Photos and the models that look at them.
    pub images: ImageConfig,
}

impl Settings {
    /// Checks `given` (key → value and where it was said, for messages) and fills in defaults.
    ///
    /// # Errors
    /// [`Kind::Config`] for an unknown key or a value that its key does not take.
    pub fn new(given: &BTreeMap<String, (String, String)>) -> Result<Self, Error> {
        for (name, (_, origin)) in given {
            if !KEYS.iter().any(|k| k.name == name) {
                let valid = KEYS.iter().map(|k| k.name);
                let error = Error::new(Kind::Config, format!("{origin}: unknown setting {name}"));
                return Err(match nearest(name, valid.clone()) {
                    Some(near) => error.with_hint(format!("perhaps you meant {near}")),
                    None => error.with_hint(format!("settings are {}", valid.collect::<Vec<_>>().join(", "))),
                });
            }
        }
        let read = Reader { given };
        let threads = read.parse("engine.threads", "a whole number", |v| v.parse::<usize>().ok())?;
        let spill_dir = read.text("engine.spill_dir");
        let default_series = read.text("mining.default_series");
        Ok(Self {
            warehouse: read.text("warehouse.url").to_owned(),
            pg: read.address("serve.pg")?,
            flight: read.address("serve.flight")?,
            http: read.address("serve.http")?,
            max_connections: read.parse("serve.max_connections", "a whole number above 0", |v| {
                v.parse().ok().filter(|n| *n > 0)
            })?,
            create_model: read.parse("serve.create_model", "true or false", |v| v.parse().ok())?,
            threads: match threads {
                0 => std::thread::available_parallelism().map_or(1, usize::from),
                n => n,
            },
            memory_limit: read.parse("engine.memory_limit", "a size such as 512MB, at least 16MB", |v| {
                parse_bytes(v).filter(|b| *b >= 16 << 20).and_then(|b| usize::try_from(b).ok())
            })?,
            spill_dir: (!spill_dir.is_empty()).then(|| PathBuf::from(spill_dir)),
            spill_limit: read.parse("engine.spill_limit", "a size such as 20GB", parse_bytes)?,
            statement_timeout: read.parse(
                "engine.statement_timeout",
                "a time such as 30s or 5min",
                parse_duration,
            )?,
            default_series: (!default_series.is_empty()).then(|| default_series.to_owned()),
            images: images(&read)?,
        })
    }

    /// Settings with every key at its default, for a warehouse at `url` and with every door closed: what tests and
    /// embedded use start from.
    #[must_use]
    pub fn embedded(url: impl Into<String>) -> Self {
        Self {
            warehouse: url.into(),
            pg: None,
            flight: None,
            http: None,
            max_connections: 100,
            create_model: false,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            memory_limit: 2 << 30,
            spill_dir: None,
            spill_limit: 20 << 30,
            statement_timeout: None,
            default_series: None,
            images: ImageConfig::default(),
        }
    }
}

fn images(read: &Reader<'_>) -> Result<ImageConfig, Error> {
    let path = |name: &str| Some(read.text(name)).filter(|text| !text.is_empty()).map(PathBuf::from);
    let allow = read.text("images.allow").split(',').map(str::trim).filter(|place| !place.is_empty());
    Ok(ImageConfig {
        allow: allow.map(str::to_owned).collect(),
        allow_private_addresses: read
            .parse("images.allow_private_addresses", "true or false", |v| v.parse().ok())?,
        models: PathBuf::from(read.text("images.models")),
        gallery: path("images.gallery"),
        max_bytes: read.parse("images.max_bytes", "a size such as 20MB", parse_bytes)?,
        max_pixels: read.parse("images.max_pixels", "a whole number above 0", |v| {
            v.parse().ok().filter(|pixels| *pixels > 0)
        })?,
        timeout: read.parse("images.timeout", "a time such as 10s", |v| parse_duration(v).flatten())?,
        library: path("onnx.library").or_else(|| std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from)),
        base: PathBuf::from("."),
    })
}

struct Reader<'a> {
    given: &'a BTreeMap<String, (String, String)>,
}

impl Reader<'_> {
    fn text(&self, name: &str) -> &str {
        match self.given.get(name) {
            Some((value, _)) => value.trim(),
            None => KEYS.iter().find(|k| k.name == name).map_or("", |k| k.default),
        }
    }

    fn parse<T>(&self, name: &str, expected: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, Error> {
        read(self.text(name)).ok_or_else(|| {
            let origin = self.given.get(name).map_or("default", |(_, origin)| origin);
            Error::new(
                Kind::Config,
                format!("{origin}: {name} must be {expected}, found \"{}\"", self.text(name)),
            )
        })
    }

    fn address(&self, name: &str) -> Result<Option<String>, Error> {
        let value = self.text(name);
        if value == "off" {
            return Ok(None);
        }
        self.parse(name, "HOST:PORT or off", |v| {
            let (host, port) = v.rsplit_once(':')?;
            port.parse::<u16>().ok()?;
            let host = if host.is_empty() { "127.0.0.1" } else { host };
            Some(Some(format!("{host}:{port}")))
        })
    }
}

/// Bytes of `512MB`, `2GB`, `64kB` or a bare number; units are powers of 1024 as in PostgreSQL.
#[must_use]
pub fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" | "k" => 1 << 10,
        "mb" | "m" => 1 << 20,
        "gb" | "g" => 1 << 30,
        "tb" | "t" => 1 << 40,
        _ => return None,
    };
    let bytes = number * factor as f64;
    (bytes.is_finite() && bytes >= 0.0 && bytes < u64::MAX as f64).then_some(bytes as u64)
}

/// The time of `1s`, `500ms`, `2min`, `1h` or a bare number of milliseconds, as PostgreSQL reads it; 0 is no limit.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Option<Duration>> {
    let (number, unit) = split_unit(text)?;
    let millis = number
        * match unit {
            "us" => 0.001,
            "" | "ms" => 1.0,
            "s" => 1_000.0,
            "min" => 60_000.0,
            "h" => 3_600_000.0,
            "d" => 86_400_000.0,
            _ => return None,
        };
    if !(0.0..=2_147_483_647.0).contains(&millis) {
        return None;
    }
    Some((millis > 0.0).then(|| Duration::from_micros((millis * 1000.0) as u64)))
}

fn split_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, (String, String)> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), ((*v).to_owned(), "smartsneaks.toml".to_owned())))
            .collect()
    }

    #[test]
    fn defaults_are_valid() {
        let settings = Settings::new(&BTreeMap::new()).unwrap();
        assert_eq!(settings.pg.as_deref(), Some("127.0.0.1:5433"));
        assert_eq!(settings.memory_limit, 2 << 30);
        assert!(settings.statement_timeout.is_none());
    }

    #[test]
    fn wrong_values_say_what_was_expected() {
        let error = Settings::new(&given(&[("engine.memory_limit", "lots")])).unwrap_err();
        assert_eq!(
            error.message(),
            "smartsneaks.toml: engine.memory_limit must be a size such as 512MB, at least 16MB, found \"lots\""
        );
        let error = Settings::new(&given(&[("engine.thread", "2")])).unwrap_err();
        assert_eq!(error.hint(), Some("perhaps you meant engine.threads"));
    }

    #[test]
    fn units_read_as_in_postgres() {
        assert_eq!(parse_bytes("64kB"), Some(65536));
        assert_eq!(parse_duration("1s"), Some(Some(Duration::from_secs(1))));
        assert_eq!(parse_duration("250"), Some(Some(Duration::from_millis(250))));
        assert_eq!(parse_duration("0"), Some(None));
        assert_eq!(parse_duration("soon"), None);
    }
}
