
-- audit: the tamper-evident log: entries, digests, verification, proofs, history
