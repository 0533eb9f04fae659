# BilladjTest.pm: servers with billadj and an attached host table
#
# The host table, its prices and the oracle are those of the isolation specs:
# their fixture is read from test/isolation/specs/fixture.spec, so that there is
# one definition of what is right.
package BilladjTest;

use strict;
use warnings;

use Exporter 'import';
use File::Basename;
use File::Path ();
use File::Spec;
use File::Temp;
use POSIX ();

our @EXPORT = qw(new_server wait_until_back install_fixture wrong_rows is_right sorted_rows sql_ok);

# initdb refuses to run as root.  These tests then run as the user postgres, in
# a directory that may be written by it, and that is kept if a test fails.
my $own_directory;

BEGIN
{
	if ($> == 0 && (my ($uid, $gid, $home) = (getpwnam('postgres'))[ 2, 3, 7 ]))
	{
		$own_directory = $ENV{TESTDIR} = File::Temp::tempdir('billadj_tap_XXXXXX', TMPDIR => 1);
		chown $uid, $gid, $own_directory;
		$ENV{HOME} = $home;
		$) = "$gid $gid";
		POSIX::setgid($gid);
		POSIX::setuid($uid);
	}
}

# Declared before that of Cluster, hence run after it has stopped its servers.
END
{
	if (defined $own_directory)
	{
		my $status = $?;
		$status == 0 ? File::Path::remove_tree($own_directory)
			: diag("logs are kept in $own_directory");
		$? = $status;
	}
}

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $fixture = File::Spec->catfile(dirname(__FILE__),
	'..', 'isolation', 'specs', 'fixture.spec');

# Until a server that was killed takes sessions again.  Not by queries: a psql
# that is turned away ends before it has read one, and the pipe breaks.
sub wait_until_back
{
	my ($node) = @_;
	for (my $try = 0; $try < 1800; $try++)
	{
		return if system('pg_isready', '-q', '-h', $node->host, '-p', $node->port) == 0;
		select(undef, undef, undef, 0.1);
	}
	die 'the server did not come back';
}

# A started server; the rest are lines of its configuration.
sub new_server
{
	my ($name, @lines) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(extra => [ '--locale=C', '--encoding=UTF8' ]);
	$node->append_conf('postgresql.conf', join("\n", @lines,
		'max_prepared_transactions = 20', 'autovacuum_naptime = 1', ''));
	$node->start;
	return $node;
}

# The setup blocks of the specs' fixture, then a host table made by it.
sub install_fixture
{
	my ($node, $database) = @_;
	my $spec = slurp_file($fixture);
	my @blocks = $spec =~ /^setup\n\{\n(.*?)^\}\n/msg;

	die "no setup in $fixture" unless @blocks;
	$node->safe_psql($database // 'postgres',
		join("\n", @blocks, 'SELECT fixture.reset();'));
	return;
}

sub wrong_rows
{
	my ($node, $database, $since) = @_;

	return $node->safe_psql($database // 'postgres',
		"SELECT * FROM fixture.wrong('" . ($since // '-infinity') . "') LIMIT 20");
}

# The oracle: charges = totals = fresh rating of the host's rows.
sub is_right
{
	my ($node, $what, $database, $since) = @_;

	return is(wrong_rows($node, $database, $since), '',
		"$what: charges = totals = fresh rating");
}

# Every table outside the server's schemas with its rows in one order, and the
# sequences: what must be equal after a restore.
sub sorted_rows
{
	my ($node, $database) = @_;
	my %rows;
	my @relations = split /\n/, $node->safe_psql($database, q{
		SELECT c.relkind, c.oid::regclass FROM pg_class c
		  JOIN pg_namespace n ON n.oid = c.relnamespace
		 WHERE c.relkind IN ('r', 'S') AND n.nspname !~ '^pg_|^information_schema$'});

	foreach (@relations)
	{
		my ($kind, $name) = split /\|/, $_, 2;

		$rows{$name} = $node->safe_psql($database, $kind eq 'S'
			? "SELECT last_value, is_called FROM $name"
			: "SELECT t::text FROM $name t ORDER BY t::text COLLATE \"C\"");
	}
	return \%rows;
}

# Runs SQL; passes if there is neither an error nor a warning.
sub sql_ok
{
	my ($node, $sql, $what, $database) = @_;
	my ($rc, $stdout, $stderr) =
		$node->psql($database // 'postgres', $sql, on_error_stop => 1);

	ok($rc == 0 && $stderr eq '', $what) or diag("exit status $rc: $stderr");
	return $stdout;
}

1;
