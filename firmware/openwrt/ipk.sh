#!/bin/sh
# Builds installable .ipk packages without OpenWrt's buildroot: an .ipk is a gzipped tar of debian-binary, control.tar.gz and
# data.tar.gz. Owners are root, modes are those of the tree, and the same input gives the same bytes.
#
#   npm run build && firmware/openwrt/ipk.sh [OUTPUT-DIRECTORY]
#   scp sallyport_*.ipk luci-app-sallyport_*.ipk root@router:/tmp/ && ssh root@router opkg install /tmp/*sallyport*.ipk
#
# For apk (25.12 and later) see "apk" in firmware/README.md: that format is a binary database only apk-tools 3 writes.
set -eu

here="$(cd "$(dirname "$0")" && pwd)"
top="$(cd "$here/../.." && pwd)"
out="${1:-$top/dist}"
bundle="${SALLYPORT_BUNDLE:-$top/dist/agent.mjs}"
epoch="${SOURCE_DATE_EPOCH:-$(git -C "$top" log -1 --format=%ct 2>/dev/null || echo 0)}"

[ -f "$bundle" ] || {
	echo "ipk.sh: $bundle is missing: run 'npm run build' first" >&2
	exit 1
}
mkdir -p "$out"
out="$(cd "$out" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT INT TERM

variable() { # of a Makefile
	sed -n "s/^$2:=//p" "$here/$1/Makefile" | head -n 1
}

archive() { # DIRECTORY FILE: names begin with ./, as opkg expects
	tar -C "$1" --format=gnu --numeric-owner --owner=0 --group=0 --sort=name --mtime="@$epoch" -cf - . | gzip -n9 > "$2"
}

# Modes do not depend on the umask or the file system of the checkout.
modes() {
	find "$1" -type d -exec chmod 0755 {} +
	find "$1" -type f -exec chmod 0644 {} +
	for file in etc/init.d/* etc/uci-defaults/* etc/hotplug.d/*/* lib/netifd/proto/*.sh usr/lib/sallyport/*; do
		for path in "$1"/$file; do [ ! -f "$path" ] || chmod 0755 "$path"; done
	done
	[ ! -f "$1/etc/config/sallyport" ] || chmod 0600 "$1/etc/config/sallyport"
}

script() { # NAME: what the buildroot generates for every package
	cat <<-EOF
		#!/bin/sh
		[ "\${IPKG_NO_SCRIPT}" = "1" ] && exit 0
		[ -s "\${IPKG_INSTROOT}/lib/functions.sh" ] || exit 0
		. "\${IPKG_INSTROOT}/lib/functions.sh"
		default_$1 "\$0" "\$@"
	EOF
}

package() { # NAME SECTION DEPENDS DESCRIPTION; the files lie in $work/NAME/data
	name="$1"
	version="$(variable "$name" PKG_VERSION)-r$(variable "$name" PKG_RELEASE)"
	data="$work/$name/data"
	control="$work/$name/control"
	mkdir -p "$control"
	modes "$data"
	{
		echo "Package: $name"
		echo "Version: $version"
		echo "Depends: $3"
		echo "Section: $2"
		echo "Architecture: all"
		echo "License: $(variable "$name" PKG_LICENSE)"
		[ "$name" != sallyport ] || echo "Require-User: sallyport=453:sallyport=453"
		echo "SourceDateEpoch: $epoch"
		echo "Installed-Size: $(find "$data" -type f -exec cat {} + | wc -c)"
		echo "Description: $4"
	} > "$control/control"
	if [ -f "$data/etc/config/sallyport" ]; then echo /etc/config/sallyport > "$control/conffiles"; fi
	for step in postinst prerm; do
		script "$step" > "$control/$step"
		chmod 0755 "$control/$step"
	done
	mkdir "$work/$name/ipk"
	archive "$control" "$work/$name/ipk/control.tar.gz"
	archive "$data" "$work/$name/ipk/data.tar.gz"
	echo 2.0 > "$work/$name/ipk/debian-binary"
	file="$out/${name}_${version}_all.ipk"
	tar -C "$work/$name/ipk" --format=gnu --numeric-owner --owner=0 --group=0 --mtime="@$epoch" -cf - \
		./debian-binary ./data.tar.gz ./control.tar.gz | gzip -n9 > "$file"
	echo "$file"
}

mkdir -p "$work/sallyport/data" "$work/luci-app-sallyport/data/www"
cp -R "$here/sallyport/root/." "$work/sallyport/data/"
mkdir -p "$work/sallyport/data/etc/sallyport" "$work/sallyport/data/usr/lib/sallyport" "$work/sallyport/data/usr/bin"
cp "$bundle" "$work/sallyport/data/usr/lib/sallyport/agent.mjs"
# The notices of what is in the bundle travel with it.
if [ -f "$bundle.LICENSE.txt" ]; then
	mkdir -p "$work/sallyport/data/usr/share/sallyport"
	cp "$bundle.LICENSE.txt" "$work/sallyport/data/usr/share/sallyport/LICENSE.txt"
fi
cp "$top/firmware/launcher/tun-launch" "$work/sallyport/data/usr/lib/sallyport/tun-launch"
ln -s ../lib/sallyport/agent.mjs "$work/sallyport/data/usr/bin/sallyport"
package sallyport net 'libc, kmod-tun, ca-bundle, ip-tiny, resolveip, node' \
	'WireGuard gateway that asks for a second factor'

cp -R "$here/luci-app-sallyport/root/." "$work/luci-app-sallyport/data/"
cp -R "$here/luci-app-sallyport/htdocs/." "$work/luci-app-sallyport/data/www/"
package luci-app-sallyport luci 'libc, luci-base, sallyport' \
	'LuCI pages for Sallyport: who is logged in, for how long, and why not'
