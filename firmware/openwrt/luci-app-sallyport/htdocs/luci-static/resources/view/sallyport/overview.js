'use strict';
'require view';
'require dom';
'require poll';
'require rpc';
'require ui';

// Who is logged in, for how long, and why the others are not. One ubus call per poll: the agent answers by itself.

const callStatus = rpc.declare({ object: 'sallyport', method: 'status' });
const callLogout = rpc.declare({ object: 'sallyport', method: 'logout', params: [ 'session' ] });

const reasons = {
	'stale': _('the tunnel was silent for too long'),
	'idle': _('no traffic came from this device for too long'),
	'expired': _('the session reached its maximum life'),
	'unclaimed': _('the tunnel was not used in time after the login'),
	'lease': _('the gateway lost contact with Core for too long'),
	'revoked-admin': _('an administrator ended the session'),
	'logout-user': _('logged out'),
	'superseded': _('a newer login of this device replaced it'),
	'policy': _('the access rules changed'),
	'roamed': _('the device moved to another network and has to log in again'),
	'agent-stopped': _('the gateway was stopped')
};

const clocks = {
	'claimIn': _('unless used within %s'),
	'staleIn': _('silent in %s'),
	'idleIn': _('idle in %s'),
	'leaseIn': _('Core is missed in %s'),
	'expiresIn': _('expires in %s')
};

function span(seconds) {
	const parts = [ [ 86400, 'd' ], [ 3600, 'h' ], [ 60, 'm' ], [ 1, 's' ] ];
	const at = parts.findIndex(([ size ]) => seconds >= size);

	if (at < 0)
		return '0s';

	const [ size, unit ] = parts[at];
	const rest = at + 1 < parts.length ? Math.floor((seconds % size) / parts[at + 1][0]) : 0;
	const more = rest > 0 ? ' ' + rest + parts[at + 1][1] : '';

	return Math.floor(seconds / size) + unit + more;
}

function bytes(count) {
	return '%1024.1mB'.format(count);
}

function when(iso) {
	return new Date(iso).toLocaleString();
}

// The clock that runs out first is the one that matters.
function timeLeft(session) {
	const running = Object.keys(clocks)
		.filter(name => session[name] != null)
		.sort((a, b) => session[a] - session[b]);

	if (running.length == 0)
		return E('span', {}, _('no limit'));

	const title = running.map(name => clocks[name].format(span(session[name]))).join('\n');

	return E('span', { title: title }, [
		E('strong', {}, span(session[running[0]])), E('br'),
		E('small', {}, clocks[running[0]].format(span(session[running[0]])))
	]);
}

