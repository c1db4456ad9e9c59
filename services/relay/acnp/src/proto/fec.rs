//! Forward error correction: a sliding-window code over GF(256), and how much of it to spend.
