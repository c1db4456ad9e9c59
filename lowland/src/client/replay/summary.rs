//! What is in a state, in a few lines. Pure.

use lowland_billing::State as Billing;
use lowland_events::Money;
use lowland_gateway::models::Models;
use lowland_scheduler::state::State as Scheduler;

/// A state that says what is in it.
pub(super) trait Summary {
    /// Names and values, in the order in which to tell them.
    fn summary(&self) -> Vec<(&'static str, String)>;
}

impl Summary for Scheduler {
    fn summary(&self) -> Vec<(&'static str, String)> {
        let mut phases = std::collections::BTreeMap::<String, usize>::new();
        for (_, job) in self.jobs() {
            *phases.entry(job.phase.to_string()).or_default() += 1;
        }
        let phases = phases.iter().map(|(phase, jobs)| format!("{jobs} {phase}"));
        let waiting = self.queues().map(|(model, _)| model.to_string()).collect::<Vec<_>>();
        vec![
            ("open jobs", list(&self.open_jobs().to_string(), phases)),
            ("ended, remembered", self.ended().len().to_string()),
            ("models", list_of_models(self)),
            ("waited for", if waiting.is_empty() { "nothing".into() } else { waiting.join(", ") }),
            ("events that did not fit", self.ignored().to_string()),
        ]
    }
}

fn list_of_models(state: &Scheduler) -> String {
    let each = state.fleet().models().map(|(id, model)| {
        let instances: Vec<_> = model.instances.iter().filter_map(|id| state.fleet().instance(id)).collect();
        let free: u32 = instances.iter().map(|instance| instance.free_slots()).sum();
        let slots: u32 = instances.iter().map(|instance| instance.ready.slots).sum();
        format!("{id} on {} instances, {free} of {slots} slots free", instances.len())
    });
    list(&state.fleet().models().count().to_string(), each)
}

impl Summary for Billing {
    fn summary(&self) -> Vec<(&'static str, String)> {
        let ledger = &self.ledger;
        let sum = |of: &dyn Fn(&lowland_events::id::AccountId) -> Money| -> Money {
            self.accounts().map(|(id, _)| of(id)).sum()
        };
        let holds: usize = self.accounts().map(|(_, account)| account.holds.len()).sum();
        let waiting: usize = self.accounts().map(|(_, account)| account.waiting.len()).sum();
        let topups: usize = self.accounts().map(|(_, account)| account.topups.len()).sum();
        let balances = ledger.balances().map(|(name, amount)| format!("{name} {}", amount.to_units()));
        vec![
            ("accounts", self.accounts().count().to_string()),
            ("to spend", sum(&|id| ledger.available(id)).to_units()),
            ("set aside", format!("{} in {holds} holds", sum(&|id| ledger.set_aside(id)).to_units())),
            ("jobs without a hold yet", waiting.to_string()),
            ("top-ups counted", topups.to_string()),
            ("ledger", list(&format!("adds up to {}", ledger.total().to_units()), balances)),
            ("events that did not fit", self.misfits.to_string()),
        ]
    }
}

impl Summary for Models {
    fn summary(&self) -> Vec<(&'static str, String)> {
        let each =
            self.instances().map(|(id, ready)| format!("{id} on {} in {}", ready.worker, ready.region));
        vec![
            ("models", list(&self.names().count().to_string(), self.names().map(str::to_owned))),
            ("instances", list(&self.instances().count().to_string(), each)),
        ]
    }
}

/// Things that a line names at most.
const NAMED_MAX: usize = 8;

fn list(head: &str, items: impl Iterator<Item = String>) -> String {
    let mut items: Vec<String> = items.collect();
    let more = items.len().saturating_sub(NAMED_MAX);
    items.truncate(NAMED_MAX);
    if more > 0 {
        items.push(format!("{more} more"));
    }
    if items.is_empty() { head.to_owned() } else { format!("{head}: {}", items.join(", ")) }
}
