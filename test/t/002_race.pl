# Random transactions of eight sessions over few accounts: several statements
# each, COPY beside single rows, changes and deletions, savepoints, all isolation
# levels, prepared transactions.  Afterwards every key's charges = its total =
# the fresh rating of the host's rows, and nobody has met an error: sessions
# change only rows of their own, and those at SERIALIZABLE only insert, so the
# plain host table would give them none.
#
# LONG=1, or RACE_TRANSACTIONS=n, for more; RACE_SEED repeats a run.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use BilladjTest;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $sessions = 8;
my $transactions = $ENV{RACE_TRANSACTIONS} // ($ENV{LONG} ? 10_000 : 1_000);
my $seed = $ENV{RACE_SEED} // 20260501;

note("RACE_SEED=$seed RACE_TRANSACTIONS=$transactions");

my $node = new_server('race', 'max_connections = 40', 'deadlock_timeout = 100ms',
	'log_lock_waits = off');
install_fixture($node);

# The price of packs has a step every ten units: whoever met another transaction
# there has to book a difference.
my @meters = qw(calls store packs packs packs bytes);
my @months = ('2026-04-30 23:59:59', '2026-05-01', '2026-05-15 12:00', '2026-06-02');

# Each session has numbers of its own.
sub usage_row
{
	my ($s) = @_;
	my $quantity = (0, 1, 2, 3, 7.5, 12, 40, 0.001)[ int rand 8 ];

	return [ $s->{next}++, 'k' . int(rand 6), $meters[ rand @meters ],
		$quantity, $months[ rand @months ] . '+00' ];
}

sub values_list
{
	my (@rows) = @_;

	return join ', ', map { "($_->[0], '$_->[1]', '$_->[2]', $_->[3], '$_->[4]')" } @rows;
}

sub an_insert
{
	my ($s) = @_;

	return 'INSERT INTO usage_log VALUES '
		. values_list(map { usage_row($s) } 1 .. 1 + int rand 4) . ';';
}

sub a_copy
{
	my ($s) = @_;

	return join "\n", 'COPY usage_log FROM STDIN;',
		(map { join "\t", @{ usage_row($s) } } 1 .. 1 + int rand 20), '\.';
}

# Some row of this session, which may be gone.
sub own_row
{
	my ($s) = @_;
	my $n = $s->{next} - $s->{first};

	return $s->{first} + ($n > 0 ? int rand $n : 0);
}

sub a_change
{
	my ($s) = @_;
	my $id = own_row($s);
	my @changes = (
		'quantity = quantity + ' . int(rand 30),
		"customer = 'k" . int(rand 6) . "'",
		"meter = '" . $meters[ rand @meters ] . "', quantity = 5",
		"at = at + interval '20 days'");

	return "UPDATE usage_log SET $changes[ rand @changes ] WHERE id BETWEEN $id AND $id + 2 AND id < $s->{first} + 1000000;";
}

sub a_deletion
{
	my ($s) = @_;

	return 'DELETE FROM usage_log WHERE id = ' . own_row($s) . ';';
}

sub a_block
{
	my ($s) = @_;
	my ($kept, $lost, $mended) = map { an_insert($s) } 1 .. 3;

	return "DO \$\$ BEGIN $kept BEGIN $lost PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN $mended END; END \$\$;";
}

sub a_statement
{
	my ($s, $changes) = @_;
	my $dice = rand;

	return $dice < 0.2 ? a_copy($s)
		: $dice < 0.3 ? a_block($s)
		: $changes && $dice < 0.45 ? a_change($s)
		: $changes && $dice < 0.55 ? a_deletion($s)
		: an_insert($s);
}

# A statement, alone or under up to three savepoints.
sub a_step
{
	my ($s, $changes, $depth) = @_;

	return a_statement($s, $changes) if $depth >= 3 || rand() < 0.75;
	return join "\n", "SAVEPOINT s$depth;",
		(map { a_step($s, $changes, $depth + 1) } 1 .. 1 + int rand 2),
		(rand() < 0.5 ? "ROLLBACK TO s$depth;" : "RELEASE s$depth;"),
		(rand() < 0.3 ? (a_statement($s, $changes)) : ());
}

sub a_transaction
{
	my ($s, $number) = @_;
	my $level = ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE')[ int rand 3 ];
	my $dice = rand;
	my $gid = "race $s->{number} $number";

	return a_statement($s, 1) if rand() < 0.2;
	return join "\n", "BEGIN ISOLATION LEVEL $level;",
		(map { a_step($s, $level ne 'SERIALIZABLE', 0) } 1 .. 1 + int rand 5),
		$dice < 0.8 ? 'COMMIT;'
		: $dice < 0.9 ? 'ROLLBACK;'
		: ("PREPARE TRANSACTION '$gid';", 'SELECT FROM pg_sleep(0.002);',
		$dice < 0.96 ? "COMMIT PREPARED '$gid';" : "ROLLBACK PREPARED '$gid';");
}

