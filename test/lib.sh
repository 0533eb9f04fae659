# lib.sh: what test/run, test/long and quickstart share (sourced, POSIX sh)
#
# Nothing is installed into the system but Debian packages, and no cluster but
# our own is touched.  PostgreSQL finds its files relative to its programs, so
# a copy of the server's directories under the work directory is a server of
# its own: the extension is built for that copy and installed there.
#
# The sourcing script sets: top (the checkout) and me (its name in messages).
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154

# Another major version than that of Debian 12 by PG_MAJOR (see test/matrix).
pg_major=${PG_MAJOR:-15}
pg_home=/usr/lib/postgresql/$pg_major
pg_share=/usr/share/postgresql/$pg_major

# What building and running needs; the tests add to it.
build_packages="gcc make libc6-dev postgresql-$pg_major postgresql-server-dev-$pg_major"

say() { printf '%s\n' "$*"; }
die()
{
	printf '%s: %s\n' "$me" "$*" >&2
	exit 1
}

# ---- packages ----

as_root()
{
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "this needs root or sudo: $*"
	fi
}

have_package()
{
	# Unpacked without its dependencies (LLVM, half a gigabyte) it serves as well.
	case $1 in
		postgresql-server-dev-*)
			[ ! -e "$pg_home/lib/pgxs/src/makefiles/pgxs.mk" ] || return 0
			;;
	esac
	# shellcheck disable=SC2016
	status=$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) || return 1
	[ "$status" = installed ]
}

missing_packages()
{
	for package in "$@"; do
		have_package "$package" || printf '%s ' "$package"
	done
}

# A new server package makes a cluster and starts it, unless this was said
# before.  Where a server is installed already, its configuration is not ours.
no_main_cluster()
{
	conf=/etc/postgresql-common/createcluster.conf
	[ ! -d "$pg_home/bin" ] || return 0
	grep -qs '^ *create_main_cluster *=' "$conf" && return 0
	say "$me: writing create_main_cluster = false to $conf, so that no cluster is made"
	as_root mkdir -p "${conf%/*}"
	printf 'create_main_cluster = false\n' | as_root tee -a "$conf" >/dev/null
}

# need_packages PACKAGE...: installs those that are missing
need_packages()
{
	command -v dpkg-query >/dev/null ||
		die "this is no Debian; needed are the equivalents of: $*"
	missing=$(missing_packages "$@")
	[ -n "$missing" ] || return 0
	say "$me: missing packages: $missing"
	no_main_cluster
	say "$me: installing them with apt-get"
	as_root apt-get -qq update || die "apt-get update failed"
	# shellcheck disable=SC2086
	as_root env DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 \
		apt-get -qq -y --no-install-recommends install $missing \
		>"$work/log/apt.log" 2>&1 || {
		tail -n 20 "$work/log/apt.log" >&2
		die "apt-get could not install: $missing"
	}
}

# ---- the work directory and the user ----

# PostgreSQL refuses to run as root: then the package's user does it.
as_user()
{
	if [ "$(id -u)" -eq 0 ]; then
		runuser -u postgres -- "$@"
	else
		"$@"
	fi
}

give_to_user()
{
	[ "$(id -u)" -ne 0 ] || chown -R postgres: "$@"
}

