//! Callers: they post, read the text as it comes through a gateway, come back when the gateway is gone, and hold what they
//! were told to what they are told later.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use lowland_billing::topup_request;
use lowland_events::{
    Draft, EventId, Subject,
    envelope::Headers,
    log::{Entry, Log as _},
    request::{self, CancelRequested},
};
use lowland_gateway::{
    desk::Placed,
    error::ApiError,
    hub::{Interest, Key},
    position::Position,
    update::{End, Update},
    watch::Watch,
};
use tokio::time::sleep;

use crate::{
    chance::Chance,
    link::{Link, OUTSIDE},
    place::Door,
    wish::{Manner, Topup, Wish},
    world::{Places, World},
};

/// Pause before a caller comes back, in milliseconds.
const AGAIN_MS_MAX: u64 = 400;

/// Everybody who wants something.
pub(crate) struct Callers {
    world: World,
    places: Arc<Places>,
    /// Callers who still wait for something.
    waiting: AtomicU64,
    /// Requests that the log has acknowledged.
    acknowledged: std::sync::Mutex<Vec<Key>>,
}

impl Callers {
    /// Sends everybody out.
    pub(crate) fn send(world: &World, places: &Arc<Places>) -> Arc<Self> {
        let callers = Arc::new(Self {
            world: world.clone(),
            places: places.clone(),
            waiting: AtomicU64::new(0),
            acknowledged: std::sync::Mutex::default(),
        });
        let (chance, plan) = (world.chance("wishes"), &world.plan);
        let rough_ms = u64::try_from(plan.rough.as_millis()).expect("some seconds");
        for number in 1..=plan.jobs {
            let wish = Wish::draw(&chance, number, plan.cast.accounts, rough_ms);
            callers.spawn(format!("caller{number}"), |this, chance, link| this.wish(wish, chance, link));
        }
        for number in 1..=plan.cast.accounts {
            for topup in Topup::draw(&chance, number, rough_ms) {
                callers.spawn(format!("payer{number}-{}", topup.id), |this, chance, link| {
                    this.pay(topup, chance, link)
                });
            }
        }
        callers
    }

    /// Callers who still wait for something.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Requests that the log has acknowledged.
    pub(crate) fn acknowledged(&self) -> Vec<Key> {
        self.acknowledged.lock().expect("nobody panics here").clone()
    }

