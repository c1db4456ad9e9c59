//! Subjects: the one file that spells them.
//!
//! `lowland.<domain>.<scope>.<aggregate>.<event>[.<target>]`, for instance `lowland.job.acme.j1.assigned.w1`. On the token
//! domain the event's place holds the attempt: `lowland.token.acme.j1.2`. What a stream stored it republishes under
//! `live.` in place of `lowland.`, for plain subscribers.

use std::{fmt, str::FromStr};

use crate::id::{self, AccountId, InstanceId, JobId, ModelId, ServiceId, WorkerId};

/// First token of every stored subject.
pub const ROOT: &str = "lowland";
/// First token of what streams republish.
pub const LIVE: &str = "live";

/// What an event is about: the second token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Domain {
    /// What the outside asks for. Scope: account; aggregate: job (or top-up).
    Request,
    /// A job's life. Scope: account; aggregate: job.
    Job,
    /// Tokens as they are written. Scope: account; aggregate: job; event: attempt.
    Token,
    /// A model loaded on a worker. Scope: model; aggregate: instance.
    Instance,
    /// Money. Scope and aggregate: account.
    Account,
    /// Measurements of a process. Scope: service; aggregate: instance.
    Metric,
}

impl Domain {
    /// Every domain.
    pub const ALL: [Self; 6] =
        [Self::Request, Self::Job, Self::Token, Self::Instance, Self::Account, Self::Metric];

    /// The domain's token.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Job => "job",
            Self::Token => "token",
            Self::Instance => "instance",
            Self::Account => "account",
            Self::Metric => "metric",
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A subject taken apart; every token is valid.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    domain: Domain,
    scope: String,
    aggregate: String,
    event: String,
    target: Option<String>,
}

