//! The order in which models run, from the tables that their SQL names.

use std::collections::{BTreeMap, BTreeSet};

use smartsneaks_engine::nearest;

use crate::error::{EtlError, Place};
use crate::function::Function;
use crate::header::ModelKind;
use crate::model::{Model, Models, SqlFile};
use crate::references::{self, Reference};
use crate::text;

/// Schemas that no model makes and no source declares: what the system says about itself, and earlier versions (`"@12"`).
const SYSTEM_SCHEMAS: [&str; 6] = ["etl", "ml", "warehouse", "information_schema", "pg_catalog", "@"];

/// The models in an order in which each comes after those it reads.
#[derive(Debug)]
pub struct Graph {
    /// Indices into [`Models::models`].
    pub order: Vec<usize>,
    /// For each model, the models that it reads.
    pub reads: Vec<BTreeSet<usize>>,
    /// For each model, the sources (`raw.*`, without the schema) that it reads.
    pub sources: Vec<BTreeSet<String>>,
}

impl Graph {
    /// Builds the graph. `sources` are the declared ones, without the schema `raw`.
    ///
    /// Models that don't depend on each other run in the order of their names, so the order is the same every time.
    ///
    /// # Errors
    /// [`crate::error::Kind::Config`] for a name that is neither a model nor a source (with the nearest name) and for a cycle (with
    /// every edge of it); with file, line and column.
    pub fn new(models: &Models, sources: &BTreeSet<String>) -> Result<Self, EtlError> {
        let index: BTreeMap<&str, usize> =
            models.models.iter().enumerate().map(|(i, model)| (model.name.as_str(), i)).collect();
        let known = Known { index: &index, sources };
        let learned = models.models.iter().filter(|model| model.is_learned());
        let learned: Vec<&str> = learned.map(|model| model.name.as_str()).collect();
        let mut edges = Vec::with_capacity(models.models.len());
        let mut used = Vec::with_capacity(models.models.len());
        for model in &models.models {
            let mut model_edges = BTreeMap::<usize, Place>::new();
            let mut model_sources = BTreeSet::new();
            for (reference, place) in references_of(model, &models.functions, &learned)? {
                match known.resolve(&reference, &place)? {
                    Target::Model(target) => {
                        model_edges.entry(target).or_insert(place);
                    }
                    Target::Source(name) => {
                        model_sources.insert(name);
                    }
                    Target::System => {}
                }
            }
            edges.push(model_edges);
            used.push(model_sources);
        }
        for file in
            models.checks.iter().map(|check| &check.file).chain(models.functions.iter().map(|f| &f.file))
        {
            for reference in references::tables(&file.query) {
                known.resolve(&reference.name, &place_of(file, &reference))?;
            }
        }
        let reads = edges.iter().map(|edges| edges.keys().copied().collect()).collect();
        Ok(Self { order: sort(models, &edges)?, reads, sources: used })
    }
}

fn place_of(file: &SqlFile, reference: &Reference) -> Place {
    Place::new(&file.path, &file.text, reference.line, reference.column)
}

/// The tables that the functions in SQL which a query calls name, each at the place of its call.
fn references_of_calls(file: &SqlFile, functions: &[Function]) -> Vec<(String, Place)> {
    let mut found = Vec::new();
    for call in references::calls(&file.query) {
        let place = place_of(file, &call);
        let (mut waiting, mut seen) = (vec![call.name], BTreeSet::new());
        while let Some(name) = waiting.pop() {
            let Some(function) = functions.iter().find(|function| function.function.name == name) else {
                continue;
            };
            if !seen.insert(name) {
                continue;
            }
            let tables = references::tables(&function.file.query).into_iter();
            found.extend(tables.map(|table| (table.name, place.clone())));
            waiting.extend(references::calls(&function.file.query).into_iter().map(|call| call.name));
        }
    }
    found
}

