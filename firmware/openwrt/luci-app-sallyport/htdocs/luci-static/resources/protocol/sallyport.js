'use strict';
'require form';
'require network';

// `option proto 'sallyport'`: the tunnel as an interface of netifd.

return network.registerProtocol('sallyport', {
	getI18n() {
		return _('Sallyport VPN gateway');
	},

	getIfname() {
		return this._ubus('l3_device') || this.sid;
	},

	getPackageName() {
		return 'sallyport';
	},

	getOpkgPackage() {
		return 'sallyport';
	},

	isFloating() {
		return true;
	},

	isVirtual() {
		return true;
	},

	getDevices() {
		return null;
	},

	containsDevice(ifname) {
		return network.getIfnameOf(ifname) == this.getIfname();
	},

	renderFormOptions(section) {
		let option;

		option = section.taboption('general', form.Value, 'core_url', _('Core'));
		option.placeholder = 'https://core.example:8443';
		option.rmempty = false;

		option = section.taboption('general', form.Value, 'join_token_file', _('Join token'), _('A file with the token; needed once.'));
		option.placeholder = '/etc/sallyport/join_token';

		option = section.taboption('general', form.Value, 'listen_port', _('UDP port'));
		option.placeholder = '51820';
		option.datatype = 'port';

		option = section.taboption('general', form.DynamicList, 'addresses', _('Addresses'));
		option.datatype = 'cidr';
		option.rmempty = false;

		option = section.taboption('advanced', form.Value, 'mtu', _('MTU'));
		option.placeholder = '1420';
		option.datatype = 'range(1280, 9000)';
	}
});
