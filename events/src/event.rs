//! Every event there is: one enum a domain, one table of types, and the way from bytes to a type and back.

use bytes::Bytes;
use schemars::{Schema, SchemaGenerator};

use crate::{account, codec::BodyError, instance, job, metric, request, subject::Domain, token, upcast};

/// An event's type: its name within its domain, and the version of its shape.
#[derive(Debug, Clone, Copy)]
pub struct EventType {
    /// What it is about.
    pub domain: Domain,
    /// Its name, the fifth token of its subject (for tokens, where that is the attempt, `published`).
    pub name: &'static str,
    /// The version that this build writes; it reads every earlier one.
    pub version: u16,
    /// Its JSON Schema.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

impl EventType {
    /// The CloudEvents type, such as `lowland.job.submitted.v1`.
    #[must_use]
    pub fn ce_type(&self) -> String {
        ce_type(self.domain, self.name, self.version)
    }
}

/// The CloudEvents type of an event.
#[must_use]
pub fn ce_type(domain: Domain, name: &str, version: u16) -> String {
    format!("{}.{domain}.{name}.v{version}", crate::subject::ROOT)
}

/// An event whose type this build does not know: kept, skipped, never dropped.
#[derive(Debug, Clone, PartialEq)]
pub struct Unknown {
    /// Its name, from its subject.
    pub name: String,
    /// Its version, from its headers.
    pub version: u16,
    /// Its body, untouched.
    pub body: Bytes,
}

macro_rules! domains {
    ($($variant:ident => $module:ident,)*) => {
        /// A fact of any domain.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Event {
            $(#[doc = concat!("See [`crate::", stringify!($module), "`].")] $variant($module::Event),)*
            /// Of a type that this build does not know.
            Unknown(Unknown),
        }

        impl Event {
            /// Every type that this build writes.
            pub fn types() -> impl Iterator<Item = &'static EventType> {
                [$($module::Event::TYPES,)*].into_iter().flatten()
            }

            /// Its type, unless unknown.
            #[must_use]
            pub fn event_type(&self) -> Option<&'static EventType> {
                match self {
                    $(Self::$variant(event) => Some(event.event_type()),)*
                    Self::Unknown(_) => None,
                }
            }

            /// Its name.
            #[must_use]
            pub fn name(&self) -> &str {
                match self {
                    Self::Unknown(unknown) => &unknown.name,
                    known => known.event_type().map_or("", |event_type| event_type.name),
                }
            }

            /// Its body as MessagePack.
            #[must_use]
            pub fn encode(&self) -> Bytes {
                match self {
                    $(Self::$variant(event) => event.encode(),)*
                    Self::Unknown(unknown) => unknown.body.clone(),
                }
            }

            /// Its body as a JSON value, for people and tools.
            #[must_use]
            pub fn to_json(&self) -> serde_json::Value {
                match self {
                    $(Self::$variant(event) => event.to_json(),)*
                    Self::Unknown(unknown) => crate::codec::any_to_json(&unknown.body),
                }
            }

            /// Reads the body of an event called `name` of version `version`. A type or version that this build does
            /// not know is [`Event::Unknown`].
            pub fn decode(domain: Domain, name: &str, version: u16, body: &Bytes) -> Result<Self, BodyError> {
                let known = match domain {
                    $(Domain::$variant => $module::Event::decode(name, version, body)?.map(Self::$variant),)*
                };
                Ok(known.unwrap_or_else(|| {
                    Self::Unknown(Unknown { name: name.to_owned(), version, body: body.clone() })
                }))
            }
        }
    };
}

domains! {
    Request => request,
    Job => job,
    Token => token,
    Instance => instance,
    Account => account,
    Metric => metric,
}

/// Declares a domain's enum of events from its table of `"name" vN Type` rows.
macro_rules! domain_events {
    ($domain:expr, { $($name:literal v $version:literal $variant:ident,)* }) => {
        /// An event of this domain.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Event {
            $(#[doc = concat!("`", $name, "`")] $variant($variant),)*
        }

        impl Event {
            /// The types of this domain.
            pub const TYPES: &'static [$crate::event::EventType] = &[
                $($crate::event::EventType {
                    domain: $domain,
                    name: $name,
                    version: $version,
                    schema: |generator| <$variant as schemars::JsonSchema>::json_schema(generator),
                },)*
            ];

            /// Its type.
            #[must_use]
            pub fn event_type(&self) -> &'static $crate::event::EventType {
                let name = match self {
                    $(Self::$variant(_) => $name,)*
                };
                Self::TYPES
                    .iter()
                    .find(|event_type| event_type.name == name)
                    .expect("every variant stands in the table that declares it")
            }

            pub(crate) fn encode(&self) -> bytes::Bytes {
                match self {
                    $(Self::$variant(body) => $crate::codec::to_msgpack(body),)*
                }
            }

            pub(crate) fn to_json(&self) -> serde_json::Value {
                match self {
                    $(Self::$variant(body) => serde_json::to_value(body).unwrap_or_default(),)*
                }
            }

            pub(crate) fn decode(
                name: &str,
                version: u16,
                body: &bytes::Bytes,
            ) -> Result<Option<Self>, $crate::codec::BodyError> {
                let Some(known) = Self::TYPES.iter().find(|event_type| event_type.name == name) else {
                    return Ok(None);
                };
                if version > known.version {
                    return Ok(None);
                }
                let body = $crate::event::current(known, version, body)?;
                match name {
                    $($name => $crate::codec::from_body::<$variant>(&body).map(|body| Some(Self::$variant(body))),)*
                    _ => Ok(None),
                }
            }
        }

        $(impl From<$variant> for $crate::Event {
            fn from(body: $variant) -> Self {
                Event::$variant(body).into()
            }
        })*
    };
}
pub(crate) use domain_events;

/// The body in the current version's shape.
pub(crate) fn current(known: &EventType, version: u16, body: &Bytes) -> Result<Bytes, BodyError> {
    if version == known.version {
        return Ok(body.clone());
    }
    upcast::to_current(upcast::STEPS, known, version, body)
}

macro_rules! from_domain {
    ($($variant:ident => $module:ident,)*) => {
        $(impl From<$module::Event> for Event {
            fn from(event: $module::Event) -> Self {
                Self::$variant(event)
            }
        })*
    };
}
from_domain! {
    Request => request,
    Job => job,
    Token => token,
    Instance => instance,
    Account => account,
    Metric => metric,
}
