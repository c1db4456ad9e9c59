//! Statements and invoices, read from the log.

use lowland_billing::{Invoice, balances, invoice, statement};
use lowland_events::{Draft, Money, Subject, Time, account::ToppedUp, id::ModelId, meter::Meter};

use crate::world::{World, account, job, run, tokens};

/// `acme` had 1000 and was charged for two jobs; a third still runs.
async fn history() -> World {
    let world = World::with_money(1000).await;
    for name in ["j1", "j2", "j3"] {
        world.submit("acme", name, "odd", tokens(100, 100)).await;
    }
    world.settle().await;
    world.complete("acme", "j1", tokens(10, 1)).await;
    world.complete("acme", "j2", tokens(10, 1)).await;
    world.settle().await;
    world
}

#[test]
fn a_statement_says_where_the_account_stands() {
    run(async {
        let world = history().await;
        let statement = statement(&world.log, &account("acme")).await.unwrap();
        // Each job: 3.33333 + 0.777777 = 4.111107, rounded up to 5; each hold 111.111 up to 112.
        assert_eq!((statement.topped_up, statement.charged), (Money(1000), Money(10)));
        assert_eq!((statement.available, statement.set_aside), (Money(878), Money(112)));
        assert_eq!(statement.holds.into_iter().collect::<Vec<_>>(), [(job("j3"), Money(112))]);
        assert_eq!(
            statement.movements.back().map(|m| (m.event.as_str(), m.available)),
            Some(("charged", Money(878)))
        );
        let nobody = lowland_billing::statement(&world.log, &account("nobody")).await.unwrap();
        assert_eq!((nobody.available, nobody.charges), (Money::ZERO, 0));
        let all = balances(&world.log).await.unwrap();
        assert_eq!(all[&account("acme")], (Money(878), Money(112)));
    });
}

#[test]
fn an_invoice_adds_up_to_the_last_micro_unit() {
    run(async {
        let world = history().await;
        let invoice = invoice(&world.log, &account("acme"), "2026-11".parse().unwrap()).await.unwrap();
        let lines: Vec<_> = invoice.lines.iter().map(|l| (l.meter, l.quantity, l.amount)).collect();
        assert_eq!(
            lines,
            [(Meter::InputTokens, 20, Money(6)), (Meter::OutputTokens, 2, Money(1))],
            "6.66666 and 1.555554, cut"
        );
        assert_eq!(invoice.lines[0].model, ModelId::new("odd").unwrap());
        assert_eq!((invoice.charged, invoice.rounding, invoice.waived), (Money(10), Money(3), Money::ZERO));
        assert_eq!((invoice.opening, invoice.closing), (Money::ZERO, Money(990)));
        assert_eq!(invoice.jobs["completed"], 2);
        let text = invoice.to_text();
        for part in
            ["account acme", "2 completed", "odd", "input_tokens", "0.333333", "closing balance", "0.000990"]
        {
            assert!(text.contains(part), "{part}:\n{text}");
        }
        let json = serde_json::to_value(&invoice).unwrap();
        assert_eq!(json["charged"], "10");
        assert_eq!(json["period"]["from"], "2026-11-01T00:00:00Z");
    });
}

#[test]
fn what_came_before_is_the_opening_balance_and_what_came_after_is_not_there() {
    run(async {
        let world = history().await;
        let stored = world.stored().await;
        let acme = account("acme");
        let december = Invoice::build(&acme, "2026-12".parse().unwrap(), &stored);
        assert_eq!(
            (december.opening, december.closing, december.charged),
            (Money(990), Money(990), Money::ZERO)
        );
        assert!(december.lines.is_empty() && december.topups.is_empty());
        let october = Invoice::build(&acme, "2026-10".parse().unwrap(), &stored);
        assert_eq!((october.opening, october.closing), (Money::ZERO, Money::ZERO));
        let strangers = Invoice::build(&account("zeta"), "2026-11".parse().unwrap(), &stored);
        assert_eq!(strangers.closing, Money::ZERO);
    });
}

#[test]
fn an_event_that_does_not_fit_is_on_no_statement() {
    run(async {
        let world = history().await;
        let before = statement(&world.log, &account("acme")).await.unwrap();
        let unbalanced = ToppedUp {
            topup: job("t9"),
            amount: Money(5),
            reference: None,
            postings: vec![lowland_events::account::Posting { ledger: "cash".into(), amount: Money(5) }],
        };
        let subject = Subject::account(&account("acme"), "topped_up");
        let draft = Draft::new(subject, unbalanced, "someone", "test", Time(0));
        world.log.append(draft.entry()).await.unwrap();
        assert_eq!(statement(&world.log, &account("acme")).await.unwrap(), before);
        // The account goes on from there all the same.
        world.submit("acme", "j4", "odd", tokens(1, 1)).await;
        world.settle().await;
        assert!(statement(&world.log, &account("acme")).await.unwrap().holds.contains_key(&job("j4")));
    });
}
