# Public data, billed to the last digit.
#
# The data is not part of this repository; the test skips what is absent.  It
# is looked for in $BILLADJ_SHARED_DATA, else in ../shared/data beside the
# checkout:
#
#   azure-llm-2023/AzureLLMInferenceTrace_{code,conv}.csv
#     every request of two production LLM services for about an hour.
#     https://github.com/Azure/AzurePublicDataset (commit b469a113), CC BY 4.0,
#     (c) Microsoft.  Cite: Patel et al., "Splitwise: Efficient Generative LLM
#     Inference Using Phase Splitting", ISCA 2024.
#   focus-1.0-sample/focus_sample.csv
#     anonymised cloud bills in the column layout of FOCUS 1.0.
#     https://github.com/FinOps-Open-Cost-and-Usage-Spec/FOCUS-Sample-Data
#     (commit adbdd17a), CC BY 4.0, (c) FinOps Foundation / FOCUS contributors.
#
# The figures expected here were computed with exact decimal arithmetic outside
# the database.
use strict;
use warnings FATAL => 'all';
use Cwd qw(abs_path);
use File::Basename;
use IPC::Run qw(start finish);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $data = $ENV{BILLADJ_SHARED_DATA} // dirname(__FILE__) . '/../../../shared/data';
my %file = (
	code => "$data/azure-llm-2023/AzureLLMInferenceTrace_code.csv",
	conv => "$data/azure-llm-2023/AzureLLMInferenceTrace_conv.csv",
	focus => "$data/focus-1.0-sample/focus_sample.csv");
my %absent = map { $_ => 1 } grep { !-r $file{$_} } keys %file;
plan skip_all => "public data is not there: $data (BILLADJ_SHARED_DATA names another place)"
  if keys %absent == keys %file;
$file{$_} = abs_path($file{$_}) for grep { !$absent{$_} } keys %file;

my $node = PostgreSQL::Test::Cluster->new('shared_data');
$node->init(extra => [ '--locale=C.UTF-8', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', "timezone = 'UTC'\nlog_statement = none\n");
$node->start;

# A database with rate cards and the host's table, attached or not yet.
$node->safe_psql('postgres', 'CREATE DATABASE base');
$node->safe_psql('base', q{
	CREATE EXTENSION btree_gist;
	CREATE EXTENSION billadj;
	SELECT count(*) FROM billadj.install();
	SELECT count(*) FROM billadj.import_rate_card('{"code": "tokens", "currency": "USD", "prices": [
		{"meter": "in", "model": "per_unit", "unit_amount": "2.50", "per": 1000000},
		{"meter": "out", "model": "per_unit", "unit_amount": "10.00", "per": 1000000},
		{"meter": "in graduated", "model": "graduated", "tiers": [
			{"up_to": 10000000, "unit_amount": "0.0000025"}, {"up_to": null, "unit_amount": "0.000002"}]},
		{"meter": "in volume", "model": "volume", "tiers": [
			{"up_to": 10000000, "unit_amount": "0.0000025"}, {"up_to": null, "unit_amount": "0.000002"}]},
		{"meter": "in by row", "model": "per_unit", "unit_amount": "2.50", "per": 1000000, "rounding": {"stage": "row", "step": 0.01}},
		{"meter": "out by row", "model": "per_unit", "unit_amount": "10.00", "per": 1000000, "rounding": {"stage": "row", "step": 0.01}}]}',
		'[2023-01-01,)');
	CREATE TABLE "Requests" (
		"TIMESTAMP" timestamp NOT NULL,
		"ContextTokens" integer NOT NULL,
		"GeneratedTokens" integer NOT NULL,
		"Id" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		"Service" text NOT NULL);
});
my $attach = q{SELECT count(*) FROM billadj.attach('"Requests"', account => 'Service', occurred_at => 'TIMESTAMP',
	measures => '{"in": "ContextTokens", "out": "GeneratedTokens"}')};

sub new_database
{
	my ($name, @sql) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE base");
	$node->safe_psql($name, $_) for @sql;
	return $name;
}

