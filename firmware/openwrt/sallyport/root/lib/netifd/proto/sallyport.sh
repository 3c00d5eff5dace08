#!/bin/sh
# `option proto 'sallyport'` in /etc/config/network: netifd owns the interface, its addresses and routes; the agent moves the
# packets as the user sallyport, without a capability. Peers come from Core: there are none to write down here.

[ -n "$INCLUDE_ONLY" ] || {
	. /lib/functions.sh
	. ../netifd-proto.sh
	init_proto "$@"
}

AGENT_USER=sallyport
BUNDLE="${SALLYPORT_BUNDLE:-/usr/lib/sallyport/agent.mjs}"
RUN="${SALLYPORT_RUN:-/var/run/sallyport}"
STATE="${SALLYPORT_STATE:-/etc/sallyport}"
UAPI="${SALLYPORT_UAPI:-/var/run/wireguard}"
TUN="${SALLYPORT_TUN:-/dev/net/tun}"

# Names of the agent's schema: they are passed on as they are, and the agent checks them.
PLAIN_OPTIONS="core_url ca_file name listen_port max_life min_stale max_peers metrics_listen log_level"
LIST_OPTIONS="ranges"

proto_sallyport_init_config() {
	no_device=1
	available=1
	lasterror=1
	proto_config_add_string 'core_url'
	proto_config_add_string 'ca_file'
	proto_config_add_string 'join_token_file'
	proto_config_add_string 'name'
	proto_config_add_int 'listen_port'
	proto_config_add_int 'mtu'
	proto_config_add_array 'addresses:list(cidr)'
	proto_config_add_array 'ranges:list(cidr)'
	proto_config_add_string 'max_life'
	proto_config_add_string 'min_stale'
	proto_config_add_int 'max_peers'
	proto_config_add_string 'metrics_listen'
	proto_config_add_string 'log_level'
	proto_config_add_string 'node'
	proto_config_add_int 'memory'
}

# UCI's quoting: ' becomes '\''.
quoted() {
	printf "'"
	printf '%s' "$1" | sed "s/'/'\\\\''/g"
	printf "'"
}

render_config() {
	local config="$1" option value values

	printf "config gateway %s\n" "$(quoted "$config")"
	printf "\toption ifname %s\n" "$(quoted "$config")"
	for option in $PLAIN_OPTIONS; do
		json_get_var value "$option"
		[ -z "$value" ] || printf "\toption %s %s\n" "$option" "$(quoted "$value")"
	done
	for option in $LIST_OPTIONS; do
		json_get_values values "$option"
		for value in $values; do printf "\tlist %s %s\n" "$option" "$(quoted "$value")"; done
	done
}

setup_fails() {
	logger -t sallyport "$1: $3"
	proto_notify_error "$1" "$2"
	proto_block_restart "$1"
}

host_of() {
	local host="${1#*://}"
	host="${host%%/*}"
	case "$host" in
		\[*) host="${host#\[}"; host="${host%%\]*}" ;;
		*) host="${host%%:*}" ;;
	esac
	printf '%s' "$host"
}

proto_sallyport_setup() {
	local config="$1" dir="$RUN/$1" state="$STATE/$1"
	local core_url join_token_file mtu node memory addresses address ip flags=''

	json_get_vars core_url join_token_file mtu node memory
	json_get_values addresses addresses
	: "${node:=/usr/bin/node}" "${memory:=64}" "${mtu:=1420}"

	[ -n "$core_url" ] || {
		setup_fails "$config" NO_CORE_URL "option core_url is missing"
		return 1
	}
	[ -n "$addresses" ] || {
		setup_fails "$config" NO_ADDRESS "list addresses is missing: netifd has to know the addresses of the interface"
		return 1
	}
	[ -x "$node" ] || {
		setup_fails "$config" NO_NODE "$node is missing"
		return 1
	}
	case "$("$node" --version)" in
		v2[0-5].*) ;;
		v[2-9][0-9].*) flags='--experimental-ffi --disable-warning=ExperimentalWarning' ;;
		*) setup_fails "$config" OLD_NODE "$node is too old: 20.19 or newer is needed"; return 1 ;;
	esac

	mkdir -p "$RUN" "$dir" "$UAPI" "$STATE" "$state"
	chmod 0711 "$RUN" "$STATE"
	chmod 0700 "$dir" "$UAPI" "$state"
	( umask 077; render_config "$config" > "$dir/config" )
	rm -f "$dir/join_token"
	[ -n "$join_token_file" ] && [ -r "$join_token_file" ] &&
		( umask 077; cat "$join_token_file" > "$dir/join_token" ) &&
		proto_export "SALLYPORT_JOIN_TOKEN_FILE=$dir/join_token"
	chown -R "$AGENT_USER:$AGENT_USER" "$dir" "$state"
	chown "$AGENT_USER:$AGENT_USER" "$UAPI"
	chgrp "$AGENT_USER" "$TUN" && chmod 0660 "$TUN"

	[ -e "/sys/class/net/$config" ] ||
		ip tuntap add dev "$config" mode tun user "$AGENT_USER" group "$AGENT_USER" || {
		setup_fails "$config" NO_TUN "cannot make the TUN device: is kmod-tun installed?"
		return 1
	}
	ip link set dev "$config" mtu "$mtu" up

	# Packets to Core must not be routed into the tunnel.
	for ip in $(resolveip -t 5 "$(host_of "$core_url")" 2>/dev/null); do
		( proto_add_host_dependency "$config" "$ip" )
	done

	proto_export "SALLYPORT_RUN_DIR=$dir"
	proto_export "SALLYPORT_STATE_DIR=$state"
	proto_export "SALLYPORT_CONFIGURE_LINK=0"
	proto_export "SALLYPORT_LOG_TIME=0"
	proto_export "SALLYPORT_UBUS=sallyport.$config"
	# shellcheck disable=SC2086 # flags are words
	proto_run_command "$config" "$node" --max-old-space-size="$memory" $flags "$BUNDLE" agent \
		--uci "$dir/config" --section "$config" --user "$AGENT_USER"

	proto_init_update "$config" 1
	for address in $addresses; do
		case "$address" in
			*:*/*) proto_add_ipv6_address "${address%%/*}" "${address##*/}" ;;
			*.*/*) proto_add_ipv4_address "${address%%/*}" "${address##*/}" ;;
		esac
	done
	proto_send_update "$config"
}

proto_sallyport_teardown() {
	local config="$1"

	# 2: a configuration that another try would not mend.
	[ "$ERROR" != 2 ] || {
		proto_notify_error "$config" BAD_CONFIG
		proto_block_restart "$config"
	}
	proto_kill_command "$config"
	ip link delete dev "$config" 2>/dev/null
	rm -rf "${RUN:?}/$config"
}

[ -n "$INCLUDE_ONLY" ] || {
	add_protocol sallyport
}
