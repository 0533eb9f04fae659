# The story of ./quickstart, with what it shows checked against an independent
# computation, and the output that README.md quotes against the real one.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('story');
$node->init(extra => [ '--locale=C.UTF-8', '--encoding=UTF8' ]);
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE shop');

# As quickstart runs them; returns what a reader sees.
sub play
{
	my ($file) = @_;
	my ($out, $err) = run_command(
		[
			'psql', '-X', '-q', '-e', '-d', $node->connstr('shop'), '-v', 'ON_ERROR_STOP=1',
			'-P', 'footer=off', '-P', 'null=(null)', '-f', $file
		]);
	unlike($err, qr/^psql:.*(?:ERROR|WARNING|FATAL)/m, "$file runs without complaint");
	return "$out\n";
}

sub host_schema
{
	my ($out) = run_command([ 'pg_dump', '--schema-only', '-n', 'shop', '-d', $node->connstr('shop') ]);
	$out =~ s/^\\(?:un)?restrict .*$//mg;    # a new random key at every dump
	return $out;
}

# What the rate cards of the story say, in plain SQL over the host's own table.
my $computed_anew = q{
	WITH used AS (
		SELECT u.customer_id, u.service, c.time_zone,
		       date_trunc('month', u.used_at AT TIME ZONE c.time_zone) AT TIME ZONE c.time_zone AS period_start,
		       sum(u.units) AS q, count(*) AS n
		  FROM shop.usage_event u JOIN shop.customer c USING (customer_id)
		 GROUP BY 1, 2, 3, 4)
	SELECT customer_id::text COLLATE "C" AS account, service COLLATE "C" AS meter, period_start, n, q,
	       CASE service
	       WHEN 'api_calls' THEN 0.0004 * greatest(least(q, 50000) - 10000, 0) + 0.00025 * greatest(q - 50000, 0)
	       WHEN 'egress_gb' THEN CASE WHEN customer_id = 1 THEN 0.07 * least(q, 100) + 0.03 * greatest(q - 100, 0)
	                                  ELSE 0.07 * q END
	       WHEN 'sms' THEN 0.05 * q
	       WHEN 'fax_pages' THEN 1.00 * ceil(q / 10) END AS amount
	  FROM used WHERE service <> 'storage_gb_hours'};
my $booked = q{
	SELECT account COLLATE "C", meter COLLATE "C", period_start, rows AS n, quantity AS q, amount
	  FROM billadj.meter_total WHERE meter <> 'storage_gb_hours' AND rows > 0};

run_command([ 'psql', '-X', '-q', '-d', $node->connstr('shop'), '-v', 'ON_ERROR_STOP=1', '-f', 'quickstart.d/00-host.sql' ]);
my $before = host_schema();
like($before, qr/CREATE TABLE shop\.usage_event/, 'the host is there');

my $transcript = '';
my @steps = grep { !/00-host/ } sort glob('quickstart.d/[0-9]*.sql');
my $leave = pop @steps;
$transcript .= play($_) for @steps;

is( $node->safe_psql('shop', q{SELECT cause, rows, which_accounts, difference FROM billadj.shadow_report('shop.phone_usage') WHERE cause <> 'equal' ORDER BY cause}),
	"factor|100|{13}|99742.5\nrounding|52|{12}|0.26\ntier|3|{11,12,13}|0.18", 'shadow names the three planted faults, the accounts and the money, and nothing else');
is($node->safe_psql('shop', q{SELECT sum(billed) - sum(units * CASE service WHEN 'mobile_gb' THEN 0.0375 END) FROM shop.phone_usage WHERE service = 'mobile_gb'}),
	'99742.7600', 'the money is what plain SQL says: of the factor and of the rounding');

is( $node->safe_psql('shop', "SELECT count(*) FROM ((($computed_anew) EXCEPT ALL ($booked)) UNION ALL (($booked) EXCEPT ALL ($computed_anew))) d"),
	'0', 'totals are what plain SQL computes from the host rows');
is($node->safe_psql('shop', q{SELECT count(*) FROM billadj.meter_total WHERE rows = 0 AND (quantity, amount) <> (0, 0)}),
	'0', 'where all rows were deleted nothing is left');
is( $node->safe_psql('shop', q{
	SELECT count(*) FROM (SELECT account, meter, period_start, price_id, sum(quantity), sum(amount) FROM billadj.charge WHERE meter IS NOT NULL GROUP BY 1, 2, 3, 4
	                      EXCEPT ALL
	                      SELECT account, meter, period_start, price_id, quantity, amount FROM billadj.meter_total) d}),
	'0', 'totals are the sums of their charges');
# A price per 730 does not terminate: the total is rounded at 12 decimals, so a
# sum of differences of it is exact to that.
is( $node->safe_psql('shop', q{
	SELECT count(*)
	  FROM billadj.meter_total t
	 WHERE t.meter = 'storage_gb_hours' AND t.amount <> round(0.1 * t.quantity / 730, 12)}),
	'0', 'a price that does not terminate telescopes too');
is($node->safe_psql('shop', q{SELECT string_agg(c.amount::text, ' ' ORDER BY c.charge_id) FROM billadj.charge c WHERE c.subscription_id IS NOT NULL}),
	'500 -387.1 1548.39 2000', 'the plan change is what anybody computes by hand');
is($node->safe_psql('shop', q{SELECT count(*) FROM billadj.parked_usage WHERE resolved_at IS NULL}), '0', 'all parked usage was mended');
is($node->safe_psql('shop', q{SELECT count(*) FROM billadj.rating_gap('shop.usage_event')}), '0', 'every host row has its charge');

$transcript .= play($leave);
is(host_schema(), $before, 'the host schema is what it was before');
is($node->safe_psql('shop', q{SELECT count(*) FROM pg_class WHERE relnamespace = 'billadj'::regnamespace}), '0', 'no table of billadj is left');

# README.md quotes the story in fences marked "text story".
my $readme = slurp_file('README.md');
my $quotes = 0;
while ($readme =~ /^```text story\n(.*?)^```/msg)
{
	my $quote = $1;
	$quotes++;
	ok(index($transcript, $quote) >= 0, "quote $quotes of README.md is what the story prints")
	  or diag("not in the transcript:\n$quote");
}
cmp_ok($quotes, '>', 0, 'README.md quotes the story');

$node->stop;
done_testing();
