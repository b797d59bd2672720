//! Streams rows into Parquet files, one open file a partition.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use chrono::Utc;
use datafusion::execution::SendableRecordBatchStream;
use deltalake::kernel::Add;
use futures::StreamExt;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::AsyncArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use crate::partition::{self, PartitionValues};
use crate::{LakeError, crash, schema, statistics};

/// A file is closed once it has this many bytes.
const FILE_BYTES: usize = 128 << 20;
/// Rows of a row group: enough for dictionaries to pay, few enough for several cores to share a small file.
const ROW_GROUP_ROWS: usize = 1 << 18;
/// Rows of a page: a series that is looked up costs this many at least.
const PAGE_ROWS: usize = 1 << 13;
/// Encoded rows that may wait in memory for their row group to be full, over all open files.
const MEMORY_BYTES: usize = 256 << 20;
/// Files that are open at a time; beyond it the one that waited longest for a row is closed.
const OPEN_FILES: usize = 256;
/// Bytes that a file gathers before an upload in parts begins; object stores want parts of at least 5 MiB.
const PART_BYTES: usize = 8 << 20;

/// The files that one write made, not yet named by any log.
#[derive(Debug)]
pub(crate) struct WrittenFiles {
    /// Add actions in the order in which the files were begun, and the rows of each.
    pub(crate) files: Vec<(Add, u64)>,
    folder: Path,
}

impl WrittenFiles {
    /// Deletes the files, after the write came to nothing. What can't be deleted is garbage that no log names.
    pub(crate) async fn discard(self, store: &dyn ObjectStore) {
        for (add, _) in self.files {
            let _ = store.delete(&file_path(&self.folder, &add.path)).await;
        }
    }
}

/// The place of a data file, from its path in an Add action.
pub(crate) fn file_path(folder: &Path, relative: &str) -> Path {
    // The relative path holds `%` escapes that belong to the name, and `Path::from` would escape them again.
    let text = format!("{folder}/{relative}");
    Path::parse(&text).unwrap_or_else(|_| Path::from(text))
}

/// What is written where.
#[derive(Debug)]
pub(crate) struct Target {
    /// Name of the table, for messages.
    pub(crate) table: String,
    /// The lake's store and the table's folder in it.
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) folder: Path,
    /// The stored schema, partition columns included, and the names and positions of those.
    pub(crate) schema: SchemaRef,
    pub(crate) partition_by: Vec<String>,
    pub(crate) positions: Vec<usize>,
    /// For each stored column, its position in the input.
    pub(crate) input_positions: Vec<usize>,
}

impl Target {
    /// Writes all rows of `input`. On an error nothing stays behind but what could not be deleted.
    pub(crate) async fn write(
        &self,
        mut input: SendableRecordBatchStream,
    ) -> Result<WrittenFiles, LakeError> {
        let mut writer = Writer::new(self)?;
        let outcome = async {
            while let Some(batch) = input.next().await {
                let batch = batch.map_err(LakeError::Input)?.project(&self.input_positions)?;
                let batch = schema::to_stored(&self.table, &batch, &self.schema)?;
                for (values, rows) in partition::split(&self.table, &batch, &self.positions)? {
                    writer.write(values, rows).await?;
                }
            }
            writer.close_all().await
        };
        match outcome.await {
            Ok(()) => Ok(writer.written),
            Err(error) => {
                writer.abort().await;
                Err(error)
            }
        }
    }
}

struct Writer<'a> {
    target: &'a Target,
    file_schema: SchemaRef,
    file_columns: Vec<usize>,
    properties: WriterProperties,
    open: HashMap<PartitionValues, OpenFile>,
    written: WrittenFiles,
    /// Files begun so far; also the clock that says which open file waited longest.
    begun: usize,
    clock: usize,
    /// Actions of closed files with the number under which the file was begun.
    closed: Vec<(usize, Add, u64)>,
}

struct OpenFile {
    number: usize,
    last_used: usize,
    relative: String,
    parquet: AsyncArrowWriter<BufWriter>,
}

impl<'a> Writer<'a> {
    fn new(target: &'a Target) -> Result<Self, LakeError> {
        let file_columns: Vec<usize> =
            (0..target.schema.fields().len()).filter(|at| !target.positions.contains(at)).collect();
        let file_schema: Schema = target.schema.project(&file_columns)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_data_page_row_count_limit(PAGE_ROWS)
            .build();
        Ok(Self {
            target,
            file_schema: Arc::new(file_schema),
            file_columns,
            properties,
            open: HashMap::new(),
            written: WrittenFiles { files: Vec::new(), folder: target.folder.clone() },
            begun: 0,
            clock: 0,
            closed: Vec::new(),
        })
    }