# Sets work.  The paths of sockets below it must stay under 108 bytes, so a long
# TMPDIR is not used.
make_work()
{
	base=${TMPDIR:-/tmp}
	[ ${#base} -le 40 ] || base=/tmp
	work=$(mktemp -d "$base/billadj-$1.XXXXXX")
	chmod 755 "$work"
	mkdir "$work/log" "$work/tmp"
}

# remove_work STATUS: all of it, or all but the logs of a run that failed
remove_work()
{
	if [ "$1" -eq 0 ]; then
		rm -rf "${work:?}"
		return
	fi
	cp "$work/data/server.log" "$work/log/" 2>/dev/null || true
	find "${work:?}" -mindepth 1 -maxdepth 1 ! -name log -exec rm -rf {} +
	[ -n "${told:-}" ] || say "$me: the logs are kept in $work/log" >&2
}

# Nothing of the caller's surroundings may steer a server, psql or make.
clean_environment()
{
	for variable in $(env | sed -n 's/^\(PG[A-Z_]*\)=.*/\1/p'); do
		unset "$variable"
	done
	unset MAKEFLAGS MFLAGS MAKELEVEL CDPATH PERL5OPT PROVE_FLAGS PROVE_TESTS
	HOME=$work TMPDIR=$work/tmp LC_ALL=C.UTF-8 PSQL_HISTORY=/dev/null PG_MAJOR=$pg_major
	export HOME TMPDIR LC_ALL PSQL_HISTORY PG_MAJOR
	umask 022
}

# ---- a server of our own ----

# Sets bin.  The copy is 50 MB; links would let an install reach the originals.
make_server_copy()
{
	mkdir -p "$work/usr/lib/postgresql" "$work/usr/share/postgresql"
	cp -r --reflink=auto "$pg_home" "$work/usr/lib/postgresql/"
	cp -rL --reflink=auto "$pg_share" "$work/usr/share/postgresql/"
	ln -s /usr/include "$work/usr/include"
	multiarch=$(gcc -dumpmachine)
	ln -s "/usr/lib/$multiarch" "$work/usr/lib/$multiarch"
	bin=$work/usr/lib/postgresql/$pg_major/bin
	PATH=$bin:$PATH
	export PATH
}

# The checkout may belong to somebody else and is only read.
copy_source()
{
	mkdir "$work/src"
	tar -C "$top" --exclude=./.git --exclude='*.o' --exclude='*.so' --exclude='*.bc' \
		--exclude=./tmp_check --exclude=./results --exclude=./bench/out -cf - . |
		tar -C "$work/src" --no-same-owner -xf -
	give_to_user "$work"
}

# Public data sets lie beside the checkout, where the user of the tests may not
# be able to read.  Tests that want them say so and skip where they are absent.
copy_public_data()
{
	from=${BILLADJ_SHARED_DATA:-$top/../shared/data}
	BILLADJ_SHARED_DATA=$work/public_data
	export BILLADJ_SHARED_DATA
	if [ -d "$from" ]; then
		cp -rL "$from" "$BILLADJ_SHARED_DATA"
		chmod -R u+rwX "$BILLADJ_SHARED_DATA"
		give_to_user "$BILLADJ_SHARED_DATA"
	fi
}

# pg_make TARGET...: make in the copied source, for the copied server
pg_make()
{
	as_user make -C "$work/src" --no-print-directory with_llvm=no \
		PG_CONFIG="$bin/pg_config" "$@"
}

build_and_install()
{
	pg_make -s clean >/dev/null 2>&1 || true
	pg_make -s -j2 all && pg_make -s install
}

free_port()
{
	perl -MIO::Socket::INET -e \
		'print IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 1)->sockport'
}

# Sets PGHOST, PGPORT, PGUSER and password.  Local connections are trusted, but
# only the user who runs the server can reach the socket; others on this
# machine see the loopback port, which wants the password.
start_cluster()
{
	password=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
	mkdir -m 700 "$work/socket"
	(umask 077 && say "$password" >"$work/password")
	give_to_user "$work/socket" "$work/password"
	as_user "$bin/initdb" -D "$work/data" -U postgres --pwfile="$work/password" \
		--auth-local=trust --auth-host=scram-sha-256 -E UTF8 --locale=C.UTF-8 \
		--no-sync >"$work/log/initdb.log" || die "initdb failed, see $work/log/initdb.log"
	PGHOST=$work/socket PGUSER=postgres
	export PGHOST PGUSER
	cat >>"$work/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = '$work/socket'
fsync = off
max_prepared_transactions = 20
CONF
	# Another program may take a free port before we do.
	for attempt in 1 2 3; do
		PGPORT=$(free_port)
		export PGPORT
		say "port = $PGPORT" >>"$work/data/postgresql.conf"
		! try_start || return 0
		say "$me: attempt $attempt to start a server failed" >&2
	done
	tail -n 20 "$work/data/server.log" >&2
	die "could not start a server"
}

try_start()
{
	as_user "$bin/pg_ctl" -D "$work/data" -w -s -l "$work/data/server.log" start \
		>>"$work/log/initdb.log" 2>&1
}

stop_cluster()
{
	[ -f "$work/data/postmaster.pid" ] || return 0
	as_user "${bin:-$work/usr/lib/postgresql/$pg_major/bin}/pg_ctl" -D "$work/data" \
		-m immediate -w -s stop >/dev/null 2>&1 || true
}

# ---- stages: named pieces of a test run, timed and counted ----
#
# Stage x is the function stage_x.  Its output goes to $work/log/x.log, its
# result as one line "x seconds passed failed" to $work/log/results.

# These print "passed failed", from what the runner itself said; $1 is the log,
# $2 the exit status.  A runner that failed without naming a test counts as one
# failure, and so does one that ran nothing.
count_prove()
{
	awk -v status="$2" '
		/\(Wstat: / {
			wstat = $0; sub(/.*\(Wstat: /, "", wstat); sub(/ .*/, "", wstat)
			n = $0; sub(/.*Failed: /, "", n); sub(/\).*/, "", n)
			failed += n > 0 ? n : (wstat != 0)
		}
		/^Files=[0-9]+, Tests=[0-9]+/ { sub(/.*Tests=/, ""); tests += $0 + 0 }
		END {
			if ((status != 0 || tests == 0) && failed == 0)
				failed = 1
			print (tests > failed ? tests - failed : 0), failed + 0
		}' "$1"
}

count_regress()
{
	awk -v status="$2" '
		{ sub(/^[ #]+/, "") }	# "# " since 16
		/^All [0-9]+ tests passed/ { passed += $2 }
		/^[0-9]+ of [0-9]+ tests failed/ { failed += $1; passed += $3 - $1 }
		END {
			if ((status != 0 || passed == 0) && failed == 0)
				failed = 1
			print passed + 0, failed + 0
		}' "$1"
}

# count_pattern PATTERN LOG STATUS: a passed test is a line that matches
count_pattern()
{
	passed=$(grep -c "$1" "$2") || true
	if [ "$3" -eq 0 ] && [ "$passed" -gt 0 ]; then
		say "$passed 0"
	else
		say "$passed 1"
	fi
}

count_stage()
{
	case $1 in
		unit | pgtap | tap | race) count_prove "$2" "$3" ;;
		regress | isolation | valgrind | ubsan) count_regress "$2" "$3" ;;
		fuzz) count_pattern '^stat::number_of_executed_units' "$2" "$3" ;;
		*) count_pattern '^ok: ' "$2" "$3" ;;
	esac
}

# A fuzzer's progress is of interest only when it found something.
filter_stage()
{
	case $1 in
		fuzz) grep -vE '^(#|"|INFO:|	|stat::(new|slow|peak|average))' ;;
		*) cat ;;
	esac
}