/// The tables that a model's query, the functions it calls and its rules name, and the `learned` models that it asks.
fn references_of(
    model: &Model,
    functions: &[Function],
    learned: &[&str],
) -> Result<Vec<(String, Place)>, EtlError> {
    let mut found: Vec<_> = references::tables(&model.file.query)
        .into_iter()
        // What the table held before comes of an earlier run.
        .filter(|reference| model.header.kind != ModelKind::Incremental || reference.name != model.name)
        .map(|reference| {
            let place = place_of(&model.file, &reference);
            (reference.name, place)
        })
        .collect();
    found.extend(references_of_calls(&model.file, functions));
    // A learned model comes before those that ask it by name.
    found.extend(learned.iter().filter(|name| **name != model.name).filter_map(|learned| {
        let name = learned.rsplit('.').next()?;
        let asked = references::models(&model.file.query)
            .into_iter()
            .any(|asked| asked.split('@').next() == Some(name));
        asked.then(|| {
            let place = model.file.text.find(&format!("'{name}")).unwrap_or(model.file.body.start);
            ((*learned).to_owned(), model.file.place(place))
        })
    }));
    for expectation in &model.header.expect {
        let rule = text::parse_expression(&expectation.rule).map_err(|error| {
            EtlError::config(format!("rule `{}`: {}", expectation.rule, error.message))
                .at(expectation.place.clone())
        })?;
        found.extend(
            references::tables_of_expression(&rule)
                .into_iter()
                // A rule with `on_fail: abort` may compare the loaded table with itself.
                .filter(|reference| reference.name != model.name)
                .map(|reference| (reference.name, expectation.place.clone())),
        );
    }
    Ok(found)
}

enum Target {
    Model(usize),
    Source(String),
    System,
}

struct Known<'a> {
    index: &'a BTreeMap<&'a str, usize>,
    sources: &'a BTreeSet<String>,
}

impl Known<'_> {
    fn resolve(&self, name: &str, place: &Place) -> Result<Target, EtlError> {
        if let Some(target) = self.index.get(name) {
            return Ok(Target::Model(*target));
        }
        let (schema, table) = name.split_once('.').unwrap_or(("public", name));
        if schema == "raw" {
            if self.sources.contains(table) {
                return Ok(Target::Source(table.to_owned()));
            }
            let known: Vec<_> = self.sources.iter().map(String::as_str).collect();
            let error = EtlError::config(format!(
                "no source {table} is declared in smartsneaks.toml; declared: {}",
                list(&known)
            ));
            return Err(with_nearest(error, nearest(table, known), "raw.").at(place.clone()));
        }
        if SYSTEM_SCHEMAS.contains(&schema) || schema.starts_with('@') {
            return Ok(Target::System);
        }
        let known: Vec<_> = self.index.keys().copied().collect();
        let error = EtlError::config(format!("no model makes the table {name}; there are {}", list(&known)));
        // A forgotten schema is the likeliest slip: look for the bare name first.
        let same_table = known.iter().copied().find(|known| known.rsplit('.').next() == Some(table));
        Err(with_nearest(error, same_table.or_else(|| nearest(name, known)), "").at(place.clone()))
    }
}

fn with_nearest(error: EtlError, near: Option<&str>, schema: &str) -> EtlError {
    match near {
        Some(near) => error.with_hint(format!("did you mean {schema}{near}?")),
        None => error,
    }
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Depth first in the order of the names: what a model reads comes right before it.
fn sort(models: &Models, edges: &[BTreeMap<usize, Place>]) -> Result<Vec<usize>, EtlError> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut states = vec![State::New; edges.len()];
    let mut order = Vec::with_capacity(edges.len());
    for root in 0..edges.len() {
        if states[root] != State::New {
            continue;
        }
        // (model, the models it reads that are still to be looked at), without recursion: a graph may be deep.
        let mut path = vec![(root, edges[root].keys().copied().collect::<Vec<_>>().into_iter())];
        states[root] = State::Open;
        while let Some((model, next)) = path.last_mut() {
            let Some(target) = next.next() else {
                states[*model] = State::Done;
                order.push(*model);
                path.pop();
                continue;
            };
            match states[target] {
                State::Done => {}
                State::New => {
                    states[target] = State::Open;
                    path.push((target, edges[target].keys().copied().collect::<Vec<_>>().into_iter()));
                }
                State::Open => {
                    let start = path.iter().position(|(model, _)| *model == target).unwrap_or(0);
                    let cycle: Vec<_> = path[start..].iter().map(|(model, _)| *model).collect();
                    return Err(cycle_error(models, edges, &cycle));
                }
            }
        }
    }
    Ok(order)
}

