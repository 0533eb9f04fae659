
-- policy: people, authority, approval rules; changes of policy under dual control
