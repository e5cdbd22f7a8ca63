//! Exit codes: 0 done, 2 what was given cannot be used, the disk included, 1 the program or a device failed, 130 stopped on
//! request.

use std::backtrace::Backtrace;
use std::fmt::Display;

use semaim_config::ConfigErrors;
use semaim_data::DataError;
use semaim_eval::classify::ClassifyError;
use semaim_eval::compare::CompareError;
use semaim_eval::detect::DetectRunError;
use semaim_eval::detect::find::FindError;
use semaim_eval::embed::EmbedError;
use semaim_eval::finetune::FinetuneError;
use semaim_eval::knn::KnnError;
use semaim_eval::pointing::PointingError;
use semaim_eval::probe::ProbeError;
use semaim_eval::segment::SegmentRunError;
use semaim_eval::segment::label::LabelError;
use semaim_train::error::TrainError;

/// Why the program ends early.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) code: u8,
    pub(crate) message: String,
}

/// The code of a run that was asked to stop.
pub(crate) const STOPPED: u8 = 130;

impl Exit {
    /// What the user gave cannot be used.
    pub(crate) fn user(message: impl Display) -> Self {
        Self {
            code: 2,
            message: message.to_string(),
        }
    }

    /// A fault of the program or of a device.
    pub(crate) fn ours(message: impl Display) -> Self {
        Self {
            code: 1,
            message: message.to_string(),
        }
    }
}

impl From<TrainError> for Exit {
    fn from(error: TrainError) -> Self {
        if error.is_the_users() {
            Self::user(error)
        } else {
            Self::ours(error)
        }
    }
}

impl From<FinetuneError> for Exit {
    fn from(error: FinetuneError) -> Self {
        match error {
            FinetuneError::Train(error) => error.into(),
            FinetuneError::Classify(error) => error.into(),
            FinetuneError::Results { .. } => Self::ours(error),
            error => Self::user(error),
        }
    }
}

impl From<DetectRunError> for Exit {
    fn from(error: DetectRunError) -> Self {
        match error {
            DetectRunError::Train(error) => error.into(),
            error @ (DetectRunError::Results(_) | DetectRunError::Detect(_)) => Self::ours(error),
            error => Self::user(error),
        }
    }
}

impl From<FindError> for Exit {
    fn from(error: FindError) -> Self {
        match error {
            FindError::Loader(_) | FindError::Detect(_) => Self::ours(error),
            error => Self::user(error),
        }
    }
}

impl From<SegmentRunError> for Exit {
    fn from(error: SegmentRunError) -> Self {
        match error {
            SegmentRunError::Train(error) => error.into(),
            error @ (SegmentRunError::Results(_) | SegmentRunError::Segment(_)) => {
                Self::ours(error)
            }
            error => Self::user(error),
        }
    }
}

impl From<LabelError> for Exit {
    fn from(error: LabelError) -> Self {
        match error {
            LabelError::Segment(_) | LabelError::Thread(_) => Self::ours(error),
            error => Self::user(error),
        }
    }
}

impl From<KnnError> for Exit {
    fn from(error: KnnError) -> Self {
        match error {
            KnnError::Device(_) => Self::ours(error),
            error => Self::user(error),
        }
    }
}

impl From<ProbeError> for Exit {
    fn from(error: ProbeError) -> Self {
        match error {
            ProbeError::Device(_) => Self::ours(error),
            error => Self::user(error),
        }
    }
}

impl From<PointingError> for Exit {
    fn from(error: PointingError) -> Self {
        match error {
            PointingError::Device(_) | PointingError::View(_) => Self::ours(error),
            error => Self::user(error),
        }
    }
}

impl From<CompareError> for Exit {
    fn from(error: CompareError) -> Self {
        match error {
            CompareError::Train(error) => error.into(),
            CompareError::Finetune(error) => error.into(),
            CompareError::Embed(error) => error.into(),
            CompareError::Knn(error) => error.into(),
            CompareError::Probe(error) => error.into(),
            CompareError::Pointing(error) => error.into(),
            error => Self::user(error),
        }
    }
}

impl From<EmbedError> for Exit {
    fn from(error: EmbedError) -> Self {
        match error {
            EmbedError::NotFinite { .. } => Self::user(error),
            error => Self::ours(error),
        }
    }
}

impl From<ClassifyError> for Exit {
    fn from(error: ClassifyError) -> Self {
        match error {
            ClassifyError::NotFinite { .. } | ClassifyError::Empty => Self::user(error),
            error => Self::ours(error),
        }
    }
}

impl From<ConfigErrors> for Exit {
    fn from(error: ConfigErrors) -> Self {
        Self::user(error)
    }
}

impl From<DataError> for Exit {
    fn from(error: DataError) -> Self {
        Self::user(error)
    }
}

/// A panic is a bug; says so instead of showing only a trace. One that a broken image causes in a decoder is caught and
/// told as an error of the image.
pub(crate) fn explain_panics() {
    let print_trace = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if semaim_data::panic_is_caught() || is_probe_of_the_tuner() {
            return;
        }
        print_trace(panic);
        match is_thread_of_a_device() {
            true => eprintln!(
                "error: the device failed; where its memory is full, a smaller batch needs less"
            ),
            false => eprintln!(
                "error: this is a bug in semaim; what is in the run directory is not affected"
            ),
        }
    }));
}

/// The framework serves each device by threads of such names.
fn is_thread_of_a_device() -> bool {
    std::thread::current()
        .name()
        .is_some_and(|name| name.starts_with("DS"))
}

/// Whether the framework's tuner measures a device: it asks for more memory than there is, panics on the device's thread,
/// catches that and goes on without the measurement. Every other panic of a device is told.
fn is_probe_of_the_tuner() -> bool {
    is_thread_of_a_device()
        && Backtrace::force_capture()
            .to_string()
            .contains("ThroughputBenchmarker::measure")
}

#[cfg(test)]
mod tests {
    use std::thread::Builder;

    use super::*;

    struct ThroughputBenchmarker;

    impl ThroughputBenchmarker {
        #[inline(never)]
        fn measure() -> bool {
            std::hint::black_box(is_probe_of_the_tuner())
        }
    }

    #[test]
    fn only_the_tuners_probes_are_passed_over() {
        let on = |name: &str, f: fn() -> bool| {
            let thread = Builder::new().name(name.into()).spawn(f).unwrap();
            thread.join().unwrap()
        };
        assert!(on("DSD-3-0", ThroughputBenchmarker::measure));
        assert!(!on("DSD-3-0", is_probe_of_the_tuner));
        assert!(!on("main", ThroughputBenchmarker::measure));
    }
}
