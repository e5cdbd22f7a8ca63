//! The experiments that come with the program.

use std::process::ExitCode;

use semaim_config::{ConfigErrors, Layers};
use serde_json::{Value, json};

use crate::exit::Exit;

/// A recipe: one TOML file of the folder `recipes/`.
#[derive(Debug)]
pub(crate) struct Recipe {
    pub(crate) name: &'static str,
    /// The command that it is for.
    pub(crate) command: &'static str,
    pub(crate) text: &'static str,
}

macro_rules! recipes {
    ($($command:literal: $($name:literal),*;)*) => {
        &[$($(Recipe {
            name: $name,
            command: $command,
            text: include_str!(concat!("../../../recipes/", $name, ".toml")),
        }),*),*]
    };
}

/// All of them, for each command smallest first.
pub(crate) const RECIPES: &[Recipe] = recipes![
    "pretrain": "quickstart", "shapes-96", "clothing-112", "continue-vit-s", "vit-s16-100e", "vit-b16-400e", "vit-b16-800e",
        "vit-l16-400e", "vit-l16-800e";
    "detect": "detect-small", "vitdet-b-coco";
    "segment": "linear-seg", "upernet-small", "upernet-b-ade20k";
];

/// The recipe of a name for a command.
pub(crate) fn find(name: &str, command: &str) -> Result<&'static Recipe, Exit> {
    let recipe = known(name)?;
    if recipe.command != command {
        return Err(Exit::user(format!(
            "the recipe `{name}` is for `semaim {}`; for `semaim {command}` there are: {}",
            recipe.command,
            names(|recipe| recipe.command == command)
        )));
    }
    Ok(recipe)
}

/// The recipe of a name.
fn known(name: &str) -> Result<&'static Recipe, Exit> {
    let found = RECIPES.iter().find(|recipe| recipe.name == name);
    found.ok_or_else(|| {
        Exit::user(format!(
            "there is no recipe `{name}`; there are: {}",
            names(|_| true)
        ))
    })
}

fn names(chosen: impl Fn(&Recipe) -> bool) -> String {
    let names = RECIPES.iter().filter(|recipe| chosen(recipe));
    names
        .map(|recipe| recipe.name)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The settings of the recipe of that name, where one is named.
pub(crate) fn layers(name: Option<&str>, command: &str) -> Result<Layers, Exit> {
    match name {
        Some(name) => Ok(find(name, command)?.layers()?),
        None => Ok(Layers::new()),
    }
}

impl Recipe {
    /// Its settings.
    fn layers(&self) -> Result<Layers, ConfigErrors> {
        Layers::new().text(format!("recipe {}", self.name), self.text)
    }

    /// What it is, in a line.
    fn about(&self) -> &'static str {
        let first = self.text.lines().next().unwrap_or_default();
        first.trim_start_matches('#').trim()
    }
}

/// `semaim recipes`.
pub(crate) fn list(as_json: bool) -> Result<ExitCode, Exit> {
    if as_json {
        let recipe = |recipe: &Recipe| json!({"name": recipe.name, "command": recipe.command, "about": recipe.about()});
        println!("{}", RECIPES.iter().map(recipe).collect::<Value>());
        return Ok(ExitCode::SUCCESS);
    }
    for recipe in RECIPES {
        println!("{:<16} {}", recipe.name, recipe.about());
    }
    Ok(ExitCode::SUCCESS)
}

/// `semaim recipes show`.
pub(crate) fn show(name: &str, as_json: bool) -> Result<ExitCode, Exit> {
    let recipe = known(name)?;
    match as_json {
        true => println!("{}", json!({"name": recipe.name, "toml": recipe.text})),
        false => print!("{}", recipe.text),
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim_eval::detect::config::DetectConfig;
    use semaim_eval::segment::config::SegmentConfig;
    use semaim_train::config::PretrainConfig;

    #[test]
    fn every_recipe_is_valid_and_says_command_and_result_first() {
        for recipe in RECIPES {
            let layers = recipe.layers().unwrap();
            let given = layers.clone().sets(["encoder.weights=x", "data.path=y"]);
            let refused = match recipe.command {
                "pretrain" => given.unwrap().load::<PretrainConfig>().err(),
                "detect" => given.unwrap().load::<DetectConfig>().err(),
                "segment" => given.unwrap().load::<SegmentConfig>().err(),
                other => panic!("{other}"),
            };
            if let Some(error) = refused {
                panic!("{error}");
            }
            let head: Vec<&str> = recipe
                .text
                .lines()
                .take_while(|line| line.starts_with('#'))
                .collect();
            let head = head.join("\n");
            let command = format!("semaim {}", recipe.command);
            assert!(head.contains(&command), "{}", recipe.name);
            assert!(head.contains("Result"), "{}", recipe.name);
        }
    }

    #[test]
    fn every_file_of_the_folder_is_in_the_program() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../recipes");
        let files = std::fs::read_dir(folder).unwrap().count();
        assert_eq!(files, RECIPES.len());
    }
}
