// First boot: /etc/uci-defaults/90-sallyport with a stand-in for `uci` that keeps what it is told.

import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { has } from '../fixtures/lab/netns.ts';
import { packageRoot, Router } from '../fixtures/lab/openwrt.ts';

const skip = !has('busybox') && 'busybox is not installed';
const script = readFileSync(join(packageRoot, 'etc/uci-defaults/90-sallyport'), 'utf8');

/** Options are lines `a.b.c=value` of a file. */
const uci = `
uci() {
  [ "$1" = -q ] && shift
  case "$1" in
    get) sed -n "s/^$2=//p" "$STORE" | tail -n 1 | grep . ;;
    commit) echo "commit $2" >> "$LOG" ;;
    batch) while read -r verb rest; do
      case "$verb" in
        set|add_list) printf '%s\\n' "$rest" | sed "s/='\\(.*\\)'$/=\\1/" >> "$STORE" ;;
        commit) echo "commit $rest" >> "$LOG" ;;
      esac
    done ;;
  esac
}
touch "$STORE"
`;

function boot(t: Test, prepare: (router: Router) => void = () => {}): {
  router: Router;
  again: () => string[];
  store: () => string[];
  calls: string[];
} {
  const router = new Router();
  t.teardown(() => router.close());
  mkdirSync(router.path('etc'));
  prepare(router);
  const store = router.path('store');
  const once = (): string[] => {
    const env = { STORE: store, SALLYPORT_USB: router.path('usb/*/sallyport-join') };
    const { status, stderr, calls } = router.run(uci, `(${script.replace(/^#!.*\n/, '')})`, env);
    t.equal(status, 0);
    t.equal(stderr, '');
    return calls;
  };
  const calls = once();
  return { router, again: once, calls, store: () => readFileSync(store, 'utf8').trim().split('\n') };
}

t.test('a bare router: a section that is off, a zone, and a second run changes nothing', { skip }, async t => {
  const { store, again } = boot(t);
  t.ok(store().includes('sallyport.main=gateway'));
  t.ok(store().includes('sallyport.main.enabled=0'));
  t.ok(store().includes('firewall.sallyport.name=sallyport'));
  t.ok(store().includes('firewall.sallyport.device=wg0'));
  t.ok(store().includes('firewall.sallyport.input=REJECT'));
  const before = store();
  again();
  t.same(store(), before);
});

const provisioning = 'CORE_URL=https://core.example:8443\nJOIN_TOKEN=spj_abcABC-_\n';

for (const place of ['etc/provision', 'usb/stick/sallyport-join'])
  t.test(`provisioned by ${place}, once`, { skip }, async t => {
    const { store, router, calls } = boot(t, router => {
      mkdirSync(router.path('usb/stick'), { recursive: true });
      writeFileSync(router.path(place), provisioning);
    });
    t.ok(store().includes('sallyport.main.core_url=https://core.example:8443'));
    t.ok(store().includes('sallyport.main.enabled=1'));
    t.equal(readFileSync(router.path('etc/join_token'), 'utf8'), 'spj_abcABC-_\n');
    t.equal(statSync(router.path('etc/join_token')).mode & 0o777, 0o600);
    t.notOk(existsSync(router.path(place)), 'the token is not left behind');
    t.ok(calls.some(call => call.includes('will join https://core.example:8443')));
    t.notOk(calls.some(call => call.includes('spj_')), 'nor logged');
  });

t.test('a gateway that has a Core keeps it', { skip }, async t => {
  const { store, router } = boot(t, router => {
    writeFileSync(router.path('store'), 'sallyport.main=gateway\nsallyport.main.core_url=https://mine\n');
    writeFileSync(router.path('etc/provision'), provisioning);
  });
  t.notOk(store().includes('sallyport.main.core_url=https://core.example:8443'));
  t.ok(existsSync(router.path('etc/provision')));
});

t.test('nothing from a stick gets into a command', { skip }, async t => {
  for (const text of [
    "CORE_URL=https://x' uci\nJOIN_TOKEN=spj_a",
    'CORE_URL=http://plain\nJOIN_TOKEN=spj_a',
    "CORE_URL=https://x\nJOIN_TOKEN=spj_a'; reboot",
    'JOIN_TOKEN=spj_a',
    '',
  ]) {
    const { store, router, calls } = boot(t, router => writeFileSync(router.path('etc/provision'), text));
    t.ok(store().includes('sallyport.main.enabled=0'), text);
    t.notOk(existsSync(router.path('etc/join_token')));
    t.ok(calls.some(call => /provisioning: .* needs the lines/.test(call)));
  }
});
