//! What a registry may say, what it may not, and how it is told so.