/// A text that is not one of our subjects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("subject {subject:?}: {problem}; wanted lowland.<domain>.<scope>.<aggregate>.<event>[.<target>]")]
pub struct Invalid {
    /// What was given.
    pub subject: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Subject {
    fn new(domain: Domain, scope: &str, aggregate: &str, event: &str) -> Self {
        Self {
            domain,
            scope: scope.to_owned(),
            aggregate: aggregate.to_owned(),
            event: event.to_owned(),
            target: None,
        }
    }

    /// `lowland.request.<account>.<job>.<event>`
    #[must_use]
    pub fn request(account: &AccountId, job: &JobId, event: &str) -> Self {
        Self::new(Domain::Request, account.as_str(), job.as_str(), event)
    }

    /// `lowland.job.<account>.<job>.<event>`
    #[must_use]
    pub fn job(account: &AccountId, job: &JobId, event: &str) -> Self {
        Self::new(Domain::Job, account.as_str(), job.as_str(), event)
    }

    /// `lowland.token.<account>.<job>.<attempt>`
    #[must_use]
    pub fn token(account: &AccountId, job: &JobId, attempt: u32) -> Self {
        Self::new(Domain::Token, account.as_str(), job.as_str(), &attempt.to_string())
    }

    /// `lowland.instance.<model>.<instance>.<event>`
    #[must_use]
    pub fn instance(model: &ModelId, instance: &InstanceId, event: &str) -> Self {
        Self::new(Domain::Instance, model.as_str(), instance.as_str(), event)
    }

    /// `lowland.account.<account>.<account>.<event>`
    #[must_use]
    pub fn account(account: &AccountId, event: &str) -> Self {
        Self::new(Domain::Account, account.as_str(), account.as_str(), event)
    }

    /// `lowland.metric.<service>.<instance>.<event>`
    #[must_use]
    pub fn metric(service: &ServiceId, instance: &InstanceId, event: &str) -> Self {
        Self::new(Domain::Metric, service.as_str(), instance.as_str(), event)
    }

    /// The same subject, addressed to a worker.
    #[must_use]
    pub fn to_worker(mut self, worker: &WorkerId) -> Self {
        self.target = Some(worker.as_str().to_owned());
        self
    }

    /// What it is about.
    #[must_use]
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// The third token.
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// The fourth token.
    #[must_use]
    pub fn aggregate(&self) -> &str {
        &self.aggregate
    }

    /// The fifth token: the event's name, or the attempt on the token domain.
    #[must_use]
    pub fn event(&self) -> &str {
        &self.event
    }

    /// The sixth token, where there is one: whom it is addressed to.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// The account in the scope of a request, job, token or account subject.
    #[must_use]
    pub fn account_id(&self) -> Option<AccountId> {
        match self.domain {
            Domain::Request | Domain::Job | Domain::Token | Domain::Account => {
                AccountId::new(&self.scope).ok()
            }
            Domain::Instance | Domain::Metric => None,
        }
    }

    /// The job of a request, job or token subject.
    #[must_use]
    pub fn job_id(&self) -> Option<JobId> {
        match self.domain {
            Domain::Request | Domain::Job | Domain::Token => JobId::new(&self.aggregate).ok(),
            Domain::Account | Domain::Instance | Domain::Metric => None,
        }
    }

    /// Everything of this subject's aggregate: the one filter that guards its sequence, in every writer.
    #[must_use]
    pub fn aggregate_filter(&self) -> Filter {
        Filter(format!("{ROOT}.{}.{}.{}.>", self.domain, self.scope, self.aggregate))
    }

    /// Where a stream republishes this subject.
    #[must_use]
    pub fn live(&self) -> String {
        self.to_string().replacen(ROOT, LIVE, 1)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ROOT}.{}.{}.{}.{}", self.domain, self.scope, self.aggregate, self.event)?;
        match &self.target {
            Some(target) => write!(f, ".{target}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Subject {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = |problem: String| Invalid { subject: text.chars().take(256).collect(), problem };
        let tokens: Vec<&str> = text.split('.').collect();
        let (head, target) = match tokens.as_slice() {
            [head @ .., target] if head.len() == 5 => (head, Some(*target)),
            head if head.len() == 5 => (head, None),
            other => return Err(invalid(format!("it has {} tokens", other.len()))),
        };
        if head[0] != ROOT {
            return Err(invalid(format!("it begins with {:?}", head[0])));
        }
        let domain = Domain::ALL
            .into_iter()
            .find(|domain| domain.as_str() == head[1])
            .ok_or_else(|| invalid(format!("domain {:?} is unknown", head[1])))?;
        for token in head[2..].iter().chain(target.iter()) {
            id::check("token", token).map_err(|error| invalid(error.to_string()))?;
        }
        Ok(Self { target: target.map(str::to_owned), ..Self::new(domain, head[2], head[3], head[4]) })
    }
}

/// Second token of the subjects of snapshots, which are no events.
const SNAPSHOT: &str = "snapshot";

/// Subjects of a service's snapshots of what it folded of one stream: `lowland.snapshot.<service>.<stream>.<...>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotSubject {
    prefix: String,
}

impl SnapshotSubject {
    /// Of `service`'s fold of `stream`.
    pub fn new(service: &ServiceId, stream: &str) -> Result<Self, id::Invalid> {
        id::check("stream", stream)?;
        Ok(Self { prefix: format!("{ROOT}.{SNAPSHOT}.{service}.{stream}") })
    }

    /// Where the `index`th part of the state goes.
    #[must_use]
    pub fn part(&self, index: usize) -> String {
        format!("{}.part.{index}", self.prefix)
    }

    /// Where it is said that all parts are there.
    #[must_use]
    pub fn taken(&self) -> String {
        format!("{}.taken", self.prefix)
    }

    /// Where it is said that all parts are there, as a filter.
    #[must_use]
    pub fn taken_filter(&self) -> Filter {
        Filter(self.taken())
    }