heading() { printf '\n==== %s\n' "$*"; }

# note_result NAME SECONDS STATUS
note_result()
{
	counts=$(count_stage "$1" "$work/log/$1.log" "$3")
	say "$1 $2 $counts" >>"$work/log/results"
	[ "${counts#* }" -eq 0 ] || explain_failure "$1"
}

run_stage()
{
	heading "$1"
	begin=$(date +%s)
	{
		set +e
		(set -e; "stage_$1") 2>&1
		echo $? >"$work/log/$1.status"
	} | tee "$work/log/$1.log" | filter_stage "$1" || true
	note_result "$1" $(($(date +%s) - begin)) "$(cat "$work/log/$1.status")"
}

# The same behind the back of the stages that follow, shown by collect_stage.
start_stage()
{
	{
		set +e
		begin=$(date +%s)
		(set -e; "stage_$1") >"$work/log/$1.log" 2>&1
		echo "$? $(($(date +%s) - begin))" >"$work/log/$1.status"
	} &
	eval "pid_$1=$!"
	background="${background:-} $!"
}

collect_stage()
{
	eval "wait \"\$pid_$1\"" || true
	read -r status seconds <"$work/log/$1.status" || die "stage $1 was lost"
	heading "$1 (ran beside the others)"
	filter_stage "$1" <"$work/log/$1.log" || true
	note_result "$1" "$seconds" "$status"
}

