//! `semaim bench step` and `semaim bench embed`.

use std::process::ExitCode;
use std::time::Duration;

use burn::tensor::Device;
use semaim::config::{Decoder, SemaimConfig, VitConfig};
use semaim_kernels::roofline::GemmWorkload;
use semaim_kernels::{Bf16Unit, Cpu, Kernels, Precision, Recompute, kernels_on};
use semaim_train::error::TrainError;
use semaim_train::measure::{
    EmbedBench, StepBench, StepPart, StepTimes, StepsUnread, embed_products, step_products,
};
use semaim_train::process_memory::peak_bytes;
use semaim_train::ranks;
use serde_json::{Value, json};

use crate::args::BenchStepArgs;
use crate::exit::Exit;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// One optimizer step of pre-training.
    Step,
    /// One batch through the encoder.
    Embed,
}

pub(crate) fn run(args: &BenchStepArgs, work: Work) -> Result<ExitCode, Exit> {
    let config = config(args).map_err(Exit::user)?;
    if let Some(threads) = args.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads as usize);
        pool.build_global().map_err(Exit::ours)?;
    }
    let published = published_decoder(&config.vit);
    if work == Work::Embed && (config.decoder != published || args.order_downscale > 1) {
        return Err(Exit::user(
            "--query-dim, --predict-fraction, --predict and --order-downscale are of `bench step`: embedding predicts nothing",
        ));
    }
    if work == Work::Embed && args.recompute != Recompute::None {
        return Err(Exit::user(
            "--recompute is of `bench step`: embedding has no backward pass",
        ));
    }
    let device = args.device.open()?;
    let products = match work {
        // Those of the published step.
        Work::Step if config.decoder != published || args.order_downscale > 1 => Vec::new(),
        Work::Step => step_products(&config, args.batch as usize),
        Work::Embed => embed_products(&config.vit, args.batch as usize),
    };
    let flop = products
        .iter()
        .map(|(product, count)| product.flop() * *count as f64)
        .reduce(|a, b| a + b);
    let measured = measure(args, &config, work, &products, &device)?;
    let report = Report {
        args,
        kernels: kernels_on(&device),
        measured,
        flop,
    };
    if !ranks::current().is_root() {
        return Ok(ExitCode::SUCCESS);
    }
    if args.json {
        println!("{}", report.json(work));
    } else {
        report.print(work);
    }
    Ok(ExitCode::SUCCESS)
}

fn config(args: &BenchStepArgs) -> Result<SemaimConfig, String> {
    let side = args.image_size as usize;
    let standard = VitConfig::sized(args.model.size);
    let vit = VitConfig {
        image_size: [side, side],
        patch_size: args.model.patch_size,
        depth: args.depth.map_or(standard.depth, |depth| depth as usize),
        ..standard
    };
    let decoder = Decoder {
        query_dim: args.query_dim.unwrap_or(0) as usize,
        predict_fraction: args.predict_fraction,
        predict: args.predict,
        ..published_decoder(&vit)
    };
    let config = SemaimConfig {
        vit,
        decoder,
        ..SemaimConfig::default()
    };
    config.validate().map_err(|error| error.to_string())?;
    let (divisor, rows) = (args.order_downscale, config.vit.grid().rows);
    if !rows.is_multiple_of(divisor as usize) {
        return Err(format!(
            "--order-downscale {divisor} does not divide the grid of {rows} × {rows} patches"
        ));
    }
    Ok(config)
}

/// As many query blocks as encoder blocks, every patch predicted.
fn published_decoder(vit: &VitConfig) -> Decoder {
    Decoder {
        query_depth: vit.depth,
        ..Decoder::default()
    }
}

/// Medians over the measured steps.
struct Measured {
    total: Duration,
    fastest: Duration,
    parts: Option<StepTimes>,
    /// Steps in a row, where they need not be waited for.
    unread: Option<StepsUnread>,
    /// The products alone, measured in turn with the steps on the CPU.
    bound: Option<Duration>,
    /// Most memory that the process had before the products alone were first measured.
    peak_bytes: Option<u64>,
}

enum Bench {
    Step(Box<StepBench>),
    Embed(Box<EmbedBench>),
}

