// Allowed IPs, the routing table of cryptokey routing (whitepaper §2; A1-A6): the longest prefix that contains an address names the
// peer. One hash table per family, probed once per prefix length in use, longest first; lookups allocate nothing. Why not a trie:
// docs/decisions/0010-allowed-ips-by-hash-table.md.

export interface AllowedIp {
  readonly family: 4 | 6;
  /** 4 or 16 bytes, network order. */
  readonly address: Uint8Array;
  readonly prefix: number;
}

export class AllowedIps<P extends object> {
  readonly #v4 = new PrefixTable<P>(1);
  readonly #v6 = new PrefixTable<P>(4);
  /** Per peer its prefixes in insertion order (A5), as 2 × route number, plus 1 for IPv6. */
  readonly #owned = new Map<P, Set<number>>();

  get size(): number {
    return this.#v4.size + this.#v6.size;
  }

  /** The owner of the IPv4 address in the four bytes at `at`. */
  find4(u8: Uint8Array, at: number): P | null {
    return this.#v4.find4(word(u8, at));
  }

  /** The owner of the IPv6 address in the sixteen bytes at `at`. */
  find6(u8: Uint8Array, at: number): P | null {
    return this.#v6.find6(word(u8, at), word(u8, at + 4), word(u8, at + 8), word(u8, at + 12));
  }

  /** Adds a prefix, or moves it here from its former owner (A2). Bits behind the prefix are ignored (A1). */
  insert(ip: AllowedIp, peer: P): void {
    const table = this.#table(ip);
    let route = table.exact(ip.address, ip.prefix);
    if (route < 0) route = table.add(ip.address, ip.prefix);
    else this.#disown(table.owner[route]!, route * 2 + (ip.family === 6 ? 1 : 0));
    table.owner[route] = peer;
    let owned = this.#owned.get(peer);
    if (owned === undefined) this.#owned.set(peer, (owned = new Set()));
    owned.add(route * 2 + (ip.family === 6 ? 1 : 0));
  }

  /** Removes a prefix if it belongs to `peer` (A4). */
  remove(ip: AllowedIp, peer: P): boolean {
    const table = this.#table(ip);
    const route = table.exact(ip.address, ip.prefix);
    if (route < 0 || table.owner[route] !== peer) return false;
    this.#disown(peer, route * 2 + (ip.family === 6 ? 1 : 0));
    table.remove(route);
    return true;
  }

  removeByPeer(peer: P): void {
    const owned = this.#owned.get(peer);
    if (owned === undefined) return;
    this.#owned.delete(peer);
    for (const id of owned) ((id & 1) === 1 ? this.#v6 : this.#v4).remove(id >> 1);
  }

  /** The prefixes of a peer in insertion order, host bits masked. */
  of(peer: P): AllowedIp[] {
    const list: AllowedIp[] = [];
    for (const id of this.#owned.get(peer) ?? []) {
      const table = (id & 1) === 1 ? this.#v6 : this.#v4;
      const family = (id & 1) === 1 ? 6 : 4;
      list.push({ family, address: table.addressOf(id >> 1), prefix: table.prefixOf(id >> 1) });
    }
    return list;
  }

  #disown(peer: P, id: number): void {
    const owned = this.#owned.get(peer)!;
    owned.delete(id);
    if (owned.size === 0) this.#owned.delete(peer);
  }

  #table(ip: AllowedIp): PrefixTable<P> {
    const table = ip.family === 4 ? this.#v4 : this.#v6;
    const bits = 32 * table.words;
    if (ip.address.length * 8 !== bits || !Number.isInteger(ip.prefix) || ip.prefix < 0 || ip.prefix > bits)
      throw new RangeError(
        `allowed-ip of ${ip.address.length} bytes with prefix ${ip.prefix} is not IPv${ip.family}`,
      );
    return table;
  }
}

function word(u8: Uint8Array, at: number): number {
  return (u8[at]! << 24) | (u8[at + 1]! << 16) | (u8[at + 2]! << 8) | u8[at + 3]!;
}

