//! Noise schedule, objective and samplers.