    fn spawn<F: Future<Output = ()> + Send + 'static>(
        self: &Arc<Self>,
        name: String,
        act: impl FnOnce(Arc<Self>, Chance, Arc<Link>) -> F,
    ) {
        let World { store, plan, calm, .. } = &self.world;
        let chance = self.world.chance(&name);
        // What is published by hand takes a way of its own, on which nobody dies.
        let link = Link::new(store, plan, calm, None, OUTSIDE, name, chance.clone());
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let (this, act) = (self.clone(), act(self.clone(), chance, link));
        tokio::spawn(async move {
            act.await;
            this.waiting.fetch_sub(1, Ordering::Relaxed);
        });
    }

    async fn wish(self: Arc<Self>, wish: Wish, chance: Chance, link: Arc<Link>) {
        sleep(Duration::from_millis(wish.after_ms)).await;
        self.world
            .trace
            .tell(&link.name, || format!("wants {}/{}: {:?}", wish.account, wish.job, wish.manner));
        let key = Key { account: wish.account.clone(), job: wish.job.clone() };
        let cancel = async {
            if let Some(after) = wish.cancel_after_ms {
                sleep(Duration::from_millis(after)).await;
                self.publish(&link, &key, "cancel", &CancelRequested::default().into(), &chance).await;
            }
        };
        let post = async {
            match wish.manner {
                Manner::Read => self.read(&key, &wish, false, &chance, &link).await,
                Manner::ReadOnce => self.read(&key, &wish, true, &chance, &link).await,
                Manner::Noise => self.noise(&key, &chance, &link).await,
                Manner::Bare | Manner::Twice => {
                    let event = wish.posted.clone().into();
                    self.publish(&link, &key, "first", &event, &chance).await;
                    if wish.manner == Manner::Twice {
                        sleep(chance.ms(0..=5000)).await;
                        self.publish(&link, &key, "second", &event, &chance).await;
                    }
                }
            }
        };
        tokio::join!(post, cancel);
    }

    /// Tops the account up: asks, and asks again although it was taken, as an operator who did not hear of it does.
    async fn pay(self: Arc<Self>, topup: Topup, chance: Chance, link: Arc<Link>) {
        sleep(Duration::from_millis(topup.after_ms)).await;
        for time in 0..topup.times {
            let now = self.world.store.now();
            let mut draft = topup_request(&topup.account, &topup.id, topup.amount, None, "operator", now)
                .expect("the amount can be added");
            if time > 0 && chance.hits(0.5) {
                // By somebody who makes a new request of it each time.
                draft.meta.id =
                    EventId::derived(&format!("{}/{}/{time}", topup.account, topup.id), "again", 0);
            }
            self.append(&link, draft.entry(), &chance).await;
            sleep(chance.ms(0..=8000)).await;
        }
    }

    async fn publish(
        &self,
        link: &Link,
        key: &Key,
        cause: &str,
        event: &lowland_events::Event,
        chance: &Chance,
    ) {
        let subject = Subject::request(&key.account, &key.job, event.name());
        let cause = format!("{}/{}/{cause}", key.account, key.job);
        let draft = Draft::new(subject, event.clone(), &cause, "outside", self.world.store.now());
        self.append(link, draft.entry(), chance).await;
        if matches!(event, lowland_events::Event::Request(request::Event::Posted(_))) {
            self.acknowledge(key);
        }
    }

    async fn noise(&self, key: &Key, chance: &Chance, link: &Link) {
        let noises: [&[u8]; 4] =
            [b"noise", b"{\"model\":1}", b"{\"model\":\"writer\",\"propmt\":\"x\"}", b"\xc1"];
        let entry = Entry {
            subject: Subject::request(&key.account, &key.job, "posted").to_string(),
            id: EventId::derived(&format!("{}/{}", key.account, key.job), "noise", 0),
            headers: Headers::default(),
            payload: chance.one_of(&noises).into(),
            expect: None,
        };
        self.append(link, entry, chance).await;
        self.acknowledge(key);
    }

    /// Appends until the log has acknowledged it.
    async fn append(&self, link: &Link, entry: Entry, chance: &Chance) {
        while let Err(error) = link.append(entry.clone()).await {
            self.world.trace.tell(&link.name, || format!("again, since {error}"));
            sleep(chance.ms(1..=AGAIN_MS_MAX)).await;
        }
    }

    fn acknowledge(&self, key: &Key) {
        self.acknowledged.lock().expect("nobody panics here").push(key.clone());
    }

    /// Posts by a gateway and reads until the job's end, by another gateway if this one goes.
    async fn read(&self, key: &Key, wish: &Wish, once: bool, chance: &Chance, link: &Link) {
        let mut reader = Reader { posted: false, shown: Position::default(), text: String::new() };
        loop {
            let door = self.door(chance).await;
            let ended = tokio::select! {
                biased;
                () = door.gone.cancelled() => None,
                ended = self.read_at(&door, key, wish, once, &mut reader) => ended,
            };
            match ended {
                Some(end) => return self.compare(key, &end, &reader, link),
                None => sleep(chance.ms(1..=AGAIN_MS_MAX)).await,
            }
        }
    }

    /// Reads at one gateway until the job's end; nothing, if the caller has to come back.
    async fn read_at(
        &self,
        door: &Door,
        key: &Key,
        wish: &Wish,
        once: bool,
        reader: &mut Reader,
    ) -> Option<End> {
        let interest = Interest::JobAndTokens;
        let mut watch = if reader.posted {
            Watch::resumed(&door.hub, &door.log, key, interest, reader.shown)
        } else {
            let watch = Watch::of_new_job(&door.hub, &door.log, key, interest);
            let placed = door.desk.post(key, wish.posted.clone(), once, None).await;
            match placed {
                Err(error) => {
                    self.world.trace.tell("caller", || format!("{}: {error}", key.job));
                    return None;
                }
                Ok(placed) => {
                    reader.posted = true;
                    self.acknowledge(key);
                    match placed {
                        Placed::New => watch,
                        Placed::Before => Watch::resumed(&door.hub, &door.log, key, interest, reader.shown),
                    }
                }
            }
        };
        loop {
            match reader.take(watch.next().await, watch.shown()) {
                Ok(None) => {}
                Ok(Some(end)) => return Some(end),
                Err(error) => {
                    self.world.trace.tell("caller", || format!("{}: {error}", key.job));
                    return None;
                }
            }
        }
    }

    fn compare(&self, key: &Key, end: &End, reader: &Reader, link: &Link) {
        self.world.trace.tell(&link.name, || format!("{}/{} ended: {end:?}", key.account, key.job));
        if let End::Completed(completed) = end
            && completed.output.text != reader.text
        {
            self.world.trace.violation(format!(
                "the text that a caller put together is not what {}/{} completed with:\n  {:?}\n  {:?}",
                key.account, key.job, reader.text, completed.output.text
            ));
        }
    }

    /// A gateway that is open.
    async fn door(&self, chance: &Chance) -> Door {
        loop {
            let doors: Vec<Door> = self.places.0.iter().filter_map(|place| place.here()?.door).collect();
            if !doors.is_empty() {
                return chance.one_of(&doors);
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What a caller has.
struct Reader {
    posted: bool,
    shown: Position,
    text: String,
}

impl Reader {
    fn take(&mut self, update: Result<Update, ApiError>, shown: Position) -> Result<Option<End>, ApiError> {
        match update? {
            Update::Progress => {}
            Update::Delta(delta) => {
                self.text.push_str(&delta.text);
                self.shown = delta.end;
            }
            Update::End(end) => return Ok(Some(end)),
        }
        debug_assert!(shown.tokens >= self.shown.tokens);
        Ok(None)
    }
}
