#!/usr/bin/perl
# meta.pl FILE VERSION: is META.json valid by the PGXN Meta Spec 1.0.0, and does
# it say VERSION?  Uses nothing but core Perl.
use strict;
use warnings FATAL => 'all';
use JSON::PP;

my ($file, $version) = @ARGV;
my @faults;
my %licenses = map { $_ => 1 } qw(agpl_3 apache_1_1 apache_2_0 artistic_1 artistic_2 bsd freebsd gfdl_1_2
	gfdl_1_3 gpl_1 gpl_2 gpl_3 lgpl_2_1 lgpl_3_0 mit mozilla_1_0 mozilla_1_1 openssl perl_5 postgresql
	qpl_1_0 ssleay sun zlib open_source restricted unrestricted unknown);
my $semver = qr/^(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)(?:-[A-Za-z][-0-9A-Za-z]*)?$/;
my $term = qr/^[^\s\/\\\p{Cntrl}]{2,}$/;

sub fault { push @faults, join '', @_; return }
sub text { my ($v) = @_; return defined $v && !ref $v && length $v }
sub texts { my ($v) = @_; return text($v) || (ref $v eq 'ARRAY' && @$v && !grep { !text($_) } @$v) }

open my $in, '<:raw', $file or die "$file: $!\n";
my $meta = eval { decode_json(do { local $/; <$in> }) } or do { print "$file: $@"; exit 1 };
ref $meta eq 'HASH' or do { print "$file: no object\n"; exit 1 };

# required
fault "name is no term" unless text($meta->{name}) && $meta->{name} =~ $term;
fault "version is no semantic version" unless text($meta->{version}) && $meta->{version} =~ $semver;
fault "$_ is missing" for grep { !text($meta->{$_}) } qw(abstract);
fault "maintainer is no list of texts" unless texts($meta->{maintainer});
fault "license is unknown" if ref $meta->{license} eq '' && !$licenses{ $meta->{license} // '' };
fault "meta-spec.version is not 1.0.x" unless ref $meta->{'meta-spec'} eq 'HASH' && ($meta->{'meta-spec'}{version} // '') =~ /^1\.0\.[0-9]+$/;
fault "provides has no entries" unless ref $meta->{provides} eq 'HASH' && %{ $meta->{provides} };
for my $name (sort keys %{ ref $meta->{provides} eq 'HASH' ? $meta->{provides} : {} }) {
	my $p = $meta->{provides}{$name};
	fault "provides.$name has no file" unless text($p->{file});
	fault "provides.$name.file $p->{file} does not exist" if text($p->{file}) && !-e $p->{file};
	fault "provides.$name.version is no semantic version" unless ($p->{version} // '') =~ $semver;
	fault "provides.$name.version is $p->{version}, the control file says $version" if ($p->{version} // '') ne $version;
}

# optional
fault "version is $meta->{version}, the control file says $version" if ($meta->{version} // '') ne $version;
fault "release_status is unknown" if exists $meta->{release_status} && $meta->{release_status} !~ /^(?:stable|testing|unstable)$/;
fault "tags is no list of words" if exists $meta->{tags} && !texts($meta->{tags});
my %known = map { $_ => 1 } qw(name version abstract description maintainer license release_status provides
	prereqs tags generated_by no_index resources meta-spec release_date);
fault "key $_ is unknown" for grep { !$known{$_} && !/^[xX]_/ } sort keys %$meta;
for my $phase (sort keys %{ $meta->{prereqs} // {} }) {
	fault "prereqs.$phase is no phase" unless $phase =~ /^(?:configure|build|test|runtime|develop)$/;
	for my $relation (sort keys %{ $meta->{prereqs}{$phase} }) {
		fault "prereqs.$phase.$relation is no relation" unless $relation =~ /^(?:requires|recommends|suggests|conflicts)$/;
		while (my ($name, $range) = each %{ $meta->{prereqs}{$phase}{$relation} }) {
			fault "prereqs.$phase.$relation.$name is no version" unless $range =~ /^0$/ || $range =~ $semver || $range =~ /^[<>=!]=?/;
		}
	}
}

print "$file: $_\n" for @faults;
exit(@faults ? 1 : 0);
