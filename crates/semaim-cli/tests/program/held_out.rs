//! Sets that are not divided: which images were held out of training, and when that can no longer be told.

use std::path::Path;

use serde_json::Value;

use crate::evaluate::{COLORS, colored, json, path, trained};
use crate::runner::{refuse, semaim, succeed};

/// Settings of fine-tuning that take well under a second.
const QUICK: &[&str] = &[
    "--set",
    "train.epochs=1",
    "--set",
    "train.batch_size=8",
    "--set",
    "optimizer.warmup_epochs=0",
    "--json",
];

fn finetune(encoder: &Path, data: &[&str], out: &Path) -> Value {
    let named = ["finetune", "--weights", path(encoder), "--out", path(out)];
    json(&succeed(semaim(&[&named[..], data, QUICK].concat())))
}

/// What is measured of a model on sets, and what is said.
fn evaluate(run: &Path, data: &[&str]) -> (Value, String) {
    let named = ["evaluate", "--weights", path(run), "--json"];
    let ran = succeed(semaim(&[&named[..], data].concat()));
    (json(&ran), ran.stderr)
}

#[test]
fn images_are_held_out_only_where_the_set_is_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    // Named as no split is.
    let [photos, more] = ["photos", "more"].map(|name| folder.path().join("sets").join(name));
    colored(&photos, "", COLORS, 12);
    colored(&more, "", COLORS, 10);
    let out = folder.path().join("tuned");
    let data = ["--data", path(&photos)];
    let tuned = finetune(&encoder, &data, &out);
    let (held_out, said) = evaluate(&out, &data);
    assert_eq!(held_out["confusion"], tuned["confusion"]);
    assert!(
        said.contains("are held out of training by seed 0"),
        "{said}"
    );
    // An image more moves those behind it into other parts.
    let added = photos.join("blue/00.bmp");
    std::fs::copy(photos.join("blue/3.bmp"), &added).unwrap();
    let (all, said) = evaluate(&out, &data);
    assert_eq!(all["images"], 25);
    assert!(
        said.contains("cannot be told") && said.contains("has seen"),
        "{said}"
    );
    let named = ["evaluate", "--weights", path(&out), "--split", "eval"];
    refuse(semaim(&[&named[..], &data].concat()), &["cannot be told"]);
    std::fs::remove_file(&added).unwrap();
    evaluate(&out, &[&data[..], &["--split", "eval"]].concat());
    // So does another order of sets.
    let both = ["--data", path(&photos), "--data", path(&more)];
    let swapped = ["--data", path(&more), "--data", path(&photos)];
    let of_both = folder.path().join("both");
    let tuned = finetune(&encoder, &both, &of_both);
    assert_eq!(evaluate(&of_both, &both).0["confusion"], tuned["confusion"]);
    let (all, said) = evaluate(&of_both, &swapped);
    assert_eq!(all["images"], 44);
    assert!(said.contains("has seen"), "{said}");
    // Where another set was evaluated on nothing was held out, whatever part is asked for.
    let whole = folder.path().join("whole");
    finetune(
        &encoder,
        &[&data[..], &["--eval-data", path(&more)]].concat(),
        &whole,
    );
    let (_, said) = evaluate(&whole, &[&data[..], &["--split", "eval"]].concat());
    assert!(
        said.contains("has seen") && !said.contains("are held out"),
        "{said}"
    );
    // Images of the set under another name.
    let list = folder.path().join("list.csv");
    let rows = ["blue", "red"].map(|class| format!("sets/photos/{class}/1.bmp,{class}\n"));
    std::fs::write(&list, rows.concat()).unwrap();
    let (_, said) = evaluate(&out, &["--data", path(&list)]);
    assert!(said.contains("may have seen"), "{said}");
}

/// The same set twice is one set, however it is written.
#[test]
fn a_set_to_evaluate_on_is_the_same_by_every_spelling() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let photos = folder.path().join("sets/photos");
    colored(&photos, "", COLORS, 12);
    let spelled = [
        String::new(),
        path(&photos).to_string(),
        format!("{}/", path(&photos)),
        format!("{}/../photos", path(&photos)),
    ];
    let results = spelled.iter().enumerate().map(|(number, eval)| {
        let out = folder.path().join(number.to_string());
        let eval = match eval.as_str() {
            "" => vec![],
            eval => vec!["--eval-data", eval],
        };
        let data = [&["--data", path(&photos)][..], &eval].concat();
        let found = finetune(&encoder, &data, &out);
        (
            found["confusion"].clone(),
            std::fs::read(out.join("classifier.safetensors")).unwrap(),
        )
    });
    let results: Vec<_> = results.collect();
    assert!(results.iter().all(|result| *result == results[0]));
}
