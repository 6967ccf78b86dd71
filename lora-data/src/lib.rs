//! Pictures and captions in folders to batches for training: buckets, resizing, plans.