    /// Everything of this fold's snapshots.
    #[must_use]
    pub fn filter(&self) -> Filter {
        Filter(format!("{}.>", self.prefix))
    }
}

/// A pattern that selects subjects, in NATS's wildcards.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Filter(String);

impl Filter {
    /// Everything.
    #[must_use]
    pub fn everything() -> Self {
        Self(">".to_owned())
    }

    /// Every snapshot.
    #[must_use]
    pub fn snapshots() -> Self {
        Self(format!("{ROOT}.{SNAPSHOT}.>"))
    }

    /// Every snapshot of one service.
    #[must_use]
    pub fn snapshots_of(service: &ServiceId) -> Self {
        Self(format!("{ROOT}.{SNAPSHOT}.{service}.>"))
    }

    /// Everything of a domain.
    #[must_use]
    pub fn domain(domain: Domain) -> Self {
        Self(format!("{ROOT}.{domain}.>"))
    }

    /// One kind of event of a domain, whatever it is about, not addressed to anyone.
    #[must_use]
    pub fn event(domain: Domain, event: &str) -> Self {
        Self(format!("{ROOT}.{domain}.*.*.{event}"))
    }

    /// One kind of event addressed to one worker.
    #[must_use]
    pub fn for_worker(domain: Domain, event: &str, worker: &WorkerId) -> Self {
        Self(format!("{ROOT}.{domain}.*.*.{event}.{worker}"))
    }

    /// One kind of event addressed to any worker.
    #[must_use]
    pub fn for_any_worker(domain: Domain, event: &str) -> Self {
        Self(format!("{ROOT}.{domain}.*.*.{event}.*"))
    }

    /// Everything of a domain in one scope (an account's jobs, a model's instances, a service's metrics).
    #[must_use]
    pub fn scope(domain: Domain, scope: &str) -> Self {
        Self(format!("{ROOT}.{domain}.{scope}.>"))
    }

    /// Everything in one scope, of whatever domain.
    #[must_use]
    pub fn scope_of_any(scope: &str) -> Self {
        Self(format!("{ROOT}.*.{scope}.>"))
    }

    /// One kind of event in one scope.
    #[must_use]
    pub fn scope_event(domain: Domain, scope: &str, event: &str) -> Self {
        Self(format!("{ROOT}.{domain}.{scope}.*.{event}"))
    }

    /// Everything of one aggregate.
    #[must_use]
    pub fn aggregate(domain: Domain, scope: &str, aggregate: &str) -> Self {
        Self(format!("{ROOT}.{domain}.{scope}.{aggregate}.>"))
    }

    /// Everything of the aggregates of one name, in whatever scope (a job's id, whoever's it is).
    #[must_use]
    pub fn aggregate_of_any_scope(domain: Domain, aggregate: &str) -> Self {
        Self(format!("{ROOT}.{domain}.*.{aggregate}.>"))
    }

    /// The part of the pattern that lies in one domain; none if it selects nothing of it.
    #[must_use]
    pub fn within(&self, domain: Domain) -> Option<Self> {
        let tokens: Vec<&str> = self.0.split('.').collect();
        let fits = |token: &str, wanted: &str| token == "*" || token == wanted;
        match tokens.as_slice() {
            [">"] => Some(Self::domain(domain)),
            [root, ">"] if fits(root, ROOT) => Some(Self::domain(domain)),
            [root, second, rest @ ..]
                if fits(root, ROOT) && fits(second, domain.as_str()) && !rest.is_empty() =>
            {
                Some(Self(format!("{ROOT}.{domain}.{}", rest.join("."))))
            }
            _ => None,
        }
    }

    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same pattern over what streams republish.
    #[must_use]
    pub fn live(&self) -> String {
        self.0.replacen(ROOT, LIVE, 1)
    }

    /// Whether it selects something of every aggregate: [`Filter::domain`] or [`Filter::event`].
    #[must_use]
    pub fn is_broad(&self) -> bool {
        let tokens: Vec<&str> = self.0.split('.').collect();
        matches!(tokens[..], [ROOT, _, ">"] | [ROOT, _, "*", "*", _]) && !self.0.ends_with(".*")
    }