# What a person needs to see at once, and what else to keep.
explain_failure()
{
	case $1 in
		regress | valgrind) found=$work/src/regression.diffs ;;
		isolation) found=$work/src/test/isolation/regression.diffs ;;
		tap) found=$work/src/tmp_check/log ;;
		fuzz) found=$(find "$work/src" -maxdepth 1 -name 'crash-*' | head -n 1) ;;
		*) found= ;;
	esac
	[ -n "$found" ] && [ -e "$found" ] || return 0
	cp -r "$found" "$work/log/$1-${found##*/}" || true
	case $found in
		*.diffs) heading "$1: ${found##*/}"; head -n 500 "$found" ;;
	esac
}

# Prints the table; the last line is "N passed, N failed".  False if any failed.
summary()
{
	heading "summary (seconds, passed, failed)"
	awk -v logs="$work/log" '
		{ printf "%-12s %5d %8d %8d%s\n", $1, $2, $3, $4, $4 ? "  FAILED" : ""
		  passed += $3; failed += $4 }
		END {
			if (failed)
				print "the logs are kept in " logs
			printf "%d passed, %d failed\n", passed, failed
			exit failed > 0
		}' "$work/log/results"
}

# ---- the whole of a run: test/run and test/long ----
#
# The caller sets all_stages (in their order), beside (those of them that need
# no server, run beside the others), packages, and stage_packages() for what only
# one stage needs.
stage_packages() { :; }

