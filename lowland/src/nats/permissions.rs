//! Who may do what on the bus: the least that each role's work needs, in one table of functions.
//!
//! Subjects come from `lowland-events`; JetStream's own (`$JS...`) are spelt here, since permissions are the one place
//! that has to know them.
//!
//! What a user may read it reads through consumers, and a consumer's creation names its stream and filter in the subject
//! (`$JS.API.CONSUMER.CREATE.<stream>.<name>.<filter>`), which the server holds the request to. So [`Permissions::follows`]
//! bounds a worker to what is addressed to it, while the services, which have to see everything, get whole streams.

use lowland_events::{
    Domain, Filter,
    id::{ServiceId, WorkerId},
    stream::{LOG, METRICS, REQUESTS, SNAPSHOTS, TOKENS},
};

/// A user in the services' account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The person at this machine, through the command: everything.
    Operator,
    /// Decides on jobs.
    Scheduler,
    /// Keeps accounts.
    Billing,
    /// Answers callers.
    Gateway,
    /// Runs models; each worker is a user of its own.
    Worker(WorkerId),
}

/// What a user may publish and subscribe to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Subjects it may publish to.
    pub publish: Vec<String>,
    /// Of these, subjects that it may not publish to after all.
    pub deny_publish: Vec<String>,
    /// Subjects it may subscribe to.
    pub subscribe: Vec<String>,
}

/// Durable consumers, each with its role and its stream: whoever may read the stream could otherwise take their messages
/// away.
const DURABLES: [(&str, &str); 2] = [("scheduler", REQUESTS), ("billing", REQUESTS)];

impl Role {
    /// The user's name: of its key file, its inbox, its comment in the configuration.
    pub fn user(&self) -> String {
        match self {
            Self::Operator => "operator".into(),
            Self::Scheduler => "scheduler".into(),
            Self::Billing => "billing".into(),
            Self::Gateway => "gateway".into(),
            Self::Worker(worker) => format!("worker-{worker}"),
        }
    }

    /// The service that plays it, as in `lowland serve NAME`.
    pub fn service(&self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Scheduler => "scheduler",
            Self::Billing => "billing",
            Self::Gateway => "gateway",
            Self::Worker(_) => "worker",
        }
    }

    /// First tokens of its inbox: answers to one user are heard by no other.
    pub fn inbox_prefix(&self) -> String {
        format!("_INBOX_{}", self.user())
    }

    /// What it may do.
    pub fn permissions(&self) -> Permissions {
        let own = Permissions::default().hears(format!("{}.>", self.inbox_prefix()));
        match self {
            Self::Operator => own.says(">").hears(">"),
            Self::Scheduler => scheduler(own).keeps_off_durables(self),
            Self::Billing => billing(own).keeps_off_durables(self),
            Self::Gateway => gateway(own).keeps_off_durables(self),
            Self::Worker(worker) => worker_permissions(own, worker).keeps_off_durables(self),
        }
    }
}

/// Admits, places, ends jobs; refuses requests that never become one; declares instances lost.
fn scheduler(own: Permissions) -> Permissions {
    own.ensures(&[LOG, REQUESTS, TOKENS, METRICS, SNAPSHOTS])
        .reads(&[LOG, REQUESTS, TOKENS, METRICS, SNAPSHOTS])
        .publishes(snapshots_of("scheduler"))
        .publishes(Filter::domain(Domain::Job))
        .publishes(Filter::event(Domain::Request, "rejected"))
        .publishes(Filter::event(Domain::Instance, "lost"))
        .publishes(metrics_of("scheduler"))
}

/// Moves money, and says on the job that its money is not there.
fn billing(own: Permissions) -> Permissions {
    own.ensures(&[LOG, REQUESTS, METRICS, SNAPSHOTS])
        .reads(&[LOG, REQUESTS, SNAPSHOTS])
        .publishes(snapshots_of("billing"))
        .publishes(Filter::domain(Domain::Account))
        .publishes(Filter::event(Domain::Job, "rejected"))
        .publishes(Filter::event(Domain::Request, "rejected"))
        .publishes(metrics_of("billing"))
}

/// Asks on behalf of its callers, who have shown it their keys, and reads what came of it.
fn gateway(own: Permissions) -> Permissions {
    own.makes(&[LOG, REQUESTS, TOKENS, METRICS])
        .reads(&[LOG, REQUESTS, TOKENS])
        .publishes(Filter::event(Domain::Request, "posted"))
        .publishes(Filter::event(Domain::Request, "cancel_requested"))
        .publishes(metrics_of("gateway"))
}

