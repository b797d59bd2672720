//! A trained panel model as bytes and back: a version byte, then numbers in little-endian order.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::band::Band;
use super::boost::Boost;
use super::features::Features;
use super::holdout::{PanelMethod, PanelScore};
use super::holiday::Holidays;
use super::loss::PanelLoss;
use super::pool::{Group, Pool};
use super::series::PANEL_HORIZON;
use super::totals::Totals;
use super::train::{PanelModel, PanelReport};
use super::tree::{Node, Tree};

/// What the bytes are made like.
const VERSION: u8 = 2;

/// Why bytes are no panel model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadPanelModel {
    /// Of another version, or nothing.
    #[error("panel model is of version {found:?}, expected {VERSION}")]
    Version {
        /// The first byte.
        found: Option<u8>,
    },
    /// Cut off, or followed by more.
    #[error("panel model has the wrong length")]
    Length,
    /// A number that can't be.
    #[error("panel model has a bad {0}")]
    Value(&'static str),
}

impl PanelModel {
    /// The model as bytes: some 15 bytes a node (4 to 200 kB of trees), 8 a day and category, and 8
    /// a day of the last half year or so and code that others share.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        write_count(&mut out, self.horizon);
        write_report(&mut out, &self.report);
        write_pool(&mut out, &self.pool);
        write_features(&mut out, &self.features);
        write_count(&mut out, self.boost.trees.len());
        for tree in &self.boost.trees {
            write_count(&mut out, tree.nodes.len());
            for node in &tree.nodes {
                out.extend(node.feature.to_le_bytes());
                out.push(node.bin);
                out.extend(node.cut.to_le_bytes());
                out.extend(node.left.to_le_bytes());
                out.extend(node.right.to_le_bytes());
                out.extend(node.value.to_le_bytes());
            }
        }
        write_floats(&mut out, &[self.band.power]);
        write_floats(&mut out, &self.band.growth);
        write_count(&mut out, self.band.bins.len());
        for (centre, quantiles) in &self.band.bins {
            write_floats(&mut out, &[*centre]);
            write_count(&mut out, quantiles.len());
            quantiles.iter().for_each(|quantile| out.extend(quantile.to_le_bytes()));
        }
        out
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// For any other bytes, without panic and without much memory.
    pub fn from_bytes(bytes: &[u8]) -> Result<PanelModel, BadPanelModel> {
        let found = bytes.first().copied();
        if found != Some(VERSION) {
            return Err(BadPanelModel::Version { found });
        }
        let mut from = Reader::new(&bytes[1..]);
        let horizon = from.number()?;
        if !(1..=PANEL_HORIZON).contains(&horizon) {
            return Err(BadPanelModel::Value("horizon"));
        }
        let mut report = read_report(&mut from)?;
        let pool = read_pool(&mut from)?;
        let features = read_features(&mut from)?;
        let width = features.width();
        let trees = from.list(4, |from| read_tree(from, width))?;
        report.trees = trees.len();
        let power = from.float()?;
        let growth = [from.float()?, from.float()?, from.float()?, from.float()?];
        let bins = from.list(12, |from| {
            Ok((from.float()?, from.list(4, |from| Ok(f32::from_le_bytes(from.take()?)))?))
        })?;
        if !from.rest.is_empty() {
            return Err(BadPanelModel::Length);
        }
        let band = Band { power, horizon, growth, bins };
        Ok(PanelModel { horizon, report, pool, features, boost: Boost { trees }, band })
    }
}

