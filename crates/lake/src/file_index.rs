//! The files of one Delta version with what is known of each: the part of a snapshot that pruning works on.
//!
//! Statistics are held as one Arrow array a column rather than one record a file, so that a filter is checked against
//! 50,000 files in one vectorised pass.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics, Statistics};
use datafusion::scalar::ScalarValue;
use deltalake::kernel::EagerSnapshot;
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::data_files::file_path;
use crate::statistics::{FileStatistics, is_exact};
use crate::{LakeError, partition, schema};

/// The files of a table at one Delta version.
#[derive(Debug)]
pub(crate) struct FileIndex {
    /// Columns as the table has them, as they are read.
    pub(crate) schema: SchemaRef,
    /// Columns that the files hold, and columns that only the log holds.
    pub(crate) file_schema: SchemaRef,
    pub(crate) partition_fields: Vec<FieldRef>,
    /// The files, by path.
    pub(crate) files: Vec<ObjectMeta>,
    /// One row a file, one column a partition column.
    pub(crate) partitions: RecordBatch,
    columns: HashMap<String, ColumnIndex>,
    rows: UInt64Array,
    /// Statistics of single files in DataFusion's form, made when a scan first needs them.
    statistics: Vec<OnceLock<Arc<Statistics>>>,
}

#[derive(Debug)]
struct ColumnIndex {
    min: ArrayRef,
    max: ArrayRef,
    nulls: UInt64Array,
}

impl FileIndex {
    /// Reads the index of a snapshot; `table` and `folder` are its name and its place below the root.
    pub(crate) fn new(snapshot: &EagerSnapshot, table: &str, folder: &Path) -> Result<Self, LakeError> {
        let stored = schema::stored_schema(table, &snapshot.arrow_schema())?;
        let schema = schema::read_schema(&stored);
        let partition_by = snapshot.metadata().partition_columns();
        let partition_fields = partition_by.iter().map(|name| {
            schema.field_with_name(name).map(|field| Arc::new(field.clone())).map_err(LakeError::from)
        });
        let partition_fields = partition_fields.collect::<Result<Vec<FieldRef>, LakeError>>()?;
        let file_fields = |of: &SchemaRef| {
            let fields = of.fields().iter().filter(|field| !partition_by.contains(field.name()));
            Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
        };
        let (file_schema, stored_file_schema) = (file_fields(&schema), file_fields(&stored));

        let mut views: Vec<_> = snapshot.log_data().iter().collect();
        views.sort_by(|a, b| a.path().cmp(&b.path()));
        let mut files = Vec::with_capacity(views.len());
        let mut statistics = Vec::with_capacity(views.len());
        let mut values: Vec<Vec<Option<String>>> = vec![Vec::with_capacity(views.len()); partition_by.len()];
        for view in &views {
            if view.deletion_vector_descriptor().is_some() {
                let reason = "it has deletion vectors, which this warehouse neither writes nor reads";
                return Err(LakeError::Unsupported { table: table.to_owned(), reason: reason.to_owned() });
            }
            files.push(ObjectMeta {
                location: file_path(folder, &view.path()),
                last_modified: view.modification_datetime().unwrap_or_default(),
                size: u64::try_from(view.size()).unwrap_or_default(),
                e_tag: None,
                version: None,
            });
            statistics.push(FileStatistics::from_json(view.stats().as_deref()));
            let mut map = view.partition_values_map();
            for (column, values) in partition_by.iter().zip(&mut values) {
                values.push(map.remove(column).flatten());
            }
        }
        let arrays = partition_fields
            .iter()
            .zip(values)
            .map(|(field, values)| partition::decode(values, field.data_type()));
        let arrays = arrays.collect::<Result<Vec<ArrayRef>, LakeError>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(files.len()));
        let partition_schema = Arc::new(Schema::new(partition_fields.clone()));
        let partitions = RecordBatch::try_new_with_options(partition_schema, arrays, &options)?;

