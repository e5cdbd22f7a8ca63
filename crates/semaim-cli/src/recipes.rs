//! The experiments that come with the program.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::exit::Exit;

/// A recipe: one TOML file of the folder `recipes/`.
#[derive(Debug)]
pub(crate) struct Recipe {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

macro_rules! recipes {
    ($($name:literal),* $(,)?) => {
        &[$(Recipe {
            name: $name,
            text: include_str!(concat!("../../../recipes/", $name, ".toml")),
        }),*]
    };
}

/// All of them, smallest first.
pub(crate) const RECIPES: &[Recipe] = recipes![
    "quickstart",
    "clothing-112",
    "vit-s16-100e",
    "vit-b16-400e",
    "vit-b16-800e",
    "vit-l16-400e",
    "vit-l16-800e",
];

/// The recipe of a name.
pub(crate) fn find(name: &str) -> Result<&'static Recipe, Exit> {
    RECIPES
        .iter()
        .find(|recipe| recipe.name == name)
        .ok_or_else(|| {
            let names: Vec<&str> = RECIPES.iter().map(|recipe| recipe.name).collect();
            Exit::user(format!(
                "there is no recipe `{name}`; there are: {}",
                names.join(", ")
            ))
        })
}

impl Recipe {
    /// What it is, in a line.
    fn about(&self) -> &'static str {
        let first = self.text.lines().next().unwrap_or_default();
        first.trim_start_matches('#').trim()
    }
}

/// `semaim recipes`.
pub(crate) fn list(as_json: bool) -> Result<ExitCode, Exit> {
    if as_json {
        let recipe = |recipe: &Recipe| json!({"name": recipe.name, "about": recipe.about()});
        println!("{}", RECIPES.iter().map(recipe).collect::<Value>());
        return Ok(ExitCode::SUCCESS);
    }
    for recipe in RECIPES {
        println!("{:<14} {}", recipe.name, recipe.about());
    }
    Ok(ExitCode::SUCCESS)
}

/// `semaim recipes show`.
pub(crate) fn show(name: &str, as_json: bool) -> Result<ExitCode, Exit> {
    let recipe = find(name)?;
    match as_json {
        true => println!("{}", json!({"name": recipe.name, "toml": recipe.text})),
        false => print!("{}", recipe.text),
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim_config::Layers;
    use semaim_train::config::PretrainConfig;

    #[test]
    fn every_recipe_is_valid_and_says_command_and_result_first() {
        for recipe in RECIPES {
            let loaded = Layers::new()
                .text(recipe.name, recipe.text)
                .unwrap()
                .load::<PretrainConfig>();
            if let Err(error) = loaded {
                panic!("{error}");
            }
            let head: Vec<&str> = recipe
                .text
                .lines()
                .take_while(|line| line.starts_with('#'))
                .collect();
            let head = head.join("\n");
            assert!(head.contains("semaim pretrain"), "{}", recipe.name);
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
