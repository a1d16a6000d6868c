//! Files that cannot be written, and commands that were killed while they wrote.
