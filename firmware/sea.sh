#!/bin/sh
# One executable file: node with the bundle inside (Node's single executable applications, `--build-sea`, Node >= 25.5). Works
# offline. The flag for node:ffi is baked in, so `sallyport agent ...` needs nothing else.
#
#   npm ci && npm run build && firmware/sea.sh [OUTPUT]          about 120 MB; `xz -9` makes 31 of it
#
# Stripped before the bundle goes in: a stripped result would not start. The worker thread loads the same code from the
# bundle's text, which is an asset. With Deno (96 MB, glibc only) the same is one command, which downloads its base once:
#   deno compile -A --output sallyport dist/agent.mjs
set -eu

top="$(cd "$(dirname "$0")/.." && pwd)"
out="${1:-$top/dist/sallyport}"
bundle="${SALLYPORT_BUNDLE:-$top/dist/agent.mjs}"
node="${SALLYPORT_NODE:-$(readlink -f "$top/node_modules/.bin/node")}"
for file in "$bundle" "$node"; do
	[ -f "$file" ] || {
		echo "sea.sh: $file is missing: run 'npm ci && npm run build' first" >&2
		exit 1
	}
done

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT INT TERM
cp "$node" "$work/node"
chmod 0755 "$work/node"
if command -v strip >/dev/null; then strip --strip-unneeded "$work/node" || cp "$node" "$work/node"; fi

# The program's entry is CommonJS; the bundle is a module and starts itself again as a worker, from the same file on disk.
cat > "$work/entry.cjs" <<'EOF'
const { getRawAsset } = require('node:sea');
const { mkdtempSync, writeFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');
const vm = require('node:vm');
const dir = mkdtempSync(join(process.env.SALLYPORT_UNPACK || tmpdir(), 'sallyport-'));
const file = join(dir, 'agent.mjs');
writeFileSync(file, new Uint8Array(getRawAsset('agent.mjs')), { mode: 0o600 });
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
// A tunnel that goes to the background starts itself as `PROGRAM NODE-FLAGS SCRIPT tunnel ...`: flags are in here, the script too.
const given = process.argv.slice(1);
while (given[0] === process.execPath || process.execArgv.includes(given[0]) || /\/agent\.mjs$/.test(given[0] ?? '')) given.shift();
process.argv = [process.argv[0], file, ...given];
// import() of an embedded program knows built-in modules only; a script of the main context has the ordinary loader.
const importModuleDynamically = vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER;
const load = new vm.Script('url => import(url)', { importModuleDynamically }).runInThisContext();
load(pathToFileURL(file).href).catch(error => {
  process.stderr.write(`sallyport: ${error.stack}\n`);
  process.exitCode = 1;
});
EOF
cat > "$work/sea.json" <<EOF
{
  "main": "$work/entry.cjs",
  "output": "$out",
  "executable": "$work/node",
  "disableExperimentalSEAWarning": true,
  "execArgv": ["--experimental-ffi", "--disable-warning=ExperimentalWarning"],
  "execArgvExtension": "env",
  "assets": { "agent.mjs": "$bundle" }
}
EOF
"$node" --build-sea "$work/sea.json"
chmod 0755 "$out"
"$out" --help >/dev/null
ls -l "$out"
