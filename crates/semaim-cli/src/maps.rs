//! `semaim maps`.

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Instant;

use semaim_data::{counted, map_names};
use semaim_eval::image_similarity::{ImageSimilarityError, image_similarities};
use semaim_report::encode_grey_png;
use serde_json::json;

use crate::args::MapsArgs;
use crate::bar::CountingBar;
use crate::encoder::Loaded;
use crate::exit::{Exit, STOPPED};
use crate::picture_folder::PictureFolder;
use crate::signals;

pub(crate) fn run(args: &MapsArgs) -> Result<ExitCode, Exit> {
    let stop = signals::stop_flag("stopping")?;
    if args.data.iter().any(|data| data == "shapes") {
        return Err(Exit::user(
            "generated images know where their object is: --set order.source=masks needs no maps of theirs",
        ));
    }
    let loaded = Loaded::of(&args.encoder)?;
    let source = loaded.open(&args.data, &args.selection, args.split)?;
    let names = map_names(&*source).map_err(Exit::user)?;
    let mut folder = PictureFolder::create(&args.out)?;
    let bar = CountingBar::new(source.len() as u64);
    let start = Instant::now();
    let items: Vec<usize> = (0..source.len()).collect();
    let (mut written, mut unreadable) = (0, 0);
    for items in items.chunks(args.encoder.loader.batch_size.max(1)) {
        if stop.load(Ordering::Relaxed) {
            return Ok(ExitCode::from(STOPPED));
        }
        let found = image_similarities(
            &*source,
            items,
            &loaded.encoder,
            args.similarity,
            &loaded.device,
        )
        .map_err(|error| match error {
            ImageSimilarityError::Weights(_) => Exit::ours(error),
            error => Exit::user(error),
        })?;
        for map in &found.maps {
            let [width, height] = [map.cells.columns, map.cells.rows].map(|side| side as u32);
            let png = encode_grey_png(width, height, &map.values).map_err(Exit::ours)?;
            folder.write_as(&names[map.item], &source.name(map.item), &png)?;
        }
        written += found.maps.len();
        unreadable += found.bad.len();
        bar.add(found.maps.len(), &found.bad);
    }
    bar.clear();
    let seconds = start.elapsed().as_secs_f64();
    if args.json {
        let report = json!({
            "images": written,
            "unreadable": unreadable,
            "seconds": seconds,
            "maps": args.out,
        });
        println!("{report}");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{}", source.describe());
    println!(
        "maps of {} in {}, {seconds:.1} s, {unreadable} unreadable",
        counted(written, "image"),
        args.out.display()
    );
    println!(
        "the order by them: semaim pretrain … --set order.source=maps --set order.maps={}",
        args.out.display()
    );
    Ok(ExitCode::SUCCESS)
}
