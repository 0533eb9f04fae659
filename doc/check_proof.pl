#!/usr/bin/perl
# check_proof.pl: is what billadj.prove() says of an audit entry true?
#
#   check_proof.pl proof.json [digest.json]
#
# Uses no database and no library of billadj: only Perl and what comes with it.
# Give the digest that was kept outside as well; without it the proof is checked
# against the digest that it brings along, which proves little.  Prints the entry
# and exits with 0, or the first thing that is wrong and exits with 1.
use strict;
use warnings;

use Digest::SHA qw(sha256);
use JSON::PP;
use Time::Local qw(timegm);

sub fail { print "not proven: $_[0]\n"; exit 1; }

sub document
{
	my ($file) = @_;

	open my $in, '<:raw', $file or die "$file: $!\n";
	local $/;
	my $read = eval { JSON::PP->new->utf8->allow_bignum->decode(<$in>) };
	fail("$file is no JSON") unless ref $read eq 'HASH';
	return $read;
}

# ---- encodings: domain and zero, then number, type, length and content of each field ----

sub integer { return defined $_[0] ? [ 1, pack('q>', "$_[0]") ] : [ 1, undef ]; }
sub bytes { return [ 4, defined $_[0] ? pack('H*', $_[0]) : undef ]; }

sub text
{
	my ($text) = @_;

	utf8::encode($text) if defined $text;
	return [ 3, $text ];
}

# Microseconds since 2000-01-01 UTC.
sub instant
{
	my ($y, $mo, $d, $h, $mi, $s, $us) = ($_[0] // '') =~ /^(\d{4,})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{6})Z$/
		or fail('a time is not written as it should be');
	my $seconds = timegm($s, $mi, $h, $d, $mo - 1, $y) - 946684800;

	return [ 2, pack('q>', $seconds * 1_000_000 + $us) ];
}

sub hash_fields
{
	my ($domain, @fields) = @_;
	my $encoded = "$domain\0";
	my $number = 0;

	foreach my $field (@fields)
	{
		my ($type, $content) = @$field;

		$encoded .= pack('nCN', ++$number, $type, defined $content ? length $content : 0xFFFFFFFF) . ($content // '');
	}
	return unpack 'H*', sha256($encoded);
}

sub node { return hash_fields('billadj-node-v1', bytes($_[0]), bytes($_[1])); }

# RFC 6962: the left part of n leaves is the largest power of two below n.
sub merkle_root
{
	my @leaves = @_;

	return '00' x 32 unless @leaves;
	return $leaves[0] if @leaves == 1;
	my $half = 1;
	$half *= 2 while $half * 2 < @leaves;
	return node(merkle_root(@leaves[ 0 .. $half - 1 ]), merkle_root(@leaves[ $half .. $#leaves ]));
}

# ---- from the entry up to the digest ----

die "usage: check_proof.pl proof.json [digest.json]\n" unless @ARGV == 1 || @ARGV == 2;
my $proof = document($ARGV[0]);
my $digest = $proof->{digest};
my $entry = $proof->{entry};

fail('this is no proof of billadj') unless ($proof->{format} // '') eq 'billadj-proof-v1';

my $hash = hash_fields('billadj-leaf-v1',
	integer($entry->{audit_id}), integer($entry->{chain}), integer($entry->{block_id}), instant($entry->{at}),
	map { text($entry->{$_}) } qw(actor role_name event object account payload));
$hash = $_->{side} eq 'left' ? node($_->{hash}, $hash) : node($hash, $_->{hash}) foreach @{ $proof->{path} };

my $blocks = $proof->{blocks};
fail('it names no block') unless ref $blocks eq 'ARRAY' && @$blocks;
fail('the entry is not in the block') unless $hash eq $blocks->[0]{root} && $blocks->[0]{block_id} == $entry->{block_id};
my $previous;
foreach my $block (@$blocks)
{
	fail("block $block->{seq} does not follow the one before it")
		if defined $previous && ($block->{prev} ne $hash || $block->{seq} != $previous + 1);
	$previous = $block->{seq};
	$hash = hash_fields('billadj-block-v1', integer($entry->{chain}), map({ integer($block->{$_}) } qw(seq block_id entries)),
		bytes($block->{root}), bytes($block->{prev}), instant($block->{at}));
}

my ($head) = grep { $_->{chain} == $entry->{chain} } @{ $digest->{heads} };
fail('the last block is not the one of the digest')
	unless $head && $head->{hash} eq $hash && $head->{seq} == $previous;
my $root = merkle_root(map { hash_fields('billadj-head-v1',
		integer($_->{chain}), integer($_->{seq}), integer($_->{entries}), bytes($_->{hash})) } @{ $digest->{heads} });
my $sealed = hash_fields('billadj-digest-v1', bytes($digest->{instance}), map({ text($digest->{$_}) } qw(system_id database at lsn)),
	integer($digest->{entries}), bytes($root), bytes($digest->{previous}));
fail('the digest is not consistent in itself') unless $root eq $digest->{root} && $sealed eq $digest->{hash};

if (@ARGV == 2)
{
	my $kept = document($ARGV[1]);

	fail('the digest is not the one that was kept') unless ($kept->{hash} // '') eq $sealed;
}

binmode STDOUT, ':utf8';
print "proven by digest $sealed of $digest->{at}", (@ARGV == 2 ? '' : ', which came with the proof'), "\n";
printf "%-9s %s\n", $_, $entry->{$_} // '' foreach qw(audit_id at actor role_name event object account payload);