    /// Whether `subject` is selected: `*` is any one token, a last `>` any one or more.
    #[must_use]
    pub fn matches(&self, subject: &str) -> bool {
        let mut wanted = self.0.split('.');
        let mut given = subject.split('.');
        loop {
            match (wanted.next(), given.next()) {
                (Some(">"), Some(_)) | (None, None) => return true,
                (Some("*"), Some(_)) => {}
                (Some(a), Some(b)) if a == b => {}
                _ => return false,
            }
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "pattern {pattern:?}: {problem}; wanted are tokens with dots between them, `*` for any one, a last `>` for the rest"
)]
pub struct InvalidFilter {
    /// What was given.
    pub pattern: String,
    /// What is wrong with it.
    pub problem: String,
}

impl FromStr for Filter {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        let invalid = |problem: String| InvalidFilter { pattern: text.chars().take(256).collect(), problem };
        let tokens: Vec<&str> = text.split('.').collect();
        for (index, token) in tokens.iter().enumerate() {
            match *token {
                "*" => {}
                ">" if index + 1 == tokens.len() => {}
                ">" => return Err(invalid("`>` stands before the end".to_owned())),
                token => id::check("token", token).map_err(|error| invalid(error.to_string()))?,
            }
        }
        Ok(Self(text.to_owned()))
    }
}

impl From<&Subject> for Filter {
    fn from(subject: &Subject) -> Self {
        Self(subject.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_read_again() {
        let (account, job) = (AccountId::new("acme").unwrap(), JobId::new("j1").unwrap());
        let assigned = Subject::job(&account, &job, "assigned").to_worker(&WorkerId::new("w1").unwrap());
        assert_eq!(assigned.to_string(), "lowland.job.acme.j1.assigned.w1");
        assert_eq!(assigned.to_string().parse::<Subject>().unwrap(), assigned);
        assert_eq!(assigned.live(), "live.job.acme.j1.assigned.w1");
        let token = Subject::token(&account, &job, 2);
        assert_eq!(token.to_string().parse::<Subject>().unwrap().event(), "2");
    }

    #[test]
    fn strangers_are_refused() {
        for bad in [
            "",
            "lowland.job.a.b",
            "other.job.a.b.c",
            "lowland.jub.a.b.c",
            "lowland.job.a..c",
            "lowland.job.a.*.c",
            "lowland.job.a.b.c.d.e",
        ] {
            assert!(bad.parse::<Subject>().is_err(), "{bad}");
        }
    }

    #[test]
    fn patterns_are_read_and_cut_to_a_domain() {
        let filter = |text: &str| text.parse::<Filter>().unwrap();
        let within = |text: &str| filter(text).within(Domain::Job).map(|filter| filter.to_string());
        for whole in [">", "lowland.>", "*.>", "lowland.*.>", "lowland.job.>"] {
            assert_eq!(within(whole).as_deref(), Some("lowland.job.>"), "{whole}");
        }
        assert_eq!(within("lowland.*.acme.*.completed").as_deref(), Some("lowland.job.acme.*.completed"));
        for outside in ["lowland.token.>", "other.job.>", "lowland", "lowland.job"] {
            assert_eq!(within(outside), None, "{outside}");
        }
        for bad in ["", "a..b", "a.>.b", "a b", "a.b>"] {
            assert!(bad.parse::<Filter>().is_err(), "{bad}");
        }
    }

    #[test]
    fn filters_select_as_nats_does() {
        let all = Filter::domain(Domain::Job);
        assert!(all.matches("lowland.job.a.b.c") && all.matches("lowland.job.a.b.c.d"));
        assert!(!all.matches("lowland.job") && !all.matches("lowland.token.a.b.1"));
        let started = Filter::event(Domain::Job, "started");
        assert!(started.matches("lowland.job.a.b.started"));
        assert!(!started.matches("lowland.job.a.b.started.w1"));
    }
}
