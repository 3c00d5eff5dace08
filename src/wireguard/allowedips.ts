// Allowed-IPs, the routing table of cryptokey routing (whitepaper §2; conformance A1–A6): the longest prefix that contains
// an address names the peer. One path-compressed binary trie per family in flat typed arrays, as in the kernel's
// allowedips.c; a lookup allocates nothing and visits at most one node per distinct branching bit, so its cost follows
// the shape of the table and not its size.

export interface AllowedIp {
  readonly family: 4 | 6;
  /** 4 or 16 bytes, network order. */
  readonly address: Uint8Array;
  readonly prefix: number;
}

export class AllowedIps<P extends object> {
  readonly #v4 = new Trie<P>(1);
  readonly #v6 = new Trie<P>(4);
  /** Per peer its prefixes in insertion order (A5), as 2 × node number, plus 1 for IPv6. */
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
    const trie = this.#trie(ip);
    const node = trie.insert(ip.address, ip.prefix);
    const id = node * 2 + (ip.family === 6 ? 1 : 0);
    this.#disown(trie.owner[node] ?? null, id);
    trie.owner[node] = peer;
    let owned = this.#owned.get(peer);
    if (owned === undefined) this.#owned.set(peer, (owned = new Set()));
    owned.add(id);
  }

  /** Removes a prefix if it belongs to `peer` (A4). */
  remove(ip: AllowedIp, peer: P): boolean {
    const trie = this.#trie(ip);
    const node = trie.exact(ip.address, ip.prefix);
    if (node < 0 || trie.owner[node] !== peer) return false;
    this.#disown(peer, node * 2 + (ip.family === 6 ? 1 : 0));
    trie.remove(node);
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
      const trie = (id & 1) === 1 ? this.#v6 : this.#v4;
      const family = (id & 1) === 1 ? 6 : 4;
      list.push({ family, address: trie.addressOf(id >> 1), prefix: trie.prefixOf(id >> 1) });
    }
    return list;
  }

  #disown(peer: P | null, id: number): void {
    if (peer === null) return;
    const owned = this.#owned.get(peer)!;
    owned.delete(id);
    if (owned.size === 0) this.#owned.delete(peer);
  }

  #trie(ip: AllowedIp): Trie<P> {
    const trie = ip.family === 4 ? this.#v4 : this.#v6;
    const bits = 32 * trie.words;
    if (ip.address.length * 8 !== bits || !(ip.prefix >= 0 && ip.prefix <= bits))
      throw new RangeError(
        `allowed-ip of ${ip.address.length} bytes with prefix ${ip.prefix} is not IPv${ip.family}`,
      );
    return trie;
  }
}

function word(u8: Uint8Array, at: number): number {
  return (u8[at]! << 24) | (u8[at + 1]! << 16) | (u8[at + 2]! << 8) | u8[at + 3]!;
}

/** Mask of the first `bits` bits of a word; 32 and more give all ones. */
function mask(bits: number): number {
  return bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits);
}

const none = -1;

/**
 * Nodes are numbers into parallel arrays. Every node has a key (its first `length` bits count) and two children that extend
 * it; it is either a route (`owner` set) or a branch with both children.
 */
class Trie<P> {
  readonly words: number;
  owner: (P | null)[] = [];
  size = 0;
  #root = none;
  #free = none; // chain through `#child`
  #count = 0;
  #key: Int32Array;
  #length: Uint8Array;
  #child: Int32Array; // two per node
  #parent: Int32Array;
  readonly #wanted: Int32Array;

  constructor(words: number) {
    this.words = words;
    this.#wanted = new Int32Array(words);
    this.#key = new Int32Array(16 * words);
    this.#length = new Uint8Array(16);
    this.#child = new Int32Array(32);
    this.#parent = new Int32Array(16);
  }

  find4(address: number): P | null {
    const keys = this.#key;
    const lengths = this.#length;
    const children = this.#child;
    let best: P | null = null;
    let node = this.#root;
    while (node >= 0) {
      const length = lengths[node]!;
      const difference = keys[node]! ^ address;
      if (length === 32) return difference === 0 ? this.owner[node]! : best;
      // Shifting out the bits behind the prefix in two steps, for a shift by 32 does nothing.
      if ((difference >>> 1) >>> (31 - length) !== 0) return best;
      best = this.owner[node] ?? best;
      node = children[2 * node + ((address >>> (31 - length)) & 1)]!;
    }
    return best;
  }

  find6(a: number, b: number, c: number, d: number): P | null {
    const keys = this.#key;
    const lengths = this.#length;
    const children = this.#child;
    let best: P | null = null;
    let node = this.#root;
    while (node >= 0) {
      const length = lengths[node]!;
      const at = 4 * node;
      const partial = mask(length & 31);
      let bit = 0;
      if (length < 32) {
        if (((keys[at]! ^ a) & partial) !== 0) return best;
        bit = a >>> (31 - length);
      } else if (keys[at] !== a) return best;
      else if (length < 64) {
        if (((keys[at + 1]! ^ b) & partial) !== 0) return best;
        bit = b >>> (63 - length);
      } else if (keys[at + 1] !== b) return best;
      else if (length < 96) {
        if (((keys[at + 2]! ^ c) & partial) !== 0) return best;
        bit = c >>> (95 - length);
      } else if (keys[at + 2] !== c) return best;
      else if (length < 128) {
        if (((keys[at + 3]! ^ d) & partial) !== 0) return best;
        bit = d >>> (127 - length);
      } else return keys[at + 3] === d ? this.owner[node]! : best;
      best = this.owner[node] ?? best;
      node = children[2 * node + (bit & 1)]!;
    }
    return best;
  }

