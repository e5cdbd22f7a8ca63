//! The commands that a block tells its reader to type.

use super::chapters::Block;

/// A command as it stands in the book.
#[derive(Debug)]
pub(super) struct Typed {
    /// The line of its chapter.
    pub(super) line: usize,
    pub(super) words: Vec<String>,
    /// The file that its output goes to (`> FILE`).
    pub(super) into: Option<String>,
    /// Whether a shell would make something else of it.
    pub(super) needs_a_shell: bool,
}

/// What only a shell does. The commands of the book need none, so that they are the same in every shell, and here.
const OF_A_SHELL: &[char] = &['|', '&', ';', '$', '*', '`', '<', '~'];

/// The commands of a block, a line each unless it ends in a backslash.
pub(super) fn commands(block: &Block) -> Vec<Typed> {
    let mut commands = Vec::new();
    let mut lines = block.text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let mut whole = line.to_string();
        while whole.ends_with('\\') {
            whole.pop();
            whole.push_str(lines.next().map_or("", |(_, next)| next));
        }
        let line = block.line + number;
        let mut words =
            shlex::split(&whole).unwrap_or_else(|| panic!("line {line}: quotes in `{whole}`"));
        if words.is_empty() {
            continue;
        }
        let into = words.iter().position(|word| word == ">").map(|at| {
            let file = words.split_off(at);
            assert_eq!(file.len(), 2, "line {line}: `{whole}`");
            file[1].clone()
        });
        commands.push(Typed {
            line,
            words,
            into,
            needs_a_shell: outside_quotes(&whole).contains(OF_A_SHELL),
        });
    }
    commands
}

/// A line without what stands in quotes and in a comment.
fn outside_quotes(line: &str) -> String {
    let mut quote = None;
    let mut outside = String::new();
    for letter in line.chars() {
        match quote {
            Some(open) if letter == open => quote = None,
            Some(_) => {}
            None if matches!(letter, '"' | '\'') => quote = Some(letter),
            None if letter == '#' && outside.ends_with(' ') => break,
            None => outside.push(letter),
        }
    }
    outside
}

impl Typed {
    /// The arguments of the program, where the command is one of it.
    pub(super) fn arguments(&self) -> Option<&[String]> {
        let (program, arguments) = self.words.split_first()?;
        (program == "semaim").then_some(arguments)
    }

    /// The command that another program starts, as in `mpirun -n 4 semaim pretrain`.
    pub(super) fn launched(&self) -> Option<Self> {
        let at = self.words.iter().position(|word| word == "semaim")?;
        (at > 0).then(|| Self {
            line: self.line,
            words: self.words[at..].to_vec(),
            into: None,
            needs_a_shell: self.needs_a_shell,
        })
    }

    fn is(&self, command: &str) -> bool {
        self.words.get(1).is_some_and(|word| word == command)
    }

    fn has(&self, option: &str) -> bool {
        self.words.iter().any(|word| word == option)
    }

    /// Whether it trains, and so has a plan (`--dry-run`) that can be looked at before.
    pub(super) fn trains(&self) -> bool {
        let trains = ["pretrain", "finetune", "detect", "segment", "compare"];
        trains.into_iter().any(|command| self.is(command))
    }

    /// Whether it goes on with a run that is there. Its plan would be another, because that run was made small.
    pub(super) fn goes_on(&self) -> bool {
        self.has("--extend")
    }

    pub(super) fn is_a_plan(&self) -> bool {
        self.has("--dry-run")
    }

    /// Settings that make it small, which are laid over those that the reader types.
    pub(super) fn small(&self) -> Vec<&'static str> {
        let settings = match () {
            () if self.is("pretrain") && self.has("--init") => vec![LITTLE, SHORT],
            () if self.is("pretrain") => vec![NETWORK, LITTLE, SHORT],
            () if self.is("finetune") => vec![SHORT],
            () if self.is("detect") => vec![crate::detect::QUICK],
            () if self.is("segment") => vec![crate::segment::QUICK],
            () if self.is("compare") => vec![COMPARISON],
            () => Vec::new(),
        };
        let settings = settings.into_iter().flatten();
        settings.flat_map(|setting| ["--set", setting]).collect()
    }
}

/// A network that trains in no time.
pub(super) const NETWORK: &[&str] = &[
    "model.image_size=[32,32]",
    "model.patch_size=8",
    "model.embed_dim=24",
    "model.depth=4",
    "model.num_heads=2",
];

/// What else makes pre-training short.
pub(super) const LITTLE: &[&str] = &["decoder.query_depth=1", "eval.pictures=2"];

/// A few steps on a few images.
pub(super) const SHORT: &[&str] = &[
    "train.epochs=2",
    "train.batch_size=32",
    "train.grad_accum_steps=1",
    "optimizer.warmup_epochs=0.5",
    "data.shapes_count=96",
    "data.shapes_eval_count=48",
];

const COMPARISON: &[&str] = &[
    "pretrain.model.embed_dim=24",
    "pretrain.model.depth=2",
    "pretrain.model.num_heads=2",
    "pretrain.decoder.query_depth=1",
    "pretrain.train.epochs=1",
    "pretrain.optimizer.warmup_epochs=0.5",
];