return view.extend({
	load() {
		return L.resolveDefault(callStatus(), null);
	},

	handleLogout(session, ev) {
		return ui.showModal(_('Log out %s?').format(session.user), [
			E('p', {}, _('The tunnel of this device stops at once. Its user has to log in again, with the second factor.')),
			E('p', {}, [ E('code', {}, session.device) ]),
			E('div', { class: 'right' }, [
				E('button', { class: 'btn', click: ui.hideModal }, _('Cancel')), ' ',
				E('button', {
					class: 'btn cbi-button-negative important',
					click: ui.createHandlerFn(this, () => callLogout(session.id).then(status => {
						ui.hideModal();
						if (status != null && status != 0)
							ui.addNotification(null, E('p', {}, _('The session was over already.')), 'info');
						return this.refresh();
					}).catch(error => {
						ui.hideModal();
						ui.addNotification(null, E('p', {}, _('Logging out failed: %s').format(error.message)), 'danger');
					}))
				}, _('Log out'))
			])
		]);
	},

	renderState(status) {
		const row = (title, value) => E('div', { class: 'tr' }, [
			E('div', { class: 'td left', width: '33%' }, title),
			E('div', { class: 'td left' }, value)
		]);
		const core = status.core;
		const coreText = core.connected
			? E('span', { class: 'label success' }, _('connected'))
			: E('span', {}, [
				E('span', { class: 'label warning' }, _('away')), ' ',
				_('sessions go on, new logins wait'), core.lastError ? ' (' + core.lastError + ')' : ''
			]);

		return E('div', { class: 'table' }, [
			row(_('Location'), status.location),
			row(_('Core'), E('span', {}, [ coreText, ' ', E('small', {}, core.url) ])),
			row(_('Interface'), '%s, %s, UDP %d, MTU %d'.format(status.interface, status.up ? _('up') : _('down'), status.listenPort, status.mtu)),
			row(_('Public key'), E('code', {}, status.publicKey || '-')),
			row(_('Cipher'), [ status.crypto ].concat(status.offloads).join(', ')),
			row(_('Clock'), status.clock == 'none'
				? E('strong', {}, _('not sane: no new sessions until Core or NTP tells the time'))
				: (status.clock == 'core' ? _('checked against Core') : _("the system's"))),
			row(_('Version'), status.version)
		]);
	},

	renderSessions(status) {
		const table = E('table', { class: 'table cbi-section-table' }, [
			E('tr', { class: 'tr table-titles' }, [
				E('th', { class: 'th' }, _('User')),
				E('th', { class: 'th' }, _('Addresses')),
				E('th', { class: 'th' }, _('Second factor')),
				E('th', { class: 'th' }, _('Time left')),
				E('th', { class: 'th hide-xs' }, _('Latest handshake')),
				E('th', { class: 'th hide-xs' }, _('Traffic')),
				E('th', { class: 'th cbi-section-actions' })
			])
		]);

		cbi_update_table(table, status.sessions.map(session => [
			E('span', { title: session.device }, [
				E('strong', {}, session.user), E('br'),
				E('small', {}, session.endpoint || _('nowhere yet'))
			]),
			session.addresses.join(', '),
			session.confirmed
				? E('span', { class: 'label success' }, _('proved, in use'))
				: E('span', { class: 'label' }, _('proved, not used yet')),
			timeLeft(session),
			session.latestHandshake ? when(session.latestHandshake) : _('never'),
			'↓ %s ↑ %s'.format(bytes(session.rxBytes), bytes(session.txBytes)),
			E('button', {
				class: 'btn cbi-button-negative',
				disabled: L.hasViewPermission() ? null : true,
				click: ui.createHandlerFn(this, 'handleLogout', session)
			}, _('Log out'))
		]), E('em', {}, _('Nobody is logged in.')));

		return table;
	},

	renderEnds(status) {
		const table = E('table', { class: 'table cbi-section-table' }, [
			E('tr', { class: 'tr table-titles' }, [
				E('th', { class: 'th' }, _('When')),
				E('th', { class: 'th' }, _('Device')),
				E('th', { class: 'th' }, _('Why'))
			])
		]);

		cbi_update_table(table, status.recentEnds.slice().reverse().map(end => [
			when(end.at),
			E('code', {}, end.device),
			E('span', {}, [ reasons[end.reason] || end.reason, ' ', E('small', {}, '(' + end.reason + ')') ])
		]), E('em', {}, _('No session has ended since the start.')));

		return table;
	},

	content(status) {
		if (status == null || status.core == null)
			return E('div', { class: 'alert-message warning' }, [
				E('h4', {}, _('The gateway does not answer')),
				E('p', {}, _('It is not running, or not enabled. The system log says why; the settings are on the next page.'))
			]);

		return E('div', {}, [
			E('div', { class: 'cbi-section' }, [ E('h3', {}, _('Gateway')), this.renderState(status) ]),
			E('div', { class: 'cbi-section' }, [
				E('h3', {}, _('Sessions') + ' (' + status.sessions.length + ')'), this.renderSessions(status)
			]),
			E('div', { class: 'cbi-section' }, [ E('h3', {}, _('Ended lately')), this.renderEnds(status) ])
		]);
	},

	refresh() {
		return L.resolveDefault(callStatus(), null).then(status => {
			dom.content(this.node, this.content(status));
		});
	},

	render(status) {
		this.node = E('div', { id: 'sallyport-overview' }, this.content(status));
		poll.add(() => this.refresh(), 5);

		return E('div', { class: 'cbi-map' }, [
			E('h2', {}, _('Sallyport')),
			E('div', { class: 'cbi-map-descr' }, _('WireGuard that asks for a second factor. A session ends by itself; here is when and why.')),
			this.node
		]);
	},

	handleSaveApply: null,
	handleSave: null,
	handleReset: null
});
