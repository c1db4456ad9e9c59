//! Loss detection after RFC 8985 (RACK-TLP).
