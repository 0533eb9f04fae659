# A cluster with billadj goes through pg_upgrade: charges, totals and triggers
# come over, and rating goes on where it stood.
#
# Needs the programs of a newer major version with billadj installed there too:
# PG_UPGRADE_BINDIR names them, /usr/lib/postgresql/17/bin is looked at.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use BilladjTest;

use PostgreSQL::Test::Utils;
use Test::More;

my $bin = $ENV{PG_UPGRADE_BINDIR} // '/usr/lib/postgresql/17/bin';

plan skip_all => "no pg_upgrade in $bin (PG_UPGRADE_BINDIR names the programs of a newer PostgreSQL)"
	unless -x "$bin/pg_upgrade" && -x "$bin/postgres";
my ($share) = run_command([ "$bin/pg_config", '--sharedir' ]);
my ($libraries) = run_command([ "$bin/pg_config", '--pkglibdir' ]);
plan skip_all => "billadj is not installed for $bin (make PG_CONFIG=$bin/pg_config install)"
	unless -r "$libraries/billadj.so" && -r "$share/extension/billadj.control";
my ($old_version) = (run_command([ 'postgres', '--version' ]))[0] =~ /(\d+)/;
my ($new_version) = (run_command([ "$bin/postgres", '--version' ]))[0] =~ /(\d+)/;
plan skip_all => "PostgreSQL $new_version in $bin is not newer than $old_version"
	unless $new_version > $old_version;

my $old = new_server('old', "timezone = 'UTC'");
install_fixture($old);
$old->safe_psql('postgres', q{
	CREATE TABLE split (id integer, at timestamptz, customer text, meter text, quantity numeric, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
	CREATE TABLE split_1 PARTITION OF split FOR VALUES FROM ('2026-05-01') TO ('2026-06-01');
	DO $$ BEGIN
		PERFORM billadj.attach('split', 'customer', 'at', 'meter', 'quantity');
		PERFORM billadj.watch_partitions();
	END $$;
	INSERT INTO usage_log SELECT n, 'k' || n % 7, (ARRAY['calls', 'store', 'bytes', 'unpriced'])[1 + n % 4], n % 40 FROM generate_series(1, 500) AS n;
	DELETE FROM usage_log WHERE id % 50 = 7;
	DO $$ BEGIN PERFORM billadj.maintain(); END $$;
});
is_right($old, 'before');
my $before = sorted_rows($old, 'postgres');
my $port = $old->port;
my $data = $old->data_dir;
$old->stop;

# The new cluster by hand: the test module knows the programs of PATH only.
my $new_data = $old->basedir . '/new';
my $socket = $old->host;
my $log = $old->basedir . '/new.log';

sub program
{
	my ($what, @command) = @_;

	return command_ok([ @command ], $what);
}

program('initdb', "$bin/initdb", '-D', $new_data, '-A', 'trust', '-N', '--locale=C', '--encoding=UTF8',
	$new_version >= 18 ? '--no-data-checksums' : ());
{
	my ($own) = run_command([ 'pg_config', '--bindir' ]);

	chdir $old->basedir;
	program('pg_upgrade', "$bin/pg_upgrade", '-b', $own, '-B', $bin, '-d', $data, '-D', $new_data,
		'-p', $port, '-P', $port, '-s', $socket);
}
program('the new server starts', "$bin/pg_ctl", '-D', $new_data, '-w', '-l', $log,
	'-o', "-p $port -k '$socket' -c listen_addresses='' -c timezone=UTC", 'start');
END
{
	my $status = $?;

	system_log("$bin/pg_ctl", '-D', $new_data, '-m', 'immediate', 'stop') if defined $new_data && -e "$new_data/postmaster.pid";
	$? = $status;
}

# psql of the old version reaches the new server at the same address
is($old->safe_psql('postgres', 'SHOW server_version_num') =~ /^$new_version/, 1, "this is PostgreSQL $new_version");
is_deeply(sorted_rows($old, 'postgres'), $before, 'all tables and sequences are equal');
is_right($old, 'after');
is($old->safe_psql('postgres', q{SELECT action, object, sql FROM billadj.install()}), '', 'install() finds nothing to do');
sql_ok($old, q{
	INSERT INTO usage_log SELECT n, 'k' || n % 7, (ARRAY['calls', 'store', 'bytes'])[1 + n % 3], n % 40 FROM generate_series(1001, 1200) AS n;
	UPDATE usage_log SET quantity = quantity + 1 WHERE id % 13 = 0;
	DELETE FROM usage_log WHERE id % 17 = 0;
}, 'usage goes on');
is_right($old, 'with more usage');
sql_ok($old, q{
	CREATE TABLE split_2 PARTITION OF split FOR VALUES FROM ('2026-06-01') TO ('2026-07-01');
	INSERT INTO split_2 VALUES (1, '2026-06-02', 'split', 'calls', 3);}, 'a new partition');
is($old->safe_psql('postgres', q{SELECT count(*) FROM billadj.charge WHERE account = 'split'}), '1', 'the event trigger came over');
is($old->safe_psql('postgres', q{SELECT * FROM billadj.rating_gap('usage_log')}), '', 'no gap');
done_testing();
