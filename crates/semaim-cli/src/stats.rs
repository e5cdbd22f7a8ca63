//! `semaim stats`.

use std::process::ExitCode;
use std::sync::Arc;

use semaim_data::{
    BadImage, ChannelStatistics, DataError, ImageError, ImageProblem, ImageStatistics, OpenOptions,
    Source, Split, Statistics, StatisticsLoader, counted, open_all, same_images,
};
use serde_json::{Value, json};

use crate::args::StatsArgs;
use crate::bar::CountingBar;
use crate::encoder::warn_of_undivided;
use crate::exit::Exit;

/// Channels as which images are read, unless they cannot.
const RGB: usize = 3;

/// Lines of each list that people are shown; `--json` has all.
const SHOWN: usize = 10;

pub(crate) fn run(args: &StatsArgs) -> Result<ExitCode, Exit> {
    let split = args.split.unwrap_or(Split::Train);
    let mut source = open(args, args.channels.unwrap_or(RGB), split)?;
    let channels = args.channels.unwrap_or_else(|| channels_of(&*source));
    if args.channels.is_none() && channels != RGB {
        source = open(args, channels, split)?;
    }
    let to_train_on = || open(args, channels, Split::Train);
    warn_of_undivided(&args.data, split, &*source, to_train_on);
    let bar = CountingBar::new(source.len() as u64);
    let mut statistics = Statistics::default();
    let mut bad = Vec::new();
    look(&source, args, &bar, &mut bad, |item, image| {
        statistics.add(item, image);
    })?;
    bar.clear();
    if statistics.images() == 0 {
        return Err(Exit::user(format!(
            "{}: no image could be read",
            args.selection.named(&args.data)
        )));
    }
    let report = Report {
        held_out: match args.split {
            None => HeldOut::of(args, channels, &source, &statistics)?,
            Some(_) => None,
        },
        classes: class_counts(&*source),
        channels: statistics.channels(),
        source,
        statistics,
        bad,
    };
    if args.json {
        println!("{}", report.json(args));
    } else {
        report.print();
    }
    Ok(ExitCode::SUCCESS)
}

/// How many channels the first image has, of those that can be read, where it cannot be read as RGB; else 3.
fn channels_of(source: &dyn Source) -> usize {
    /// So many are looked at.
    const FIRST: usize = 16;
    let channels = |index| match source.image(index) {
        Ok(_) => Some(RGB),
        Err(ImageError {
            problem: ImageProblem::Channels { found, .. },
            ..
        }) => Some(found),
        Err(ImageError {
            problem: ImageProblem::Stack { channels, .. },
            ..
        }) => channels,
        Err(_) => None,
    };
    let mut known = (0..source.len().min(FIRST)).filter_map(channels);
    known.next().unwrap_or(RGB)
}

fn open(args: &StatsArgs, channels: usize, split: Split) -> Result<Arc<dyn Source>, DataError> {
    let options = OpenOptions {
        channels,
        unit_floats: false,
        max_pixels: args.limit.max_pixels,
        ..OpenOptions::default()
    };
    open_all(&args.data, split, &args.selection.of(options))
}

/// Reads all images of a source, in order, and keeps those that cannot be read.
fn look(
    source: &Arc<dyn Source>,
    args: &StatsArgs,
    bar: &CountingBar,
    bad: &mut Vec<BadImage>,
    mut see: impl FnMut(u64, &ImageStatistics),
) -> Result<(), Exit> {
    for batch in StatisticsLoader::start(Arc::clone(source), args.workers) {
        let batch = batch.map_err(Exit::ours)?;
        for (item, image) in batch.items.iter().zip(&batch.targets) {
            see(*item, image);
        }
        bar.add(batch.items.len(), &batch.bad);
        bad.extend(batch.bad);
    }
    Ok(())
}

/// Images of each class, and those of none.
fn class_counts(source: &dyn Source) -> (Vec<u64>, u64) {
    let mut counts = vec![0; source.classes().len()];
    let mut none = 0;
    for item in 0..source.len() {
        let label = source.label(item);
        match label.and_then(|label| counts.get_mut(label as usize)) {
            Some(count) => *count += 1,
            None => none += 1,
        }
    }
    (counts, none)
}

