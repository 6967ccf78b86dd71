//! The steps of a piecewise constant schedule.

/// Factors, and the updates up to which they hold, as in diffusers' `step_rules`:
/// `1:10,0.1:20,0.01` is 1 for the updates below number 10, 0.1 for those below 20, 0.01 for all
/// others.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRules {
    /// Where a factor ends, and the factor; rising.
    steps: Vec<(usize, f64)>,
    last: f64,
}

/// What is wrong with a text of step rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`step_rules`: found \"{found}\", expected {expected}")]
pub struct StepRulesError {
    /// The rule or the whole text.
    pub found: String,
    /// What it should be.
    pub expected: &'static str,
}

impl StepRules {
    /// The factor in update number `step`, counted from 0.
    #[must_use]
    pub fn factor(&self, step: usize) -> f64 {
        self.steps
            .iter()
            .find(|(end, _)| step < *end)
            .map_or(self.last, |(_, factor)| *factor)
    }
}

impl std::str::FromStr for StepRules {
    type Err = StepRulesError;

    fn from_str(text: &str) -> Result<Self, StepRulesError> {
        const RULE: &str = "`factor:update`, such as 0.1:200";
        const LAST: &str = "rules that end with a factor alone, such as 1:100,0.1";
        const RISING: &str = "updates in rising order";
        let error = |found: &str, expected| StepRulesError {
            found: found.trim().to_owned(),
            expected,
        };
        let factor = |text: &str| {
            text.trim()
                .parse()
                .ok()
                .filter(|factor: &f64| factor.is_finite() && *factor >= 0.0)
        };
        let mut rules: Vec<&str> = text.split(',').collect();
        let last = rules
            .pop()
            .and_then(factor)
            .ok_or_else(|| error(text, LAST))?;
        let mut steps: Vec<(usize, f64)> = Vec::new();
        for rule in rules {
            let (value, end) = rule.split_once(':').ok_or_else(|| error(rule, RULE))?;
            let step = end
                .trim()
                .parse()
                .ok()
                .zip(factor(value))
                .ok_or_else(|| error(rule, RULE))?;
            if steps.last().is_some_and(|(before, _)| *before >= step.0) {
                return Err(error(text, RISING));
            }
            steps.push(step);
        }
        Ok(Self { steps, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rules() {
        let rules: StepRules = "1:10, 0.1:20,0.01".parse().expect("rules");
        let factors = [0, 9, 10, 19, 20, 1000].map(|step| rules.factor(step));
        assert_eq!(factors, [1.0, 1.0, 0.1, 0.1, 0.01, 0.01]);
        assert_eq!("0.5".parse::<StepRules>().expect("rules").factor(7), 0.5);
    }

    #[test]
    fn errors_name_the_rule() {
        for (text, found) in [
            ("", ""),
            ("1:10", "1:10"),
            ("1:10,", "1:10,"),
            ("1,0.1", "1"),
            ("1:x,0.1", "1:x"),
            ("inf:3,1", "inf:3"),
        ] {
            assert_eq!(text.parse::<StepRules>().expect_err(text).found, found);
        }
        let error = "1:20,0.5:10,0.1"
            .parse::<StepRules>()
            .expect_err("falling")
            .to_string();
        assert!(
            error.contains("rising") && error.contains("1:20,0.5:10,0.1"),
            "{error}"
        );
    }
}
