//! "Did you mean …?"

/// The candidate closest to what was typed, as a hint line, if one is close enough to be meant.
pub fn did_you_mean<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&typed.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| format!("did you mean `{candidate}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_only_what_is_close() {
        assert_eq!(did_you_mean("memmory", ["memory", "cores"]).as_deref(), Some("did you mean `memory`?"));
        assert_eq!(did_you_mean("xyz", ["memory", "cores"]), None);
    }
}