/** For each prefix length 0..128 the masks of the four words of an address. IPv4 uses the first of the first 33. */
const masks = new Int32Array(129 * 4);
for (let length = 0; length <= 128; length++)
  for (let i = 0; i < 4; i++) {
    const kept = length - 32 * i;
    masks[4 * length + i] = kept <= 0 ? 0 : kept >= 32 ? -1 : -1 << (32 - kept);
  }

/** Multiplicative hashing: the good bits are the high ones. */
function hash4(address: number, length: number): number {
  return Math.imul(address ^ Math.imul(length, 0x85ebca6b), 0x9e3779b1);
}

function hash6(a: number, b: number, c: number, d: number, length: number): number {
  let hash = Math.imul(a ^ Math.imul(length, 0x85ebca6b), 0x9e3779b1);
  hash = Math.imul((hash ^ (hash >>> 15)) + b, 0x9e3779b1);
  hash = Math.imul((hash ^ (hash >>> 15)) + c, 0x9e3779b1);
  return Math.imul((hash ^ (hash >>> 15)) + d, 0x9e3779b1);
}

const none = -1;

/**
 * Prefixes of one family. A route is a number into parallel arrays and keeps it for life; `slots` is the hash table
 * of route numbers, linear probing, at most half full.
 */
class PrefixTable<P> {
  readonly words: number;
  readonly owner: (P | null)[] = [];
  size = 0;
  #key: Int32Array; // `words` per route
  #length: Uint8Array;
  readonly #free: number[] = [];
  #slots: Int32Array;
  #shift: number; // 32 − log2(slots)
  /** The lengths in use, longest first, and how many routes have each. */
  #lengths: Uint8Array = new Uint8Array(0);
  readonly #population: Uint32Array;

  constructor(words: number) {
    this.words = words;
    this.#key = new Int32Array(8 * words);
    this.#length = new Uint8Array(8);
    this.#slots = new Int32Array(16).fill(none);
    this.#shift = 28;
    this.#population = new Uint32Array(32 * words + 1);
  }