/// The images of a divided set that are held out.
struct HeldOut {
    images: usize,
    bad: Vec<BadImage>,
    /// Names of those that are to train on, too, and what they are called there.
    in_both: Vec<[String; 2]>,
}

impl HeldOut {
    fn of(
        args: &StatsArgs,
        channels: usize,
        train: &Arc<dyn Source>,
        statistics: &Statistics,
    ) -> Result<Option<Self>, Exit> {
        let source = open(args, channels, Split::Eval)?;
        // What is generated differs by how it is generated.
        if same_images(&**train, &*source) || args.data.iter().all(|data| data == "shapes") {
            return Ok(None);
        }
        let bar = CountingBar::new(source.len() as u64);
        let (mut bad, mut in_both) = (Vec::new(), Vec::new());
        look(&source, args, &bar, &mut bad, |item, image| {
            if let Some(of_train) = statistics.same_content(image) {
                in_both.push([source.name(item as usize), train.name(of_train as usize)]);
            }
        })?;
        bar.clear();
        Ok(Some(Self {
            images: source.len(),
            bad,
            in_both,
        }))
    }
}

/// What was found.
struct Report {
    source: Arc<dyn Source>,
    statistics: Statistics,
    channels: Vec<ChannelStatistics>,
    bad: Vec<BadImage>,
    /// Images of each class, and those of none.
    classes: (Vec<u64>, u64),
    held_out: Option<HeldOut>,
}

impl Report {
    /// The class of an image, where it has one.
    fn class(&self, item: u64) -> Option<&str> {
        let label = self.source.label(item as usize)?;
        let class = self.source.classes().get(label as usize)?;
        Some(class)
    }

    fn print(&self) {
        println!("{}", self.source.describe());
        println!(
            "images      {} read, {} cannot be read",
            self.statistics.images(),
            self.bad.len()
        );
        self.print_classes();
        self.print_sizes();
        println!("channel         mean          std        least      largest");
        for (number, channel) in self.channels.iter().enumerate() {
            let ChannelStatistics {
                mean,
                std,
                min,
                max,
            } = channel;
            println!("{number:>7} {mean:>12.6} {std:>12.6} {min:>12.6} {max:>12.6}");
        }
        self.print_duplicates();
        if let Some(held_out) = &self.held_out {
            println!(
                "held out    {}, {} cannot be read; {} of them are to train on, too",
                counted(held_out.images, "image"),
                held_out.bad.len(),
                held_out.in_both.len()
            );
            let lines = held_out.in_both.iter();
            print_some(lines.map(|[here, there]| format!("{here} = {there}")));
        }
        println!();
        match settings(&self.channels) {
            Ok([mean, std]) => {
                println!("[data]\nmean = {mean}\nstd = {std}\n");
                println!("or: --set \"data.mean={mean}\" --set \"data.std={std}\"");
            }
            Err(flat) => println!(
                "no settings: channel {flat} is the same everywhere, and nothing can be divided by a deviation of 0"
            ),
        }
    }

    fn print_classes(&self) {
        let names = self.source.classes();
        let (counts, none) = &self.classes;
        let by_count = || counts.iter().zip(names);
        if let (Some((least, few)), Some((most, many))) = (by_count().min(), by_count().max()) {
            println!(
                "classes     {}, from {} (`{few}`) to {} (`{many}`)",
                names.len(),
                counted(*least, "image"),
                counted(*most, "image"),
            );
        }
        if !names.is_empty() && *none > 0 {
            println!("            {} of no class", counted(*none, "image"));
        }
    }

    fn print_sizes(&self) {
        let sizes = self.statistics.sizes();
        let side = |axis| {
            let sides = self.statistics.side(axis).unwrap_or_default();
            match sides {
                [least, _, largest] if least == largest => least.to_string(),
                [least, median, largest] => format!("{least} to {largest} (median {median})"),
            }
        };
        println!("sizes       {} columns, {} rows", side(0), side(1));
        if let [([width, height], count), _, ..] = sizes[..] {
            println!(
                "            {} different, most often {width}x{height} ({})",
                sizes.len(),
                counted(count, "image")
            );
        }
    }

