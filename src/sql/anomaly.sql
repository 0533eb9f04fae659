
-- anomaly: scores of any series