  find4(address: number): P | null {
    const { owner } = this;
    const lengths = this.#lengths;
    const slots = this.#slots;
    const last = slots.length - 1;
    const keys = this.#key;
    const shift = this.#shift;
    for (let i = 0; i < lengths.length; i++) {
      const length = lengths[i]!;
      const key = address & masks[4 * length]!;
      let slot = hash4(key, length) >>> shift;
      for (let route = slots[slot]!; route >= 0; route = slots[slot]!) {
        if (keys[route] === key && this.#length[route] === length) return owner[route]!;
        slot = (slot + 1) & last;
      }
    }
    return null;
  }

  find6(a: number, b: number, c: number, d: number): P | null {
    const { owner } = this;
    const lengths = this.#lengths;
    const slots = this.#slots;
    const last = slots.length - 1;
    const keys = this.#key;
    const shift = this.#shift;
    for (let i = 0; i < lengths.length; i++) {
      const length = lengths[i]!;
      const ka = a & masks[4 * length]!;
      const kb = b & masks[4 * length + 1]!;
      const kc = c & masks[4 * length + 2]!;
      const kd = d & masks[4 * length + 3]!;
      let slot = hash6(ka, kb, kc, kd, length) >>> shift;
      for (let route = slots[slot]!; route >= 0; route = slots[slot]!) {
        const at = 4 * route;
        if (keys[at + 3] === kd && keys[at + 2] === kc && keys[at + 1] === kb && keys[at] === ka)
          if (this.#length[route] === length) return owner[route]!;
        slot = (slot + 1) & last;
      }
    }
    return null;
  }

  /** The route of exactly this prefix, or -1. */
  exact(address: Uint8Array, prefix: number): number {
    const last = this.#slots.length - 1;
    let slot = this.#hash(address, prefix) >>> this.#shift;
    for (let route = this.#slots[slot]!; route >= 0; route = this.#slots[slot]!) {
      if (this.#length[route] === prefix && this.#matches(route, address)) return route;
      slot = (slot + 1) & last;
    }
    return none;
  }

  /** A new route for a prefix the table does not hold; the caller sets its owner. */
  add(address: Uint8Array, prefix: number): number {
    if (++this.size * 2 > this.#slots.length) this.#rehash(this.#slots.length * 2);
    const route = this.#free.pop() ?? this.#fresh();
    for (let i = 0; i < this.words; i++)
      this.#key[route * this.words + i] = word(address, 4 * i) & masks[4 * prefix + i]!;
    this.#length[route] = prefix;
    this.#enter(route);
    if (this.#population[prefix]!++ === 0) this.#listLengths();
    return route;
  }

  remove(route: number): void {
    const slots = this.#slots;
    const last = slots.length - 1;
    let hole = this.#home(route);
    while (slots[hole] !== route) hole = (hole + 1) & last;
    // Close the gap: an entry that a collision pushed past it moves back (Knuth 6.4, algorithm R).
    for (let slot = (hole + 1) & last; slots[slot]! >= 0; slot = (slot + 1) & last) {
      if (((slot - this.#home(slots[slot]!)) & last) < ((slot - hole) & last)) continue;
      slots[hole] = slots[slot]!;
      hole = slot;
    }
    slots[hole] = none;
    this.owner[route] = null;
    this.#free.push(route);
    this.size--;
    if (--this.#population[this.#length[route]!]! === 0) this.#listLengths();
  }

  prefixOf(route: number): number {
    return this.#length[route]!;
  }

  addressOf(route: number): Uint8Array {
    const bytes = new Uint8Array(4 * this.words);
    for (let i = 0; i < bytes.length; i++)
      bytes[i] = this.#key[route * this.words + (i >> 2)]! >>> (24 - 8 * (i & 3));
    return bytes;
  }

  #hash(address: Uint8Array, prefix: number): number {
    const m = 4 * prefix;
    const first = word(address, 0) & masks[m]!;
    if (this.words === 1) return hash4(first, prefix);
    const second = word(address, 4) & masks[m + 1]!;
    return hash6(first, second, word(address, 8) & masks[m + 2]!, word(address, 12) & masks[m + 3]!, prefix);
  }

  #matches(route: number, address: Uint8Array): boolean {
    for (let i = 0; i < this.words; i++) {
      const mask = masks[4 * this.#length[route]! + i]!;
      if ((word(address, 4 * i) & mask) !== this.#key[route * this.words + i]) return false;
    }
    return true;
  }

  /** The slot a route would like. */
  #home(route: number): number {
    const key = this.#key;
    const at = route * this.words;
    const length = this.#length[route]!;
    const hash =
      this.words === 1
        ? hash4(key[at]!, length)
        : hash6(key[at]!, key[at + 1]!, key[at + 2]!, key[at + 3]!, length);
    return hash >>> this.#shift;
  }

  #enter(route: number): void {
    const last = this.#slots.length - 1;
    let slot = this.#home(route);
    while (this.#slots[slot]! >= 0) slot = (slot + 1) & last;
    this.#slots[slot] = route;
  }

  #rehash(slots: number): void {
    const old = this.#slots;
    this.#slots = new Int32Array(slots).fill(none);
    this.#shift = 32 - Math.log2(slots);
    for (const route of old) if (route >= 0) this.#enter(route);
  }

  #fresh(): number {
    const route = this.owner.length;
    this.owner.push(null);
    if (route < this.#length.length) return route;
    const key = new Int32Array(2 * this.#key.length);
    key.set(this.#key);
    this.#key = key;
    const length = new Uint8Array(2 * this.#length.length);
    length.set(this.#length);
    this.#length = length;
    return route;
  }

  #listLengths(): void {
    const used: number[] = [];
    for (let length = this.#population.length - 1; length >= 0; length--)
      if (this.#population[length]! > 0) used.push(length);
    this.#lengths = Uint8Array.from(used);
  }
}