    fn print_duplicates(&self) {
        let groups = self.statistics.duplicates();
        let again: usize = groups.iter().map(|group| group.len() - 1).sum();
        println!(
            "duplicates  {} there already under another name",
            match again {
                1 => "1 image is".to_owned(),
                _ => format!("{again} images are"),
            }
        );
        print_some(groups.iter().map(|group| {
            let names: Vec<String> = group
                .iter()
                .map(|&item| self.source.name(item as usize))
                .collect();
            match self.other_classes(group) {
                true => format!("{} (of different classes)", names.join(" = ")),
                false => names.join(" = "),
            }
        }));
    }

    /// Whether images of one content have different classes.
    fn other_classes(&self, group: &[u64]) -> bool {
        let first = group.first().map(|&item| self.class(item));
        group.iter().any(|&item| Some(self.class(item)) != first)
    }

    fn json(&self, args: &StatsArgs) -> Value {
        let channel = |channel: &ChannelStatistics| {
            json!({
                "mean": channel.mean,
                "std": channel.std,
                "min": channel.min,
                "max": channel.max,
            })
        };
        let bad = |bad: &[BadImage]| -> Vec<Value> {
            let bad = bad.iter();
            bad.map(|bad| json!({"image": bad.name, "error": bad.error}))
                .collect()
        };
        let side = |axis| {
            let [min, median, max] = self.statistics.side(axis).unwrap_or_default();
            json!({"min": min, "median": median, "max": max})
        };
        let sizes: Vec<Value> = self
            .statistics
            .sizes()
            .iter()
            .map(|([width, height], images)| {
                json!({"width": width, "height": height, "images": images})
            })
            .collect();
        let (counts, none) = &self.classes;
        let classes: Vec<Value> = self
            .source
            .classes()
            .iter()
            .zip(counts)
            .map(|(class, images)| json!({"class": class, "images": images}))
            .collect();
        let duplicates: Vec<Value> = self
            .statistics
            .duplicates()
            .iter()
            .map(|group| {
                let of = |item: &u64| {
                    json!({"image": self.source.name(*item as usize), "class": self.class(*item)})
                };
                Value::Array(group.iter().map(of).collect())
            })
            .collect();
        let held_out = self.held_out.as_ref().map(|held_out| {
            json!({
                "images": held_out.images,
                "unreadable": bad(&held_out.bad),
                "in_both": held_out.in_both,
            })
        });
        let settings = match settings(&self.channels) {
            Ok([mean, std]) => json!([format!("data.mean={mean}"), format!("data.std={std}")]),
            Err(_) => Value::Null,
        };
        json!({
            "data": args.data,
            "description": self.source.describe(),
            "images": self.statistics.images(),
            "unreadable": bad(&self.bad),
            "channels": self.channels.iter().map(channel).collect::<Vec<_>>(),
            "settings": settings,
            "width": side(0),
            "height": side(1),
            "sizes": sizes,
            "classes": classes,
            "without_class": none,
            "duplicates": duplicates,
            "held_out": held_out,
        })
    }
}

/// Means and deviations as TOML writes them; the first channel without a deviation where there is one.
fn settings(channels: &[ChannelStatistics]) -> Result<[String; 2], usize> {
    // Six digits are more than a set of images is worth.
    let digits = |value: f64| -> f64 { format!("{value:.5e}").parse().unwrap_or(value) };
    if let Some(flat) = channels
        .iter()
        .position(|channel| digits(channel.std) <= 0.0)
    {
        return Err(flat);
    }
    let list = |of: fn(&ChannelStatistics) -> f64| {
        let values: Vec<f64> = channels.iter().map(|channel| digits(of(channel))).collect();
        format!("{values:?}")
    };
    Ok([list(|channel| channel.mean), list(|channel| channel.std)])
}

/// The first lines of a list, and how many more there are.
fn print_some(lines: impl ExactSizeIterator<Item = String>) {
    let more = lines.len().saturating_sub(SHOWN);
    for line in lines.take(SHOWN) {
        println!("            {line}");
    }
    if more > 0 {
        println!("            and {more} more (--json has all)");
    }
}