impl Bench {
    /// The time of one step, and of its parts where it has any.
    fn step(&mut self) -> Result<(Duration, Option<StepTimes>), TrainError> {
        match self {
            Self::Step(bench) => bench.step().map(|times| (times.total(), Some(times))),
            Self::Embed(bench) => bench.step().map(|time| (time, None)),
        }
    }
}

fn measure(
    args: &BenchStepArgs,
    config: &SemaimConfig,
    work: Work,
    products: &[(GemmWorkload, usize)],
    device: &Device,
) -> Result<Measured, Exit> {
    let batch = args.batch as usize;
    let mut bench = match work {
        Work::Step => {
            let downscale = args.order_downscale as usize;
            let (recompute, precision) = (args.recompute, args.precision);
            let bench = StepBench::new(config, batch, downscale, recompute, precision, device)?;
            Bench::Step(bench.into())
        }
        Work::Embed => Bench::Embed(EmbedBench::new(config, batch, args.precision, device)?.into()),
    };
    bench.step()?;
    let (mut totals, mut parts, mut bounds) = (Vec::new(), Vec::new(), Vec::new());
    let mut peak = None;
    for _ in 0..args.steps {
        let (total, times) = bench.step()?;
        totals.push(total);
        parts.extend(times);
        // Measuring the products takes memory of its own.
        peak = peak.or_else(peak_bytes);
        // The products alone are measured in f32, on the CPU.
        let comparable = args.precision == Precision::F32 && *device == Device::flex();
        if !args.no_bound && comparable && !products.is_empty() {
            bounds.push(
                products
                    .iter()
                    .map(|(product, count)| product.measure() * *count as u32)
                    .sum(),
            );
        }
    }
    let unread = match (bench, kernels_on(device)) {
        (Bench::Step(mut bench), Kernels::Composed) => {
            // Such steps have kernels of their own, which are made and tuned when they are first met.
            bench.steps_unread(1)?;
            Some(bench.steps_unread(args.steps)?)
        }
        _ => None,
    };
    let part = |get: fn(&StepTimes) -> StepPart| StepPart {
        time: median(parts.iter().map(|step| get(step).time).collect()),
        // Kernels are tuned in the first steps; the last one has those of a step.
        launches: parts.last().and_then(|step| get(step).launches),
    };
    Ok(Measured {
        fastest: totals.iter().min().copied().unwrap_or_default(),
        total: median(totals),
        parts: (!parts.is_empty()).then(|| StepTimes {
            order: part(|times| times.order),
            forward: part(|times| times.forward),
            backward: part(|times| times.backward),
            ranks: part(|times| times.ranks),
            exchange: part(|times| times.exchange),
            update: part(|times| times.update),
        }),
        unread,
        bound: (!bounds.is_empty()).then(|| median(bounds)),
        peak_bytes: peak,
    })
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

struct Report<'a> {
    args: &'a BenchStepArgs,
    kernels: Kernels,
    measured: Measured,
    /// Of the products, where they are counted.
    flop: Option<f64>,
}

