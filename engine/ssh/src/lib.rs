//! Jobs on hosts: sessions, the job wrapper, file transfer.
