//! A frozen teacher's outputs for views, kept on the disk.
//!
//! A teacher costs several times what a small student does, and gives the same for the same view every time. Where views are
//! fixed but for mirroring (`data.crop_scale = [1, 1]`), each is shown to it once. A view is known by a hash of its
//! numbers, so that no other can be taken for it, whatever the settings; the file's name holds everything else that an
//! answer depends on.
//!
//! The file grows by whole records at its end. A record that a crash cut short, or that is damaged, is taken again.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use semaim::parameters::to_host;
use semaim::teacher::{Teacher, TeacherOutput};
use twox_hash::XxHash3_128;

use crate::error::TrainError;

/// Bytes of a record before its numbers: the view's hash and the record's checksum.
const HEAD: usize = 16 + 4;

/// The sizes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AnswerSize {
    /// Patches of the student's grid.
    pub(crate) patches: usize,
    /// Numbers of a token.
    pub(crate) width: usize,
}

impl AnswerSize {
    /// Numbers of a record: the tokens, then the similarity.
    fn numbers(self) -> usize {
        self.patches * (self.width + 1)
    }

    fn record(self) -> usize {
        HEAD + 4 * self.numbers()
    }
}

/// A file of answers.
#[derive(Debug)]
pub(crate) struct TeacherCache {
    path: PathBuf,
    file: File,
    size: AnswerSize,
    /// Where the record of each view starts.
    places: HashMap<u128, u64>,
    end: u64,
}

impl TeacherCache {
    /// Opens the cache `name` in a folder, or makes it. It belongs to one run at a time.
    ///
    /// # Errors
    /// The file system, or another run that uses it.
    pub(crate) fn open(folder: &Path, name: &str, size: AnswerSize) -> Result<Self, TrainError> {
        let path = folder.join(format!("{name}.teacher"));
        let failed = |action| {
            let path = path.clone();
            move |source| TrainError::Io {
                action,
                path,
                source,
            }
        };
        fs::create_dir_all(folder).map_err(failed("creating"))?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed("opening"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(failed("locking")(io::Error::other("another run uses it")));
            }
            // Not every file system can lock.
            Err(TryLockError::Error(source)) if source.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(source)) => return Err(failed("locking")(source)),
        }
        let length = file.metadata().map_err(failed("reading"))?.len();
        let record = size.record() as u64;
        let count = length / record;
        let mut places = HashMap::new();
        for i in 0..count {
            let mut hash = [0; 16];
            file.seek(SeekFrom::Start(i * record))
                .and_then(|_| file.read_exact(&mut hash))
                .map_err(failed("reading"))?;
            places.insert(u128::from_le_bytes(hash), i * record);
        }
        Ok(Self {
            path,
            file,
            size,
            places,
            end: count * record,
        })
    }

    /// What the teacher says of views, `[batch, channels, height, width]`, asking it only for those that are not known.
    ///
    /// # Errors
    /// The file system or the backend.
    pub(crate) fn look(
        &mut self,
        teacher: &Teacher,
        views: &[f32],
        shape: [usize; 4],
        device: &Device,
    ) -> Result<TeacherOutput, TrainError> {
        let [batch, channels, height, width] = shape;
        let length = channels * height * width;
        let views: Vec<&[f32]> = views.chunks(length.max(1)).collect();
        let hashes: Vec<u128> = views.iter().map(|view| hash(view)).collect();
        let mut answers: Vec<Option<Vec<f32>>> = Vec::new();
        for hash in &hashes {
            answers.push(self.known(*hash)?);
        }
        let unknown: Vec<usize> = (0..batch).filter(|&i| answers[i].is_none()).collect();
        if !unknown.is_empty() {
            let shown: Vec<f32> = unknown.iter().flat_map(|&i| views[i]).copied().collect();
            let shape = [unknown.len(), channels, height, width];
            let output = teacher.forward(Tensor::from_data(TensorData::new(shown, shape), device));
            let tokens = to_host("teacher's tokens", output.tokens)?.values;
            let similarity = to_host("teacher's similarity", output.similarity)?.values;
            let AnswerSize { patches, width } = self.size;
            let each = tokens
                .chunks(patches * width)
                .zip(similarity.chunks(patches));
            for (&i, (tokens, similarity)) in unknown.iter().zip(each) {
                let answer = [tokens, similarity].concat();
                self.keep(hashes[i], &answer)?;
                answers[i] = Some(answer);
            }
        }
        let AnswerSize { patches, width } = self.size;
        let (mut tokens, mut similarity) = (Vec::new(), Vec::new());
        for answer in answers.into_iter().flatten() {
            let (first, second) = answer.split_at(patches * width);
            tokens.extend_from_slice(first);
            similarity.extend_from_slice(second);
        }
        Ok(TeacherOutput {
            tokens: Tensor::from_data(TensorData::new(tokens, [batch, patches, width]), device),
            similarity: Tensor::from_data(TensorData::new(similarity, [batch, patches]), device),
        })
    }

    /// The answer for a view; `None` if there is none, or a damaged one.
    fn known(&mut self, hash: u128) -> Result<Option<Vec<f32>>, TrainError> {
        let Some(&place) = self.places.get(&hash) else {
            return Ok(None);
        };
        let mut record = vec![0; self.size.record()];
        self.file
            .seek(SeekFrom::Start(place))
            .and_then(|_| self.file.read_exact(&mut record))
            .map_err(|source| self.failed("reading", source))?;
        let (head, numbers) = record.split_at(HEAD);
        if head[16..] != crc32c::crc32c(numbers).to_le_bytes() {
            self.places.remove(&hash);
            return Ok(None);
        }
        let (numbers, _) = numbers.as_chunks::<4>();
        Ok(Some(
            numbers.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        ))
    }

    fn keep(&mut self, hash: u128, answer: &[f32]) -> Result<(), TrainError> {
        let numbers: Vec<u8> = answer.iter().flat_map(|v| v.to_le_bytes()).collect();
        let mut record = hash.to_le_bytes().to_vec();
        record.extend(crc32c::crc32c(&numbers).to_le_bytes());
        record.extend(numbers);
        self.file
            .seek(SeekFrom::Start(self.end))
            .and_then(|_| self.file.write_all(&record))
            .map_err(|source| self.failed("writing", source))?;
        self.places.insert(hash, self.end);
        self.end += record.len() as u64;
        Ok(())
    }

    fn failed(&self, action: &'static str, source: io::Error) -> TrainError {
        TrainError::Io {
            action,
            path: self.path.clone(),
            source,
        }
    }
}

