// Endpoint: where a peer is reached, and which local address answered last (sticky source, whitepaper §6.5 and
// E1, E2). Mutable and preallocated: one per peer and one per receive slot, so roaming never allocates.

export class Endpoint {
  /** 0 = unset, 4 or 6. */
  family = 0;
  /** Network byte order; IPv4 uses the first four bytes. */
  readonly address: Uint8Array = new Uint8Array(16);
  port = 0;
  /** IPv6 zone of a link-local address, 0 otherwise. */
  scopeId = 0;
  /** Local address the peer's last authenticated packet was sent to; meaningful when `sourceFamily` is `family`. */
  sourceFamily = 0;
  readonly source: Uint8Array = new Uint8Array(16);
  sourceInterface = 0;

  copyFrom(other: Endpoint): void {
    this.family = other.family;
    this.address.set(other.address);
    this.port = other.port;
    this.scopeId = other.scopeId;
    this.sourceFamily = other.sourceFamily;
    this.source.set(other.source);
    this.sourceInterface = other.sourceInterface;
  }

  clear(): void {
    this.family = this.port = this.scopeId = 0;
    this.address.fill(0);
    this.clearSource();
  }

  clearSource(): void {
    this.sourceFamily = this.sourceInterface = 0;
    this.source.fill(0);
  }

  /** Same remote address, whatever the local source. */
  isSameRemote(other: Endpoint): boolean {
    if (this.family !== other.family || this.port !== other.port || this.scopeId !== other.scopeId)
      return false;
    for (let i = 0; i < 16; i++) if (this.address[i] !== other.address[i]) return false;
    return true;
  }

  /** Same remote address and same local source. */
  equals(other: Endpoint): boolean {
    if (
      this.family !== other.family ||
      this.port !== other.port ||
      this.scopeId !== other.scopeId ||
      this.sourceFamily !== other.sourceFamily ||
      this.sourceInterface !== other.sourceInterface
    )
      return false;
    for (let i = 0; i < 16; i++) {
      if (this.address[i] !== other.address[i] || this.source[i] !== other.source[i]) return false;
    }
    return true;
  }
}
