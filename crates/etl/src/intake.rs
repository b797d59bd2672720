//! Sorts the rows of a model as they stream by: loaded, quarantined, deduplicated.
//!
//! Columns whose name begins with `_` are working columns: rules and the quarantine see them, the table does not get
//! them. `_file` and `_line` (else `source_file` and `source_line`) tell where a row came from.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use arrow::error::ArrowError;

use crate::error::EtlError;
use crate::model::Model;
use crate::pass::{FAILED, RANK};
use crate::quarantine::{Cause, Quarantine};

/// What has become of the rows of a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Rows that the model's query gave.
    pub(crate) rows_in: u64,
    /// Rows in the quarantine.
    pub(crate) quarantined: u64,
    /// Rows dropped for another of their key.
    pub(crate) deduplicated: u64,
    /// Rows quarantined by each expectation, in the order of the header.
    pub(crate) failures: Vec<u64>,
}

/// The sorter of one model.
#[derive(Debug)]
pub(crate) struct Intake {
    model: String,
    /// Rule and reason of each expectation.
    rules: Vec<(String, String)>,
    schema: SchemaRef,
    loaded: Vec<usize>,
    /// Columns of a quarantined row: all but the wrapper's.
    whole: Vec<usize>,
    failed: Option<usize>,
    rank: Option<usize>,
    file: Option<usize>,
    line: Option<usize>,
    counts: Mutex<Counts>,
}

impl Intake {
    /// A sorter for the rows of `model`'s wrapped query, whose columns are `columns`.
    pub(crate) fn new(
        model: &Model,
        columns: &SchemaRef,
        has_failed: bool,
        has_rank: bool,
    ) -> Result<Self, EtlError> {
        let names: Vec<_> = columns.fields().iter().map(|field| field.name().as_str()).collect();
        let position = |name: &str| names.iter().position(|found| *found == name);
        let failed = has_failed.then(|| position(FAILED)).flatten();
        let rank = has_rank.then(|| position(RANK)).flatten();
        let whole: Vec<usize> = (0..names.len()).filter(|i| Some(*i) != failed && Some(*i) != rank).collect();
        let loaded: Vec<usize> = whole.iter().copied().filter(|i| !names[*i].starts_with('_')).collect();
        let schema = columns.project(&loaded).map_err(|error| EtlError::failed(error.to_string()))?;
        let rules = model
            .header
            .expect
            .iter()
            .map(|e| (e.rule.clone(), e.reason.clone().unwrap_or_default()))
            .collect::<Vec<_>>();
        Ok(Self {
            model: model.name.clone(),
            counts: Mutex::new(Counts { failures: vec![0; rules.len()], ..Counts::default() }),
            rules,
            schema: Arc::new(schema),
            loaded,
            whole,
            failed,
            rank,
            file: position("_file").or_else(|| position("source_file")),
            line: position("_line").or_else(|| position("source_line")),
        })
    }

    /// The columns of the table.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What has become of the rows so far.
    pub(crate) fn counts(&self) -> Counts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sorts a batch and returns the rows to load.
    pub(crate) fn sort(
        &self,
        batch: &RecordBatch,
        quarantine: &Mutex<Quarantine>,
    ) -> Result<RecordBatch, ArrowError> {
        let mut counts = self.lock();
        counts.rows_in += batch.num_rows() as u64;
        let failed = self.failed.map(|i| cast(batch.column(i), &DataType::Int64)).transpose()?;
        let mut keep = vec![true; batch.num_rows()];
        if let Some(failed) = failed.as_ref().filter(|failed| failed.null_count() < failed.len()) {
            let failed = failed.as_primitive::<Int64Type>();
            for (number, (rule, reason)) in self.rules.iter().enumerate() {
                let broken: BooleanArray =
                    failed.iter().map(|failed| Some(failed == i64::try_from(number).ok())).collect();
                if broken.true_count() == 0 {
                    continue;
                }
                let rows = filter_record_batch(batch, &broken)?;
                let origin = |column: Option<usize>| -> Option<&ArrayRef> { Some(rows.column(column?)) };
                let cause = Cause { model: &self.model, rule, reason };
                quarantine.lock().unwrap_or_else(PoisonError::into_inner).add(
                    &cause,
                    &rows.project(&self.whole)?,
                    origin(self.file),
                    origin(self.line),
                )?;
                counts.quarantined += rows.num_rows() as u64;
                if let Some(failures) = counts.failures.get_mut(number) {
                    *failures += rows.num_rows() as u64;
                }
            }
            keep.iter_mut().enumerate().for_each(|(row, keep)| *keep = failed.is_null(row));
        }
        if let Some(rank) = self.rank {
            let rank = cast(batch.column(rank), &DataType::Int64)?;
            let rank = rank.as_primitive::<Int64Type>();
            for (row, keep) in keep.iter_mut().enumerate() {
                if *keep && rank.is_valid(row) && rank.value(row) > 1 {
                    *keep = false;
                    counts.deduplicated += 1;
                }
            }
        }
        let keep = BooleanArray::from(keep);
        let passed = if keep.true_count() == batch.num_rows() {
            batch.project(&self.loaded)?
        } else {
            filter_record_batch(&batch.project(&self.loaded)?, &keep)?
        };
        // The plan may call a column nullable or not as it likes: the table's schema is the one that was announced.
        RecordBatch::try_new(Arc::clone(&self.schema), passed.columns().to_vec())
    }
}

/// Holds the run to its books: every row of a model is loaded, quarantined or deduplicated. `loaded` is what the lake
/// says that it wrote, `quarantined` what the quarantine says that it holds.
pub(crate) fn check_accounts(
    model: &str,
    counts: &Counts,
    loaded: u64,
    quarantined: u64,
) -> Result<(), EtlError> {
    if counts.rows_in == loaded + quarantined + counts.deduplicated {
        return Ok(());
    }
    Err(EtlError::failed(format!(
        "{model}: the books don't balance: {} rows in, but {loaded} loaded + {quarantined} quarantined + {} deduplicated",
        counts.rows_in, counts.deduplicated
    ))
    .with_hint("nothing was committed; this is a bug, please report it"))
}