sub copy_of
{
	my ($service) = @_;
	return qq{ALTER TABLE "Requests" ALTER "Service" SET DEFAULT '$service';
		COPY "Requests" ("TIMESTAMP", "ContextTokens", "GeneratedTokens") FROM '$file{$service}' WITH (FORMAT csv, HEADER);
		ALTER TABLE "Requests" ALTER "Service" DROP DEFAULT;};
}

sub lines_of
{
	my ($service) = @_;
	my @lines = split(/\r?\n/, slurp_file($file{$service}));
	return @lines[ 1 .. $#lines ];
}

sub insert_of
{
	my ($service, $line) = @_;
	my ($at, $in, $out) = split(/,/, $line);
	return qq{INSERT INTO "Requests" VALUES ('$at', $in, $out, DEFAULT, '$service');};
}

sub copy_of_lines
{
	my ($service, @lines) = @_;
	return join("\n", 'COPY "Requests" ("TIMESTAMP", "ContextTokens", "GeneratedTokens", "Service") FROM stdin WITH (FORMAT csv);',
		(map { "$_,$service" } @lines), "\\.\n");
}

# Runs scripts at the same time, each in a session of its own.
sub run_together
{
	my ($database, %script) = @_;
	my @running;
	for my $name (sort keys %script)
	{
		my $path = "${PostgreSQL::Test::Utils::tmp_check}/$database.$name.sql";
		append_to_file($path, $script{$name});
		my $out = '';
		my $harness = start([ 'psql', '-X', '-q', '-d', $node->connstr($database), '-v', 'ON_ERROR_STOP=1', '-f', $path ], '>', \$out, '2>&1');
		push @running, [ $name, $harness, \$out ];
	}
	for my $r (@running)
	{
		my ($name, $harness, $out) = @$r;
		my $ended = finish($harness) ? 'ended well' : 'failed';
		is("$ended: $$out", 'ended well: ', "$database: session $name");
	}
}

# The bill by service, and that every row and measure has one charge.
sub bill_is
{
	my ($database, $expected, $way) = @_;
	is($node->safe_psql($database, q{
			SELECT account, trim_scale(sum(amount)) FROM billadj.charge GROUP BY account ORDER BY account}),
		$expected, "$way: the bill");
	is($node->safe_psql($database, q{
			SELECT count(*) FILTER (WHERE cause IN ('usage', 'backfill')) - (SELECT 2 * count(*) FROM "Requests"),
			       count(*) FILTER (WHERE cause NOT IN ('usage', 'backfill')), (SELECT count(*) FROM billadj.parked_usage),
			       (SELECT count(*) FROM billadj.rating_gap('"Requests"'))
			  FROM billadj.charge}),
		'0|0|0|0', "$way: one charge a row and measure, none parked, no gap");
}

SKIP:
{
	my @missing = grep { $absent{$_} } qw(code conv);
	skip('not there: ' . join(', ', map { $file{$_} } @missing), 1) if @missing;
	my $bill = "code|47.608895\nconv|96.791325";

	my $db = new_database('by_copy', $attach, copy_of('code'), copy_of('conv'));
	bill_is($db, $bill, 'by COPY');
	is($node->safe_psql($db, q{
			SELECT account, meter, period_start, trim_scale(quantity), rows FROM billadj.meter_total ORDER BY account, meter}),
		"code|in|2023-11-01 00:00:00+00|18059974|8819\ncode|out|2023-11-01 00:00:00+00|245896|8819\n"
		  . "conv|in|2023-11-01 00:00:00+00|22361870|19366\nconv|out|2023-11-01 00:00:00+00|4088665|19366",
		'by COPY: the totals');

	# Other prices for the same rows, each in a table of its own.
	my $copies = q{
		CREATE TABLE graduated (LIKE "Requests" INCLUDING INDEXES);
		CREATE TABLE volume (LIKE "Requests" INCLUDING INDEXES);
		CREATE TABLE by_row (LIKE "Requests" INCLUDING INDEXES);
		SELECT count(*) FROM billadj.attach('graduated', 'Service', 'TIMESTAMP', 'in graduated', 'ContextTokens');
		SELECT count(*) FROM billadj.attach('volume', 'Service', 'TIMESTAMP', 'in volume', 'ContextTokens');
		SELECT count(*) FROM billadj.attach('by_row', 'Service', 'TIMESTAMP',
			measures => '{"in by row": "ContextTokens", "out by row": "GeneratedTokens"}');
	};
	my $other_bills = q{SELECT account, CASE meter WHEN 'in by row' THEN 'by row' WHEN 'out by row' THEN 'by row' ELSE meter END AS price, trim_scale(sum(amount))
		FROM billadj.charge WHERE meter LIKE '% %' GROUP BY 1, 2 ORDER BY 1, 2};
	my $others = "code|by row|43.17\ncode|in graduated|41.119948\ncode|in volume|36.119948\n"
	  . "conv|by row|100.17\nconv|in graduated|49.72374\nconv|in volume|44.72374";
	$node->safe_psql($db, $copies);
	$node->safe_psql($db, qq{INSERT INTO $_ SELECT * FROM "Requests"}) for qw(graduated volume by_row);
	is($node->safe_psql($db, $other_bills), $others, 'at once: graduated, volume, and rounded row by row');
	is($node->safe_psql($db, q{
			SELECT count(*) FILTER (WHERE round(exact, 2) <> amount), count(*)
			  FROM (SELECT account, event_key, sum(amount) AS amount, sum((basis ->> 'exact')::numeric) AS exact
			          FROM billadj.charge WHERE meter LIKE '% by row' GROUP BY account, event_key) r}),
		'0|28185', 'rounded row by row: the parts of a row sum to its rounded amount');

	$db = new_database('by_backfill', copy_of('code'), copy_of('conv'), $attach, q{CALL billadj.backfill('"Requests"', 1000)});
	bill_is($db, $bill, 'by backfill');
	is($node->safe_psql($db, 'SELECT cause, count(*) FROM billadj.charge GROUP BY cause'), 'backfill|56370', 'by backfill: the cause');

	my %lines = (code => [ lines_of('code') ], conv => [ lines_of('conv') ]);
	my $inserts = sub {
		my ($service, @lines) = @_;
		my @statements = map { insert_of($service, $_) } @lines;
		my $script = '';
		$script .= join("\n", 'BEGIN;', splice(@statements, 0, 500), "COMMIT;\n") while @statements;
		return $script;
	};
	$db = new_database('by_insert', $attach);
	run_together($db, all => $inserts->('code', @{ $lines{code} }) . $inserts->('conv', @{ $lines{conv} }));
	bill_is($db, $bill, 'by single inserts');

	# A quarter is there before the table is attached; then one session copies,
	# one inserts row by row and updates, and backfill runs beside them.
	my (%part, @history);
	for my $service (qw(code conv))
	{
		my @all = @{ $lines{$service} };
		my $quarter = int(@all / 4);
		push @history, copy_of_lines($service, splice(@all, 0, $quarter));
		$part{$service} = [ [ splice(@all, 0, $quarter) ], [@all] ];
	}
	$db = new_database('by_all_ways');
	run_together($db, history => join('', @history));
	$node->safe_psql($db, $attach);
	$node->safe_psql($db, $copies);
	my $follow = q{
		CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			INSERT INTO graduated SELECT * FROM added;
			INSERT INTO volume SELECT * FROM added;
			INSERT INTO by_row SELECT * FROM added;
			RETURN NULL;
		END $$;
		INSERT INTO graduated SELECT * FROM "Requests";
		INSERT INTO volume SELECT * FROM "Requests";
		INSERT INTO by_row SELECT * FROM "Requests";
		CREATE TRIGGER follow AFTER INSERT ON "Requests" REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION follow();
	};
	$node->safe_psql($db, $follow);
	my $copier = '';
	my @code = @{ $part{code}[1] };
	my @conv = @{ $part{conv}[1] };
	$copier .= "BEGIN;\n" . copy_of_lines('conv', splice(@conv, 0, 400)) . copy_of_lines('code', splice(@code, 0, 200)) . "COMMIT;\n"
	  while @conv || @code;
	run_together(
		$db,
		copy => $copier,
		insert => $inserts->('code', @{ $part{code}[0] }) . $inserts->('conv', @{ $part{conv}[0] }),
		backfill => q{CALL billadj.backfill('"Requests"', 500);});
	is($node->safe_psql($db, q{SELECT account, trim_scale(sum(amount)) FROM billadj.charge WHERE meter IN ('in', 'out') GROUP BY account ORDER BY account}),
		$bill, 'by all ways at once: the bill');
	is($node->safe_psql($db, $other_bills), $others, 'by all ways at once: graduated, volume, and rounded row by row');
	is($node->safe_psql($db, q{
			SELECT count(*) FROM billadj.tier_total t
			  FULL JOIN (SELECT account, meter, price_id, sum(quantity) AS quantity, sum(amount) AS amount, sum(row_count) AS row_count
			               FROM billadj.charge WHERE meter IN ('in graduated', 'in volume') GROUP BY account, meter, price_id) c
			       USING (account, meter, price_id)
			 WHERE t.quantity = c.quantity AND t.amount = c.amount AND t.row_count = c.row_count}),
		'4', 'by all ways at once: the totals are the sums of the charges');
	is($node->safe_psql($db, q{SELECT cause IN ('usage', 'backfill', 'position'), count(DISTINCT cause) > 1 FROM billadj.charge GROUP BY 1}),
		't|t', 'by all ways at once: no other causes than usage, backfill and position');
	is($node->safe_psql($db, q{SELECT (SELECT count(*) FROM billadj.rating_gap('"Requests"')), (SELECT count(*) FROM billadj.parked_usage)}),
		'0|0', 'by all ways at once: no gap, none parked');

	# Everything is taken back: nothing is due.
	$node->safe_psql($db, q{UPDATE graduated SET "ContextTokens" = "ContextTokens" * 2 WHERE "Id" % 2 = 0; DELETE FROM graduated; DELETE FROM volume; DELETE FROM by_row; DELETE FROM "Requests"});
	is($node->safe_psql($db, q{SELECT count(*), trim_scale(sum(abs(a))) FROM (SELECT sum(amount) AS a FROM billadj.charge GROUP BY account, meter) c}),
		'12|0', 'taken back: nothing is due');
}

SKIP:
{
	skip("not there: $file{focus}", 1) if $absent{focus};

	my ($header) = split(/\r?\n/, slurp_file($file{focus}));
	my $columns = join(', ', map { "$_ text" } split(/,/, $header));
	$node->safe_psql('base', qq{CREATE TABLE focus ($columns); COPY focus FROM '$file{focus}' WITH (FORMAT csv, HEADER, NULL 'NULL')});
	$node->safe_psql('base', q{
		CREATE VIEW listed AS
		SELECT "ProviderName" AS provider, "ListCost"::numeric AS cost,
		       billadj.rate(jsonb_build_object('model', 'per_unit', 'unit_amount', "ListUnitPrice", 'currency', "BillingCurrency"),
		                    "PricingQuantity"::numeric) AS rated
		  FROM focus WHERE "ListUnitPrice" IS NOT NULL AND "PricingQuantity" IS NOT NULL});
	is($node->safe_psql('base', q{
			SELECT provider, count(*),
			       count(*) FILTER (WHERE billadj.round_step(rated, 0.0000000001, 'half_up') = billadj.round_step(cost, 0.0000000001, 'half_up')) AS half_up,
			       count(*) FILTER (WHERE billadj.round_step(rated, 0.0000000001, 'half_even') = billadj.round_step(cost, 0.0000000001, 'half_up')) AS half_even,
			       count(*) FILTER (WHERE billadj.round_step(rated * 10000, 0.0000000001, 'half_up') = billadj.round_step(cost, 0.0000000001, 'half_up')
			                          AND cost <> 0) AS block
			  FROM listed GROUP BY provider ORDER BY provider}),
		# The other rows of Microsoft have a quantity that was divided by its block
		# of 10,000 once too often.
		"AWS|941|941|936|0\nMicrosoft|51|20|20|31\nOracle|7|7|7|0",
		'FOCUS sample: ListCost is list price times quantity, rounded half up at 10 places');
}

$node->stop;
done_testing();
