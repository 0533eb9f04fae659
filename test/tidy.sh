#!/bin/sh
# The walls between the rooms, checked.  Run from the top: make tidy
#
# Each check says what it complains of; nothing is changed.  Exit status 1 if
# there was a complaint.
bad=0
complain() { echo "tidy: $1" >&2; bad=1; }

# exists FILE...: is there any such file?  (A pattern without one stays itself.)
exists() { [ -e "$1" ]; }

# Of "file:line:text", those whose text is no line of a block comment.
not_comment() { grep -vE '^[^:]*:[0-9]+:[ 	]*(\*|/\*)'; }

# ---- C ----

# The core knows nothing of the server, of memory, of time or of the world.
if exists src/core/*.c; then
	grep -nE '^ *# *include' src/core/*.[ch] |
		grep -vE '"core/[a-z0-9_]+\.h"|<(stdint|stdbool|stddef|string)\.h>' &&
		complain "src/core includes something it may not"
	grep -nE '\<(malloc|calloc|realloc|free|palloc|palloc0|repalloc|alloca|time|clock|rand|random|printf|fprintf|snprintf|ereport|elog)[ 	]*\(' src/core/*.[ch] | not_comment &&
		complain "src/core allocates, prints, reports or reads a clock"
	# A score may be a float; nothing of it flows back into an amount.
	grep -nwE 'float|double' src/core/*.[ch] | not_comment |
		grep -vE '^src/core/(baseline|incident|across)[a-z_]*\.[ch]:' &&
		complain "src/core calculates with floats"
fi

# SPI is for the few files that keep to it by design; an SQL-callable binding of
# a calculator touches no table.
if exists src/*.c; then
	grep -lE '"executor/spi\.h"' src/*funcs.c src/*_trigger.c 2>/dev/null &&
		complain "a door may not include executor/spi.h"
	grep -lE '"(access/(table|heapam|genam|tableam)|executor/spi)\.h"' src/*funcs.c 2>/dev/null &&
		complain "a binding of a calculator may not touch a table"
fi

# Every symbol that another library could clash with carries our prefix.
for f in src/*.o src/core/*.o; do
	exists "$f" && nm --defined-only --extern-only "$f"
done | awk 'NF == 3 { print $3 }' |
	grep -vE '^(bj_|billadj_|pg_finfo_billadj_|Pg_magic_func$|_PG_init$|__)' &&
	complain "a global symbol without prefix"

# A function fits on a screen.
awk 'FNR == 1 { start = 0 }
	 /^\{/ { start = FNR }
	 /^\};/ { start = 0 }			# a table of values
	 /^\}/ { if (start && FNR - start + 1 > 70) { print FILENAME ":" start ": " FNR - start + 1 " lines"; n++ } start = 0 }
	 END { exit n > 0 }' src/*.c src/core/*.c /dev/null 2>/dev/null || complain "a function is longer than 70 lines"

# ---- SQL ----

# A part that is not in the Makefile is not installed; a test without output
# does not run.
for f in src/sql/*.sql; do
	sed -n 's/^SQL_PARTS *=//p' Makefile | grep -qw "$(basename "$f" .sql)" || complain "$f is not in SQL_PARTS"
done
for f in sql/*.sql; do
	exists "$f" || continue
	[ -f "expected/$(basename "$f" .sql).out" ] || complain "$f has no expected output"
	awk '/^REGRESS *=/ { on = 1 } on { print } on && !/\\$/ { exit }' Makefile | grep -qw "$(basename "$f" .sql)" ||
		complain "$f is not in REGRESS"
done

# Two of a kind, or one that is there already, is a mistake to be told.
grep -niE 'CREATE +OR +REPLACE|(CREATE|ADD)[A-Z ]* IF +NOT +EXISTS' src/sql/*.sql src/sql/tables/*.sql &&
	complain "src/sql replaces or skips what exists"
grep -nE '^ *(CREATE|ALTER|DROP) +(FUNCTION|PROCEDURE|TABLE|VIEW|SEQUENCE|AGGREGATE|TYPE)' src/sql/*.sql src/sql/tables/*.sql |
	grep -vE '(FUNCTION|PROCEDURE|TABLE|VIEW|SEQUENCE|AGGREGATE|TYPE) +billadj\.' &&
	complain "src/sql names an object without its schema"
grep -nE '^ *CREATE +(TABLE|VIEW|SEQUENCE|TRIGGER|POLICY|MATERIALIZED)' src/sql/*.sql &&
	complain "a function part makes an object that would be a member of the extension"
grep -nE '^ *CREATE +(FUNCTION|PROCEDURE|TRIGGER)|^ *INSERT +INTO' src/sql/tables/*.sql &&
	complain "a table step makes a function or trigger, or seeds rows"
grep -nE '\<reg(class|proc|procedure|type|role|namespace|oper|operator|config|dictionary|collation)\>' src/sql/tables/*.sql &&
	complain "a table step names a reg* type, which pg_upgrade and dumps cannot carry"

# ---- versions and documents ----

version=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" billadj.control)
perl test/meta.pl META.json "$version" >&2 || complain "META.json is wrong"
grep -qF "## $version" CHANGELOG.md || complain "CHANGELOG.md does not mention version $version"
grep -q "^billadj ($version) " debian/changelog || complain "debian/changelog does not have version $version"
# One address of the maintainers everywhere.
maintainer=$(sed -n 's/^Maintainer: //p' debian/control)
for f in META.json debian/control.in debian/changelog; do
	grep -qF "$maintainer" "$f" || complain "$f names other maintainers than debian/control"
done
if exists doc/errors.md; then
	sed -n "s/.*MAKE_SQLSTATE('\(.\)','\(.\)','\(.\)','\(.\)','\(.\)').*/\1\2\3\4\5/p" src/errors.h |
		while read -r code; do
			grep -qw "$code" doc/errors.md || { echo "$code"; }
		done | grep . && complain "doc/errors.md does not list an SQLSTATE of src/errors.h"
fi

# ---- words that belong to no product ----

files=$(git ls-files 2>/dev/null || find . -type f -not -path './.git/*' | sed 's|^\./||')
# shellcheck disable=SC2086
grep -nIE '\<(TODO|FIXME|HACK)\>' $files 2>/dev/null | grep -vE '^(test/tidy\.sh|CONTRIBUTING\.md):' &&
	complain "unfinished work"
# shellcheck disable=SC2086
grep -nIE 'https?://(registry|archive|mirrors?|deb|packages)\.|/home/[a-z]+/|/root/' $files 2>/dev/null |
	grep -v '^test/tidy\.sh:' &&
	complain "a registry host or the path of one machine"

# ---- what other programs know ----

if command -v shellcheck >/dev/null; then
	# shellcheck disable=SC2046,SC2086
	shellcheck -x $(grep -lE '^#!/bin/sh' $files 2>/dev/null) || complain "shellcheck is not content"
fi
bsd_indent=$(command -v pg_bsd_indent || find /usr/lib/postgresql -name pg_bsd_indent 2>/dev/null | sort | tail -n 1)
if [ -n "$bsd_indent" ] && [ -n "${TIDY_INDENT:-}" ]; then
	for f in src/*.c src/core/*.c; do
		"$bsd_indent" -bad -bap -bbb -bc -bl -cli1 -cp33 -cdb -nce -d0 -di12 -nfc1 -i4 -l79 -lp -lpl -nip -npro -sac -tpg -ts4 "$f" /dev/stdout 2>/dev/null |
			cmp -s - "$f" || echo "tidy: note: pg_bsd_indent would change $f" >&2
	done
fi
exit $bad
