# folder.sh: other Debian suites in folders of their own (sourced after lib.sh, POSIX sh)
#
# A folder is made by mmdebstrap once, by the mirror that this machine takes its
# packages from, and kept as a tar file.  Each use unpacks it anew.  Needs root,
# for chroot.
#
# The sourcing script may set: cache (where the tar files are), mirror, fresh.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154

cache=${XDG_CACHE_HOME:-$HOME/.cache}/billadj
mirror=
fresh=false

# Debian's suite that has a major version.
suite_of()
{
	case $1 in
		15) say bookworm ;;
		17) say trixie ;;
		18) say sid ;;
		*) die "no suite of Debian is known to have PostgreSQL $1 (15, 17 and 18 are)" ;;
	esac
}

# machine_mirror LABEL: Debian or Debian-Security
machine_mirror()
{
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
		sed -n "s/^$1 //p" | head -n 1
}

# folder_option OPTION VALUE: is it one that all scripts with folders have?
folder_option()
{
	case $1 in
		--cache) cache=$2 ;;
		--mirror) mirror=$2 ;;
		*) return 1 ;;
	esac
}

# folder_tar NAME SUITE PACKAGES [MMDEBSTRAP-OPTION...]: sets tar, which is made
# where it is missing.  No cluster is made by the server's package.
folder_tar()
{
	tar=$cache/$1.tar.zst suite=$2 include=$3 folder_log=$work/log/folder-$1.log
	shift 3
	! $fresh || rm -f "$tar"
	[ ! -e "$tar" ] || return 0
	need_packages mmdebstrap zstd
	mirror=${mirror:-$(machine_mirror Debian)}
	[ -n "$mirror" ] || die "this machine's mirror is unknown: run apt-get update, or give --mirror"
	say "$me: making a folder with $suite (one to three minutes)"
	# sid is refused when the mirror's copy is some days old
	[ "$suite" != sid ] || set -- "$@" '--aptopt=Acquire::Check-Valid-Until "false"'
	mkdir -p "$cache"
	# shellcheck disable=SC2016
	mmdebstrap --quiet --mode=root --variant=minbase --aptopt='APT::Install-Recommends "false"' \
		--include="$include" \
		--essential-hook='mkdir -p "$1/etc/postgresql-common"
			echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"' \
		"$@" "$suite" "$tar.new.tar.zst" "$mirror" >"$folder_log" 2>&1 || {
		tail -n 20 "$folder_log" >&2
		die "could not make the folder"
	}
	mv "$tar.new.tar.zst" "$tar"
}

# unpack_folder TAR FOLDER
unpack_folder()
{
	mkdir "$2"
	tar --zstd -C "$2" --numeric-owner -xpf "$1"
}

# The checkout as it is, without its history.
copy_checkout()
{
	mkdir -p "$1"
	tar -C "$top" --exclude=./.git --exclude='*.o' --exclude='*.so' --exclude='*.bc' -cf - . |
		tar -C "$1" --no-same-owner -xf -
}

# in_folder FOLDER COMMAND...: the mounts live in a namespace of their own and
# end with the command.
in_folder()
{
	# shellcheck disable=SC2016
	unshare --mount --propagation private sh -ec '
		folder=$1; shift
		mount -t proc proc "$folder/proc"
		mount -t tmpfs -o mode=1777 tmpfs "$folder/dev/shm"
		mount -t devpts -o newinstance,ptmxmode=0666 devpts "$folder/dev/pts"
		exec chroot "$folder" "$@"' sh "$@"
}

require_root() { [ "$(id -u)" -eq 0 ] || die "this needs root, for chroot"; }
