//! The command line: arguments, settings, context, errors.