/// Does the jobs that are assigned to it. It may follow only what is addressed to it, and may say of a job only what
/// workers say; that the job is its own shows in the fence, which everybody checks. Before an append it asks for a job's
/// last event, and such a question cannot be narrowed to its own jobs: a worker can read single events of others.
fn worker_permissions(own: Permissions, worker: &WorkerId) -> Permissions {
    own.makes(&[TOKENS, METRICS])
        .follows(LOG, &Filter::for_worker(Domain::Job, "assigned", worker))
        .follows(LOG, &Filter::for_worker(Domain::Job, "cancel_requested", worker))
        .follows(LOG, &Filter::event(Domain::Instance, "lost"))
        .says(format!("$JS.API.DIRECT.GET.{LOG}"))
        .reads(&[TOKENS])
        .publishes(Filter::event(Domain::Job, "started"))
        .publishes(Filter::event(Domain::Job, "attempt_failed"))
        .publishes(Filter::event(Domain::Job, "completed"))
        .publishes(Filter::event(Domain::Job, "cancelled"))
        .publishes(Filter::event(Domain::Job, "expired"))
        .publishes(Filter::domain(Domain::Token))
        .publishes(Filter::event(Domain::Instance, "ready"))
        .publishes(Filter::event(Domain::Instance, "stopped"))
        .publishes(metrics_of("worker"))
}

fn metrics_of(service: &str) -> Filter {
    Filter::scope(Domain::Metric, service)
}

fn snapshots_of(service: &str) -> Filter {
    Filter::snapshots_of(&ServiceId::new(service).expect("a service's name is a valid id"))
}

impl Permissions {
    fn says(mut self, subject: impl Into<String>) -> Self {
        self.publish.push(subject.into());
        self
    }

    fn hears(mut self, subject: impl Into<String>) -> Self {
        self.subscribe.push(subject.into());
        self
    }

    fn publishes(self, filter: Filter) -> Self {
        self.says(filter.as_str())
    }

    /// May create these streams where they are missing: memory streams vanish with the server.
    fn makes(self, streams: &[&str]) -> Self {
        streams.iter().fold(self, |own, stream| {
            own.says(format!("$JS.API.STREAM.INFO.{stream}")).says(format!("$JS.API.STREAM.CREATE.{stream}"))
        })
    }

    /// May create these streams, and bring those that exist to their configuration.
    fn ensures(self, streams: &[&str]) -> Self {
        let own = self.makes(streams);
        streams.iter().fold(own, |own, stream| own.says(format!("$JS.API.STREAM.UPDATE.{stream}")))
    }

    /// May not touch the durable consumers of other roles.
    fn keeps_off_durables(mut self, role: &Role) -> Self {
        for (durable, stream) in DURABLES.iter().filter(|(durable, _)| *durable != role.service()) {
            for verb in ["CREATE", "INFO", "MSG.NEXT", "DELETE"] {
                self.deny_publish.push(format!("$JS.API.CONSUMER.{verb}.{stream}.{durable}"));
            }
            self.deny_publish.push(format!("$JS.API.CONSUMER.CREATE.{stream}.{durable}.>"));
            self.deny_publish.push(format!("$JS.ACK.{stream}.{durable}.>"));
        }
        self
    }

    /// May read these streams whole, by consumers of any name and message by message.
    fn reads(self, streams: &[&str]) -> Self {
        streams.iter().fold(self, |own, stream| {
            own.says(format!("$JS.API.STREAM.INFO.{stream}"))
                .says(format!("$JS.API.STREAM.MSG.GET.{stream}"))
                .says(format!("$JS.API.DIRECT.GET.{stream}"))
                .says(format!("$JS.API.DIRECT.GET.{stream}.>"))
                .says(format!("$JS.API.CONSUMER.CREATE.{stream}.>"))
                .handles_consumers(stream)
        })
    }

    /// May read what `filter` selects of the stream: by consumers with just that filter, or the last message.
    fn follows(self, stream: &str, filter: &Filter) -> Self {
        self.says(format!("$JS.API.STREAM.INFO.{stream}"))
            .says(format!("$JS.API.DIRECT.GET.{stream}.{filter}"))
            .says(format!("$JS.API.CONSUMER.CREATE.{stream}.*.{filter}"))
            .handles_consumers(stream)
    }

