
-- prorate: periods, day counts and proration
