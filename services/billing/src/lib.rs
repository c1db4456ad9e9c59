//! Billing: price book, holds, charges, top-ups, invoices.
//!
//! Before a job is given to a worker, the most that it could cost is set aside; when it ends, what was delivered is
//! charged and the rest goes back. Money moves only by events of `lowland.account.*`, each a balanced double entry; what
//! is known of an account is a fold of these, and so are its statement and its invoices.

pub mod config;
pub mod decide;
pub mod figures;
pub mod invoice;
pub mod ledger;
pub mod period;
pub mod prices;
pub mod rating;
pub mod state;
pub mod statement;
pub mod topup;
pub mod trace;

mod reading;
mod shell;

use lowland_host::{Error, Host, Service, Settings};

pub use config::Config;
pub use invoice::{Invoice, invoice};
pub use period::Period;
pub use state::State;
pub use statement::{Statement, balances, statement};
pub use topup::topup_request;

/// The service.
#[derive(Debug, Clone, Copy)]
pub struct Billing;

impl Service for Billing {
    const NAME: &'static str = "billing";
    type Config = Config;

    const IS_ONE_LOOP: bool = true;

    fn config(settings: &mut Settings) -> Config {
        Config::read(settings)
    }

    async fn serve(host: Host, config: Config) -> Result<(), Error> {
        let prices = config.prices.ok_or_else(|| Error::Other("billing has no price book".into()))?;
        shell::serve(host, prices).await
    }
}
