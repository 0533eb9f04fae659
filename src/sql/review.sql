
-- review: what reviewers, auditors and finance ask
