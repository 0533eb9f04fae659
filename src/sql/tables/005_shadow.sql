-- 005_shadow.sql: what a table attached in mode shadow would be charged

CREATE TABLE billadj.shadow_charge (LIKE billadj.charge INCLUDING COMMENTS);
CREATE INDEX shadow_charge_event_idx ON billadj.shadow_charge (event_key, attachment_id);
COMMENT ON TABLE billadj.shadow_charge IS 'charges of tables attached in mode shadow: compared with what the host bills, and never billed';

CREATE TABLE billadj.shadow_total (
    LIKE billadj.tier_total INCLUDING COMMENTS INCLUDING STORAGE INCLUDING DEFAULTS,
    CONSTRAINT shadow_total_pkey PRIMARY KEY (account, meter, period_start, price_id)
) WITH (fillfactor = 10);
COMMENT ON TABLE billadj.shadow_total IS 'running totals of the charges in billadj.shadow_charge; written at commit by the library only';

GRANT SELECT ON billadj.shadow_charge, billadj.shadow_total
   TO billadj_admin, billadj_operator, billadj_auditor, billadj_reader;
GRANT DELETE ON billadj.shadow_charge, billadj.shadow_total TO billadj_admin;
