
-- subscription: plans, subscriptions, terms and their charges
