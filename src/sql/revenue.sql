
-- revenue: recurring revenue, and what a bill would hold
