//! The billing.