# Is there anything to run?
has_files()
{
	case $1 in
		tidy) set -- "$top/test/tidy.sh" ;;
		unit) set -- "$top"/test/unit/test_*.c ;;
		fuzz) set -- "$top"/test/fuzz/fuzz_*.c ;;
		regress | valgrind | ubsan) set -- "$top"/sql/*.sql ;;
		clang) set -- "$top"/src/*.c ;;
		lintian | install | purge | package) set -- "$top"/debian/control ;;
		pgtap) set -- "$top"/test/pgtap/*.sql ;;
		isolation) set -- "$top"/test/isolation/specs/*.spec ;;
		tap) set -- "$top"/test/t/*.pl ;;
		mutations) set -- "$top/test/mutations" ;;
		oracle) set -- "$top"/test/oracle/run_*.sql ;;
		quickstart) set -- "$top/quickstart" ;;
		race) set -- "$(race_files | head -n 1)" ;;
	esac
	[ -e "$1" ]
}

in_list() { case " $2 " in *" $1 "*) return 0 ;; esac; return 1; }

# Sets stages.
choose_stages()
{
	stages=
	for stage in "$@"; do
		in_list "$stage" "$all_stages" || die "no such stage: $stage (there are: $all_stages)"
		if has_files "$stage"; then
			stages="$stages $stage"
		else
			say "$me: nothing to run for stage $stage, skipped"
		fi
	done
}

kill_tree()
{
	# shellcheck disable=SC2013
	for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do kill_tree "$child"; done
	kill "$1" 2>/dev/null || true
}

finish()
{
	status=$?
	trap - EXIT HUP INT TERM
	for pid in ${background:-}; do kill_tree "$pid"; done
	stop_cluster
	remove_work "$status"
	exit "$status"
}

# Whatever happens, the cluster is stopped and the work directory removed.
begin_work()
{
	exec </dev/null
	make_work "$1"
	trap finish EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	clean_environment
}

run_stages()
{
	for stage in $stages; do
		if in_list "$stage" "$beside"; then start_stage "$stage"; fi
	done
	for stage in $stages; do
		if ! in_list "$stage" "$beside"; then run_stage "$stage"; fi
	done
	for stage in $stages; do
		if in_list "$stage" "$beside"; then collect_stage "$stage"; fi
	done
	background=
}

stage_build() { build_and_install && say "ok: built with -Werror"; }

# main [STAGE...]: all of them unless some are named
main()
{
	# shellcheck disable=SC2086
	[ $# -gt 0 ] || set -- $all_stages
	choose_stages "$@"
	begin_work test
	for stage in $stages; do
		packages="$packages $(stage_packages "$stage")"
	done
	# shellcheck disable=SC2086
	need_packages $packages
	make_server_copy
	copy_source
	copy_public_data
	cd "$work/src"
	run_stage build
	if [ "$(cat "$work/log/build.status")" -eq 0 ]; then
		start_cluster
		run_stages
	fi
	told=yes
	summary
}

# ---- stages that need a database prepared ----

# pgTAP tests run in transactions of their own and leave nothing behind.
pgtap_database()
{
	fresh_database contrib_regression 'CREATE EXTENSION pgtap; CREATE EXTENSION btree_gist'
}

fresh_database()
{
	as_user "$bin/dropdb" --if-exists "$1" 2>/dev/null
	as_user "$bin/createdb" "$1" && as_user "$bin/psql" -X -q -d "$1" -v ON_ERROR_STOP=1 -c "$2"
}

# run_oracle CASES SEED: every oracle over that many random cases
run_oracle()
{
	fresh_database billadj_oracle 'CREATE EXTENSION billadj' || return 1
	for file in test/oracle/run_*.sql; do
		as_user "$bin/psql" -X -q -d billadj_oracle -v ON_ERROR_STOP=1 \
			-v cases="$1" -v seed="$2" -f "$file" || return 1
		say "ok: $file, $1 cases, seed $2"
	done
}

# Random sessions against one another: the drivers that do more when LONG is set.
race_files()
{
	ls "$top"/test/long.d/*.pl 2>/dev/null || true
	grep -ls 'ENV{LONG}' "$top"/test/t/*.pl || true
}

# ---- the server under valgrind ----

# restart_under_valgrind OPTION...: its reports go to $work/data/vg.*.log
restart_under_valgrind()
{
	as_user "$bin/pg_ctl" -D "$work/data" -m fast -w -s stop
	as_user valgrind --quiet --leak-check=no --trace-children=yes \
		--error-markers=VALGRIND-BEGIN,VALGRIND-END --log-file="$work/data/vg.%p.log" "$@" \
		"$bin/postgres" -D "$work/data" >"$work/data/server.log" 2>&1 &
	for _ in $(seq 900); do
		if "$bin/pg_isready" -q; then return; fi
		sleep 0.2
	done
	say "the server under valgrind does not answer:"
	tail -n 5 "$work/data/server.log" "$work"/data/vg.*.log
	return 1
}

# Prints the reports that name a function of ours and fails if there are any.
valgrind_reports()
{
	as_user "$bin/pg_ctl" -D "$work/data" -m fast -w -s stop
	awk '/VALGRIND-BEGIN/ { text = ""; inside = 1 }
		 inside { text = text $0 "\n" }
		 /VALGRIND-END/ { inside = 0; if (text ~ /: (bj_|billadj_)|billadj\.so|\(src\//) { printf "%s", text; n++ } }
		 END { exit n > 0 }' "$work"/data/vg.*.log
}