impl Report<'_> {
    /// What multiplies numbers in bf16, where that is measured.
    fn unit(&self) -> Option<Bf16Unit> {
        match self.args.precision {
            // It is the CPU's, and of fused kernels.
            Precision::Bf16 if self.kernels == Kernels::Fused => Bf16Unit::get(),
            Precision::F32 | Precision::Bf16 => None,
        }
    }

    fn images_per_second(&self) -> f64 {
        f64::from(self.args.batch) / self.measured.total.as_secs_f64()
    }

    fn json(&self, work: Work) -> Value {
        let seconds = |time: Duration| time.as_secs_f64();
        let total = seconds(self.measured.total);
        let mut report = json!({
            "work": match work { Work::Step => "step", Work::Embed => "embed" },
            "batch": self.args.batch,
            "image_size": self.args.image_size,
            "threads": rayon::current_num_threads(),
            "cpu": format!("{:?}", Cpu::get()).to_lowercase(),
            "device": self.args.device.name,
            "kernels": format!("{:?}", self.kernels).to_lowercase(),
            "precision": self.args.precision,
            "bf16_unit": self.unit().map(|unit| format!("{unit:?}").to_lowercase()),
            "recompute": format!("{:?}", self.args.recompute).to_lowercase(),
            "steps": self.args.steps,
            "seconds": total,
            "seconds_fastest": seconds(self.measured.fastest),
            "images_per_second": self.images_per_second(),
            "query_dim": self.args.query_dim,
            "predict_fraction": self.args.predict_fraction,
            "order_downscale": self.args.order_downscale,
            "gflop": self.flop.map(|flop| flop / 1e9),
            "gflop_per_second": self.flop.map(|flop| flop / 1e9 / total),
            "peak_bytes": self.measured.peak_bytes,
        });
        if let Some(parts) = &self.measured.parts {
            report["seconds_by_part"] = json!({
                "order": seconds(parts.order.time),
                "forward": seconds(parts.forward.time),
                "backward": seconds(parts.backward.time),
                "ranks": seconds(parts.ranks.time),
                "exchange": seconds(parts.exchange.time),
                "update": seconds(parts.update.time),
            });
            report["launches_by_part"] = json!({
                "order": parts.order.launches,
                "forward": parts.forward.launches,
                "backward": parts.backward.launches,
                "update": parts.update.launches,
            });
        }
        if let Some(unread) = &self.measured.unread {
            report["steps_in_a_row"] = json!({
                "steps": unread.steps,
                "seconds_per_step": seconds(unread.time),
                "reads": unread.reads,
                "launches": unread.launches.as_ref().map(|launches| launches.count),
                "launches_by_kernel": unread.launches.as_ref().map(|launches| &launches.by_kernel),
            });
        }
        if let Some(bound) = self.measured.bound {
            report["seconds_products_alone"] = seconds(bound).into();
            report["share_of_bound"] = (seconds(bound) / total).into();
        }
        report
    }

    fn print(&self, work: Work) {
        let Self {
            args,
            kernels,
            measured,
            flop,
        } = self;
        let total = measured.total.as_secs_f64();
        let what = match work {
            Work::Step => "step",
            Work::Embed => "batch",
        };
        println!(
            "{} images of {} × {} px, {}, {} threads, {:?}, {kernels:?} kernels, {} measured",
            args.batch,
            args.image_size,
            args.image_size,
            args.device.name,
            rayon::current_num_threads(),
            Cpu::get(),
            args.steps
        );
        if let Some(parts) = &measured.parts {
            let together = [("other ranks", parts.ranks), ("exchange", parts.exchange)];
            let together = together.iter().filter(|_| ranks::current().count() > 1);
            for (name, part) in [
                ("order", parts.order),
                ("forward", parts.forward),
                ("backward", parts.backward),
            ]
            .iter()
            .chain(together)
            .chain(&[("clip, AdamW", parts.update)])
            {
                let launches = match part.launches {
                    Some(launches) => format!("{launches:>7} launches"),
                    None => String::new(),
                };
                println!("{name:<14}{:>9.4} s{launches}", part.time.as_secs_f64());
            }
        }
        println!(
            "{:<14}{total:>9.4} s median, {:.4} s fastest",
            format!("one {what}"),
            measured.fastest.as_secs_f64()
        );
        println!("{:<14}{:>9.2}", "images/s", self.images_per_second());
        if let Some(unread) = &measured.unread {
            let (steps, time) = (unread.steps, unread.time.as_secs_f64());
            println!("{:<14}{time:>9.4} s per step", format!("{steps} in a row"));
            println!("{:<14}{:>9} in all {steps}", "reads", unread.reads);
            if let Some(launches) = &unread.launches {
                let per_step = launches.count as f64 / f64::from(steps.max(1));
                println!("{:<14}{per_step:>9.1} per step", "launches");
            }
        }
        if let Some(flop) = flop {
            println!(
                "{:<14}{:>9.1} per {what}, {:.1} per second",
                "GFLOP",
                flop / 1e9,
                flop / 1e9 / total
            );
        }
        if let Some(bound) = measured.bound {
            let bound = bound.as_secs_f64();
            println!(
                "{:<14}{bound:>9.4} s, {:.1} % of the time",
                "products alone",
                100.0 * bound / total
            );
        }
        if let Some(bytes) = measured.peak_bytes {
            println!("{:<14}{:>9.0} MB at most", "memory", bytes as f64 / 1e6);
        }
    }
}
