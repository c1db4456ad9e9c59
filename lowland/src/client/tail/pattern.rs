//! What somebody wants to see: a pattern of subjects, as NATS has it or shorter, and the streams that hold it. Pure.

use std::collections::BTreeMap;

use lowland_events::{
    Domain, Filter,
    stream::{LOG, METRICS, REQUESTS, TOKENS},
    subject::{LIVE, ROOT},
};

use crate::client::why::near;

/// The filters for each stream.
pub type Selection = BTreeMap<&'static str, Vec<Filter>>;

/// A text that selects nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pattern {pattern:?}: {problem}")]
pub struct Invalid {
    pattern: String,
    problem: String,
}

/// The stream that holds a domain.
pub fn stream_of(domain: Domain) -> &'static str {
    match domain {
        Domain::Request => REQUESTS,
        Domain::Job | Domain::Account | Domain::Instance => LOG,
        Domain::Token => TOKENS,
        Domain::Metric => METRICS,
    }
}

/// What is shown where no pattern is given: all but tokens and measurements, which would drown the rest.
pub fn usual() -> Selection {
    let domains = [Domain::Request, Domain::Job, Domain::Account, Domain::Instance];
    of(domains.map(|domain| (domain, Filter::domain(domain))))
}

/// What `patterns` select together; [`usual`] if there are none.
pub fn select(patterns: &[String]) -> Result<Selection, Invalid> {
    if patterns.is_empty() {
        return Ok(usual());
    }
    let mut chosen = Vec::new();
    for pattern in patterns {
        chosen.extend(domains(pattern)?);
    }
    Ok(of(chosen))
}

fn of(chosen: impl IntoIterator<Item = (Domain, Filter)>) -> Selection {
    let mut selection = Selection::new();
    for (domain, filter) in chosen {
        let filters = selection.entry(stream_of(domain)).or_default();
        // A server refuses filters of one consumer that overlap.
        let covered = filters.iter().any(|other| covers(other, &filter));
        if !covered {
            filters.retain(|other| !covers(&filter, other));
            filters.push(filter);
        }
    }
    selection
}

