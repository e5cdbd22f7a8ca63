//! How one tensor of a layout becomes one of ours, and back.

use semaim::parameters::Weight;

/// One line of a layout's table. `{n}` in names stands for the number of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// Our name.
    pub(crate) ours: &'static str,
    /// Theirs.
    pub(crate) theirs: Theirs,
    /// Whether a checkpoint may do without.
    pub(crate) need: Need,
}

/// Where our tensor lies in their checkpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Theirs {
    /// As it is, or with fewer or more axes of 1 in front: it has so many axes there, or as many as here for 0.
    One(&'static str, usize),
    /// With its two axes exchanged.
    Transposed(&'static str),
    /// In three parts, which stand one below the other here.
    Joined([&'static str; 3]),
}

/// Whether a checkpoint may do without a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Its absence is an error.
    Required,
    /// Not every network has it.
    Optional,
    /// Files of ours may have it. In other files a tensor of this name is of something else.
    Ours,
}

impl Rule {
    /// Whether it is of each block.
    pub(crate) fn is_per_block(&self) -> bool {
        self.ours.contains("{n}")
    }

    /// Our name in a block (which does not matter to the rules of no block).
    pub(crate) fn our_name(&self, block: usize) -> String {
        numbered(self.ours, block)
    }

    /// Their names in a block: one, or three.
    pub(crate) fn their_names(&self, block: usize) -> Vec<String> {
        match &self.theirs {
            Theirs::One(name, _) | Theirs::Transposed(name) => vec![numbered(name, block)],
            Theirs::Joined(names) => names.iter().map(|name| numbered(name, block)).collect(),
        }
    }

    /// Our tensor from theirs, which stand in the order of their names.
    ///
    /// # Errors
    /// What does not fit.
    pub(crate) fn read(&self, parts: Vec<Weight>) -> Result<Weight, String> {
        match self.theirs {
            Theirs::One(..) => {
                let weight = only(parts)?;
                match axes(self.ours) {
                    Some(axes) => reshaped(weight, axes),
                    None => Ok(weight),
                }
            }
            Theirs::Transposed(_) => transposed(&only(parts)?),
            Theirs::Joined(_) => joined(parts),
        }
    }

    /// Their tensors from ours.
    ///
    /// # Errors
    /// What does not fit.
    pub(crate) fn write(&self, weight: &Weight) -> Result<Vec<Weight>, String> {
        Ok(match self.theirs {
            Theirs::One(_, 0) => vec![weight.clone()],
            Theirs::One(_, axes) => vec![reshaped(weight.clone(), axes)?],
            Theirs::Transposed(_) => vec![transposed(weight)?],
            Theirs::Joined(names) => parts(weight, names.len())?,
        })
    }
}

fn numbered(name: &str, block: usize) -> String {
    name.replace("{n}", &block.to_string())
}

/// How many axes our form of a tensor has, where other forms have fewer.
fn axes(ours: &str) -> Option<usize> {
    matches!(ours, "cls_token" | "pos_embed" | "reg_token" | "mask_token").then_some(3)
}

fn only(parts: Vec<Weight>) -> Result<Weight, String> {
    parts
        .into_iter()
        .next()
        .ok_or_else(|| "is missing".to_string())
}

/// With axes of 1 put in front or taken from there.
fn reshaped(weight: Weight, axes: usize) -> Result<Weight, String> {
    let kept = weight.shape.iter().skip_while(|&&side| side == 1);
    let kept: Vec<usize> = kept.copied().collect();
    let ones = axes.checked_sub(kept.len());
    let Some(ones) = ones else {
        return Err(format!("has shape {:?}, not {axes} axes", weight.shape));
    };
    Ok(Weight {
        shape: [vec![1; ones], kept].concat(),
        values: weight.values,
    })
}

fn transposed(weight: &Weight) -> Result<Weight, String> {
    let &[rows, columns] = weight.shape.as_slice() else {
        return Err(format!("has shape {:?}, not two axes", weight.shape));
    };
    let values = (0..columns)
        .flat_map(|column| (0..rows).map(move |row| row * columns + column))
        .map(|place| weight.values[place])
        .collect();
    Ok(Weight {
        shape: vec![columns, rows],
        values,
    })
}

fn joined(parts: Vec<Weight>) -> Result<Weight, String> {
    let shapes: Vec<&[usize]> = parts.iter().map(|part| part.shape.as_slice()).collect();
    if shapes.windows(2).any(|two| two[0] != two[1]) || shapes.iter().any(|s| s.is_empty()) {
        return Err(format!("has parts of shapes {shapes:?}"));
    }
    let mut shape = shapes[0].to_vec();
    shape[0] *= parts.len();
    Ok(Weight {
        shape,
        values: parts.into_iter().flat_map(|part| part.values).collect(),
    })
}

fn parts(weight: &Weight, count: usize) -> Result<Vec<Weight>, String> {
    let rows = weight.shape.first().copied().unwrap_or(0);
    if rows == 0 || !rows.is_multiple_of(count) {
        return Err(format!("has shape {:?}, not {count} parts", weight.shape));
    }
    let mut shape = weight.shape.clone();
    shape[0] = rows / count;
    let each = weight.values.len() / count;
    let part = |values: &[f32]| Weight {
        shape: shape.clone(),
        values: values.to_vec(),
    };
    Ok(weight.values.chunks(each.max(1)).map(part).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(shape: &[usize]) -> Weight {
        let count: usize = shape.iter().product();
        Weight {
            shape: shape.to_vec(),
            values: (0..count).map(|i| i as f32).collect(),
        }
    }

    #[test]
    fn what_is_read_is_written() {
        let rule = |ours, theirs| Rule {
            ours,
            theirs,
            need: Need::Required,
        };
        let cases = [
            (rule("norm.weight", Theirs::One("a", 0)), vec![weight(&[5])]),
            (rule("cls_token", Theirs::One("a", 1)), vec![weight(&[5])]),
            (
                rule("pos_embed", Theirs::One("a", 2)),
                vec![weight(&[4, 5])],
            ),
            (
                rule("projection.weight", Theirs::Transposed("a")),
                vec![weight(&[2, 3])],
            ),
            (
                rule(
                    "blocks.{n}.attn.qkv.weight",
                    Theirs::Joined(["a", "b", "c"]),
                ),
                vec![weight(&[2, 4]), weight(&[2, 4]), weight(&[2, 4])],
            ),
        ];
        for (rule, theirs) in cases {
            let ours = rule.read(theirs.clone()).unwrap();
            assert_eq!(rule.write(&ours).unwrap(), theirs, "{}", rule.ours);
        }
        let turned = transposed(&weight(&[2, 3])).unwrap();
        assert_eq!(turned.values, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(reshaped(weight(&[2, 3, 4, 5]), 3).is_err());
        assert!(joined(vec![weight(&[2]), weight(&[3]), weight(&[2])]).is_err());
        assert!(transposed(&weight(&[2])).is_err());
        assert!(parts(&weight(&[4]), 3).is_err());
        assert!(only(Vec::new()).is_err());
    }
}
