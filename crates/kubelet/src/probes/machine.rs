//! The thresholds of a probe: how many answers of one kind in a row change the verdict.

use k8s_openapi::api::core::v1::Probe;

/// Counts answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    success: u32,
    failure: u32,
    last: Option<bool>,
    run: u32,
    verdict: Option<bool>,
}

impl Machine {
    /// A machine for `probe`, with what was known before, if anything.
    pub(crate) fn new(probe: &Probe, verdict: Option<bool>) -> Self {
        let threshold = |own: Option<i32>, default| {
            own.and_then(|own| u32::try_from(own).ok()).filter(|&own| own > 0).unwrap_or(default)
        };
        Self {
            success: threshold(probe.success_threshold, 1),
            failure: threshold(probe.failure_threshold, 3),
            last: None,
            run: 0,
            verdict,
        }
    }

    /// Takes an answer; returns the verdict if that changed it.
    pub(crate) fn observe(&mut self, ok: bool) -> Option<bool> {
        if self.last == Some(ok) {
            self.run += 1;
        } else {
            (self.last, self.run) = (Some(ok), 1);
        }
        let enough = self.run >= if ok { self.success } else { self.failure };
        if enough && self.verdict != Some(ok) {
            self.verdict = Some(ok);
            return Some(ok);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_change_at_their_thresholds() {
        let probe = Probe { success_threshold: Some(2), failure_threshold: Some(3), ..Probe::default() };
        type Case = (Option<bool>, &'static [bool], &'static [Option<bool>]);
        let table: [Case; 4] = [
            (None, &[true, true, true], &[None, Some(true), None]),
            (Some(false), &[true, false, true, true], &[None, None, None, Some(true)]),
            (Some(true), &[false, false, true, false, false, false], &[None, None, None, None, None, Some(false)]),
            (None, &[false, false, false, true, true], &[None, None, Some(false), None, Some(true)]),
        ];
        for (before, answers, wanted) in table {
            let mut machine = Machine::new(&probe, before);
            let got: Vec<_> = answers.iter().map(|answer| machine.observe(*answer)).collect();
            assert_eq!(got, wanted, "{answers:?}");
        }
    }

    #[test]
    fn thresholds_default_as_in_kubernetes() {
        let mut machine = Machine::new(&Probe::default(), None);
        assert_eq!(machine.observe(false), None);
        assert_eq!(machine.observe(false), None);
        assert_eq!(machine.observe(false), Some(false));
        assert_eq!(machine.observe(true), Some(true));
    }
}
