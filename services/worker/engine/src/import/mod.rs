//! Importers: each turns a published format into a model folder (see [`crate::manifest`]).
