//! Names that are like the one that was not found.

/// How alike two names are for one to be suggested for the other, of 1.
const ALIKE: f64 = 0.7;

/// The name that is most like the wanted one, if any is like it.
pub(super) fn nearest<'n>(wanted: &str, names: &'n [String]) -> Option<&'n String> {
    let like = |name: &&String| strsim::jaro_winkler(wanted, name);
    let best = names.iter().max_by(|a, b| like(a).total_cmp(&like(b)))?;
    (like(&best) >= ALIKE).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_understood() {
        let names = ["sources", "signatures", "policy"].map(str::to_owned);
        assert_eq!(nearest("sorces", &names).unwrap(), "sources");
        assert_eq!(nearest("polcy", &names).unwrap(), "policy");
        assert_eq!(nearest("xyz", &names), None);
        assert_eq!(nearest("a", &[]), None);
    }
}