    async fn write(&mut self, values: PartitionValues, rows: RecordBatch) -> Result<(), LakeError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        self.clock += 1;
        let rows = rows.project(&self.file_columns)?;
        if !self.open.contains_key(&values) {
            let file = self.begin(&values)?;
            self.open.insert(values.clone(), file);
        }
        let mut full = false;
        if let Some(file) = self.open.get_mut(&values) {
            file.last_used = self.clock;
            file.parquet.write(&rows).await?;
            full = file.parquet.bytes_written() + file.parquet.in_progress_size() >= FILE_BYTES;
        }
        if full {
            self.close(&values).await?;
        }
        self.make_room().await
    }

    fn begin(&mut self, values: &PartitionValues) -> Result<OpenFile, LakeError> {
        let name = format!("part-{:05}-{}.snappy.parquet", self.begun, uuid::Uuid::now_v7());
        let relative = match partition::folder(&self.target.partition_by, values) {
            folder if folder.is_empty() => name,
            folder => format!("{folder}/{name}"),
        };
        let path = file_path(&self.target.folder, &relative);
        let sink = BufWriter::with_capacity(Arc::clone(&self.target.store), path, PART_BYTES);
        let properties = Some(self.properties.clone());
        let parquet = AsyncArrowWriter::try_new(sink, Arc::clone(&self.file_schema), properties)?;
        self.begun += 1;
        Ok(OpenFile { number: self.begun, last_used: self.clock, relative, parquet })
    }

    async fn make_room(&mut self) -> Result<(), LakeError> {
        if self.open.len() > OPEN_FILES {
            let oldest = self.open.iter().min_by_key(|(_, file)| file.last_used);
            if let Some(values) = oldest.map(|(values, _)| values.clone()) {
                self.close(&values).await?;
            }
        }
        let waiting: usize = self.open.values().map(|file| file.parquet.memory_size()).sum();
        if waiting > MEMORY_BYTES {
            // Sizes tie only among files that are equally good to flush, and the number settles it the same way always.
            let largest = self.open.values_mut().max_by_key(|file| (file.parquet.memory_size(), file.number));
            if let Some(file) = largest {
                file.parquet.flush().await?;
            }
        }
        Ok(())
    }

    async fn close(&mut self, values: &PartitionValues) -> Result<(), LakeError> {
        let Some(mut file) = self.open.remove(values) else { return Ok(()) };
        let metadata = match file.parquet.finish().await {
            Ok(metadata) => metadata,
            Err(error) => {
                self.open.insert(values.clone(), file);
                return Err(error.into());
            }
        };
        let stats = statistics::to_json(&metadata, &self.file_schema)?;
        let add = Add {
            path: file.relative,
            partition_values: self.target.partition_by.iter().cloned().zip(values.iter().cloned()).collect(),
            size: i64::try_from(file.parquet.bytes_written()).unwrap_or(i64::MAX),
            modification_time: Utc::now().timestamp_millis(),
            data_change: true,
            stats: Some(stats),
            ..Add::default()
        };
        let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or_default();
        if self.closed.is_empty() {
            crash::point(crash::AFTER_FIRST_DATA_FILE);
        }
        self.closed.push((file.number, add, rows));
        Ok(())
    }

    async fn close_all(&mut self) -> Result<(), LakeError> {
        let mut open: Vec<(usize, PartitionValues)> =
            self.open.iter().map(|(values, file)| (file.number, values.clone())).collect();
        open.sort_unstable();
        for (_, values) in open {
            self.close(&values).await?;
        }
        self.gather();
        Ok(())
    }

    fn gather(&mut self) {
        self.closed.sort_unstable_by_key(|(number, ..)| *number);
        self.written.files = self.closed.drain(..).map(|(_, add, rows)| (add, rows)).collect();
    }

    async fn abort(mut self) {
        for (_, file) in self.open.drain() {
            let path = file_path(&self.target.folder, &file.relative);
            drop(file.parquet);
            // An upload that never began or never ended left nothing under the name.
            let _ = self.target.store.delete(&path).await;
        }
        self.gather();
        self.written.discard(self.target.store.as_ref()).await;
    }
}
