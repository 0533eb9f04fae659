# Every SQL example of README.md and doc/ runs, in its order, in a database made
# for its page, and says what the page says.
#
#   ```sql            runs without ERROR and without WARNING
#   ```sql error      must fail
#   ```sql alert x    the alert x, see 008_monitor.pl; in this database it may
#                     fire or not
#   ```text           right behind a block of SQL: what psql prints for it
#   <!-- test … -->   SQL that a reader does not see: what the examples need
#
# doc/errors.md has a test of its own.  DOC_FILL=1 prints a page's real output
# where it differs.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use BilladjTest;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('documentation', "timezone = 'UTC'", 'wal_level = logical');
my @pages = grep { !m{/errors\.md$} } 'README.md', sort glob('doc/*.md');
my $all = 0;

# The blocks of a page: what to run, with its marks and what the page says of it.
sub blocks_of
{
	my ($page) = @_;
	my @blocks;

	while ($page =~ /^(?:```sql([ \w]*)\n(.*?)^```\n(?:```text\n(.*?)^```\n)?|<!-- test\n(.*?)^-->\n)/msg)
	{
		push @blocks, defined $4 ? { hidden => 1, sql => $4, marks => '' }
			: { sql => $2, marks => $1, said => $3 };
		$blocks[-1]{line} = 1 + (substr($page, 0, $-[0]) =~ tr/\n//);
	}
	return @blocks;
}

# All blocks in one session, so that settings last; what is printed is cut at
# the marks between them.
sub play
{
	my ($database, @blocks) = @_;
	my $in = join '', map { "$blocks[$_]{sql}\n\\echo ~~~~ $_\n" } 0 .. $#blocks;
	my $out = '';

	IPC::Run::run([ 'psql', '-X', '-q', '-v', 'VERBOSITY=default', '-v', 'SHOW_CONTEXT=never', '-P', 'footer=off', '-P', 'pager=off',
			'-P', 'null=(null)', '-d', $node->connstr($database) ],
		'<', \$in, '>', \$out, '2>&1');
	foreach my $i (0 .. $#blocks)
	{
		$out =~ s/\A(.*?)^~~~~ $i\n//ms or return;
		$blocks[$i]{printed} = $1 =~ s/\n+\z/\n/r;
	}
	return 1;
}

foreach my $file (@pages)
{
	my @blocks = blocks_of(slurp_file($file));
	my $database = $file =~ s/\W+/_/gr;

	next unless grep { !$_->{hidden} } @blocks;
	$node->safe_psql('postgres', qq{CREATE DATABASE "$database"});
	ok(play($database, @blocks), "$file: the session lives to its end");
	foreach my $block (@blocks)
	{
		my $name = "$file, line $block->{line}";

		$all++ unless $block->{hidden};
		if ($block->{marks} =~ /\berror\b/)
		{
			like($block->{printed}, qr/ERROR:/, "$name fails, as it says");
		}
		else
		{
			unlike($block->{printed}, qr/(?:ERROR|WARNING|FATAL):|invalid command/, "$name runs");
		}
		is($block->{printed}, $block->{said}, "$name says what the page says") if defined $block->{said};
		note("$name printed:\n$block->{printed}") if $ENV{DOC_FILL};
	}
}
cmp_ok($all, '>', 10, 'there are examples');
$node->stop;
done_testing();