pub(super) fn write_count(out: &mut Vec<u8>, count: usize) {
    out.extend(u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    write_count(out, text.len());
    out.extend(text.as_bytes());
}

pub(super) fn write_floats(out: &mut Vec<u8>, floats: &[f64]) {
    floats.iter().for_each(|float| out.extend(float.to_le_bytes()));
}

fn write_report(out: &mut Vec<u8>, report: &PanelReport) {
    let method =
        |method: PanelMethod| PanelMethod::ALL.iter().position(|one| *one == method).unwrap_or(0) as u8;
    out.push(method(report.method));
    out.push(PanelLoss::ALL.iter().position(|loss| *loss == report.loss).unwrap_or(0) as u8);
    write_count(out, report.scores.len());
    for score in &report.scores {
        out.push(method(score.method));
        write_floats(out, &[score.rmsse, score.interval_score]);
    }
    write_count(out, report.judged);
    write_count(out, report.importance.len());
    for (name, share) in &report.importance {
        write_text(out, name);
        write_floats(out, &[*share]);
    }
}

fn write_pool(out: &mut Vec<u8>, pool: &Pool) {
    out.extend(pool.first_day.to_le_bytes());
    write_count(out, pool.categories.len());
    pool.categories.iter().for_each(|category| out.extend(category.to_le_bytes()));
    write_count(out, pool.groups.len());
    for group in &pool.groups {
        write_floats(out, &group.index);
        for floats in [&group.curve, &group.sums] {
            write_count(out, floats.len());
            write_floats(out, floats);
        }
    }
}

fn write_features(out: &mut Vec<u8>, features: &Features) {
    write_count(out, features.covariates);
    write_count(out, features.ranks.len());
    for ranks in &features.ranks {
        write_count(out, ranks.len());
        for (code, rank) in ranks {
            out.extend(code.to_le_bytes());
            out.extend(rank.to_le_bytes());
        }
    }
    write_count(out, features.holidays.kinds.len());
    for (kind, days) in &features.holidays.kinds {
        out.extend(kind.to_le_bytes());
        write_count(out, days.len());
        days.iter().for_each(|day| out.extend(day.to_le_bytes()));
    }
    write_count(out, features.totals.len());
    for totals in features.totals.iter() {
        write_count(out, totals.number);
        out.extend(totals.first_day.to_le_bytes());
        write_count(out, totals.codes.len());
        for (code, sums) in totals.codes.iter().zip(&totals.sums) {
            out.extend(code.to_le_bytes());
            write_count(out, sums.len());
            write_floats(out, sums);
        }
    }
}

fn read_method(from: &mut Reader<'_>) -> Result<PanelMethod, BadPanelModel> {
    let [method] = from.take()?;
    PanelMethod::ALL.get(usize::from(method)).copied().ok_or(BadPanelModel::Value("method"))
}

fn read_report(from: &mut Reader<'_>) -> Result<PanelReport, BadPanelModel> {
    let method = read_method(from)?;
    let [loss] = from.take()?;
    let loss = PanelLoss::ALL.get(usize::from(loss)).copied().ok_or(BadPanelModel::Value("loss"))?;
    let scores = from.list(17, |from| {
        Ok(PanelScore { method: read_method(from)?, rmsse: from.float()?, interval_score: from.float()? })
    })?;
    let judged = from.number()?;
    let importance = from.list(12, |from| Ok((from.text()?, from.float()?)))?;
    Ok(PanelReport { method, loss, scores, judged, trees: 0, importance })
}

fn read_pool(from: &mut Reader<'_>) -> Result<Pool, BadPanelModel> {
    let first_day = i64::from_le_bytes(from.take()?);
    let categories = from.list(4, |from| Ok(u32::from_le_bytes(from.take()?)))?;
    let groups = from.list(64, |from| {
        let mut index = [0.0; 7];
        for index in &mut index {
            *index = from.float()?;
        }
        let curve = from.list(8, Reader::float)?;
        Ok(Group { index, curve, sums: from.list(8, Reader::float)? })
    })?;
    let sound = groups.len() == categories.len() + 1
        && categories.is_sorted_by(|a, b| a < b)
        && groups.iter().all(|group| !group.curve.is_empty())
        && first_day.abs() < 1 << 41;
    if sound { Ok(Pool { categories, groups, first_day }) } else { Err(BadPanelModel::Value("pool")) }
}

fn read_features(from: &mut Reader<'_>) -> Result<Features, BadPanelModel> {
    let covariates = from.number()?;
    let ranks: Vec<BTreeMap<u32, f32>> = from.list(4, |from| {
        let ranks =
            from.list(8, |from| Ok((u32::from_le_bytes(from.take()?), f32::from_le_bytes(from.take()?))))?;
        Ok(ranks.into_iter().collect())
    })?;
    let kinds = from.list(8, |from| {
        let kind = u32::from_le_bytes(from.take()?);
        Ok((kind, from.list(8, |from| Ok(i64::from_le_bytes(from.take()?)))?))
    })?;
    let totals = from.list(16, read_totals)?;
    if covariates > 32 || ranks.len() > 32 || kinds.len() > 1_000 || totals.len() > 32 {
        return Err(BadPanelModel::Value("number of features"));
    }
    if totals.iter().any(|totals| totals.number >= ranks.len()) {
        return Err(BadPanelModel::Value("totals"));
    }
    Ok(Features { holidays: Holidays { kinds }, ranks, covariates, totals: Arc::new(totals) })
}

fn read_totals(from: &mut Reader<'_>) -> Result<Totals, BadPanelModel> {
    let (number, first_day) = (from.number()?, i64::from_le_bytes(from.take()?));
    let (codes, sums): (Vec<u32>, Vec<Vec<f64>>) = from
        .list(8, |from| Ok((u32::from_le_bytes(from.take()?), from.list(8, Reader::float)?)))?
        .into_iter()
        .unzip();
    if !codes.is_sorted_by(|a, b| a < b) || first_day.abs() >= 1 << 41 {
        return Err(BadPanelModel::Value("totals"));
    }
    Ok(Totals { number, codes, first_day, sums })
}

fn read_tree(from: &mut Reader<'_>, width: usize) -> Result<Tree, BadPanelModel> {
    let nodes = from.list(15, |from| {
        Ok(Node {
            feature: u16::from_le_bytes(from.take()?),
            bin: from.take::<1>()?[0],
            cut: f32::from_le_bytes(from.take()?),
            left: u16::from_le_bytes(from.take()?),
            right: u16::from_le_bytes(from.take()?),
            value: f32::from_le_bytes(from.take()?),
        })
    })?;
    // Children come after their parents, so that every walk ends.
    let sound = |(at, node): (usize, &Node)| {
        let child = |child: u16| usize::from(child) > at && usize::from(child) < nodes.len();
        node.value.is_finite()
            && usize::from(node.feature) < width
            && (node.left == 0 || child(node.left) && child(node.right))
    };
    if nodes.is_empty() || !nodes.iter().enumerate().all(sound) {
        return Err(BadPanelModel::Value("tree"));
    }
    Ok(Tree { nodes })
}

/// Bytes that are read from the front.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What was not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], BadPanelModel> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(BadPanelModel::Length)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn number(&mut self) -> Result<usize, BadPanelModel> {
        Ok(u32::from_le_bytes(self.take()?) as usize)
    }

    pub(crate) fn text(&mut self) -> Result<String, BadPanelModel> {
        let bytes = self.list(1, |from| from.take::<1>().map(|[byte]| byte))?;
        String::from_utf8(bytes).map_err(|_| BadPanelModel::Value("text"))
    }

    /// A finite number.
    pub(super) fn float(&mut self) -> Result<f64, BadPanelModel> {
        let float = f64::from_le_bytes(self.take()?);
        if float.is_finite() { Ok(float) } else { Err(BadPanelModel::Value("number")) }
    }

    /// A count and as many things of at least `size` bytes each.
    pub(crate) fn list<T>(
        &mut self,
        size: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, BadPanelModel>,
    ) -> Result<Vec<T>, BadPanelModel> {
        let count = self.number()?;
        if count.saturating_mul(size) > self.rest.len() {
            return Err(BadPanelModel::Length);
        }
        (0..count).map(|_| read(self)).collect()
    }
}
