//! The optimizers' rules, one file per rule or family of rules.

pub(super) mod adafactor;
pub(super) mod adam;
pub(super) mod came;
pub(super) mod dadapt;
pub(super) mod lion;
pub(super) mod prodigy;
pub(super) mod prodigy_plus;
pub(super) mod rmsprop;
pub(super) mod schedule_free;
pub(super) mod sgd;
