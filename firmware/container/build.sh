#!/bin/sh
# Builds the image from Debian packages and the node of npm, with no image pulled and no root needed.
#
#   npm ci && npm run build
#   firmware/container/build.sh [--tag NAME] [--context DIRECTORY]
#
# --context leaves the build context (rootfs/, agent.mjs, Containerfile) behind and builds nothing: for docker, or
# `podman run --rootfs`. Needs apt-get and dpkg-deb; buildah or podman for the image.
set -eu

here="$(cd "$(dirname "$0")" && pwd)"
top="$(cd "$here/../.." && pwd)"
tag=sallyport
context=

while [ $# -gt 0 ]; do
	case "$1" in
		--tag) tag="${2:?--tag needs a name}"; shift 2 ;;
		--context) context="${2:?--context needs a directory}"; shift 2 ;;
		*) echo "build.sh: unexpected '$1': expected [--tag NAME] [--context DIRECTORY]" >&2; exit 2 ;;
	esac
done

bundle="${SALLYPORT_BUNDLE:-$top/dist/agent.mjs}"
node="${SALLYPORT_NODE:-$(readlink -f "$top/node_modules/.bin/node")}"
for file in "$bundle" "$node"; do
	[ -f "$file" ] || {
		echo "build.sh: $file is missing: run 'npm ci && npm run build' first" >&2
		exit 1
	}
done

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT INT TERM
target="${context:-$work/context}"
root="$target/rootfs"
mkdir -p "$root" "$work/debs"

# What node is linked with, and nothing else: no shell, no coreutils.
( cd "$work/debs" && apt-get -qq download libc6 libgcc-s1 libstdc++6 libatomic1 )
for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/unpacked"; done
mkdir -p "$root/usr/bin" "$root/etc" "$root/app" "$root/tmp" "$root/var/lib/sallyport"
for dir in lib lib64 usr/lib; do
	[ ! -d "$work/unpacked/$dir" ] || { mkdir -p "$root/$dir" && cp -a "$work/unpacked/$dir/." "$root/$dir/"; }
done
# Locale converters, audit and debugging modules of the C library are never loaded here.
find "$root" -depth \( -name gconv -o -name audit \) -exec rm -rf {} +
rm -rf "${root:?}/usr/lib/python3"
# The symbol table is a fifth of the binary; what FFI needs is in the dynamic one, which stays.
cp "$node" "$root/usr/bin/node"
if command -v strip >/dev/null; then strip --strip-unneeded "$root/usr/bin/node" || cp "$node" "$root/usr/bin/node"; fi
chmod 0755 "$root/usr/bin/node"

echo 'sallyport:x:10001:10001:Sallyport gateway:/var/lib/sallyport:/nonexistent' > "$root/etc/passwd"
echo 'sallyport:x:10001:' > "$root/etc/group"
echo 'hosts: files dns' > "$root/etc/nsswitch.conf"
chmod 1777 "$root/tmp"
# Written by uid 10001 whatever the file system of the build says of owners: state belongs on a volume of its own.
chmod 0777 "$root/var/lib/sallyport"

if [ -f "$bundle.LICENSE.txt" ]; then
	mkdir -p "$root/usr/share/doc/sallyport"
	cp "$bundle.LICENSE.txt" "$root/usr/share/doc/sallyport/LICENSE.txt"
fi
cp "$bundle" "$target/agent.mjs"
chmod 0755 "$target/agent.mjs"
cp "$here/Containerfile" "$target/Containerfile"
[ -z "$context" ] || {
	echo "$context"
	exit 0
}

version="$(sed -n 's/^  "version": "\(.*\)",$/\1/p' "$top/package.json")"
revision="$(git -C "$top" rev-parse HEAD 2>/dev/null || echo unknown)"
created="$(date -u +%Y-%m-%dT%H:%M:%SZ)"
if command -v buildah >/dev/null; then build="buildah bud"; else build="podman build"; fi
# shellcheck disable=SC2086 # two words
$build --format docker --tag "$tag" \
	--build-arg VERSION="$version" --build-arg REVISION="$revision" --build-arg CREATED="$created" "$target"