    /// What is done with a consumer once it is there.
    fn handles_consumers(self, stream: &str) -> Self {
        self.says(format!("$JS.API.CONSUMER.INFO.{stream}.*"))
            .says(format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.*"))
            .says(format!("$JS.API.CONSUMER.DELETE.{stream}.*"))
            .says(format!("$JS.ACK.{stream}.>"))
            .says(format!("$JS.FC.{stream}.>"))
    }
}

/// Tenants: users of accounts of their own.
pub mod tenant {
    use super::Permissions;
    use lowland_events::{Domain, Filter, id::AccountId};

    /// What the services' account shares with a tenant's.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Shared {
        /// What it may publish: stored, and answered.
        pub requests: Vec<String>,
        /// What it may hear.
        pub live: Vec<String>,
    }

    /// What a tenant may ask for.
    const ASKS: [&str; 2] = ["posted", "cancel_requested"];
    /// What a tenant may hear of itself as it happens.
    const HEARS: [Domain; 4] = [Domain::Request, Domain::Job, Domain::Token, Domain::Account];

    /// What the services' account shares with this tenant's.
    pub fn shared(account: &AccountId) -> Shared {
        let id = account.as_str();
        Shared {
            requests: ASKS.map(|event| Filter::scope_event(Domain::Request, id, event).to_string()).to_vec(),
            live: HEARS.map(|domain| Filter::scope(domain, id).live()).to_vec(),
        }
    }

    /// What the tenant's user may do inside its account: no more than what is shared, and inboxes, which nobody else
    /// can hear.
    pub fn permissions(account: &AccountId) -> Permissions {
        let Shared { requests, live } = shared(account);
        let all_of_it = Filter::scope_of_any(account.as_str()).live();
        let inboxes = ["_INBOX.>".to_owned(), "_INBOX_*.>".to_owned()];
        Permissions {
            publish: requests,
            deny_publish: Vec::new(),
            subscribe: live.into_iter().chain([all_of_it]).chain(inboxes).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowland_events::{Event, id::AccountId};

    fn roles() -> Vec<Role> {
        let worker = Role::Worker(WorkerId::new("w1").unwrap());
        vec![Role::Scheduler, Role::Billing, Role::Gateway, worker]
    }

    fn may_publish(permissions: &Permissions, domain: Domain, event: &str) -> bool {
        let exact = Filter::event(domain, event);
        let whole = Filter::domain(domain);
        permissions.publish.iter().any(|s| s == exact.as_str() || s == whole.as_str())
    }

    #[test]
    fn money_is_moved_by_billing_alone() {
        for role in roles() {
            let moves = role.permissions().publish.iter().any(|s| s.contains(Domain::Account.as_str()));
            assert_eq!(moves, role == Role::Billing, "{role:?}");
        }
        let acme = AccountId::new("acme").unwrap();
        let may = tenant::permissions(&acme);
        assert!(may.publish.iter().all(|s| s.starts_with("lowland.request.acme.")), "{may:?}");
    }

    #[test]
    fn only_the_operator_may_do_anything_anywhere() {
        for role in roles() {
            let may = role.permissions();
            assert!(!may.publish.iter().chain(&may.subscribe).any(|s| s == ">" || s == "$JS.>"), "{role:?}");
            assert!(!may.publish.iter().any(|s| s.contains("STREAM.DELETE")), "{role:?}");
        }
    }

    /// Figures tell of everybody's jobs. An account that is called like a service sees none of the service's.
    #[test]
    fn figures_are_shared_with_no_tenant() {
        let figures = Filter::domain(Domain::Metric).live();
        let figures = figures.trim_end_matches('>');
        for name in ["acme", "worker", "gateway"] {
            let account = AccountId::new(name).unwrap();
            assert!(tenant::shared(&account).live.iter().all(|live| !live.starts_with(figures)), "{name}");
            let heard = tenant::permissions(&account).subscribe;
            assert!(heard.iter().all(|heard| !heard.starts_with(figures)), "{name}");
        }
    }

    /// A misspelt event name would be a permission for nothing.
    #[test]
    fn every_event_can_be_published_by_somebody() {
        for event in Event::types().filter(|event| !matches!(event.domain, Domain::Token | Domain::Metric)) {
            let anybody =
                roles().iter().any(|role| may_publish(&role.permissions(), event.domain, event.name));
            let operators_own = event.name == "topup_posted";
            assert!(anybody != operators_own, "{}", event.ce_type());
        }
    }
}
