
-- detect: detectors on usage, incidents, verdicts
