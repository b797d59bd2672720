//! A project: the folder that holds smartsneaks.toml.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind};
use crate::settings::Settings;

/// The file that makes a folder a project.
pub const FILE: &str = "smartsneaks.toml";

/// A project folder with its settings, read and checked.
#[derive(Debug, Clone)]
pub struct Project {
    /// The folder, absolute.
    pub dir: PathBuf,
    /// Settings after flags, environment, file and defaults.
    pub settings: Settings,
    /// The `[sources]` section as it stands; the ETL reads it.
    pub sources: toml::Table,
}

impl Project {
    /// Loads the project in `dir`, or in the nearest folder above the working directory that has a smartsneaks.toml.
    /// `flags` (key, value) win over the environment, which wins over the file.
    ///
    /// # Errors
    /// [`Kind::Config`] when there is no project or when a setting is wrong.
    pub fn load(dir: Option<&Path>, flags: &[(&str, String)]) -> Result<Self, Error> {
        let dir = match dir {
            Some(dir) => has_file(dir)?,
            None => search_upwards()?,
        };
        let file = dir.join(FILE);
        let text = std::fs::read_to_string(&file).map_err(|e| {
            Error::new(Kind::Config, format!("cannot read {}: {e}", file.display())).with_source(e)
        })?;
        let mut table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
            Error::new(Kind::Config, format!("{}: {}", file.display(), e.to_string().trim_end()))
        })?;
        let sources = match table.remove("sources") {
            None => toml::Table::new(),
            Some(toml::Value::Table(sources)) => sources,
            Some(_) => {
                return Err(Error::new(Kind::Config, format!("{}: sources must be a table", file.display())));
            }
        };
        let mut given = BTreeMap::new();
        flatten("", &table, &file.display().to_string(), &mut given)?;
        for key in crate::settings::KEYS {
            let variable = format!("SMARTSNEAKS_{}", key.name.replace('.', "_").to_uppercase());
            if let Ok(value) = std::env::var(&variable) {
                given.insert(key.name.to_owned(), (value, variable));
            }
        }
        for (name, value) in flags {
            given.insert((*name).to_owned(), (value.clone(), "command line".to_owned()));
        }
        let mut settings = Settings::new(&given)?;
        settings.warehouse = absolute(&dir, &settings.warehouse);
        settings.images = settings.images.under(&dir);
        Ok(Self { dir, settings, sources })
    }
}

fn has_file(dir: &Path) -> Result<PathBuf, Error> {
    let dir = std::path::absolute(dir)
        .map_err(|e| Error::new(Kind::Config, format!("{}: {e}", dir.display())).with_source(e))?;
    if dir.join(FILE).is_file() {
        return Ok(dir);
    }
    Err(Error::new(Kind::Config, format!("{} holds no {FILE}", dir.display()))
        .with_hint("name a project folder with --project, or start one with a smartsneaks.toml"))
}

fn search_upwards() -> Result<PathBuf, Error> {
    let start = std::env::current_dir()
        .map_err(|e| Error::new(Kind::Config, format!("no working directory: {e}")).with_source(e))?;
    start.ancestors().find(|d| d.join(FILE).is_file()).map(Path::to_path_buf).ok_or_else(|| {
        Error::new(Kind::Config, format!("no {FILE} in {} or any folder above it", start.display()))
            .with_hint("go to a project folder or name one with --project")
    })
}

fn flatten(
    prefix: &str,
    table: &toml::Table,
    origin: &str,
    out: &mut BTreeMap<String, (String, String)>,
) -> Result<(), Error> {
    for (key, value) in table {
        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let text = match value {
            toml::Value::Table(inner) => {
                flatten(&name, inner, origin, out)?;
                continue;
            }
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Boolean(truth) => truth.to_string(),
            // A list is its texts with commas between, as a variable says it.
            toml::Value::Array(values) => {
                let texts = values.iter().map(|value| value.as_str().filter(|text| !text.contains(',')));
                let Some(texts) = texts.collect::<Option<Vec<_>>>() else {
                    let message = format!("{origin}: {name} must be a list of texts without commas");
                    return Err(Error::new(Kind::Config, message));
                };
                texts.join(",")
            }
            _ => {
                let message = format!("{origin}: {name} must be a text, a number or a list of texts");
                return Err(Error::new(Kind::Config, message));
            }
        };
        out.insert(name, (text, origin.to_owned()));
    }
    Ok(())
}

/// A URL stays, a path is taken from the project's folder.
fn absolute(dir: &Path, warehouse: &str) -> String {
    if warehouse.contains("://") { warehouse.to_owned() } else { dir.join(warehouse).display().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_the_file_says_what_to_do() {
        let dir = std::env::temp_dir();
        let error = Project::load(Some(&dir.join("no-such-project")), &[]).unwrap_err();
        assert!(error.message().contains("holds no smartsneaks.toml"), "{error}");
        assert!(error.hint().is_some_and(|h| h.contains("--project")));
    }

    #[test]
    fn flags_win_and_the_warehouse_is_absolute() {
        let dir = std::env::temp_dir().join(format!("smartsneaks-project-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(FILE), "[engine]\nthreads = 1\n[sources.sales]\npath = \"x\"\n").unwrap();
        let project = Project::load(Some(&dir), &[("engine.threads", "3".into())]).unwrap();
        assert_eq!(project.settings.threads, 3);
        assert!(project.sources.contains_key("sales"));
        assert_eq!(project.settings.warehouse, dir.join("warehouse").display().to_string());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
