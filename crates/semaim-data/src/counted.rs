//! Numbers with their nouns.

/// A number and what is counted, in the singular or the plural: `1 image`, `2 classes`.
///
/// ```
/// assert_eq!(semaim_data::counted(1u64, "image"), "1 image");
/// assert_eq!(semaim_data::counted(0usize, "class"), "0 classes");
/// ```
pub fn counted<N: TryInto<u64> + std::fmt::Display + Copy>(count: N, noun: &str) -> String {
    match count.try_into() {
        Ok(1) => format!("1 {noun}"),
        _ if noun.ends_with('s') => format!("{count} {noun}es"),
        _ => format!("{count} {noun}s"),
    }
}
