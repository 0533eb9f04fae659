-- Install: the extension brings functions only, install() makes ordinary tables
-- in the schema billadj.
CREATE EXTENSION btree_gist;
CREATE EXTENSION billadj;
SELECT action, count(*) FROM billadj.install() GROUP BY action ORDER BY action;