# ---- the race ----

# What all sessions said; nothing, if all went well.
sub race
{
	my ($count, @states) = @_;
	my @runs;

	foreach my $s (@states)
	{
		my $run = { out => '', err => '' };
		my $script = $node->basedir . "/race$s->{number}.sql";

		# a file, since a pipe would be fed to one session after the other
		open my $file, '>', $script or die "$script: $!";
		print {$file} map { a_transaction($s, $_) . "\n" } 1 .. $count / @states;
		close $file or die "$script: $!";
		$run->{handle} = IPC::Run::start(
			[ 'psql', '-XqAt', '-d', $node->connstr('postgres'), '-f', $script ],
			'<', \undef, '>', \$run->{out}, '2>', \$run->{err});
		push @runs, $run;
	}
	IPC::Run::finish($_->{handle}) foreach @runs;
	return join '', map { $_->{err} } @runs;
}

srand($seed);
my @states = map { { number => $_, first => $_ * 10_000_000, next => $_ * 10_000_000 } } 1 .. $sessions;
for (my $done = 0; $done < $transactions; $done += 1000)
{
	my $count = $transactions - $done < 1000 ? $transactions - $done : 1000;

	is(race($count, @states), '',
		"$count transactions of $sessions sessions: no error, no deadlock, no 40001, no warning");
	is_right($node, 'after the race');

	# From the second round on closed months are partitions with indexes.
	$node->safe_psql('postgres', 'SELECT count(*) FROM billadj.maintain()');
}
note($node->safe_psql('postgres', q{SELECT string_agg(format('%s %s', n, cause), ', ' ORDER BY cause)
	FROM (SELECT count(*) AS n, cause FROM billadj.charge GROUP BY cause) c}) . ' charges');
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM billadj.charge WHERE cause = 'position'}),
	'>', 0, 'the sessions did meet: there are position rows');

# ---- a session that is idle in its transaction blocks nobody ----

my $idle = $node->background_psql('postgres');
$idle->query_safe(q{BEGIN; INSERT INTO usage_log SELECT 1000 + n, 'k' || n, 'calls', 50, '2026-05-15' FROM generate_series(0, 9) AS n});
sql_ok($node, q{SET lock_timeout = '5s';
	INSERT INTO usage_log SELECT 2000 + n, 'k' || 9 - n, 'calls', 50, '2026-05-15' FROM generate_series(0, 9) AS n;
	UPDATE usage_log SET quantity = 60 WHERE id = 2000;
	DELETE FROM usage_log WHERE id = 2001;}, 'others commit beside an idle transaction');
$idle->query_safe('COMMIT');
$idle->quit;
is_right($node, 'after an idle transaction');

# ---- many single rows in one transaction ----

# What a statement costs must not grow with those before it: each key is read
# once, and its total is written at the end.
my $costs = $node->safe_psql('postgres', q{
	BEGIN;
	DO $$ BEGIN
	    FOR i IN 1 .. 20000 LOOP
	        INSERT INTO usage_log VALUES (100000 + i, 'single', 'calls', 1, '2026-05-15');
	    END LOOP;
	END $$;
	SELECT format('%s reads, %s writes', s.idx_scan, s.n_tup_ins + s.n_tup_upd)
	  FROM pg_stat_xact_user_tables s WHERE s.relid = 'billadj.tier_total'::regclass;
	COMMIT;});
is($costs, '1 reads, 0 writes', '20,000 single rows: the total was read once and not written before the commit');
my $ratio = $node->safe_psql('postgres', q{
	CREATE TEMP TABLE took (batch int, ms numeric);
	DO $$ DECLARE began timestamptz; BEGIN
	    FOR batch IN 0 .. 19 LOOP
	        began := clock_timestamp();
	        FOR i IN 1 .. 1000 LOOP
	            INSERT INTO usage_log VALUES (200000 + batch * 1000 + i, 'timed', 'calls', 1, '2026-05-15');
	        END LOOP;
	        INSERT INTO took VALUES (batch, extract(epoch FROM clock_timestamp() - began) * 1000);
	    END LOOP;
	END $$;
	SELECT round(min(ms) FILTER (WHERE batch > 14) / min(ms) FILTER (WHERE batch < 5), 2) FROM took;});
cmp_ok($ratio, '<', 3, "the last thousand of them cost as the first ($ratio times)");
sql_ok($node, q{DO $$ BEGIN
	FOR i IN 1 .. 10000 LOOP
	    BEGIN
	        INSERT INTO usage_log VALUES (300000 + i, 'block', 'calls', 1, '2026-05-15');
	        IF i % 2 = 0 THEN RAISE division_by_zero; END IF;
	    EXCEPTION WHEN division_by_zero THEN NULL;
	    END;
	END LOOP;
END $$;}, '10,000 exception blocks, half of them undone');
is_right($node, 'after many statements');

$node->stop;
done_testing();
