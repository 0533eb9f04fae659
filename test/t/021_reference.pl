# doc/billadj.md names every function and table of an installation, and the
# pages name no function that is not there.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('reference');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION btree_gist; CREATE EXTENSION billadj; SELECT FROM billadj.install()');
my @functions = split /\n/, $node->safe_psql('postgres',
	q{SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'billadj'::regnamespace ORDER BY 1});
my @relations = split /\n/, $node->safe_psql('postgres',
	q{SELECT relname FROM pg_class WHERE relnamespace = 'billadj'::regnamespace AND relkind IN ('r', 'p', 'v') AND relname !~ '_y[0-9]{4}m' ORDER BY 1});
$node->stop;

my $reference = slurp_file('doc/billadj.md');
for my $name (@functions, @relations)
{
	ok($reference =~ /\b$name\b/, "the reference names $name");
}
my %exists = map { $_ => 1 } @functions;
for my $page ('README.md', glob('doc/*.md'))
{
	my $text = slurp_file($page);
	my %named;
	$named{$_} = 1 for $text =~ /billadj\.([a-z_]+)\(/g, $text =~ /`([a-z_]+)\(/g;
	is(join(' ', grep { !$exists{$_} } sort keys %named), '', "$page names no function that does not exist");
}
done_testing();