fn hash(view: &[f32]) -> u128 {
    let bytes: Vec<u8> = view.iter().flat_map(|v| v.to_le_bytes()).collect();
    XxHash3_128::oneshot(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim::config::Normalization;
    use semaim::config::VitConfig;
    use semaim::grid::Grid;
    use semaim::init::initialize;
    use semaim::vit::Vit;

    const SHAPE: [usize; 4] = [3, 3, 8, 8];
    const SIZE: AnswerSize = AnswerSize {
        patches: 6,
        width: 16,
    };

    fn teacher(seed: u64, device: &Device) -> Teacher {
        let config = VitConfig {
            image_size: [8, 8],
            patch_size: 4,
            depth: 1,
            ..VitConfig::tiny()
        };
        let plain = Normalization {
            mean: vec![0.0; 3],
            std: vec![1.0; 3],
        };
        let grid = Grid {
            rows: 2,
            columns: 3,
        };
        let vit = initialize(Vit::zeros(&config, device), seed);
        Teacher::new(vit, [8, 8], &plain, &plain, grid, device)
    }

    fn views() -> Vec<f32> {
        (0..3 * 3 * 64)
            .map(|i| (i * 37 % 101) as f32 / 50.0)
            .collect()
    }

    fn values(output: TeacherOutput) -> [Vec<f32>; 2] {
        [
            to_host("tokens", output.tokens).unwrap().values,
            to_host("similarity", output.similarity).unwrap().values,
        ]
    }

    #[test]
    fn a_view_is_shown_once_and_the_answer_is_the_same_to_the_bit() {
        let device = Device::flex();
        let folder = tempfile::tempdir().unwrap();
        let open = || TeacherCache::open(folder.path(), "x", SIZE).unwrap();
        let right = teacher(1, &device);
        let expected =
            values(right.forward(Tensor::from_data(TensorData::new(views(), SHAPE), &device)));
        let mut cache = open();
        // One view alone, then a batch of which it is the second.
        let one = &views()[192..384];
        cache.look(&right, one, [1, 3, 8, 8], &device).unwrap();
        assert_eq!(
            values(cache.look(&right, &views(), SHAPE, &device).unwrap()),
            expected
        );
        drop(cache);
        // Another teacher would say something else: it is not asked.
        let wrong = teacher(2, &device);
        let mut cache = open();
        assert_eq!(
            values(cache.look(&wrong, &views(), SHAPE, &device).unwrap()),
            expected
        );
    }

    #[test]
    fn records_that_are_damaged_or_cut_short_are_taken_again() {
        let device = Device::flex();
        let folder = tempfile::tempdir().unwrap();
        let right = teacher(1, &device);
        let open = || TeacherCache::open(folder.path(), "x", SIZE).unwrap();
        let expected = values(open().look(&right, &views(), SHAPE, &device).unwrap());
        let path = folder.path().join("x.teacher");
        let mut bytes = fs::read(&path).unwrap();
        bytes[SIZE.record() + HEAD + 5] ^= 1;
        bytes.truncate(3 * SIZE.record() - 7);
        fs::write(&path, &bytes).unwrap();
        assert_eq!(
            values(open().look(&right, &views(), SHAPE, &device).unwrap()),
            expected
        );
        let wrong = teacher(2, &device);
        assert_eq!(
            values(open().look(&wrong, &views(), SHAPE, &device).unwrap()),
            expected
        );
    }

    #[test]
    fn two_runs_do_not_write_into_one() {
        let folder = tempfile::tempdir().unwrap();
        let first = TeacherCache::open(folder.path(), "x", SIZE).unwrap();
        let second = TeacherCache::open(folder.path(), "x", SIZE);
        assert!(second.unwrap_err().to_string().contains("another run"));
        drop(first);
        assert!(TeacherCache::open(folder.path(), "x", SIZE).is_ok());
    }
}
