# doc/errors.md lists every code of src/errors.h, and each example on it says
# what the server says.  ERRORS_FILL=path writes the page with the real output.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $page = slurp_file('doc/errors.md');
my $header = slurp_file('src/errors.h');

my @codes;
push @codes, "$1$2$3$4$5" while $header =~ /MAKE_SQLSTATE\('(.)','(.)','(.)','(.)','(.)'\)/g;
my @headings = $page =~ /^## (UB\d\d\d) /mg;
is_deeply(\@headings, \@codes, 'the page has a heading for each code, in order');

my $node = PostgreSQL::Test::Cluster->new('errors');
$node->init(extra => [ '--locale=C.UTF-8', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', "timezone = 'UTC'");
$node->start;

# What psql prints for a piece of SQL, results and errors in their order, and
# the code of the last error.
sub play
{
	my ($sql) = @_;
	my $out = '';
	my $in = "\\set first postgres\n\\set SHOW_CONTEXT never\n$sql\\echo :LAST_ERROR_SQLSTATE\n";
	IPC::Run::run [ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-t', '-x' ],
	  '<', \$in, '>', \$out, '2>&1';
	$out =~ s/(\w{5})\n\z// or die "no state: $out";
	my $state = $1;
	$out =~ s/ +$//mg;
	$out =~ s/\n+\z/\n/;
	return ($out, $state);
}

$page =~ /^```sql setup\n(.*?)^```/ms or die 'no setup';
is((play($1))[0], '', 'the setup runs');

my %shown;
my $code = '';
my $filled = '';
while ($page =~ /\G(.*?)(^## (UB\d\d\d) [^\n]*\n|^```sql\n(.*?)^```\n```text\n(.*?)^```\n|\z)/gms)
{
	my ($between, $piece, $heading, $sql, $said) = ($1, $2, $3, $4, $5);
	$filled .= $between;
	if (defined $sql)
	{
		my ($real, $state) = play($sql);
		is($said, $real, "the example of $code");
		$shown{$code} = 1 if $state eq $code || $real =~ /$code/;
		$filled .= "```sql\n$sql```\n```text\n$real```\n";
	}
	else
	{
		$code = $heading if defined $heading;
		$filled .= $piece;
	}
	last if pos($page) == length $page;
}
ok($shown{$_}, "an example shows $_") for @codes;

if ($ENV{ERRORS_FILL})
{
	open my $fh, '>', $ENV{ERRORS_FILL} or die "$ENV{ERRORS_FILL}: $!";
	print $fh $filled;
	close $fh;
}
$node->stop;
done_testing();
