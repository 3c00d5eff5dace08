import t from 'tap';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AgentProcess, run } from '../../src/agent/command.ts';
import { FakeCore, joinToken } from '../fixtures/fakes/fakecore.ts';
import { FakeDataplane } from '../fixtures/fakes/fakedataplane.ts';
import { soon } from '../fixtures/soon.ts';

t.test('the whole life of an agent', async t => {
  const core = await new FakeCore().listen();
  const directory = mkdtempSync(join(tmpdir(), 'command-'));
  t.teardown(async () => {
    await core.close();
    rmSync(directory, { recursive: true });
  });
  const file = join(directory, 'agent.toml');
  const write = (more: string): void =>
    writeFileSync(
      file,
      `core_url = "${core.url}"
state_dir = "${directory}/state"
run_dir = "${directory}/run"
uapi_dir = "${directory}/uapi"
metrics_listen = "off"
allow_x25519 = true
ubus = "off"
${more}`,
    );
  write('');
  const listeners = process.listenerCount('SIGHUP');
  const lines: string[] = [];
  const planes: FakeDataplane[] = [];
  const agent: AgentProcess = {
    environment: { SALLYPORT_JOIN_TOKEN: joinToken, SALLYPORT_LOG_TIME: '0' },
    out: text => lines.push(text),
    write: line => lines.push(line),
    host: async () => ({
      start: async options => {
        planes.push(new FakeDataplane(options.ifname));
        return planes.at(-1)!;
      },
      kernel: null,
      bootMs: () => performance.now(),
      wallMs: Date.now,
      delay: () => 5,
    }),
  };
  const until = (line: RegExp): Promise<void> => soon(() => lines.some(said => line.test(said)));

  await t.test('TERM is a good end', async t => {
    const running = run(['--config', file], agent);
    await until(/in step with Core/);
    write('listen_port = 7\nlog_level = "debug"\n');
    process.emit('SIGHUP', 'SIGHUP');
    await until(/configuration reloaded/);
    t.equal(planes[0]!.listenPort, 7);
    write('listen_port = "x"\n');
    process.emit('SIGHUP', 'SIGHUP');
    await until(/the new configuration is not used: .*agent\.toml:8: listen_port/);
    process.emit('SIGTERM', 'SIGTERM');
    t.equal(await running, 0);
    t.equal(planes[0]!.stopped, 1);
    t.notMatch(lines.join(), joinToken);
  });

  await t.test('a data plane that dies is a bad one', async t => {
    write('');
    lines.length = 0;
    const running = run(['--config', file], agent);
    await until(/in step with Core/);
    planes[1]!.die();
    t.equal(await running, 1);
  });

  await t.test('bad configuration is told before anything starts', async t => {
    write('listen_port = "x"\n');
    await t.rejects(run(['--config', file], agent), {
      exit: 2,
      message: /listen_port = "x": expected a whole number/,
    });
    t.equal(planes.length, 2);
    t.equal(process.listenerCount('SIGHUP'), listeners, 'no handler is left behind');
  });

  await t.test('stopped while enrolling', async t => {
    await core.close();
    write('');
    const fresh = { ...agent, environment: { SALLYPORT_JOIN_TOKEN: joinToken, SALLYPORT_LOG_TIME: '0' } };
    lines.length = 0;
    const running = run(['--config', file, '--state-dir', `${directory}/other`], fresh);
    await until(/cannot be reached/);
    process.emit('SIGINT', 'SIGINT');
    t.equal(await running, 0);
  });
});

t.test('help names every option and how to give it', async t => {
  let text = '';
  const agent = {
    environment: {},
    out: (said: string) => (text += said),
    host: () => Promise.reject(new Error('no')),
  };
  t.equal(await run(['--help'], agent as AgentProcess), 0);
  t.match(text, /--listen-port +UDP port/);
  t.match(text, /SALLYPORT_JOIN_TOKEN_FILE/);
  t.notMatch(text, /--join-token/);
});