  /** The node of exactly this prefix, or -1. It may be a branch without owner. */
  exact(address: Uint8Array, prefix: number): number {
    this.#want(address, prefix);
    let node = this.#root;
    while (node >= 0) {
      const length = this.#length[node]!;
      if (length > prefix || this.#common(node, length) < length) return none;
      if (length === prefix) return node;
      node = this.#child[2 * node + this.#bit(length)]!;
    }
    return none;
  }

  /** The node of this prefix, made if need be; the caller sets its owner. */
  insert(address: Uint8Array, prefix: number): number {
    this.#want(address, prefix);
    let above = none;
    let side = 0;
    let node = this.#root;
    while (node >= 0) {
      const length = this.#length[node]!;
      const common = this.#common(node, Math.min(length, prefix));
      if (common < length) return this.#split(above, side, node, common, prefix);
      if (length === prefix) {
        if (!this.owner[node]) this.size++;
        return node;
      }
      above = node;
      side = this.#bit(length);
      node = this.#child[2 * node + side]!;
    }
    this.size++;
    return this.#attach(above, side, this.#make(prefix));
  }

  /** Takes the route off `node` and whatever branches it leaves useless. */
  remove(node: number): void {
    this.owner[node] = null;
    this.size--;
    let at = node;
    while (at >= 0 && !this.owner[at]) {
      const left = this.#child[2 * at]!;
      const right = this.#child[2 * at + 1]!;
      if (left >= 0 && right >= 0) return;
      const above = this.#parent[at]!;
      const side = above >= 0 && this.#child[2 * above + 1] === at ? 1 : 0;
      this.#attach(above, side, left >= 0 ? left : right);
      this.#child[2 * at] = this.#free;
      this.#free = at;
      at = above;
    }
  }

  prefixOf(node: number): number {
    return this.#length[node]!;
  }

  addressOf(node: number): Uint8Array {
    const bytes = new Uint8Array(4 * this.words);
    for (let i = 0; i < bytes.length; i++)
      bytes[i] = this.#key[node * this.words + (i >> 2)]! >>> (24 - 8 * (i & 3));
    return bytes;
  }

  /** Puts a prefix beside or above `node`, with which it shares only the first `common` bits. */
  #split(above: number, side: number, node: number, common: number, prefix: number): number {
    this.size++;
    const route = this.#make(prefix);
    if (common === prefix) {
      this.#attach(above, side, route);
      this.#attach(route, this.#keyBit(node, prefix), node);
      return route;
    }
    const branch = this.#make(common);
    this.#attach(above, side, branch);
    this.#attach(branch, this.#bit(common), route);
    this.#attach(branch, this.#keyBit(node, common), node);
    return route;
  }

  #attach(above: number, side: number, node: number): number {
    if (above < 0) this.#root = node;
    else this.#child[2 * above + side] = node;
    if (node >= 0) this.#parent[node] = above;
    return node;
  }

  /** A node for the first `length` wanted bits. */
  #make(length: number): number {
    let node = this.#free;
    if (node >= 0) this.#free = this.#child[2 * node]!;
    else {
      node = this.#count++;
      if (node === this.#length.length) this.#grow();
    }
    for (let i = 0; i < this.words; i++)
      this.#key[node * this.words + i] = this.#wanted[i]! & mask(length - 32 * i);
    this.#length[node] = length;
    this.#child[2 * node] = this.#child[2 * node + 1] = none;
    this.owner[node] = null;
    return node;
  }

  #want(address: Uint8Array, prefix: number): void {
    for (let i = 0; i < this.words; i++) this.#wanted[i] = word(address, 4 * i) & mask(prefix - 32 * i);
  }

  /** How many of the first `limit` bits the wanted prefix shares with a node. */
  #common(node: number, limit: number): number {
    for (let i = 0; i < this.words; i++) {
      const difference = this.#key[node * this.words + i]! ^ this.#wanted[i]!;
      if (difference !== 0) return Math.min(limit, 32 * i + Math.clz32(difference));
    }
    return limit;
  }

  #bit(index: number): number {
    return (this.#wanted[index >> 5]! >>> (31 - (index & 31))) & 1;
  }

  #keyBit(node: number, index: number): number {
    return (this.#key[node * this.words + (index >> 5)]! >>> (31 - (index & 31))) & 1;
  }

  #grow(): void {
    const capacity = 2 * this.#length.length;
    const key = new Int32Array(capacity * this.words);
    key.set(this.#key);
    this.#key = key;
    const length = new Uint8Array(capacity);
    length.set(this.#length);
    this.#length = length;
    const child = new Int32Array(2 * capacity);
    child.set(this.#child);
    this.#child = child;
    const parent = new Int32Array(capacity);
    parent.set(this.#parent);
    this.#parent = parent;
  }
}
