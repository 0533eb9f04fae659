
-- override: override requests, decisions and effects; holds and proposals
