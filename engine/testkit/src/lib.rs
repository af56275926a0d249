//! For tests only: manual clock, memory journal, simulated hosts.