/// Whether all that `narrow` selects is selected by `wide`, where that can be seen from the two patterns.
fn covers(wide: &Filter, narrow: &Filter) -> bool {
    let mut wide = wide.as_str().split('.');
    let mut narrow = narrow.as_str().split('.');
    loop {
        match (wide.next(), narrow.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(token)) if token != ">" => {}
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}

/// What one pattern selects of each domain.
fn domains(pattern: &str) -> Result<Vec<(Domain, Filter)>, Invalid> {
    let invalid = |problem: String| Invalid { pattern: pattern.to_owned(), problem };
    let stream = [LOG, REQUESTS, TOKENS, METRICS].into_iter().find(|name| name.eq_ignore_ascii_case(pattern));
    if let Some(stream) = stream {
        let whole = Domain::ALL.into_iter().filter(|domain| stream_of(*domain) == stream);
        return Ok(whole.map(|domain| (domain, Filter::domain(domain))).collect());
    }
    let whole = completed(pattern).map_err(invalid)?;
    let filter: Filter = whole.parse().map_err(|error: lowland_events::subject::InvalidFilter| {
        invalid(format!("{}; wanted is {WANTED}", error.problem))
    })?;
    let chosen: Vec<_> =
        Domain::ALL.into_iter().filter_map(|domain| Some((domain, filter.within(domain)?))).collect();
    if chosen.is_empty() {
        return Err(invalid(unknown(&whole)));
    }
    Ok(chosen)
}

/// What a pattern looks like.
const WANTED: &str = "DOMAIN.SCOPE.AGGREGATE.EVENT with * for any one token and a last > for the rest, such as \
    job.acme.> or job.*.*.completed";

/// The pattern from the root to the end: what is left out in front is the root, what is left out behind is anything.
fn completed(pattern: &str) -> Result<String, String> {
    let mut tokens: Vec<&str> = pattern.split('.').collect();
    if tokens.first() == Some(&LIVE) {
        return Err(format!(
            "{LIVE} is where plain subscribers hear what was stored; here it is {ROOT}{}, or without its first token",
            pattern.trim_start_matches(LIVE)
        ));
    }
    let names_domain = |token: &str| Domain::ALL.iter().any(|domain| domain.as_str() == token);
    let rooted = tokens.first() == Some(&ROOT) || tokens == [">"];
    let starred = tokens.first() == Some(&"*") && tokens.get(1).is_some_and(|token| names_domain(token));
    if !rooted && !starred {
        tokens.insert(0, ROOT);
    }
    // Root, domain, scope, aggregate, event: what has no event yet means all of them.
    let open = tokens.last() != Some(&">") && tokens.len() < 5;
    if open {
        tokens.push(">");
    }
    Ok(tokens.join("."))
}

fn unknown(whole: &str) -> String {
    let names = Domain::ALL.map(Domain::as_str);
    let given = whole.split('.').nth(1).unwrap_or_default();
    let near = near::misses(given, names.into_iter());
    let meant = near.first().map(|name| format!(", did you mean {name}?")).unwrap_or_default();
    format!("{given:?} is no domain{meant} There are {}; wanted is {WANTED}", names.join(", "))
        .replace("domain There", "domain. There")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(patterns: &[&str]) -> Vec<(&'static str, String)> {
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let selection = select(&patterns).unwrap();
        let each = selection.into_iter().flat_map(|(stream, filters)| {
            filters.into_iter().map(move |filter| (stream, filter.as_str().to_owned()))
        });
        each.collect()
    }

    #[test]
    fn short_forms_are_completed() {
        for pattern in ["job", "job.>", "lowland.job.>", "lowland.job", "job.*"] {
            let of = selected(&[pattern]);
            assert_eq!(of.len(), 1, "{pattern}");
            assert!(of[0].1.starts_with("lowland.job."), "{of:?}");
        }
        assert_eq!(selected(&["job.acme"]), [(LOG, "lowland.job.acme.>".to_owned())]);
        assert_eq!(selected(&["job.acme.j1"]), [(LOG, "lowland.job.acme.j1.>".to_owned())]);
        assert_eq!(selected(&["job.*.*.completed"]), [(LOG, "lowland.job.*.*.completed".to_owned())]);
        assert_eq!(selected(&["token"]), [(TOKENS, "lowland.token.>".to_owned())]);
    }

    #[test]
    fn wide_patterns_reach_every_stream_that_they_select() {
        let streams = |patterns: &[&str]| -> Vec<&str> {
            let mut streams: Vec<_> = selected(patterns).into_iter().map(|(stream, _)| stream).collect();
            streams.dedup();
            streams
        };
        assert_eq!(streams(&[">"]), [LOG, METRICS, REQUESTS, TOKENS]);
        assert_eq!(streams(&["*.acme"]), [LOG, METRICS, REQUESTS, TOKENS]);
        assert_eq!(streams(&[]), [LOG, REQUESTS], "tokens and measurements would drown the rest");
        assert_eq!(selected(&["log"]).len(), 3);
    }

    #[test]
    fn patterns_that_overlap_are_told_to_the_server_once() {
        assert_eq!(selected(&["job.acme", "job", "job.*.*.failed"]), [(LOG, "lowland.job.>".to_owned())]);
    }

    #[test]
    fn a_wrong_pattern_says_what_would_be_right() {
        let error = |pattern: &str| select(&[pattern.to_owned()]).unwrap_err().to_string();
        assert!(error("jobs").contains("did you mean job?"), "{}", error("jobs"));
        assert!(error("nothing").contains("request, job, token"), "{}", error("nothing"));
        assert!(error("live.job.>").contains("lowland.job.>"), "{}", error("live.job.>"));
        assert!(error("job.>.x").contains("before the end") && error("job..x").contains("job.acme.>"));
    }
}
