// A self-signed certificate for the demo's servers (X.509 v3, RFC 5280; Ed25519, RFC 8410), so that everything in the demo
// runs over TLS as it would in the field, with nothing but Node. One certificate for all addresses; valid for a day.

import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export function selfSigned(addresses: readonly string[]): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const algorithm = sequence(oid(1, 3, 101, 112));
  const name = sequence(tlv(0x31, sequence(oid(2, 5, 4, 3), tlv(0x0c, Buffer.from('sallyport demo')))));
  const day = 86_400_000;
  const validity = sequence(utcTime(Date.now() - day), utcTime(Date.now() + day));
  const isAuthority = sequence(
    oid(2, 5, 29, 19),
    tlv(1, Buffer.from([0xff])),
    tlv(4, sequence(tlv(1, Buffer.from([0xff])))),
  );
  const names = addresses.map(address => tlv(0x87, Buffer.from(address.split('.').map(Number))));
  const alternatives = sequence(oid(2, 5, 29, 17), tlv(4, sequence(...names)));
  const body = sequence(
    tlv(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([0x01]), randomBytes(15)])),
    algorithm,
    name,
    validity,
    name,
    publicKey.export({ format: 'der', type: 'spki' }),
    tlv(0xa3, sequence(isAuthority, alternatives)),
  );
  const signature = tlv(3, Buffer.concat([Buffer.from([0]), sign(null, body, privateKey)]));
  const base64 = sequence(body, algorithm, signature).toString('base64');
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${base64.match(/.{1,64}/g)!.join('\n')}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ format: 'pem', type: 'pkcs8' }) as string,
  };
}

function tlv(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  if (length < 128) return Buffer.concat([Buffer.from([tag, length]), content]);
  const bytes = length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...bytes]), content]);
}

function sequence(...parts: Buffer[]): Buffer {
  return tlv(0x30, ...parts);
}

function integer(bytes: Buffer): Buffer {
  return tlv(2, bytes);
}

/** All arcs here are below 128 or fit one pair of base-128 digits. */
function oid(first: number, second: number, ...rest: number[]): Buffer {
  const digits = rest.flatMap(arc => (arc < 128 ? [arc] : [0x80 | (arc >> 7), arc & 127]));
  return tlv(6, Buffer.from([40 * first + second, ...digits]));
}

function utcTime(ms: number): Buffer {
  const text = new Date(ms).toISOString().replace(/^\d\d|[-:T]|\.\d+/g, '');
  return tlv(0x17, Buffer.from(text));
}
