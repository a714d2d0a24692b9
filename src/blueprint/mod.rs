//! Inventory, profiles and services resolved: typed, complete, cross-checked. A pure function of files.