fn cycle_error(models: &Models, edges: &[BTreeMap<usize, Place>], cycle: &[usize]) -> EtlError {
    let mut lines = String::new();
    let mut first = None;
    for (i, from) in cycle.iter().enumerate() {
        let to = cycle[(i + 1) % cycle.len()];
        if let Some(place) = edges[*from].get(&to) {
            lines.push_str(&format!(
                "\n  {place}: {} reads {}",
                models.models[*from].name, models.models[to].name
            ));
            first.get_or_insert_with(|| place.clone());
        }
    }
    let error = EtlError::config(format!("models depend on each other in a cycle:{lines}"))
        .with_hint("break the cycle: move what both need into a model of its own");
    match first {
        Some(place) => error.at(place),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(files: &[(&str, &str)]) -> Result<Vec<String>, EtlError> {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join("sql").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let models = Models::load(dir.path()).unwrap();
        let sources = BTreeSet::from(["sales".to_owned(), "catalog".to_owned()]);
        let graph = Graph::new(&models, &sources)?;
        Ok(graph.order.into_iter().map(|i| models.models[i].name.clone()).collect())
    }

    #[test]
    fn orders_by_dependency_then_by_name() {
        let order = graph(&[
            ("staging/z.sql", "SELECT * FROM raw.sales"),
            ("warehouse/dim_b.sql", "SELECT * FROM raw.catalog"),
            ("warehouse/dim_a.sql", "SELECT * FROM staging.z"),
            (
                "marts/a.sql",
                "/*---\nexpect: [{rule: \"k IN (SELECT k FROM dim_b)\", on_fail: quarantine, reason: X}]\n---*/
                 WITH z AS (SELECT * FROM dim_a) SELECT * FROM z, etl.runs",
            ),
        ]);
        assert_eq!(order.unwrap(), ["staging.z", "public.dim_a", "public.dim_b", "public.a"]);
    }

    #[test]
    fn a_cycle_lists_every_edge() {
        let error = graph(&[
            ("marts/a.sql", "SELECT *\nFROM b"),
            ("marts/b.sql", "SELECT * FROM c"),
            ("marts/c.sql", "SELECT 1\n  , 2\nFROM public.a"),
            ("marts/d.sql", "SELECT * FROM a"),
        ])
        .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("sql/marts/a.sql:2:6: public.a reads public.b"), "{text}");
        assert!(text.contains("sql/marts/b.sql:1:15: public.b reads public.c"), "{text}");
        assert!(text.contains("sql/marts/c.sql:3:6: public.c reads public.a"), "{text}");
        assert!(!text.contains("public.d"), "{text}");
        assert!(graph(&[("marts/a.sql", "SELECT * FROM a")]).unwrap_err().message().contains("cycle"));
    }

    #[test]
    fn unknown_names_point_and_suggest() {
        let error =
            graph(&[("marts/a.sql", "SELECT 1"), ("marts/c.sql", "SELECT *\nFROM staging.a")]).unwrap_err();
        assert_eq!(error.hint(), Some("did you mean public.a?"));
        assert_eq!((error.place().unwrap().line, error.place().unwrap().column), (2, 6));
        assert!(error.message().contains("there are public.a, public.c"), "{error}");
        let error = graph(&[("marts/a.sql", "SELECT * FROM raw.sale")]).unwrap_err();
        assert_eq!(error.hint(), Some("did you mean raw.sales?"));
        assert!(error.message().contains("declared: catalog, sales"));
        let error = graph(&[("marts/a.sql", "SELECT 1"), ("checks/c.sql", "SELECT * FROM aa")]).unwrap_err();
        assert_eq!(error.place().unwrap().file, "sql/checks/c.sql");
    }

    #[test]
    fn rules_are_parsed_early() {
        let error =
            graph(&[("marts/a.sql", "/*---\nexpect:\n  - rule: \"qty >\"\n---*/\nSELECT 1")]).unwrap_err();
        assert_eq!(error.place().unwrap().line, 3, "{error}");
    }
}
