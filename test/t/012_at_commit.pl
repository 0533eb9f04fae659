# Another extension writes usage in its own pre-commit callback, which runs
# before or after that of billadj.  pg_regress cannot build a second library.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use BilladjTest;

use PostgreSQL::Test::Utils;
use Test::More;

my $include = `pg_config --includedir-server`;
chomp $include;
my $library = PostgreSQL::Test::Utils::tempdir() . '/at_commit.so';
system('cc', '-shared', '-fPIC', '-O1', "-I$include", '-o', $library, "$FindBin::RealBin/at_commit.c") == 0
  or BAIL_OUT('cannot build the second library');

my $node = new_server('at_commit', "timezone = 'UTC'");
install_fixture($node);

# A transaction of both: keys that it touches itself, keys that it does not, and
# a price that keeps no total.
sub transaction
{
	my ($id, $account) = @_;
	my ($second, $third, $fourth) = map { $id + $_ } 1 .. 3;

	return qq{BEGIN;
		INSERT INTO usage_log VALUES ($id, '$account', 'calls', 60, '2026-05-03');
		SET LOCAL at_commit.statement = \$\$INSERT INTO usage_log VALUES
			($second, '$account', 'calls', 70, '2026-05-04'), ($third, 'k9', 'store', 5, '2026-05-04'),
			($fourth, '$account', 'bytes', 9, '2026-05-04')\$\$;
		COMMIT;};
}

my $id = 1000;
for my $order (
	[ 'after billadj has settled', "LOAD '$library'; LOAD 'billadj';" ],
	[ 'before billadj settles', "LOAD 'billadj'; LOAD '$library';" ])
{
	my ($when, $load) = @$order;

	sql_ok($node, join("\n", $load, map { transaction($id += 10, "k$_") } 1, 2, 1), "usage written $when");
	is_right($node, "written $when");
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM usage_log WHERE id >= 1000'), '24', 'all rows are there');

sql_ok($node, "LOAD '$library'; LOAD 'billadj';
	BEGIN; SET LOCAL at_commit.statement = \$\$INSERT INTO usage_log VALUES (2000, 'k1', 'calls', 500, '2026-05-05')\$\$; COMMIT;",
	'a transaction whose only usage is written at commit');
is_right($node, 'written at commit only');

$node->stop;
done_testing();
