'use strict';
'require view';
'require form';

// /etc/config/sallyport. The agent checks every value by its own schema; the types here only help while typing.

return view.extend({
	render() {
		const map = new form.Map('sallyport', _('Sallyport'),
			_('Changes are taken up at once and end no session, except for those marked with a restart.'));
		let section, option;

		section = map.section(form.NamedSection, 'main', 'gateway', _('Gateway'));
		section.addremove = true;
		section.tab('join', _('Core'));
		section.tab('network', _('Network'));
		section.tab('policy', _('Limits'));
		section.tab('system', _('System'));

		option = section.taboption('join', form.Flag, 'enabled', _('Enabled'));
		option.rmempty = false;

		option = section.taboption('join', form.Value, 'core_url', _('Core'), _('Where Core listens for gateways (restart).'));
		option.placeholder = 'https://core.example:8443';
		option.rmempty = false;
		option.validate = (id, value) =>
			value === '' || /^https:\/\/[^\s\/?#@]+(\/[^\s?#]*)?$/.test(value) || _('An https:// address is expected');

		option = section.taboption('join', form.Value, 'join_token_file', _('Join token'),
			_('A file with the token that "sallyport core agent token LOCATION" printed. Needed once; the token itself is never shown here.'));
		option.placeholder = '/etc/sallyport/join_token';
		option.datatype = 'string';

		option = section.taboption('join', form.Value, 'name', _('Name'), _("How Core's console calls this gateway (restart)."));
		option.datatype = 'maxlength(100)';

		option = section.taboption('join', form.Value, 'ca_file', _('Authority'),
			_("PEM file of the authority that signed Core's certificate; empty uses the system's (restart)."));
		option.datatype = 'string';

		option = section.taboption('network', form.Value, 'ifname', _('Interface'), _('(restart)'));
		option.placeholder = 'wg0';
		option.datatype = 'and(maxlength(15), uciname)';

		option = section.taboption('network', form.Value, 'listen_port', _('UDP port'));
		option.placeholder = '51820';
		option.datatype = 'port';

		option = section.taboption('network', form.Value, 'open_port', _('Open the port in zone'),
			_('Where clients come from; empty opens nothing.'));
		option.placeholder = 'wan';

		option = section.taboption('network', form.DynamicList, 'addresses', _('Addresses'),
			_('Of this interface. With addresses here the agent runs without any capability; without, Core names them.'));
		option.datatype = 'cidr';

		option = section.taboption('network', form.DynamicList, 'routes', _('Routes'), _('Further networks behind the tunnel.'));
		option.datatype = 'cidr';

		option = section.taboption('network', form.Value, 'mtu', _('MTU'), _('0 follows Core (restart).'));
		option.placeholder = '0';
		option.datatype = 'range(0, 9000)';

		option = section.taboption('policy', form.Value, 'max_life', _('Longest session'),
			_('Whatever Core asks for; such as 12h or 7d.'));
		option.placeholder = '24h';
		option.validate = (id, value) => value === '' || /^[0-9]+(s|m|h|d)?$/.test(value) || _('A duration such as 12h is expected');

		option = section.taboption('policy', form.Value, 'min_stale', _('Shortest silence that logs out'),
			_('Below 180 s WireGuard itself would log people out.'));
		option.placeholder = '180s';
		option.validate = (id, value) => value === '' || /^[0-9]+(s|m|h|d)?$/.test(value) || _('A duration such as 180s is expected');

		option = section.taboption('policy', form.DynamicList, 'ranges', _('Allowed networks'),
			_('Clients must have their addresses in one of these, whatever Core says; empty means anywhere.'));
		option.datatype = 'cidr';

		option = section.taboption('policy', form.Value, 'max_peers', _('Sessions at the same time'));
		option.placeholder = '4096';
		option.datatype = 'range(1, 65536)';

		option = section.taboption('system', form.ListValue, 'log_level', _('Log'));
		for (const level of [ 'error', 'warn', 'info', 'debug' ])
			option.value(level);
		option.default = 'info';

		option = section.taboption('system', form.Value, 'metrics_listen', _('Metrics'), _('ADDRESS:PORT or off (restart).'));
		option.placeholder = '127.0.0.1:9586';

		option = section.taboption('system', form.Value, 'memory', _('Heap'), _('MiB of JavaScript heap (restart).'));
		option.placeholder = '64';
		option.datatype = 'range(32, 4096)';

		option = section.taboption('system', form.Flag, 'jail', _('Jail'), _('Run in a jail where procd-ujail is installed (restart).'));
		option.default = '1';
		option.rmempty = true;

		return map.render();
	}
});
