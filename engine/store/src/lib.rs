//! Durable journals, leases, inbox and output files.
