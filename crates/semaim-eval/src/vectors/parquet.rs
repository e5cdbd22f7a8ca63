//! `.parquet`: what data frames read.

use std::fs::File;
use std::io;
use std::sync::Arc;

use ::parquet::data_type::{ByteArray, ByteArrayType, FloatType, Int32Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;

/// Numbers of a group of rows: 16 MB.
const GROUP: usize = 1 << 22;

const SCHEMA: &str = "message embeddings {
    required binary path (STRING);
    optional int32 label;
    optional binary class (STRING);
    required group features (LIST) {
        repeated group list {
            required float element;
        }
    }
}";

/// Rows that are written together, for vectors of so many numbers.
pub(super) fn rows_of_group(width: usize) -> usize {
    (GROUP / width.max(1)).clamp(1, 1 << 16)
}

/// Rows that wait to be written, and the file.
pub(super) struct Parquet {
    width: usize,
    writer: SerializedFileWriter<File>,
    paths: Vec<ByteArray>,
    labels: Vec<Option<i32>>,
    classes: Vec<Option<ByteArray>>,
    features: Vec<f32>,
}

impl std::fmt::Debug for Parquet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parquet")
            .field("width", &self.width)
            .field("waiting", &self.paths.len())
            .finish_non_exhaustive()
    }
}

fn io_error(error: ParquetError) -> io::Error {
    io::Error::other(error)
}

impl Parquet {
    /// Starts a file; the shape of a vector is kept in the metadata (`semaim.shape`).
    pub(super) fn start(shape: &[usize], file: File) -> io::Result<Self> {
        let schema = parse_message_type(SCHEMA).map_err(io_error)?;
        let shape_of = KeyValue::new("semaim.shape".to_string(), format!("{shape:?}"));
        // Floats of networks hardly ever repeat: a dictionary of them would only cost time.
        let properties = WriterProperties::builder()
            .set_key_value_metadata(Some(vec![shape_of]))
            .set_dictionary_enabled(false)
            .build();
        let writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))
            .map_err(io_error)?;
        Ok(Self {
            width: shape.iter().product(),
            writer,
            paths: Vec::new(),
            labels: Vec::new(),
            classes: Vec::new(),
            features: Vec::new(),
        })
    }

    pub(super) fn add(
        &mut self,
        vector: &[f32],
        name: &str,
        label: Option<(u32, &str)>,
    ) -> io::Result<()> {
        self.paths.push(ByteArray::from(name));
        let number = label.and_then(|(number, _)| i32::try_from(number).ok());
        self.labels.push(number);
        self.classes
            .push(label.map(|(_, class)| ByteArray::from(class)));
        self.features.extend_from_slice(vector);
        if self.paths.len() == rows_of_group(self.width) {
            self.write_group().map_err(io_error)?;
        }
        Ok(())
    }

    /// Writes the rows that wait as a group, column by column.
    fn write_group(&mut self) -> Result<(), ParquetError> {
        let rows = self.paths.len();
        if rows == 0 {
            return Ok(());
        }
        let there = |is_there: bool| i16::from(is_there);
        let mut group = self.writer.next_row_group()?;
        if let Some(mut column) = group.next_column()? {
            let paths = std::mem::take(&mut self.paths);
            column
                .typed::<ByteArrayType>()
                .write_batch(&paths, None, None)?;
            column.close()?;
        }
        if let Some(mut column) = group.next_column()? {
            let levels: Vec<i16> = self.labels.iter().map(|l| there(l.is_some())).collect();
            let labels: Vec<i32> = self.labels.drain(..).flatten().collect();
            column
                .typed::<Int32Type>()
                .write_batch(&labels, Some(&levels), None)?;
            column.close()?;
        }
        if let Some(mut column) = group.next_column()? {
            let levels: Vec<i16> = self.classes.iter().map(|c| there(c.is_some())).collect();
            let classes: Vec<ByteArray> = self.classes.drain(..).flatten().collect();
            column
                .typed::<ByteArrayType>()
                .write_batch(&classes, Some(&levels), None)?;
            column.close()?;
        }
        if let Some(mut column) = group.next_column()? {
            // A vector of no numbers is an empty list.
            let (defined, width) = (there(self.width > 0), self.width.max(1));
            let levels = vec![defined; rows * width];
            let repeats: Vec<i16> = (0..rows * width)
                .map(|i| there(!i.is_multiple_of(width)))
                .collect();
            column.typed::<FloatType>().write_batch(
                &self.features,
                Some(&levels),
                Some(&repeats),
            )?;
            self.features.clear();
            column.close()?;
        }
        group.close()?;
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<File> {
        self.write_group().map_err(io_error)?;
        self.writer.into_inner().map_err(io_error)
    }
}
