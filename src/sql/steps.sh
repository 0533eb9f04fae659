#!/bin/sh
# Prints billadj.migration_step(), which holds the texts of the table steps given
# as arguments: src/sql/tables/NNN_<name>.sql.  The steps are text and not part of
# the extension script, since no table may be a member of the extension.
set -eu

# A dollar-quote tag that occurs in none of the files.
tag=step
while grep -qF "\$$tag" "$@"; do
	tag=${tag}_
done

newest=0
cat <<SQL

CREATE FUNCTION billadj.migration_step(step integer, OUT name text, OUT body text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS \$${tag}s\$
SELECT s.name, s.body
  FROM (VALUES
SQL
for file in "$@"; do
	base=$(basename "$file" .sql)
	newest=$((newest + 1))
	if [ "${base%%_*}" != "$(printf %03d "$newest")" ]; then
		echo "steps.sh: $file should be step $newest" >&2
		exit 1
	fi
	# these would be replaced when the extension script is read
	if grep -nE '@ext(schema|owner)|MODULE_PATHNAME' "$file" >&2; then
		echo "steps.sh: $file holds a word that CREATE EXTENSION replaces" >&2
		exit 1
	fi
	[ "$newest" -eq 1 ] || echo "       ,"
	printf "       (%d, '%s', \$%s\$" "$newest" "${base#*_}" "$tag"
	cat "$file"
	printf '$%s$)\n' "$tag"
done
cat <<SQL
       ) AS s(step, name, body)
 WHERE s.step = \$1
\$${tag}s\$;
COMMENT ON FUNCTION billadj.migration_step(integer)
    IS 'the text of one numbered step that makes or changes the tables; install() and migrate() run it';
REVOKE ALL ON FUNCTION billadj.migration_step(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.migration_step(integer) TO billadj_owner, billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

CREATE FUNCTION billadj.migration_newest() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN $newest;
COMMENT ON FUNCTION billadj.migration_newest() IS 'the newest step this version of the library knows';
REVOKE ALL ON FUNCTION billadj.migration_newest() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.migration_newest() TO billadj_owner, billadj_admin, billadj_operator, billadj_policy, billadj_auditor;
SQL
