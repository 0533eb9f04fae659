# Updates of running totals stay on their page: no index entry is ever added
# for them, however many sessions write one total, or many in one transaction.
# The exception is a transaction that stays open while others update one page
# for longer than it has room: then nothing of it may be pruned.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use BilladjTest;

use PostgreSQL::Test::Utils;
use Test::More;

# An ANALYZE is such a transaction, hence no autovacuum.
my $node = new_server('heap_only', 'autovacuum = off', 'fsync = off', 'synchronous_commit = off');
install_fixture($node);
$node->safe_psql('postgres', q{SELECT count(*) FROM billadj.remap('usage_log', detect => false)});

my $count = 0;

# pgbench: (updates, those of them that were heap-only)
sub updates
{
	my ($others, $clients, $until, $text) = @_;
	my $file = $node->basedir . '/load' . $count++ . '.sql';

	append_to_file($file, $text);
	$node->safe_psql('postgres', q{SELECT pg_stat_reset_single_table_counters('billadj.tier_total'::regclass)});
	$node->command_ok([ 'pgbench', '-n', '-c', $clients, @$until, '-f', $file, $node->connstr('postgres') ],
		"$clients sessions write usage");
	# a session tells its counts when it ends, at the latest
	$node->poll_query_until('postgres', qq{SELECT count(*) = 1 + $others FROM pg_stat_activity WHERE backend_type = 'client backend'});
	return split /\|/, $node->safe_psql('postgres',
		q{SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = 'billadj.tier_total'::regclass});
}

sub all_heap_only
{
	my ($what, $clients, $seconds, $text) = @_;
	my ($updated, $heap_only) = updates(0, $clients, [ '-T', $seconds ], $text);

	cmp_ok($updated, '>', 500, "$what: $updated updates");
	is($heap_only, $updated, "$what: all of them heap-only");
	return;
}

$node->safe_psql('postgres', q{
CREATE SEQUENCE numbers CACHE 1000;
INSERT INTO usage_log SELECT nextval('numbers'), 'k' || k, m, 1 FROM generate_series(1, 500) AS k, unnest('{calls,store,packs}'::text[]) AS m;
});
my $one = q{INSERT INTO usage_log VALUES (nextval('numbers'), 'k1', 'calls', 1);
};

all_heap_only('one total, one session', 1, 3, $one);
all_heap_only('one total, eight sessions', 8, 6, $one);
all_heap_only('transactions of 1,000 rows', 2, 5,
	q{INSERT INTO usage_log SELECT nextval('numbers'), 'k' || 1 + n * 7 % 500, (ARRAY['calls', 'store', 'packs'])[1 + n % 3], 1 FROM generate_series(1, 1000) AS n;
});
all_heap_only('transactions of 20 rows', 4, 5,
	q{\set a random(1, 500)
BEGIN;
INSERT INTO usage_log SELECT nextval('numbers'), 'k' || 1 + (:a + n) % 500, m, 1 FROM generate_series(1, 5) AS n, unnest('{calls,store}'::text[]) AS m;
INSERT INTO usage_log SELECT nextval('numbers'), 'k' || 1 + (:a * n) % 500, m, 1 FROM generate_series(1, 5) AS n, unnest('{calls,store}'::text[]) AS m;
COMMIT;
});

# the exception: a row moves on when its page is full, so once in 60 or so
my $old = $node->background_psql('postgres');
$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
$old->query_safe('SELECT count(*) FROM usage_log');
my ($updated, $heap_only) = updates(1, 4, [ '-t', 1000 ], $one);
cmp_ok($updated - $heap_only, '>', 0, 'beside an old snapshot not all updates can be heap-only');
cmp_ok($updated - $heap_only, '<', $updated / 40, 'but nearly all are: ' . ($updated - $heap_only) . " of $updated are not");
$old->query_safe('COMMIT');
$old->quit;

all_heap_only('after it has ended', 4, 3, $one);

# With anomaly detection an open hour stands beside a total, which is four times
# as wide for it.  Then there is not room for what eight sessions hold up at a
# time, and crowded pages are left once; but that is seldom.
$node->safe_psql('postgres', q{
SELECT count(*) FROM billadj.remap('usage_log', detect => true);
INSERT INTO usage_log SELECT nextval('numbers'), 'k' || k, m, 1 FROM generate_series(1, 500) AS k, unnest('{calls,store,packs}'::text[]) AS m, generate_series(1, 100);
INSERT INTO usage_log SELECT nextval('numbers'), 'k' || k, m, 1 FROM generate_series(1, 500) AS k, unnest('{calls,store,packs}'::text[]) AS m;
});
is($node->safe_psql('postgres', q{SELECT count(*) > 400 FROM billadj.tier_total WHERE bucket <> ''}), 't', 'hours are open beside totals');
($updated, $heap_only) = updates(0, 8, [ '-T', 5 ], $one);
cmp_ok($updated - $heap_only, '<', $updated / 20, 'one wide total, eight sessions: ' . ($updated - $heap_only) . " of $updated are not heap-only");
($updated, $heap_only) = updates(0, 2, [ '-T', 5 ], $one =~ s/'k1'/'k' || :client_id + 2/r);
is($heap_only, $updated, 'sessions on wide totals of their own: all of them heap-only');
is_right($node, 'at the end');

$node->stop;
done_testing();