        let mut columns = HashMap::new();
        for (field, read) in stored_file_schema.fields().iter().zip(file_schema.fields()) {
            if let Some(index) = ColumnIndex::new(&statistics, field, read.data_type())? {
                columns.insert(field.name().clone(), index);
            }
        }
        let rows = statistics.iter().map(|file| file.rows).collect();
        let statistics = files.iter().map(|_| OnceLock::new()).collect();
        Ok(Self { schema, file_schema, partition_fields, files, partitions, columns, rows, statistics })
    }

    /// Rows in file `at`, when the log says so.
    pub(crate) fn rows(&self, at: usize) -> Option<usize> {
        use arrow::array::Array;
        self.rows.is_valid(at).then(|| usize::try_from(self.rows.value(at)).ok()).flatten()
    }

    /// The columns in the order in which a scan produces them: the files' own, then the partition columns.
    pub(crate) fn scan_schema(&self) -> SchemaRef {
        let fields = self.file_schema.fields().iter().chain(&self.partition_fields);
        Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
    }

    /// The values of the partition columns of file `at`.
    pub(crate) fn partition_values(&self, at: usize) -> Result<Vec<ScalarValue>, LakeError> {
        let columns = self.partitions.columns().iter();
        columns.map(|column| ScalarValue::try_from_array(column, at).map_err(LakeError::Input)).collect()
    }

    /// What is known of file `at`, for the columns of [`scan_schema`](Self::scan_schema).
    pub(crate) fn statistics(&self, at: usize) -> Arc<Statistics> {
        Arc::clone(self.statistics[at].get_or_init(|| Arc::new(self.make_statistics(at))))
    }

    fn make_statistics(&self, at: usize) -> Statistics {
        let rows = self.rows(at).map_or(Precision::Absent, Precision::Exact);
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for field in self.file_schema.fields() {
            columns.push(match self.columns.get(field.name()) {
                Some(index) => index.statistics(at),
                None => ColumnStatistics::new_unknown(),
            });
        }
        for column in self.partitions.columns() {
            let mut known = ColumnStatistics::new_unknown();
            match ScalarValue::try_from_array(column, at) {
                Ok(value) if value.is_null() => known.null_count = rows,
                Ok(value) => {
                    known.null_count = Precision::Exact(0);
                    known.min_value = Precision::Exact(value.clone());
                    known.max_value = Precision::Exact(value);
                }
                Err(_) => {}
            }
            columns.push(known);
        }
        let bytes = usize::try_from(self.files[at].size).unwrap_or_default();
        Statistics {
            num_rows: rows,
            // Bytes on disk, of which the rows in memory take several times as many.
            total_byte_size: Precision::Inexact(bytes),
            column_statistics: columns,
        }
    }
}

impl ColumnIndex {
    fn new(files: &[FileStatistics], stored: &Field, read: &DataType) -> Result<Option<Self>, LakeError> {
        if stored.data_type().is_nested() {
            return Ok(None);
        }
        let (mut mins, mut maxes) = (Vec::with_capacity(files.len()), Vec::with_capacity(files.len()));
        let mut nulls = Vec::with_capacity(files.len());
        let unknown = ScalarValue::try_from(read).map_err(LakeError::Input)?;
        let as_read = |value: Option<ScalarValue>| match value {
            Some(ScalarValue::Utf8(text)) => ScalarValue::Utf8View(text),
            Some(value) => value,
            None => unknown.clone(),
        };
        for file in files {
            let bounds = file.bounds(stored.name(), stored.data_type());
            mins.push(as_read(bounds.min));
            maxes.push(as_read(bounds.max));
            nulls.push(bounds.nulls);
        }
        let array = |values: Vec<ScalarValue>| {
            if values.is_empty() {
                return Ok(arrow::array::new_empty_array(read));
            }
            ScalarValue::iter_to_array(values).map_err(LakeError::Input)
        };
        Ok(Some(Self { min: array(mins)?, max: array(maxes)?, nulls: nulls.into() }))
    }

    fn statistics(&self, at: usize) -> ColumnStatistics {
        use arrow::array::Array;
        let bound = |array: &ArrayRef| match ScalarValue::try_from_array(array, at) {
            Ok(value) if value.is_null() => Precision::Absent,
            Ok(value) if is_exact(&value) => Precision::Exact(value),
            Ok(value) => Precision::Inexact(value),
            Err(_) => Precision::Absent,
        };
        let mut statistics = ColumnStatistics::new_unknown();
        statistics.min_value = bound(&self.min);
        statistics.max_value = bound(&self.max);
        if self.nulls.is_valid(at)
            && let Ok(nulls) = usize::try_from(self.nulls.value(at))
        {
            statistics.null_count = Precision::Exact(nulls);
        }
        statistics
    }
}

impl PruningStatistics for FileIndex {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        let partition = || self.partitions.column_by_name(column.name()).cloned();
        self.columns.get(column.name()).map(|index| Arc::clone(&index.min)).or_else(partition)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        let partition = || self.partitions.column_by_name(column.name()).cloned();
        self.columns.get(column.name()).map(|index| Arc::clone(&index.max)).or_else(partition)
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        if let Some(index) = self.columns.get(column.name()) {
            return Some(Arc::new(index.nulls.clone()));
        }
        let values = self.partitions.column_by_name(column.name())?;
        let counts = (0..values.len()).map(|at| match values.is_null(at) {
            true => self.rows(at).and_then(|rows| u64::try_from(rows).ok()),
            false => Some(0),
        });
        Some(Arc::new(counts.collect::<UInt64Array>()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.rows.clone()))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
