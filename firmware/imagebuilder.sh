#!/bin/sh
# An OpenWrt image with the gateway inside, by the ImageBuilder of the target, unpacked by you beforehand:
#   firmware/imagebuilder.sh IMAGEBUILDER-DIRECTORY PROFILE [CORE_URL JOIN_TOKEN_FILE]
# With CORE_URL and a file that holds a join token the image joins at its first boot (etc/uci-defaults/90-sallyport) and
# forgets the token. Such an image is a secret: it is for one router, and the token in it works once.
set -eu

here="$(cd "$(dirname "$0")" && pwd)"
builder="${1:?usage: imagebuilder.sh IMAGEBUILDER-DIRECTORY PROFILE [CORE_URL JOIN_TOKEN_FILE]}"
profile="${2:?the PROFILE is missing: \`make info\` in $builder lists them}"
core="${3:-}"
token="${4:-}"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT INT TERM
mkdir -p "$work/files/etc/sallyport"
if [ -n "$core" ]; then
	( umask 077; { echo "CORE_URL=$core"; printf 'JOIN_TOKEN='; cat "${token:?JOIN_TOKEN_FILE is missing}"; } \
		> "$work/files/etc/sallyport/provision" )
fi

# 24.10 and older take .ipk files from packages/; newer ones take .apk files, made with the SDK (README, "apk").
if [ -d "$builder/packages" ] && [ -z "$(find "$builder/packages" -name 'sallyport*.apk')" ]; then
	"$here/openwrt/ipk.sh" "$builder/packages"
fi
make -C "$builder" image PROFILE="$profile" FILES="$work/files" \
	PACKAGES="sallyport luci luci-app-sallyport procd-ujail ${SALLYPORT_PACKAGES:-}"
