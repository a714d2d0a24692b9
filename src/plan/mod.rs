//! Changes and steps joined into one immutable plan.
